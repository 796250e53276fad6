//! Body bytes on their way to a client, counted until they have left: one connection may have so many
//! and no more, however many streams it has.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};

/// Bytes of all streams of a connection that may wait for its socket.
const CAPACITY: usize = 1024 * 1024;

/// What the pieces of one connection may hold.
#[derive(Debug, Default)]
pub(super) struct Budget {
    used: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

impl Budget {
    /// Waits until there is room: how much.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<usize> {
        match CAPACITY.saturating_sub(self.used.get()) {
            0 => {
                let mut waiting = self.waiting.borrow_mut();
                if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                    waiting.push(cx.waker().clone());
                }
                Poll::Pending
            }
            room => Poll::Ready(room),
        }
    }

    fn release(&self, count: usize) {
        let was_full = self.used.get() >= CAPACITY;
        self.used.set(self.used.get().saturating_sub(count));
        if was_full {
            self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
        }
    }
}

/// A piece of a body.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    size: usize,
    budget: Rc<Budget>,
}

impl Piece {
    /// Counts `bytes` against `budget` until they are dropped.
    pub(super) fn new(bytes: Bytes, budget: &Rc<Budget>) -> Self {
        let size = bytes.len();
        budget.used.set(budget.used.get() + size);
        Self {
            bytes,
            size,
            budget: budget.clone(),
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.budget.release(self.size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_budget_waits_until_a_piece_has_left() {
        let budget = Rc::<Budget>::default();
        let mut cx = Context::from_waker(Waker::noop());
        let piece = Piece::new(vec![0; CAPACITY - 1].into(), &budget);
        assert_eq!(budget.poll_room(&mut cx), Poll::Ready(1));
        let other = Piece::new(vec![0; 7].into(), &budget);
        assert_eq!(budget.poll_room(&mut cx), Poll::Pending);
        drop(piece);
        assert_eq!(budget.poll_room(&mut cx), Poll::Ready(CAPACITY - 7));
        drop(other);
        assert_eq!(budget.poll_room(&mut cx), Poll::Ready(CAPACITY));
    }
}
