//! The deadlines of requests, looked at twenty times a second while there are any.
//!
//! Also where what a lying or dying worker left undone is put right, at the latest.

use std::rc::{Rc, Weak};
use std::time::Duration;

use quaich_proto::worker::layout::Slot;
use quaich_proto::worker::message::decode_request;
use quaich_proto::worker::state::{Generation, Owner, State};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::desk::{Desk, Use};
use super::{AppChannel, Failure, WorkerReport};

/// Time between two looks: deadlines are kept this exactly, twice over at worst.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// Runs until the channel is gone; sleeps while nothing is in flight.
pub(super) async fn run(channel: Weak<AppChannel>, busy: Rc<Notify>) {
    loop {
        busy.notified().await;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let Some(channel) = channel.upgrade() else {
                return;
            };
            channel.tick.set(channel.tick.get() + 1);
            channel.sweep();
            if channel.in_flight.get() == 0 {
                break;
            }
        }
    }
}

impl AppChannel {
    fn sweep(&self) {
        self.drain();
        let lost_entries = self.shared.waiting() == 0;
        for slot in self.slots() {
            let desk = self.desk(slot);
            match desk.usage() {
                Use::Idle => {}
                Use::Called(generation) => self.look_at_call(slot, generation, lost_entries),
                Use::Left(generation) => self.look_at_left(slot, generation),
            }
        }
        self.check_queue();
    }

    fn look_at_call(&self, slot: Slot, generation: Generation, lost_entries: bool) {
        let desk = self.desk(slot);
        match self.state(slot) {
            State::Ready(of) if of == generation => {
                if desk.deadline.get() <= self.tick.get() {
                    desk.fail(Failure::QueueTimeout);
                } else if lost_entries {
                    // A second entry for a slot does no harm: one claim wins.
                    self.shared.push(slot, generation);
                }
            }
            State::Running(of, owner) if of == generation => {
                if self.ran_out(desk) && !self.finished(slot, generation) {
                    self.report_stuck(slot, desk, owner);
                    desk.fail(Failure::Timeout);
                }
            }
            _ => desk.fail(Failure::Protocol),
        }
    }

    fn look_at_left(&self, slot: Slot, generation: Generation) {
        let desk = self.desk(slot);
        let owner = self.owner(slot, generation);
        let Some(owner) = owner.filter(|_| !self.finished(slot, generation)) else {
            return self.release(slot, generation);
        };
        if self.ran_out(desk) {
            if !self.peers.borrow().is_up(owner.worker) {
                return self.release(slot, generation);
            }
            self.report_stuck(slot, desk, owner);
        }
    }

    /// Part of an answer came: its request has its whole time again, so that a stream may last.
    pub(super) fn progressed(&self, slot: Slot) {
        let desk = self.desk(slot);
        desk.deadline
            .set(self.tick.get().saturating_add(desk.run_ticks.get()));
    }

    /// Whether a running request has run for too long.
    fn ran_out(&self, desk: &Desk) -> bool {
        let now = self.tick.get();
        if desk.running_since.get() == 0 {
            desk.running_since.set(now);
            desk.deadline.set(now.saturating_add(desk.run_ticks.get()));
        }
        desk.deadline.get() <= now
    }

    fn report_stuck(&self, slot: Slot, desk: &Desk, owner: Owner) {
        if desk.reported.replace(true) {
            return;
        }
        let mut request = Vec::new();
        self.region().read_request(slot, usize::MAX, &mut request);
        let (method, path) = decode_request(&request).map_or_else(
            |_| (String::new(), String::new()),
            |view| (text(view.meta.method), text(view.meta.path_info)),
        );
        let ticks = self.tick.get().saturating_sub(desk.running_since.get());
        let elapsed = TICK.saturating_mul(ticks.min(u64::from(u32::MAX)) as u32);
        // A closed channel = the front is going down: nobody is left to kill the worker.
        let _ = self.reports.send(WorkerReport::Stuck {
            id: owner.worker,
            method,
            path,
            elapsed,
        });
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
