//! Texts that are written for one message, in memory lent from a shelf of the thread.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Bytes of a text whose memory is kept.
const KEPT: usize = 8 * 1024;

/// Texts whose memory a thread keeps.
const SHELF: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that are being written.
#[derive(Debug)]
pub struct Text(Vec<u8>);

impl Text {
    /// An empty text.
    pub fn lend() -> Self {
        let text = FREE.with_borrow_mut(Vec::pop);
        Self(text.unwrap_or_else(|| Vec::with_capacity(KEPT / 8)))
    }
}

impl Deref for Text {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Text {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        let mut text = std::mem::take(&mut self.0);
        if text.capacity() <= KEPT {
            text.clear();
            // A thread that ends may drop texts after its shelf is gone.
            let _ = FREE.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < SHELF {
                    free.push(text);
                }
            });
        }
    }
}
