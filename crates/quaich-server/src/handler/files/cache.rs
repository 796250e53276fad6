//! The open-file cache of one front thread: which file a path led to a moment ago.
//!
//! `FileHandler` asks it on every request. It holds at most what `CacheLimits` says and gives a
//! place up by the clock algorithm (second chance). It must never open, read or check a file itself.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::precompressed::{CODINGS, Coding};
use super::representation::Representation;
use super::resolve::SLOTS;

/// Seconds after which an entry that nobody asked for is dropped, so that the descriptor of a
/// deleted file does not hold its disk space for ever.
const INACTIVE: u64 = 60;

/// Bounds of one thread's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Paths.
    pub entries: usize,
    /// Open descriptors (files above 64 KiB).
    pub descriptors: usize,
    /// Bytes of content, header blocks and keys.
    pub bytes: usize,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            entries: 8192,
            descriptors: 512,
            bytes: 64 * 1024 * 1024,
        }
    }
}

/// A file and its precompressed siblings, as found at one moment.
#[derive(Debug)]
pub(super) struct Found {
    /// The file itself at 0, then its siblings in the order of `CODINGS`.
    pub(super) variants: [Option<Rc<Representation>>; SLOTS],
    /// Seconds since 1970 when this was found true.
    pub(super) checked: u64,
}

impl Found {
    /// The representation in `coding`, `None` = the file itself.
    pub(super) fn variant(&self, coding: Option<Coding>) -> Option<&Rc<Representation>> {
        let place = coding.and_then(|coding| CODINGS.iter().position(|one| *one == coding));
        self.variants
            .get(place.map_or(0, |place| place + 1))?
            .as_ref()
    }

    /// Whether there is any sibling to choose.
    pub(super) fn has_siblings(&self) -> bool {
        self.variants.iter().skip(1).any(Option::is_some)
    }

