//! How many requests may be sent again: a share of those of the last ten seconds, so that a failing
//! upstream is not asked twice as often.
//!
//! A request that is not sent again costs nothing here: requests are counted by their servers, and
//! looked at once a second.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::clock::Millis;

/// What counts.
const WINDOW: Millis = 10_000;

/// Between two marks.
const STEP: Millis = 1000;

/// So many may be sent again in a window whatever the number of requests: ten a second.
const LEAST: u64 = 100;

/// No bound.
const ALL: u8 = 100;

/// The budget of one upstream.
#[derive(Debug)]
pub struct Budget {
    percent: u8,
    marks: Mutex<VecDeque<Mark>>,
}

/// How much there was at one time, since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    at: Millis,
    requests: u64,
    /// Requests sent again from then to the next mark.
    retries: u64,
}

impl Budget {
    /// So many percent; 100 = any number.
    pub fn new(percent: u8) -> Self {
        Self {
            percent,
            marks: Mutex::default(),
        }
    }

    /// Notes that there were so many `requests` until `now`. To be called about once a second.
    pub fn mark(&self, now: Millis, requests: impl FnOnce() -> u64) {
        if self.percent < ALL {
            let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
            add_mark(&mut marks, now, requests);
        }
    }

    /// Takes one retry out of the budget; false if there is none left.
    pub fn take(&self, now: Millis, requests: impl Fn() -> u64) -> bool {
        if self.percent >= ALL {
            return true;
        }
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        add_mark(&mut marks, now, &requests);
        let since = marks.front().map_or(0, |mark| mark.requests);
        let recent = requests().saturating_sub(since);
        let in_window = marks.iter().filter(|mark| mark.at + WINDOW > now);
        let used: u64 = in_window.map(|mark| mark.retries).sum();
        if used >= LEAST + recent * u64::from(self.percent) / 100 {
            return false;
        }
        if let Some(mark) = marks.back_mut() {
            mark.retries += 1;
        }
        true
    }
}

fn add_mark(marks: &mut VecDeque<Mark>, now: Millis, requests: impl FnOnce() -> u64) {
    if marks.is_empty() {
        // All there was counts until this is old.
        marks.push_back(Mark {
            at: now,
            ..Mark::default()
        });
    }
    if marks.back().is_some_and(|mark| now >= mark.at + STEP) {
        marks.push_back(Mark {
            at: now,
            requests: requests(),
            retries: 0,
        });
    }
    // The oldest one that stays is the beginning of the window.
    while marks.get(1).is_some_and(|mark| mark.at + WINDOW <= now) {
        marks.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &Budget, now: Millis, requests: u64) -> usize {
        let tries = 0..10_000;
        tries.filter(|_| budget.take(now, || requests)).count()
    }

    #[test]
    fn a_share_of_the_requests_of_the_window_may_be_sent_again() {
        let budget = Budget::new(20);
        for second in 0..20 {
            budget.mark(second * 1000, || second * 1000);
        }
        assert_eq!(taken(&budget, 20_000, 20_000), 100 + 2000);
        assert_eq!(taken(&budget, 20_500, 20_500), 100, "500 more requests");
        budget.mark(21_000, || 20_500);
        assert_eq!(taken(&budget, 45_000, 20_500), 100, "a quiet time");
    }

    #[test]
    fn a_few_may_always_be_sent_again() {
        let budget = Budget::new(0);
        assert_eq!(taken(&budget, 0, 0), 100);
        assert_eq!(taken(&budget, 9000, 0), 0);
        assert_eq!(taken(&budget, 11_000, 0), 100);
    }

    #[test]
    fn a_whole_budget_has_no_end() {
        assert_eq!(taken(&Budget::new(100), 0, 0), 10_000);
    }
}
