//! What is known of how one server is: why it is out, what its agent says, what was seen last.
//!
//! Each [`Server`](crate::upstream::server::Server) has one. Requests read and write it without a
//! lock; the tasks of `health` wait for its news.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::link::Mode;

/// Why a server gets no requests, whatever the operator wants. Several may hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Checks fail, or its agent says so.
    Checks = 1,
    /// It could not be connected to.
    Unreachable = 2,
    /// Too many requests have failed.
    Ejected = 4,
}

/// What an agent says of the share of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Percent of the weight that it has anyway.
    Percent(u32),
    /// In place of that weight.
    Weight(u32),
}

/// What a check has found.
#[derive(Clone, Debug)]
pub struct LastCheck {
    /// When it ended.
    pub at: Instant,
    /// Whether all is well.
    pub well: bool,
    /// For people.
    pub what: String,
    /// How long it took.
    pub took: Duration,
}

/// How one server is, as all threads see it.
#[derive(Debug)]
pub struct Condition {
    /// Bits of [`Reason`].
    out: AtomicU8,
    /// There are checks, and none has ended yet.
    unchecked: AtomicBool,
    /// An agent says that it is down.
    called_down: AtomicBool,
    agent_mode: AtomicU8,
    /// A [`Share`], packed.
    agent_share: AtomicU64,
    /// Requests at once that the agent allows; `u32::MAX` = it has not said.
    agent_max_conns: AtomicU32,
    /// Changes between being in and being out.
    changes: AtomicU64,
    ejections: AtomicU64,
    /// Failures in a row.
    pub(super) failures: AtomicU32,
    /// Requests that ran when the last of them was counted: theirs is the same misfortune.
    pub(super) fellows: AtomicUsize,
    /// Of the monotonic clock: of the last failure, of the end of the ejection.
    pub(super) failed_at: AtomicU64,
    pub(super) ejected_until: AtomicU64,
    /// How many ejections the next one is counted as.
    pub(super) repetition: AtomicU32,
    last: Mutex<Option<LastCheck>>,
    /// It cannot be connected to.
    pub(super) unreachable: Notify,
    /// It was ejected.
    pub(super) ejected: Notify,
    /// The operator wants something else of it.
    pub(super) told: Notify,
}

impl Default for Condition {
    fn default() -> Self {
        Self::new(false, false)
    }
}

impl Condition {
    /// Of a server that is going to be `checked`, and is `down` until it was.
    pub fn new(checked: bool, down: bool) -> Self {
        Self {
            out: AtomicU8::new(if checked && down {
                Reason::Checks as u8
            } else {
                0
            }),
            unchecked: AtomicBool::new(checked),
            called_down: AtomicBool::new(false),
            agent_mode: AtomicU8::new(Mode::Ready as u8),
            agent_share: AtomicU64::new(Share::Percent(100).packed()),
            agent_max_conns: AtomicU32::new(u32::MAX),
            changes: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            fellows: AtomicUsize::new(0),
            failed_at: AtomicU64::new(0),
            ejected_until: AtomicU64::new(0),
            repetition: AtomicU32::new(0),
            last: Mutex::default(),
            unreachable: Notify::new(),
            ejected: Notify::new(),
            told: Notify::new(),
        }
    }

    /// Whether nothing keeps it out.
    pub fn is_in(&self) -> bool {
        self.out.load(Ordering::Relaxed) == 0
    }

    /// Whether it is out for this reason, maybe among others.
    pub fn is_out(&self, reason: Reason) -> bool {
        self.out.load(Ordering::Relaxed) & reason as u8 != 0
    }

    /// Notes that a reason holds or holds no more: the words for before and after, if that is news.
    pub(super) fn set(&self, reason: Reason, out: bool) -> Option<(&'static str, &'static str)> {
        let bit = reason as u8;
        let old = match out {
            true => self.out.fetch_or(bit, Ordering::AcqRel),
            false => self.out.fetch_and(!bit, Ordering::AcqRel),
        };
        let new = if out { old | bit } else { old & !bit };
        if (old == 0) != (new == 0) {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        if reason == Reason::Ejected && old != new && out {
            self.ejections.fetch_add(1, Ordering::Relaxed);
        }
        (old != new).then(|| (word(old), word(new)))
    }

    /// `up`, `down`, `ejected`, or `checking` while nothing is known yet.
    pub fn word(&self) -> &'static str {
        match self.out.load(Ordering::Relaxed) {
            0 if self.unchecked.load(Ordering::Relaxed) => "checking",
            out if out == Reason::Checks as u8 && self.unchecked.load(Ordering::Relaxed) => {
                "checking"
            }
            out => word(out),
        }
    }