    fn cost(&self, path: &[u8]) -> Cost {
        let held = || self.variants.iter().flatten();
        Cost {
            bytes: size_of::<Self>() + path.len() + held().map(|one| one.weight()).sum::<usize>(),
            descriptors: held().filter(|one| one.holds_descriptor()).count(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    bytes: usize,
    descriptors: usize,
}

/// Which handler an entry belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(usize);

/// One per front thread, shared by all its `FileHandler`s.
#[derive(Debug)]
pub struct OpenFileCache {
    limits: CacheLimits,
    entries: RefCell<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// By owner, then by path; the value is an index into `slots`.
    places: Vec<HashMap<Rc<[u8]>, usize>>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    hand: usize,
    total: Cost,
    swept: u64,
}

#[derive(Debug)]
struct Slot {
    owner: Owner,
    path: Rc<[u8]>,
    found: Rc<Found>,
    cost: Cost,
    used: Cell<bool>,
}

impl OpenFileCache {
    /// An empty cache.
    #[must_use]
    pub fn new(limits: CacheLimits) -> Rc<Self> {
        Rc::new(Self {
            limits,
            entries: RefCell::default(),
        })
    }

    /// Drops everything not confirmed within the last minute. Insertions do it in passing; a timer
    /// may call it too, so that an idle server lets go of deleted files. `now`: seconds since 1970.
    pub fn sweep(&self, now: u64) {
        self.entries.borrow_mut().sweep(now);
    }

    /// Paths held.
    #[must_use]
    pub fn len(&self) -> usize {
        let entries = self.entries.borrow();
        entries.slots.len() - entries.free.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, by the same count as `CacheLimits::bytes`.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.entries.borrow().total.bytes
    }

    /// Descriptors held.
    #[must_use]
    pub fn held_descriptors(&self) -> usize {
        self.entries.borrow().total.descriptors
    }

    /// Drops every entry: their descriptors and memory are needed elsewhere.
    pub fn clear(&self) {
        let mut entries = self.entries.borrow_mut();
        (0..entries.slots.len()).for_each(|place| entries.remove(place));
    }

    pub(super) fn register(&self) -> Owner {
        let mut entries = self.entries.borrow_mut();
        entries.places.push(HashMap::new());
        Owner(entries.places.len() - 1)
    }

    pub(super) fn get(&self, owner: Owner, path: &[u8]) -> Option<Rc<Found>> {
        let entries = self.entries.borrow();
        let place = *entries.places.get(owner.0)?.get(path)?;
        let slot = entries.slots.get(place)?.as_ref()?;
        slot.used.set(true);
        Some(Rc::clone(&slot.found))
    }

    pub(super) fn insert(&self, owner: Owner, path: &[u8], found: Rc<Found>) {
        let cost = found.cost(path);
        let now = found.checked;
        let mut entries = self.entries.borrow_mut();
        entries.remove_path(owner, path);
        if now.saturating_sub(entries.swept) >= INACTIVE {
            entries.sweep(now);
        }
        if cost.bytes > self.limits.bytes || cost.descriptors > self.limits.descriptors {
            return;
        }
        while entries.full(&cost, &self.limits) && entries.evict() {}
        entries.insert(Slot {
            owner,
            path: path.into(),
            found,
            cost,
            used: Cell::new(false),
        });
    }

    pub(super) fn remove(&self, owner: Owner, path: &[u8]) {
        self.entries.borrow_mut().remove_path(owner, path);
    }

    pub(super) fn forget(&self, owner: Owner) {
        let mut entries = self.entries.borrow_mut();
        let Some(places) = entries.places.get_mut(owner.0) else {
            return;
        };
        let places = std::mem::take(places);
        places.into_values().for_each(|place| entries.remove(place));
    }
}

impl Entries {
    fn full(&self, cost: &Cost, limits: &CacheLimits) -> bool {
        self.slots.len() - self.free.len() >= limits.entries
            || self.total.bytes + cost.bytes > limits.bytes
            || self.total.descriptors + cost.descriptors > limits.descriptors
    }

    /// Drops the next entry that was not asked for since the hand came by; false when empty.
    fn evict(&mut self) -> bool {
        // Twice round: the first round may find every entry used.
        for _ in 0..self.slots.len() * 2 {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            match self.slots.get(place) {
                Some(Some(slot)) if !slot.used.replace(false) => {
                    self.remove(place);
                    return true;
                }
                _ => {}
            }
        }
        false
    }

    fn insert(&mut self, slot: Slot) {
        self.total.bytes += slot.cost.bytes;
        self.total.descriptors += slot.cost.descriptors;
        let (owner, path) = (slot.owner, Rc::clone(&slot.path));
        let free = self.free.pop();
        let place = match free.and_then(|place| Some((place, self.slots.get_mut(place)?))) {
            Some((place, vacant)) => {
                *vacant = Some(slot);
                place
            }
            None => {
                self.slots.push(Some(slot));
                self.slots.len() - 1
            }
        };
        if let Some(places) = self.places.get_mut(owner.0) {
            places.insert(path, place);
        }
    }

    fn remove_path(&mut self, owner: Owner, path: &[u8]) {
        let place = self
            .places
            .get(owner.0)
            .and_then(|places| places.get(path))
            .copied();
        if let Some(place) = place {
            self.remove(place);
        }
    }

    fn remove(&mut self, place: usize) {
        let Some(slot) = self.slots.get_mut(place).and_then(Option::take) else {
            return;
        };
        self.free.push(place);
        self.total.bytes -= slot.cost.bytes;
        self.total.descriptors -= slot.cost.descriptors;
        if let Some(places) = self.places.get_mut(slot.owner.0) {
            places.remove(&slot.path);
        }
    }

    fn sweep(&mut self, now: u64) {
        self.swept = now;
        for place in 0..self.slots.len() {
            let inactive = |slot: &Slot| now.saturating_sub(slot.found.checked) >= INACTIVE;
            if self
                .slots
                .get(place)
                .and_then(Option::as_ref)
                .is_some_and(inactive)
            {
                self.remove(place);
            }
        }
    }
}
