//! The request queue, and who sleeps: lock-free operations over a region.
//!
//! Front threads push (one at a time: they share a [`Producer`]), worker threads of any process
//! claim, and may die between any two instructions. A request is claimed by the swap of its
//! slot's state; the queue's head only follows, moved by whoever finds it behind. So no point of
//! death loses a request or hands it out twice.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::fence;

use super::layout::Slot;
use super::region::Region;
use super::state::{Generation, Owner, State};

/// How a front thread rests; what a worker reads to know whether to ring its doorbell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Rest {
    /// It will look at its news by itself.
    Awake = 0,
    /// It sleeps: ring at the first news.
    Asleep = 1,
    /// It sleeps for some tens of microseconds to let answers pile up: ring only when there is
    /// nothing left to do.
    Napping = 2,
    /// It is to look at the queue: a thread that was woken for a request has left it.
    Nudged = 3,
}

fn pack_entry(slot: Slot, generation: Generation) -> u64 {
    u64::from(generation.bits()) << 16 | slot.index() as u64
}

fn unpack_entry(region: &Region, entry: u64) -> Option<(Slot, Generation)> {
    let slot = region.layout().slot(entry & 0xFFFF)?;
    Some((slot, Generation::new((entry >> 16) as u32)))
}

/// Takes the oldest waiting request for a worker thread.
pub fn claim(region: &Region, owner: Owner) -> Option<(Slot, Generation)> {
    loop {
        let head = region.head().load(Acquire);
        if !waits_from(region, head) {
            return None;
        }
        let entry = unpack_entry(region, region.entry(head).load(Acquire));
        let claimed = entry.filter(|&(slot, generation)| {
            let ready = State::Ready(generation).pack();
            let running = State::Running(generation, owner).pack();
            region
                .state(slot)
                .compare_exchange(ready, running, AcqRel, Relaxed)
                .is_ok()
        });
        pass(region, head);
        if claimed.is_some() {
            return claimed;
        }
    }
}

fn pass(region: &Region, head: u64) {
    // Lost to another helper: then the head is where it should be.
    let _ = region
        .head()
        .compare_exchange(head, head.wrapping_add(1), AcqRel, Relaxed);
}

fn waits_from(region: &Region, head: u64) -> bool {
    let waiting = region.tail().load(Acquire).wrapping_sub(head);
    waiting != 0 && waiting <= region.layout().capacity() as u64
}

/// Whether the queue holds an entry; it may be one that was taken back.
pub fn waits(region: &Region) -> bool {
    waits_from(region, region.head().load(Acquire))
}

/// A worker thread is about to sleep. It must call [`claim`] once more before it does.
pub fn fall_asleep(region: &Region, owner: Owner) {
    let (word, bit) = region
        .layout()
        .sleeper_bit(owner.worker, usize::from(owner.thread));
    region.sleepers(word).fetch_or(1 << bit, SeqCst);
    fence(SeqCst);
}

/// Takes the sleeping thread's flag down. True for exactly one caller, who then owes the thread
/// its doorbell; the thread itself calls it when it does not sleep after all.
pub fn wake_up(region: &Region, owner: Owner) -> bool {
    let (word, bit) = region
        .layout()
        .sleeper_bit(owner.worker, usize::from(owner.thread));
    region.sleepers(word).fetch_and(!(1 << bit), SeqCst) & 1 << bit != 0
}

/// Tells a front thread that a slot has news. True: the caller owes it its doorbell.
pub fn announce(region: &Region, front: usize, slot: Slot) -> bool {
    region
        .news(front, slot.index() / 64)
        .fetch_or(1 << (slot.index() % 64), SeqCst);
    take_rest(region, front, Rest::Asleep)
}

/// A worker thread has run out of work. True: the front thread naps on news; the caller owes it
/// its doorbell.
pub fn announce_idle(region: &Region, front: usize) -> bool {
    region.rest(front).load(SeqCst) == Rest::Napping as u64
        && has_news(region, front)
        && take_rest(region, front, Rest::Napping)
}

/// Tells a front thread to look after the queue. The caller rings its doorbell.
pub fn nudge(region: &Region, front: usize) {
    region.rest(front).store(Rest::Nudged as u64, SeqCst);
}

/// How a front thread rests from now on. True: it was nudged before. A full barrier: it looks at
/// its news after this.
pub fn rest(region: &Region, front: usize, rest: Rest) -> bool {
    region.rest(front).swap(rest as u64, SeqCst) == Rest::Nudged as u64
}

fn take_rest(region: &Region, front: usize, from: Rest) -> bool {
    let rest = region.rest(front);
    rest.load(SeqCst) == from as u64
        && rest
            .compare_exchange(from as u64, Rest::Awake as u64, SeqCst, Relaxed)
            .is_ok()
}

/// Whether a front thread has news to fetch.
pub fn has_news(region: &Region, front: usize) -> bool {
    (0..region.layout().news_words()).any(|word| region.news(front, word).load(Relaxed) != 0)
}

/// The front's end of the queue. One per region, behind a lock when front threads are several.
/// Workers can write to what it stands on: its own copy of the tail is the one that counts.
#[derive(Debug, Default)]
pub struct Producer {
    tail: u64,
}

impl Producer {
    /// Appends a slot whose state is `Ready(generation)`. The caller wakes a worker after it.
    pub fn push(&mut self, region: &Region, slot: Slot, generation: Generation) {
        if self.waiting(region) >= region.layout().capacity() as u64 {
            self.compact(region);
        }
        self.append(region, pack_entry(slot, generation));
    }

    fn append(&mut self, region: &Region, entry: u64) {
        region.entry(self.tail).store(entry, Release);
        self.tail = self.tail.wrapping_add(1);
        // The full barrier orders the push before the look at the sleepers.
        region.tail().swap(self.tail, SeqCst);
    }

    /// Entries in the queue, those that were taken back included.
    /// A head or tail that a worker wrote is put right; what it lost is found by a sweep.
    pub fn waiting(&self, region: &Region) -> u64 {
        if region.tail().load(Relaxed) != self.tail {
            region.tail().store(self.tail, Release);
        }
        let head = region.head().load(Acquire);
        let waiting = self.tail.wrapping_sub(head);
        if waiting <= region.layout().capacity() as u64 {
            return waiting;
        }
        let _ = region
            .head()
            .compare_exchange(head, self.tail, AcqRel, Relaxed);
        region.tail().store(self.tail, Release);
        0
    }

    /// Drops the entries that were taken back; the others keep their order.
    fn compact(&mut self, region: &Region) {
        let end = self.tail;
        // Workers only move the head towards `end`; the bound is for one that lies.
        for _ in 0..2 * region.layout().capacity() {
            let head = region.head().load(Acquire);
            if head == end || end.wrapping_sub(head) > region.layout().capacity() as u64 {
                break;
            }
            let entry = region.entry(head).load(Relaxed);
            let ready = unpack_entry(region, entry).is_some_and(|(slot, generation)| {
                region.state(slot).load(Acquire) == State::Ready(generation).pack()
            });
            let next = head.wrapping_add(1);
            let moved = region
                .head()
                .compare_exchange(head, next, AcqRel, Relaxed)
                .is_ok();
            if moved && ready {
                self.append(region, entry);
            }
        }
    }
}