    /// What its agent wants; `Ready` if there is none.
    pub fn agent_mode(&self) -> Mode {
        Mode::from_number(self.agent_mode.load(Ordering::Relaxed))
    }

    /// Whether that is news.
    pub(super) fn set_agent_mode(&self, mode: Mode) -> bool {
        self.agent_mode.swap(mode as u8, Ordering::Relaxed) != mode as u8
    }

    /// Its weight, when it has `weight` without its agent's word.
    pub fn weighted(&self, weight: u32) -> u32 {
        match Share::unpacked(self.agent_share.load(Ordering::Relaxed)) {
            Share::Percent(100) => weight,
            Share::Percent(percent) => {
                let share = (u64::from(weight) * u64::from(percent)).div_ceil(100);
                u32::try_from(share).unwrap_or(u32::MAX)
            }
            Share::Weight(weight) => weight,
        }
    }

    /// Whether that is news.
    pub(super) fn set_share(&self, share: Share) -> bool {
        let new = share.packed();
        self.agent_share.swap(new, Ordering::Relaxed) != new
    }

    /// Requests at once, when there may be `max` (0 = any number) without its agent's word.
    pub fn max_conns(&self, max: usize) -> usize {
        match self.agent_max_conns.load(Ordering::Relaxed) {
            u32::MAX => max,
            max => usize::try_from(max).unwrap_or(usize::MAX),
        }
    }

    /// Whether that is news.
    pub(super) fn set_max_conns(&self, max: u32) -> bool {
        self.agent_max_conns.swap(max, Ordering::Relaxed) != max
    }

    /// An agent has called the server up or down.
    pub(super) fn call_down(&self, down: bool) {
        self.called_down.store(down, Ordering::Relaxed);
    }

    /// Whether an agent has called the server down, and not up again.
    pub(super) fn is_called_down(&self) -> bool {
        self.called_down.load(Ordering::Relaxed)
    }

    /// Notes what a check has found.
    pub(super) fn note_check(&self, check: LastCheck) {
        self.unchecked.store(false, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(check);
    }

    /// What the last check has found.
    pub fn last_check(&self) -> Option<LastCheck> {
        let last = self.last.lock();
        last.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often it went out or came back.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// How often it was ejected.
    pub fn ejections(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    /// To be called when the operator wants something else of the server.
    pub fn tell(&self) {
        self.told.notify_one();
    }
}

/// What a server is called that is out for these reasons.
fn word(out: u8) -> &'static str {
    match out {
        0 => "up",
        out if out == Reason::Ejected as u8 => "ejected",
        _ => "down",
    }
}

impl Share {
    fn packed(self) -> u64 {
        match self {
            Self::Percent(percent) => u64::from(percent),
            Self::Weight(weight) => 1 << 32 | u64::from(weight),
        }
    }

    fn unpacked(packed: u64) -> Self {
        let number = packed as u32;
        match packed >> 32 {
            0 => Self::Percent(number),
            _ => Self::Weight(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_in_when_no_reason_is_left() {
        let condition = Condition::new(false, false);
        assert_eq!(
            condition.set(Reason::Ejected, true),
            Some(("up", "ejected"))
        );
        assert_eq!(condition.set(Reason::Ejected, true), None);
        assert_eq!(
            condition.set(Reason::Checks, true),
            Some(("ejected", "down"))
        );
        assert_eq!(
            condition.set(Reason::Ejected, false),
            Some(("down", "down"))
        );
        assert!(!condition.is_in());
        assert_eq!(condition.set(Reason::Checks, false), Some(("down", "up")));
        assert!(condition.is_in());
        assert_eq!(condition.changes(), 2);
        assert_eq!(condition.ejections(), 1);
    }

    #[test]
    fn an_agent_scales_the_weight_or_sets_it() {
        let condition = Condition::new(true, true);
        assert_eq!(condition.word(), "checking");
        assert_eq!(condition.weighted(3), 3);
        condition.set_share(Share::Percent(50));
        // As HAProxy: rounded up, so that a small share is not none.
        assert_eq!(condition.weighted(3), 2);
        assert_eq!(condition.weighted(0), 0);
        condition.set_share(Share::Weight(9));
        assert_eq!(condition.weighted(3), 9);
        condition.set_share(Share::Percent(0));
        assert_eq!(condition.weighted(3), 0);
    }
}
