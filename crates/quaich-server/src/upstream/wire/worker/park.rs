//! How a front thread sleeps without missing an answer, and without being woken for each one.
//!
//! Workers ring only when the thread has said that it sleeps; it says so in the runtime's park
//! hook, and looks for news once more after it did. With several requests in flight it naps instead:
//! a worker on the same core then is not interrupted by every answer it gives, it rings when it
//! has run out of work, and a timer bounds the wait.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use quaich_proto::worker::queue::{self, Rest, has_news};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Builder;

use super::AppChannel;
use crate::clock;
use crate::watch::readable as watch;

/// Shortest nap: what an answer may be late by while the app works on the next request.
const NAP: Duration = Duration::from_micros(80);
/// Longest nap, taken only while a queue stands before the app: next to the wait in the queue it
/// is little.
const LONG_NAP: Duration = Duration::from_micros(640);
/// Requests in flight that make such a queue.
const QUEUE: u64 = 16;
/// Requests in flight, and answers from one nap, from which on napping pays.
const CROWD: usize = 4;
/// Sleeps between two tries to nap after one that brought nothing: first, and at most.
const LEAST_PENALTY: u32 = 4;
const MOST_PENALTY: u32 = 1024;
/// Looks before the thread sleeps all the same: only a lying worker makes news that often.
const MOST_LOOKS: usize = 8;

thread_local! {
    static CHANNELS: RefCell<Vec<Weak<AppChannel>>> = const { RefCell::new(Vec::new()) };
    static HOOKED: Cell<bool> = const { Cell::new(false) };
}

/// Prepares the builder of a front thread's `current_thread` runtime. It takes the builder's
/// park hooks; another user of them must be called from here. Call it on the thread that will
/// run the runtime.
pub fn park_hooks(builder: &mut Builder) -> &mut Builder {
    HOOKED.set(true);
    builder
        .on_thread_park(before_park)
        .on_thread_unpark(after_unpark)
}

pub(super) fn register(channel: &Rc<AppChannel>) -> io::Result<()> {
    if !HOOKED.get() {
        return Err(io::Error::other(
            "the runtime of this thread has no park hooks",
        ));
    }
    CHANNELS.with_borrow_mut(|channels| {
        channels.retain(|known| known.strong_count() > 0);
        channels.push(Rc::downgrade(channel));
    });
    Ok(())
}

fn each(mut what: impl FnMut(&AppChannel) -> bool) -> bool {
    CHANNELS.with_borrow(|channels| {
        let living = channels.iter().filter_map(Weak::upgrade);
        living.fold(false, |any, channel| what(&channel) | any)
    })
}

fn before_park() {
    each(|channel| {
        channel.wake_now();
        false
    });
    for _ in 0..MOST_LOOKS {
        if each(|channel| channel.drain() > 0) {
            // Tasks were woken: the runtime only polls.
            each(AppChannel::stay_awake);
            return;
        }
        each(AppChannel::lie_down);
        if !each(|channel| has_news(channel.region(), channel.front)) {
            return;
        }
    }
}

fn after_unpark() {
    clock::update_current();
    each(|channel| {
        channel.stay_awake();
        channel
            .napping
            .risen(channel.drain(), channel.in_flight.get());
        false
    });
}

impl AppChannel {
    fn stay_awake(&self) -> bool {
        self.rest(Rest::Awake);
        false
    }

    fn rest(&self, rest: Rest) {
        if queue::rest(self.region(), self.front, rest) {
            self.check_queue();
        }
    }

    fn lie_down(&self) -> bool {
        let nap = self.napping.wanted(self.in_flight.get());
        let rest = if nap { Rest::Napping } else { Rest::Asleep };
        self.rest(rest);
        false
    }
}

/// Whether the next sleep is a nap. Tries it whenever some requests are in flight, and less and
/// less often while it brings nothing: because the app is slow, or its workers are many.
#[derive(Debug)]
pub(super) struct Napping {
    timer: AsyncFd<OwnedFd>,
    armed: Cell<Option<Instant>>,
    /// How long the next nap lasts.
    length: Cell<Duration>,
    napping: Cell<bool>,
    /// Sleeps until the next try.
    skip: Cell<u32>,
    /// What `skip` becomes after the next nap that brings nothing.
    penalty: Cell<u32>,
}

impl Napping {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self {
            timer: watch(timer)?,
            armed: Cell::default(),
            length: Cell::new(NAP),
            napping: Cell::default(),
            skip: Cell::default(),
            penalty: Cell::new(LEAST_PENALTY),
        })
    }

    /// The thread is about to sleep.
    fn wanted(&self, in_flight: u64) -> bool {
        let skip = self.skip.get();
        self.skip.set(skip.saturating_sub(1));
        if in_flight < QUEUE {
            self.length.set(NAP);
        }
        let nap = in_flight >= CROWD as u64 && skip == 0 && self.arm();
        self.napping.set(nap);
        nap
    }

    fn arm(&self) -> bool {
        let now = Instant::now();
        let armed = self.armed.get();
        let length = self.length.get();
        if armed.is_some_and(|since| now.duration_since(since) < length) {
            // Still running from an earlier nap: ending this one sooner is cheaper than setting it.
            return true;
        }
        let (zero, nap) = (
            Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            i64::from(length.subsec_nanos()),
        );
        let once = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_nsec: nap,
                ..zero
            },
        };
        let armed = timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &once);
        self.armed.set(armed.is_ok().then_some(now));
        armed.is_ok()
    }

    /// The thread woke up and found that many answers.
    fn risen(&self, answers: usize, in_flight: u64) {
        if !self.napping.take() {
            return;
        }
        let penalty = self.penalty.get();
        let length = self.length.get();
        let over = self
            .armed
            .get()
            .is_some_and(|since| since.elapsed() >= length);
        if answers >= CROWD {
            self.penalty.set(LEAST_PENALTY);
        } else if over && in_flight >= QUEUE && length < LONG_NAP {
            self.length.set(length * 2);
        } else if answers < 2 && over {
            self.length.set(NAP);
            self.skip.set(penalty);
            self.penalty.set((penalty * 2).min(MOST_PENALTY));
        }
    }
}
