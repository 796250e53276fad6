//! When what happened in an exchange. Read only while something wants to know.

use crate::clock::precise_micros;

/// Moments in microseconds of the monotonic clock; 0 = did not happen or was not measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    enabled: bool,
    /// The first byte of the request was there.
    pub start: u64,
    /// The head was complete.
    pub head: u64,
    /// It began to wait for a server that has room.
    pub queued: u64,
    /// It had waited.
    pub dequeued: u64,
    /// A connection to the upstream, or a worker, was there.
    pub connected: u64,
    /// The first byte of the answer was there.
    pub first_byte: u64,
    /// The answer was sent.
    pub end: u64,
}

impl Timings {
    /// Starts a measurement; when not `enabled`, no clock is read for this exchange.
    pub fn begin(enabled: bool) -> Self {
        let start = if enabled { precise_micros() } else { 0 };
        Self {
            enabled,
            start,
            ..Self::default()
        }
    }

    fn now(&self) -> u64 {
        if self.enabled { precise_micros() } else { 0 }
    }

    /// The head is complete.
    pub fn mark_head(&mut self) {
        self.head = self.now();
    }

    /// A server is waited for.
    pub fn mark_queued(&mut self) {
        self.queued = self.now();
    }

    /// A server has room.
    pub fn mark_dequeued(&mut self) {
        self.dequeued = self.now();
    }

    /// The upstream connection or worker is there.
    pub fn mark_connected(&mut self) {
        self.connected = self.now();
    }

    /// The answer begins.
    pub fn mark_first_byte(&mut self) {
        self.first_byte = self.now();
    }

    /// The answer is sent.
    pub fn mark_end(&mut self) {
        self.end = self.now();
    }

    /// Microseconds from the first byte to the end.
    pub fn total(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}
