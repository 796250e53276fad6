//! The arithmetic of a rate: the generic cell rate algorithm.
//!
//! A bucket holds `burst` requests and one more comes in each interval. All that is known of a key is
//! the moment at which its bucket is full again; each request moves it by one interval. nginx's
//! `burst=N` is a burst of N + 1 here: the first request is one of them.

use quaich_config::model::LimitRate;

/// Times are nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    interval: u64,
    burst: u64,
    /// Requests of a burst that go on at once.
    at_once: u64,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Admitted {
        /// After so long.
        wait: u64,
        /// Others may follow it now.
        left: u64,
        /// The bucket is full again after so long.
        full_in: u64,
    },
    /// It does not.
    Refused {
        /// One may come after so long.
        retry: u64,
    },
}

impl Bucket {
    pub(super) fn new(rate: &LimitRate) -> Self {
        let burst = u64::from(rate.burst.max(1));
        Self {
            interval: rate.interval(),
            burst,
            at_once: rate.delay.map_or(burst, u64::from).max(1),
        }
    }

    /// Of a request at `now`, when the bucket is full at `full`: the moment at which it is then.
    pub(super) fn ask(&self, full: u64, now: u64) -> (u64, Verdict) {
        let behind = full.saturating_sub(now);
        let tolerance = self.interval.saturating_mul(self.burst - 1);
        if behind > tolerance {
            let retry = behind - tolerance;
            return (full, Verdict::Refused { retry });
        }
        let free = self.interval.saturating_mul(self.at_once - 1);
        let full_in = behind + self.interval;
        let verdict = Verdict::Admitted {
            wait: behind.saturating_sub(free),
            left: self.burst.saturating_sub(full_in.div_ceil(self.interval)),
            full_in,
        };
        (now + full_in, verdict)
    }

    /// The moment after a request was taken back.
    pub(super) fn give_back(&self, full: u64) -> u64 {
        full.saturating_sub(self.interval)
    }

    /// Requests that it holds.
    pub(super) fn burst(&self) -> u64 {
        self.burst
    }

    /// Nanoseconds in which an empty one fills.
    pub(super) fn window(&self) -> u64 {
        self.interval.saturating_mul(self.burst)
    }
}

/// Whole seconds, rounded up, at least one.
pub(super) fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000).max(1)
}
