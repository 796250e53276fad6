//! What the front threads of an app share: the mapped region, the queue's producing end, the
//! free slots that no thread keeps for itself.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quaich_proto::worker::layout::Slot;
use quaich_proto::worker::queue::Producer;
use quaich_proto::worker::region::Region;
use quaich_proto::worker::state::Generation;

#[derive(Clone, Copy, Debug)]
pub(super) struct FreeSlot {
    pub(super) slot: Slot,
    pub(super) generation: Generation,
}

/// One app's region in this front process; every front thread holds it.
#[derive(Debug)]
pub struct AppRegion {
    region: Region,
    producer: Mutex<Producer>,
    free: Mutex<Vec<FreeSlot>>,
    live: AtomicUsize,
}

impl AppRegion {
    /// Maps the app's memory file. Once per front: a region is never used by a second one.
    pub fn map(fd: impl AsFd) -> io::Result<Self> {
        let region = Region::map(fd)?;
        let layout = *region.layout();
        let generation = Generation::default().next();
        // Lowest last: slots are handed out from the end, so that few pages are ever touched.
        let free = (0..layout.slots() as u64)
            .rev()
            .filter_map(|number| {
                Some(FreeSlot {
                    slot: layout.slot(number)?,
                    generation,
                })
            })
            .collect();
        Ok(Self {
            region,
            producer: Mutex::default(),
            free: Mutex::new(free),
            live: AtomicUsize::new(0),
        })
    }

    /// The mapped region.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// One more request is in the app, if fewer than `limit` are.
    pub(super) fn enter(&self, limit: usize) -> bool {
        let entered = self.live.fetch_add(1, Ordering::Relaxed) < limit;
        if !entered {
            self.leave();
        }
        entered
    }

    pub(super) fn leave(&self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn push(&self, slot: Slot, generation: Generation) {
        self.producer().push(&self.region, slot, generation);
    }

    pub(super) fn waiting(&self) -> u64 {
        self.producer().waiting(&self.region)
    }

    pub(super) fn take_slots(&self, own: &mut Vec<FreeSlot>, count: usize) {
        let mut free = self.free();
        let from = free.len().saturating_sub(count);
        own.extend(free.drain(from..));
    }

    /// Gives back the oldest slots of a thread until `keep` are left.
    pub(super) fn give_slots(&self, own: &mut Vec<FreeSlot>, keep: usize) {
        let surplus = own.len().saturating_sub(keep);
        self.free().extend(own.drain(..surplus));
    }

    fn producer(&self) -> MutexGuard<'_, Producer> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free(&self) -> MutexGuard<'_, Vec<FreeSlot>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
