//! Read buffers and texts, lent from a shelf of the thread: an idle connection holds none.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Bytes of an ordinary buffer.
pub const SIZE: usize = 32 * 1024;

/// Buffers that a thread keeps for reuse.
const SHELF: usize = 128;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static TEXTS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that were read and not yet consumed, with room behind them.
#[derive(Debug)]
pub struct Buffer {
    data: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer of [`SIZE`] bytes.
    pub fn lend() -> Self {
        let data = FREE
            .with_borrow_mut(Vec::pop)
            .unwrap_or_else(|| vec![0; SIZE].into_boxed_slice());
        Self {
            data,
            start: 0,
            end: 0,
        }
    }

    /// What was read and not consumed.
    pub fn filled(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    /// Whether nothing is left to consume.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Takes `count` bytes off the front; more than there are empties it.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Room behind the filled part; moves the filled part to the front when there is none.
    pub fn room(&mut self) -> &mut [u8] {
        if self.end == self.data.len() && self.start > 0 {
            self.data.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.data[self.end..]
    }

    /// Counts `count` bytes, written into `room`, as filled.
    pub fn advance(&mut self, count: usize) {
        self.end = (self.end + count).min(self.data.len());
    }

    /// Makes room for a head that is larger than the buffer. Never shrinks.
    pub fn grow(&mut self, capacity: usize) {
        if capacity > self.data.len() {
            let mut data = vec![0; capacity].into_boxed_slice();
            let length = self.end - self.start;
            data[..length].copy_from_slice(self.filled());
            self.data = data;
            self.start = 0;
            self.end = length;
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.data.len() == SIZE {
            let data = std::mem::take(&mut self.data);
            // A thread that ends may drop connections after its shelf is gone.
            let _ = FREE.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < SHELF {
                    free.push(data);
                }
            });
        }
    }
}

/// Bytes of a text that is kept for reuse.
const TEXT: usize = 8 * 1024;

/// Bytes that are being written, in memory that the last text on this thread has left.
#[derive(Debug)]
pub struct Text(Vec<u8>);

impl Text {
    /// An empty text.
    pub fn lend() -> Self {
        let text = TEXTS.with_borrow_mut(Vec::pop);
        Self(text.unwrap_or_else(|| Vec::with_capacity(TEXT / 4)))
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
        if text.capacity() <= TEXT {
            text.clear();
            // As above.
            let _ = TEXTS.try_with(|texts| {
                let mut texts = texts.borrow_mut();
                if texts.len() < SHELF {
                    texts.push(text);
                }
            });
        }
    }
}
