//! How a front thread sleeps without missing an answer, and without being woken for each one.
//!
//! Workers ring only when the thread has said that it sleeps; it says so in the runtime's park
//! hook, and looks for news once more after it did. With many answers a wake-up it naps instead:
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

/// Longest nap: what an answer may be late by while the app works on the next request.
const NAP: Duration = Duration::from_micros(80);
/// Answers per wake-up from which on napping pays.
const CROWD: u32 = 4;
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
        channel.napping.risen(channel.drain());
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

/// Whether the next sleep is a nap.
#[derive(Debug)]
pub(super) struct Napping {
    timer: AsyncFd<OwnedFd>,
    armed: Cell<Option<Instant>>,
    answers: Cell<u32>,
    /// Smoothed answers per wake-up, in sixteenths.
    crowd: Cell<u32>,
    /// The last nap went to its end without news.
    dry: Cell<bool>,
}

impl Napping {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self {
            timer: watch(timer)?,
            armed: Cell::default(),
            answers: Cell::default(),
            crowd: Cell::default(),
            dry: Cell::default(),
        })
    }

    /// Answers were found.
    pub(super) fn count(&self, answers: usize) {
        self.answers
            .set(self.answers.get().saturating_add(answers as u32));
    }

    /// The thread is about to sleep.
    fn wanted(&self, in_flight: u64) -> bool {
        let answers = self.answers.take().min(1 << 16);
        self.crowd.set((self.crowd.get() * 3 + answers * 16) / 4);
        let nap =
            self.crowd.get() >= CROWD * 16 && in_flight >= u64::from(CROWD) && !self.dry.get();
        nap && self.arm()
    }

    fn arm(&self) -> bool {
        let now = Instant::now();
        if self
            .armed
            .get()
            .is_some_and(|since| now.duration_since(since) < NAP)
        {
            // Still running from an earlier nap: it ends this one, sooner.
            return true;
        }
        let nanos = NAP.subsec_nanos().into();
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let once = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_sec: 0,
                tv_nsec: nanos,
            },
        };
        let armed = timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &once);
        self.armed.set(armed.is_ok().then_some(now));
        armed.is_ok()
    }

    /// The thread woke up and found that many answers.
    fn risen(&self, answers: usize) {
        let over = self.armed.get().is_some_and(|since| since.elapsed() >= NAP);
        self.dry.set(answers == 0 && over);
    }
}
