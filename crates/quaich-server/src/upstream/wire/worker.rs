//! The front's end of the worker channel: queues requests of an app, reads the answers.
//!
//! One [`AppChannel`] per app and front thread, on a tokio `current_thread` runtime whose builder
//! went through [`park_hooks`], a local one. The data path submits and reads; the front's
//! link to the supervisor tells of workers that come and go. Never trusts a worker: what a worker
//! wrote is copied out, then checked, and one that wrote nonsense is reported.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quaich_proto::worker::layout::{REQUEST_AREA, Slot};
use quaich_proto::worker::message::{Body, Field, RequestMeta, encode_head};
use quaich_proto::worker::queue;
use quaich_proto::worker::region::Region;
use quaich_proto::worker::ring::RingReader;
use quaich_proto::worker::state::{Generation, Owner, Published, State};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

pub use self::call::{Answer, AppCall, Failure, FilePart};
pub use self::park::park_hooks;
pub use self::shared::AppRegion;

use self::desk::{Desk, Use};
use self::park::Napping;
use self::peer::Peers;
use self::shared::FreeSlot;
use self::sweep::TICK;
use crate::watch::readable as watch;

mod call;
mod desk;
mod park;
mod peer;
mod shared;
mod sweep;
mod wake;

/// Free slots a thread keeps to itself; the rest is shared by all front threads.
const OWN_SLOTS: usize = 32;

/// What a front thread needs to serve an app.
#[derive(Debug)]
pub struct AppChannelSetup {
    /// The app's region, the same for all threads of the front.
    pub region: Arc<AppRegion>,
    /// This thread's number, below the layout's `fronts()`.
    pub thread_index: usize,
    /// This thread's eventfd, which workers ring.
    pub doorbell: OwnedFd,
    /// Requests that may wait besides those that run.
    pub queue: usize,
    /// Where misbehaviour of workers is told.
    pub reports: UnboundedSender<WorkerReport>,
}

/// A worker that must be replaced. The supervisor kills it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerReport {
    /// It broke the channel's protocol.
    Lied {
        /// The worker.
        id: u32,
        /// What was wrong.
        why: &'static str,
    },
    /// It ran a request past its timeout.
    Stuck {
        /// The worker.
        id: u32,
        /// The request's method.
        method: String,
        /// The request's path.
        path: String,
        /// Its whole time in the app so far, at most 100 ms off.
        elapsed: Duration,
    },
}

/// How long a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Waiting for a worker.
    pub queue: Duration,
    /// In the app without a byte of its answer: from claim to the first, and between any two.
    pub run: Duration,
}

/// Why a request was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// As many wait as may: 503.
    QueueFull,
    /// Head and inline body are larger than a slot: a body of that size must be a file, a head
    /// of that size is a 431.
    TooBig,
}

/// Counters of an app as one front thread sees them; `queued` counts for all threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelStats {
    /// In the queue of the app.
    pub queued: u64,
    /// Submitted by this thread and not finished.
    pub in_flight: u64,
    /// Workers that are up.
    pub workers: u64,
    /// Their threads that sleep.
    pub idle: u64,
    /// Answers read to their end.
    pub served: u64,
    /// Requests lost to dead, stuck or lying workers.
    pub lost: u64,
}

/// An app's channel on this front thread.
#[derive(Debug)]
pub struct AppChannel {
    shared: Arc<AppRegion>,
    front: usize,
    /// Watched, so that it ends a sleep; nobody waits for it, nobody reads it.
    _doorbell: AsyncFd<OwnedFd>,
    queue: usize,
    reports: UnboundedSender<WorkerReport>,
    desks: Box<[Desk]>,
    free: RefCell<Vec<FreeSlot>>,
    scratch: RefCell<Vec<u8>>,
    peers: RefCell<Peers>,
    in_flight: Cell<u64>,
    served: Cell<u64>,
    lost: Cell<u64>,
    tick: Cell<u64>,
    napping: Napping,
    busy: Rc<Notify>,
    stalled: Rc<Notify>,
    stall_armed: Cell<bool>,
    /// Requests pushed since workers were last looked after.
    unseen: Cell<u32>,
}

