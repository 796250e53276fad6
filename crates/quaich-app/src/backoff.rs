//! How long to wait before the next attempt to start something that does not start.
//!
//! Used for workers and for the front. Pure: time is not read here.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// Counts failed starts in a row.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A start has failed: the time to wait, doubling from 0.1 s to 30 s.
    pub fn failed(&mut self) -> Duration {
        let delay = FIRST.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        delay.min(LONGEST)
    }

    /// A start has succeeded.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failed starts since the last good one.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute_and_begin_anew_after_a_good_start() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..11).map(|_| backoff.failed().as_millis()).collect();
        assert_eq!(waits[..4], [100, 200, 400, 800]);
        assert_eq!(waits[8..], [25_600, 30_000, 30_000]);
        backoff.reset();
        assert_eq!(backoff.failed(), FIRST);
    }
}
