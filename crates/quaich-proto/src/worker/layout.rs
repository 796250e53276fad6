//! Where everything lies inside a region: pure arithmetic, no memory is touched.
//!
//! Called by the supervisor (to size the file), the front and the workers (to find their words).
//! Must never hand out an offset outside `size()`.

/// Bytes of the request area of a slot; a larger request body travels as a descriptor.
pub const REQUEST_AREA: usize = 64 * 1024;
/// Bytes of the response ring of a slot; a power of two.
pub const RING: usize = 64 * 1024;
/// Most slots of one region.
pub const MAX_SLOTS: usize = 1024;
/// Most threads of one worker process: their idle bits share one word.
pub const MAX_THREADS: usize = 64;
/// Most front threads.
pub const MAX_FRONTS: usize = 64;
/// Most workers that can be attached at once.
pub const MAX_WORKERS: usize = 1024;
/// Bytes of the header at the start of a region.
pub const HEADER: usize = 64;

const MAGIC: u64 = u64::from_le_bytes(*b"quaich\x00\x01");
const LINE: usize = 64;
const PAGE: usize = 4096;
/// Control bytes of a slot: a line the front writes first, then a line the worker writes.
const CONTROL: usize = 2 * LINE;

/// The geometry of one region. Both ends compute it from the same five numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    slots: u32,
    fronts: u32,
    workers: u32,
    threads: u32,
    sleepers: usize,
    fronts_at: usize,
    front_stride: usize,
    seats: usize,
    entries: usize,
    capacity: usize,
    control: usize,
    requests: usize,
    rings: usize,
    size: usize,
}

/// A slot number that is known to lie inside the region it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The plain number.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The file is not a region of this version, or its numbers make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRegion;

impl std::fmt::Display for BadRegion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a worker channel region of this version")
    }
}

impl std::error::Error for BadRegion {}

fn align(n: usize, to: usize) -> usize {
    n.div_ceil(to) * to
}

impl Layout {
    /// The region of an app: `queue` waiting requests, `workers` × `threads` running ones,
    /// served by `fronts` front threads. Numbers beyond the limits of this module are cut to them.
    pub fn for_app(queue: usize, workers: usize, threads: usize, fronts: usize) -> Self {
        let threads = threads.clamp(1, MAX_THREADS);
        let running = workers.max(1).saturating_mul(threads);
        let slots = queue.saturating_add(running).clamp(1, MAX_SLOTS);
        // Twice the workers: a successor boots while its predecessor still serves.
        let seats = workers.clamp(1, MAX_WORKERS / 2 - 1) * 2 + 2;
        Self::exact(
            align(slots, 64),
            fronts.clamp(1, MAX_FRONTS),
            seats,
            threads,
        )
    }

    fn exact(slots: usize, fronts: usize, workers: usize, threads: usize) -> Self {
        let stride = threads.next_power_of_two();
        let words = (workers * stride).div_ceil(64);
        let sleepers = HEADER + 2 * LINE;
        let fronts_at = align(sleepers + words * 8, LINE);
        let front_stride = LINE + align(slots / 64 * 8, LINE);
        let seats = fronts_at + fronts * front_stride;
        let entries = align(seats + workers * stride * LINE, PAGE);
        // Taken-back requests leave dead entries behind: room for them, so that compaction is rare.
        let capacity = (slots * 4).next_power_of_two();
        let control = entries + capacity * 8;
        let requests = align(control + slots * CONTROL, PAGE);
        let rings = requests + slots * REQUEST_AREA;
        Self {
            slots: slots as u32,
            fronts: fronts as u32,
            workers: workers as u32,
            threads: threads as u32,
            sleepers,
            fronts_at,
            front_stride,
            seats,
            entries,
            capacity,
            control,
            requests,
            rings,
            size: rings + slots * RING,
        }
    }

