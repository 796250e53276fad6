//! Which sleeping worker thread is woken for a request, and when.
//!
//! At most one per request, a process that does nothing first. A second thread of a busy process
//! would only fight for its interpreter lock: it is woken when the app is slow (it waits for
//! something), or when the queue has not moved for a while.

use std::rc::{Rc, Weak};
use std::sync::atomic::Ordering;
use std::time::Duration;

use quaich_proto::worker::queue;
use tokio::sync::Notify;

use super::AppChannel;

/// An app slower than this is taken to wait for something else than the interpreter.
const SLOW: u64 = 500_000;
/// How long the queue may stand still before another thread is woken.
const STALL: Duration = Duration::from_millis(1);

/// Requests that are gathered before a worker is woken for them.
const GATHER: u32 = 16;

impl AppChannel {
    /// A request was pushed. A worker that shares the front's core would run at once, once for
    /// each request: so the front first goes through what else it has, up to a point.
    pub(super) fn wake_later(&self) {
        self.unseen.set(self.unseen.get() + 1);
        if self.unseen.get() >= GATHER {
            self.wake_now();
        }
    }

    /// Wakes workers for what was pushed; comes before every sleep of the front.
    pub(super) fn wake_now(&self) {
        for _ in 0..self.unseen.take() {
            if !queue::waits(self.region()) || !self.wake_worker() {
                break;
            }
        }
    }

    /// Wakes a worker for a request that waits, if one sleeps that should run; whether it did.
    pub(super) fn wake_worker(&self) -> bool {
        let peers = self.peers.borrow();
        if !peers.any_sleeps(self.region()) {
            return false;
        }
        if peers.ring_idle_process(self.region()) {
            return true;
        }
        if peers.slowest(self.region()) > SLOW {
            return peers.ring_any(self.region());
        }
        if !self.stall_armed.replace(true) {
            self.stalled.notify_one();
        }
        false
    }

    /// The queue has stood still: any thread is better than none.
    fn wake_any(&self) {
        self.peers.borrow().ring_any(self.region());
    }
}

/// Watches the queue while it holds requests that a sleeping thread was not woken for.
pub(super) async fn run_stall_timer(channel: Weak<AppChannel>, stalled: Rc<Notify>) {
    loop {
        stalled.notified().await;
        let mut head = None;
        loop {
            let Some(channel) = channel.upgrade() else {
                return;
            };
            let region = channel.region();
            let peers_sleep = channel.peers.borrow().any_sleeps(region);
            if !queue::waits(region) || !peers_sleep {
                channel.stall_armed.set(false);
                break;
            }
            let now = region.head().load(Ordering::Relaxed);
            if head.replace(now) == Some(now) {
                channel.wake_any();
            }
            drop(channel);
            tokio::time::sleep(STALL).await;
        }
    }
}
