//! Read buffers, lent from a shelf of the thread: an idle connection holds none.

use std::cell::RefCell;

/// Bytes of an ordinary buffer.
pub const SIZE: usize = 32 * 1024;

/// Bytes of a large buffer: four TLS records.
const LARGE: usize = 66 * 1024;

/// Buffers that a thread keeps for reuse.
const SHELF: usize = 128;
const LARGE_SHELF: usize = 8;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static FREE_LARGE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that were read and not yet consumed, with room behind them.
#[derive(Debug)]
pub struct Buffer {
    data: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer of [`SIZE`] bytes. They are lent when [`room`](Self::room) is first asked for:
    /// what waits to be read into a buffer needs none.
    pub fn lend() -> Self {
        Self {
            data: Box::default(),
            start: 0,
            end: 0,
        }
    }

    /// An empty buffer for at least `size` bytes.
    pub fn lend_for(size: usize) -> Self {
        if size <= SIZE {
            return Self::lend();
        }
        let kept = FREE_LARGE.with_borrow_mut(Vec::pop);
        let mut buffer = Self {
            data: kept.unwrap_or_else(|| vec![0; LARGE].into_boxed_slice()),
            start: 0,
            end: 0,
        };
        buffer.reserve(size);
        buffer
    }

    /// What was read and not consumed.
    pub fn filled(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    /// The same, to be changed in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.data[self.start..self.end]
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
        if self.data.is_empty() {
            self.data = FREE
                .with_borrow_mut(Vec::pop)
                .unwrap_or_else(|| vec![0; SIZE].into_boxed_slice());
        }
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

    /// Makes `room` at least `size` bytes long.
    pub fn reserve(&mut self, size: usize) {
        if self.data.is_empty() && size <= SIZE {
            self.room();
        }
        let length = self.end - self.start;
        if self.data.len() - self.end >= size {
            return;
        }
        if self.data.len() < length + size {
            return self.grow(length + size);
        }
        self.data.copy_within(self.start..self.end, 0);
        self.start = 0;
        self.end = length;
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
        let (shelf, places) = match self.data.len() {
            SIZE => (&FREE, SHELF),
            LARGE => (&FREE_LARGE, LARGE_SHELF),
            _ => return,
        };
        let data = std::mem::take(&mut self.data);
        // A thread that ends may drop connections after its shelf is gone.
        let _ = shelf.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < places {
                free.push(data);
            }
        });
    }
}