    /// The bytes with which a fresh, otherwise zeroed region begins.
    pub fn header(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..8].copy_from_slice(&MAGIC.to_le_bytes());
        let numbers = [self.slots, self.fronts, self.workers, self.threads];
        for (place, number) in out[8..24].chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        out
    }

    /// Reads a header back; the numbers must be within the limits of this module.
    pub fn from_header(header: &[u8; HEADER]) -> Result<Self, BadRegion> {
        let number = |at: usize| -> usize {
            let mut four = [0; 4];
            four.copy_from_slice(&header[at..at + 4]);
            u32::from_le_bytes(four) as usize
        };
        let (slots, fronts, workers, threads) = (number(8), number(12), number(16), number(20));
        let sound = header[..8] == MAGIC.to_le_bytes()
            && (64..=MAX_SLOTS).contains(&slots)
            && slots % 64 == 0
            && (1..=MAX_FRONTS).contains(&fronts)
            && (1..=MAX_WORKERS).contains(&workers)
            && (1..=MAX_THREADS).contains(&threads);
        if sound {
            Ok(Self::exact(slots, fronts, workers, threads))
        } else {
            Err(BadRegion)
        }
    }

    /// Bytes of the whole region.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Requests that can wait and run together.
    pub fn slots(&self) -> usize {
        self.slots as usize
    }

    /// Front threads.
    pub fn fronts(&self) -> usize {
        self.fronts as usize
    }

    /// Seats for worker processes, see [`Layout::seat`].
    pub fn workers(&self) -> usize {
        self.workers as usize
    }

    /// Threads of each worker.
    pub fn threads(&self) -> usize {
        self.threads as usize
    }

    /// Words of 64 slots each.
    pub fn news_words(&self) -> usize {
        self.slots() / 64
    }

    /// Words of the sleepers bitmap.
    pub fn sleeper_words(&self) -> usize {
        (self.workers() * self.stride()).div_ceil(64)
    }

    /// Entries of the request queue; a power of two.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Checks a slot number that came from anywhere.
    pub fn slot(&self, number: u64) -> Option<Slot> {
        (number < u64::from(self.slots)).then_some(Slot(number as u16))
    }

    /// The seat a worker sits on. Workers that are attached at the same time must have ids whose
    /// remainders by [`Layout::workers`] differ: see [`Layout::next_worker_id`].
    pub fn seat(&self, worker: u32) -> usize {
        (worker % self.workers) as usize
    }

    /// The smallest id above `last` (below 2^24, then from 0) whose seat none of `live` sits on.
    /// `None` when every seat is taken.
    pub fn next_worker_id(&self, last: Option<u32>, live: &[u32]) -> Option<u32> {
        let first = last.map_or(0, |id| id.wrapping_add(1));
        (0..self.workers)
            .map(|step| first.wrapping_add(step) & super::state::WORKER_MAX)
            .find(|id| live.iter().all(|other| self.seat(*other) != self.seat(*id)))
    }

    /// The idle bit of a thread: word and bit. All threads of a worker lie in one word.
    pub fn sleeper_bit(&self, worker: u32, thread: usize) -> (usize, u32) {
        let bit = self.seat(worker) * self.stride() + thread.min(self.threads() - 1);
        (bit / 64, (bit % 64) as u32)
    }

    /// The idle bits of all threads of a worker: word and mask.
    pub fn sleeper_mask(&self, worker: u32) -> (usize, u64) {
        let (word, bit) = self.sleeper_bit(worker, 0);
        (word, (u64::MAX >> (64 - self.threads)) << bit)
    }

    fn stride(&self) -> usize {
        self.threads().next_power_of_two()
    }

    pub(super) fn head_at(&self) -> usize {
        HEADER
    }

    pub(super) fn tail_at(&self) -> usize {
        HEADER + LINE
    }

    pub(super) fn sleepers_at(&self, word: usize) -> usize {
        self.sleepers + word * 8
    }

    pub(super) fn rest_at(&self, front: usize) -> usize {
        self.fronts_at + front * self.front_stride
    }

    pub(super) fn news_at(&self, front: usize, word: usize) -> usize {
        self.rest_at(front) + LINE + word * 8
    }

    pub(super) fn service_at(&self, worker: u32, thread: usize) -> usize {
        let place = self.seat(worker) * self.stride() + thread.min(self.threads() - 1);
        self.seats + place * LINE
    }

    pub(super) fn entry_at(&self, position: u64) -> usize {
        self.entries + (position as usize & (self.capacity - 1)) * 8
    }

    pub(super) fn control_at(&self, slot: Slot) -> usize {
        self.control + slot.index() * CONTROL
    }

    pub(super) fn request_at(&self, slot: Slot) -> usize {
        self.requests + slot.index() * REQUEST_AREA
    }

    pub(super) fn ring_at(&self, slot: Slot) -> usize {
        self.rings + slot.index() * RING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_read_back_is_the_same_layout() {
        let layout = Layout::for_app(100, 4, 3, 2);
        assert_eq!(Layout::from_header(&layout.header()), Ok(layout));
        assert_eq!(layout.slots(), 128);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let mut header = Layout::for_app(1, 1, 1, 1).header();
        header[8] = 65;
        assert_eq!(Layout::from_header(&header), Err(BadRegion));
        assert_eq!(Layout::from_header(&[0; HEADER]), Err(BadRegion));
    }

    #[test]
    fn the_last_offsets_end_inside_the_region() {
        for (queue, workers, threads, fronts) in [(0, 0, 0, 0), (5000, 600, 99, 99), (1, 3, 5, 2)] {
            let layout = Layout::for_app(queue, workers, threads, fronts);
            let last = layout
                .slot(layout.slots() as u64 - 1)
                .expect("the last slot");
            assert_eq!(layout.ring_at(last) + RING, layout.size());
            assert!(layout.slot(layout.slots() as u64).is_none());
            assert!(layout.control_at(last) + CONTROL <= layout.requests);
            let worker = layout.workers() as u32 - 1;
            assert!(layout.service_at(worker, 99) + 64 <= layout.entries);
            let (word, mask) = layout.sleeper_mask(worker);
            assert!(word < layout.sleeper_words());
            assert_eq!(mask.count_ones() as usize, layout.threads());
        }
    }

    #[test]
    fn worker_ids_never_share_a_seat() {
        let layout = Layout::for_app(10, 1, 1, 1);
        assert_eq!(layout.workers(), 4);
        assert_eq!(layout.next_worker_id(None, &[]), Some(0));
        assert_eq!(layout.next_worker_id(Some(3), &[0, 1]), Some(6));
        assert_eq!(layout.next_worker_id(Some(3), &[0, 1, 2, 3]), None);
    }
}