impl AppChannel {
    /// Sets the channel up on the current thread and starts its timers there.
    ///
    /// # Errors
    /// When the doorbell cannot be watched, or the thread number is out of range, or the
    /// runtime's builder did not go through [`park_hooks`].
    pub fn new(setup: AppChannelSetup) -> io::Result<Rc<Self>> {
        let slots = setup.region.region().layout().slots();
        if setup.thread_index >= setup.region.region().layout().fronts() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no such front thread",
            ));
        }
        rustix::io::ioctl_fionbio(&setup.doorbell, true)?;
        let channel = Rc::new(Self {
            peers: RefCell::new(Peers::new(setup.region.region().layout().sleeper_words())),
            shared: setup.region,
            front: setup.thread_index,
            _doorbell: watch(setup.doorbell)?,
            queue: setup.queue,
            reports: setup.reports,
            desks: (0..slots).map(|_| Desk::default()).collect(),
            free: RefCell::default(),
            scratch: RefCell::default(),
            in_flight: Cell::new(0),
            served: Cell::new(0),
            lost: Cell::new(0),
            tick: Cell::new(0),
            napping: Napping::new()?,
            busy: Rc::default(),
            stalled: Rc::default(),
            stall_armed: Cell::new(false),
            unseen: Cell::new(0),
        });
        park::register(&channel)?;
        tokio::task::spawn_local(sweep::run(
            Rc::downgrade(&channel),
            Rc::clone(&channel.busy),
        ));
        tokio::task::spawn_local(wake::run_stall_timer(
            Rc::downgrade(&channel),
            Rc::clone(&channel.stalled),
        ));
        Ok(channel)
    }

    /// A worker is attached: its socket of this thread and the doorbells of its threads.
    pub fn worker_up(
        self: &Rc<Self>,
        id: u32,
        socket: OwnedFd,
        doorbells: Vec<OwnedFd>,
    ) -> io::Result<()> {
        peer::attach(self, id, socket, doorbells)?;
        // It may sleep already, unseen until now, while requests wait.
        self.peers.borrow().ring_all(id);
        self.check_queue();
        Ok(())
    }

    /// A worker is gone, reaped by the supervisor: what it ran fails.
    pub fn worker_down(&self, id: u32) {
        self.worker_gone(id);
    }

    /// Queues a request. `fields` are its header fields; `body_file` goes with `Body::File`.
    pub fn submit<'h>(
        self: &Rc<Self>,
        meta: &RequestMeta<'_>,
        fields: impl IntoIterator<Item = Field<'h>>,
        body_file: Option<Rc<OwnedFd>>,
        timeouts: Timeouts,
    ) -> Result<AppCall, SubmitError> {
        let mut scratch = self.scratch.borrow_mut();
        scratch.clear();
        let head = encode_head(&mut scratch, meta, fields).map_err(|_| SubmitError::TooBig)?;
        let inline: &[u8] = if let Body::Inline(bytes) = meta.body {
            bytes
        } else {
            &[]
        };
        if inline.len() > REQUEST_AREA.saturating_sub(head) {
            return Err(SubmitError::TooBig);
        }
        let limit = self.queue + self.peers.borrow().threads();
        if !self.shared.enter(limit) {
            return Err(SubmitError::QueueFull);
        }
        let Some(free) = self.take_free() else {
            self.shared.leave();
            return Err(SubmitError::QueueFull);
        };
        let region = self.region();
        region.write_request(free.slot, 0, &scratch);
        region.write_request(free.slot, head, inline);
        drop(scratch);
        self.in_flight.set(self.in_flight.get() + 1);
        let deadline = self.deadline(timeouts.queue);
        self.desk(free.slot)
            .open(free.generation, body_file, deadline, ticks(timeouts.run));
        let call = AppCall::new(Rc::clone(self), free.slot, free.generation);
        self.publish(free, head + inline.len());
        Ok(call)
    }

    /// The app's numbers.
    pub fn stats(&self) -> ChannelStats {
        let peers = self.peers.borrow();
        ChannelStats {
            queued: self.shared.waiting(),
            in_flight: self.in_flight.get(),
            workers: peers.count() as u64,
            idle: peers.idle(self.region()),
            served: self.served.get(),
            lost: self.lost.get(),
        }
    }

    fn publish(&self, free: FreeSlot, len: usize) {
        let region = self.region();
        RingReader::new(free.slot, free.generation).reset(region);
        let brief = (self.front as u64) << 32 | len as u64;
        region
            .brief(free.slot)
            .store(brief, std::sync::atomic::Ordering::Relaxed);
        let ready = State::Ready(free.generation).pack();
        region
            .state(free.slot)
            .store(ready, std::sync::atomic::Ordering::Release);
        self.shared.push(free.slot, free.generation);
        self.wake_later();
        if self.in_flight.get() == 1 {
            self.busy.notify_one();
        }
        // A loop that never sleeps fetches its news here.
        self.drain();
    }

    /// Wakes the tasks whose slots have news; how many.
    fn drain(&self) -> usize {
        let mut woken = 0;
        let region = self.region();
        for word in 0..region.layout().news_words() {
            let news = region.news(self.front, word);
            if news.load(std::sync::atomic::Ordering::Relaxed) == 0 {
                continue;
            }
            let mut bits = news.swap(0, std::sync::atomic::Ordering::SeqCst);
            while bits != 0 {
                let number = word as u64 * 64 + u64::from(bits.trailing_zeros());
                bits &= bits - 1;
                if let Some(slot) = region.layout().slot(number) {
                    woken += usize::from(self.news_of(slot));
                }
            }
        }
        woken
    }

    fn news_of(&self, slot: Slot) -> bool {
        let desk = self.desk(slot);
        match desk.usage() {
            Use::Idle => false,
            Use::Called(_) => desk.wake(),
            Use::Left(generation) => {
                if self.finished(slot, generation) {
                    self.release(slot, generation);
                }
                false
            }
        }
    }

    fn finished(&self, slot: Slot, generation: Generation) -> bool {
        let word = self
            .region()
            .published(slot)
            .load(std::sync::atomic::Ordering::Acquire);
        let published = Published::unpack(word);
        published.generation == generation && published.done
    }

    /// The thread that runs a request, as the region says.
    fn owner(&self, slot: Slot, generation: Generation) -> Option<Owner> {
        match self.state(slot) {
            State::Running(of, owner) if of == generation => Some(owner),
            _ => None,
        }
    }

    fn state(&self, slot: Slot) -> State {
        State::unpack(
            self.region()
                .state(slot)
                .load(std::sync::atomic::Ordering::Acquire),
        )
    }

    /// The call is over before its answer: takes the request back, or tells the worker.
    fn leave(&self, slot: Slot, generation: Generation) {
        use std::sync::atomic::Ordering::{AcqRel, Acquire, SeqCst};
        let state = self.region().state(slot);
        let ready = State::Ready(generation).pack();
        let taken_back = state
            .compare_exchange(ready, State::Free.pack(), AcqRel, Acquire)
            .is_ok();
        let Some(owner) = self.owner(slot, generation).filter(|_| !taken_back) else {
            return self.release(slot, generation);
        };
        let desk = self.desk(slot);
        if desk.worker_died() || self.finished(slot, generation) {
            return self.release(slot, generation);
        }
        desk.leave();
        self.region()
            .cancel(slot)
            .store(u64::from(generation.bits()) + 1, SeqCst);
        if self.region().wants_room(slot).swap(0, SeqCst) != 0 {
            self.peers.borrow().ring(owner);
        }
    }

    /// The slot is free again; no worker may touch it any more.
    fn release(&self, slot: Slot, generation: Generation) {
        let free = State::Free.pack();
        self.region()
            .state(slot)
            .store(free, std::sync::atomic::Ordering::Release);
        self.desk(slot).close();
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        self.shared.leave();
        let mut own = self.free.borrow_mut();
        own.push(FreeSlot {
            slot,
            generation: generation.next(),
        });
        if own.len() > OWN_SLOTS {
            self.shared.give_slots(&mut own, OWN_SLOTS / 2);
        }
    }

    fn take_free(&self) -> Option<FreeSlot> {
        let mut own = self.free.borrow_mut();
        if own.is_empty() {
            self.shared.take_slots(&mut own, OWN_SLOTS / 2);
        }
        own.pop()
    }

    fn worker_gone(&self, id: u32) {
        self.peers.borrow_mut().remove(id, self.region());
        for slot in self.slots() {
            let desk = self.desk(slot);
            let (Use::Called(generation) | Use::Left(generation)) = desk.usage() else {
                continue;
            };
            if self
                .owner(slot, generation)
                .is_none_or(|owner| owner.worker != id)
            {
                continue;
            }
            match desk.usage() {
                Use::Called(_) => desk.fail(Failure::WorkerDied),
                _ => self.release(slot, generation),
            }
        }
        // It may have been woken for a request that it did not take.
        self.check_queue();
    }

    fn lied(&self, id: u32, why: &'static str) {
        // A closed channel = the front is going down: nobody is left to kill the worker.
        let _ = self.reports.send(WorkerReport::Lied { id, why });
    }

    fn check_queue(&self) {
        if queue::waits(self.region()) {
            self.wake_worker();
        }
    }

    fn region(&self) -> &Region {
        self.shared.region()
    }

    fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        let layout = *self.region().layout();
        (0..layout.slots() as u64).filter_map(move |number| layout.slot(number))
    }

    fn desk(&self, slot: Slot) -> &Desk {
        // One desk was made for every slot of the layout that `slot` was checked against.
        &self.desks[slot.index()]
    }

    fn deadline(&self, after: Duration) -> u64 {
        self.tick.get().saturating_add(ticks(after))
    }
}

impl Drop for AppChannel {
    fn drop(&mut self) {
        // The timers' tasks see that it is gone.
        self.busy.notify_one();
        self.stalled.notify_one();
    }
}

/// Whole ticks that are at least `time` long.
fn ticks(time: Duration) -> u64 {
    (time.as_millis() / TICK.as_millis()).min(u128::from(u32::MAX)) as u64 + 1
}
