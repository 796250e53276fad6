//! The beginning of a body, read before anybody had it. Made by `body` alone.
//!
//! What all connections of a thread hold has a bound, so that clients cannot fill the memory by
//! beginning bodies that a patch wants to see.

use std::cell::Cell;

use crate::error::Error;
use crate::observe::log;

/// Bytes that are held by all connections of a thread.
const MAX_HELD: usize = 32 << 20;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// Bytes that count as held until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    /// How much of it was given out.
    given: usize,
    /// The piece that was lent out last is of it.
    pub(super) lent: bool,
}

impl Held {
    /// Adds a piece; fails when the thread holds too much already.
    pub(super) fn add(&mut self, piece: &[u8]) -> Result<(), Error> {
        let all = HELD.get().saturating_add(piece.len());
        if all > MAX_HELD {
            log::warn_limited!(
                "a request is refused: 32 MiB of bodies are held for patches on this thread"
            );
            return Err(Error::internal());
        }
        HELD.set(all);
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// All of it that is still here.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was not given out yet.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.given..).unwrap_or_default()
    }

    /// The place of what was not given out yet, which it is now. Once there is nothing more, nothing
    /// is held.
    pub(super) fn give(&mut self) -> Option<(usize, usize)> {
        let (start, end) = (self.given, self.bytes.len());
        self.lent = start < end;
        if self.lent {
            self.given = end;
            return Some((start, end));
        }
        self.free();
        None
    }

    fn free(&mut self) {
        HELD.set(HELD.get().saturating_sub(self.bytes.len()));
        self.bytes = Vec::new();
        self.given = 0;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.free();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_has_a_bound_and_is_free_once_it_was_given_out() {
        let piece = vec![0; 1 << 20];
        let mut many: Vec<Held> = (0..32).map(|_| Held::default()).collect();
        for held in &mut many {
            assert_eq!(held.add(&piece), Ok(()));
        }
        let mut late = Held::default();
        assert!(late.add(b"x").is_err() && late.bytes().is_empty());
        let first = &mut many[0];
        assert_eq!(first.give(), Some((0, 1 << 20)));
        assert_eq!(first.give(), None);
        assert_eq!(late.add(&piece), Ok(()));
        drop(many);
        assert_eq!(HELD.get(), 1 << 20);
        drop(late);
        assert_eq!(HELD.get(), 0);
    }
}
