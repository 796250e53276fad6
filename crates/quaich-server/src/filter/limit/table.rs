//! Keys of a limit and the moment up to which each has used its share, shared by all threads.
//!
//! A key is 64 bits of a keyed hash: with the secret of the process nobody can choose two that
//! collide, and among a million the chance that any two do is 1 in 37 million. A moment that has passed
//! says as much as no entry, so entries need no removal: their slots are used again, and
//! [`Table::tend`] gives memory back.
//!
//! The table is cut into shards of some thousand keys, each with a lock of its own that is held for
//! nanoseconds, or some ten microseconds when a shard is laid out anew: that is the longest pause.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keys of a shard, about.
const SHARD: usize = 4096;

/// Most shards of a small table: its threads should rarely meet.
const SMALL: usize = 16;

/// Slots of a shard that has its first key.
const FIRST: usize = 8;

/// All keys of one limit.
#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Shard]>,
    /// Keys of a shard; with more, the oldest go.
    bound: usize,
    /// The shard that is looked at next.
    hand: AtomicUsize,
}

/// On cache lines of its own, for the sake of other threads.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard(Mutex<Slots>);

/// Open addressing with linear probing. Never full: a search ends at an empty slot.
#[derive(Debug, Default)]
struct Slots {
    /// A power of two, or none.
    slots: Box<[Slot]>,
    /// Slots that are not empty, their keys current or not.
    used: usize,
    admitted: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// 0 = empty.
    tag: u64,
    until: u64,
}

/// Where a key is, or may be put.
enum Place {
    Found(usize),
    /// The slot of a key whose time has passed.
    Stale(usize),
    Empty(usize),
    /// There is no slot at all.
    Nowhere,
}

impl Table {
    /// An empty table for about `keys` keys. It grows with them.
    pub(super) fn new(keys: usize) -> Self {
        let keys = keys.max(1);
        let shards = (keys / SHARD).next_power_of_two();
        let shards = shards.max(SMALL.min((keys / 64).next_power_of_two()));
        let each = keys.div_ceil(shards);
        // Keys fall into shards by chance: four standard deviations more, so that `keys` find room.
        let bound = match shards {
            1 => each,
            _ => each + 4 * each.isqrt(),
        };
        Self {
            shards: (0..shards).map(|_| Shard::default()).collect(),
            bound,
            hand: AtomicUsize::new(0),
        }
    }

    /// Gives `ask` the moment of a key in nanoseconds, 0 for one that is not there, and the number of
    /// requests that were admitted; notes the moment that it returns. `now` says which moments have
    /// passed.
    pub(super) fn update<R>(
        &self,
        key: u64,
        now: u64,
        ask: impl FnOnce(u64, &mut u64) -> (u64, R),
    ) -> R {
        let slots = &mut *self.shard(key);
        let tag = key.max(1);
        let place = slots.find(tag, now);
        if let Place::Found(at) = place {
            let slot = &mut slots.slots[at];
            let (until, answer) = ask(slot.until, &mut slots.admitted);
            slot.until = until;
            return answer;
        }
        let (until, answer) = ask(0, &mut slots.admitted);
        if until > now {
            slots.insert(place, Slot { tag, until }, (now, self.bound));
        }
        answer
    }

    /// Keys that are held, some of them perhaps no longer current.
    pub(super) fn keys(&self) -> usize {
        self.sum(|slots| slots.used)
    }

    /// Memory of it all.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.shards) + self.sum(|slots| size_of_val(&*slots.slots))
    }

    /// Requests that were counted.
    pub(super) fn admitted(&self) -> u64 {
        self.sum(|slots| slots.admitted as usize) as u64
    }

    /// Gives the memory of passed keys of the next `count` shards back.
    pub(super) fn tend(&self, now: u64, count: usize) {
        for _ in 0..count.min(self.shards.len()) {
            let at = self.hand.fetch_add(1, Ordering::Relaxed) % self.shards.len();
            // One that is in use is looked at next time.
            if let Ok(mut slots) = self.shards[at].0.try_lock()
                && slots.used > 0
            {
                slots.lay_out(now, self.bound, 0);
            }
        }
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, Slots> {
        // The low bits choose the slot.
        let at = (key >> 32) as usize & (self.shards.len() - 1);
        lock(&self.shards[at])
    }

    fn sum(&self, of: impl Fn(&Slots) -> usize) -> usize {
        self.shards.iter().map(|shard| of(&lock(shard))).sum()
    }
}

fn lock(shard: &Shard) -> MutexGuard<'_, Slots> {
    // Whatever a thread has left there is a valid table.
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slots {
    fn find(&self, tag: u64, now: u64) -> Place {
        let Some(mask) = self.slots.len().checked_sub(1) else {
            return Place::Nowhere;
        };
        let mut stale = None;
        let mut at = tag as usize & mask;
        loop {
            let slot = &self.slots[at];
            if slot.tag == tag {
                return Place::Found(at);
            }
            if slot.tag == 0 {
                return stale.map_or(Place::Empty(at), Place::Stale);
            }
            if stale.is_none() && slot.until <= now {
                stale = Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, place: Place, slot: Slot, (now, bound): (u64, usize)) {
        match place {
            Place::Found(at) | Place::Stale(at) => self.slots[at] = slot,
            Place::Empty(at) if self.used < bound.min(room(self.slots.len())) => {
                self.slots[at] = slot;
                self.used += 1;
            }
            Place::Empty(_) | Place::Nowhere => {
                self.lay_out(now, bound, 1);
                self.put(slot);
            }
        }
    }

    /// Puts a new key into the first empty slot for it. There is one.
    fn put(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = slot.tag as usize & mask;
        while self.slots[at].tag != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
        self.used += 1;
    }

    /// Makes room for `more` keys: without those whose time has passed, and when still `bound` would be
    /// left, without the eighth of them that passes first.
    fn lay_out(&mut self, now: u64, bound: usize, more: usize) {
        let current = |slot: &&Slot| slot.tag != 0 && slot.until > now;
        let mut live: Vec<Slot> = self.slots.iter().filter(current).copied().collect();
        if more > 0 && live.len() >= bound {
            let gone = (bound / 8).max(1).min(live.len());
            if gone < live.len() {
                live.select_nth_unstable_by_key(gone, |slot| slot.until);
            }
            live.drain(..gone);
        }
        let wanted = live.len() + live.len() / 4 + more;
        let mut count = if wanted == 0 { 0 } else { FIRST };
        while count > 0 && room(count) < wanted {
            count *= 2;
        }
        if more == 0 && count == self.slots.len() {
            // Nothing to be won: passed keys are overwritten where they are.
            return;
        }
        self.slots = vec![Slot::default(); count].into_boxed_slice();
        self.used = 0;
        for slot in live {
            self.put(slot);
        }
    }
}

/// Keys for which so many slots are good.
fn room(slots: usize) -> usize {
    slots - slots / 8
}
