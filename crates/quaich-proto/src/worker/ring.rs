//! One slot's response ring: the worker's writing end, the front's reading end.
//!
//! The writer believes the front's read position; the reader checks everything it finds and
//! copies before it looks. Neither blocks: who waits, and how, is the caller's.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::frame::{self, BadFrame, FRAME_HEAD, Kind, MAX_HEAD, MAX_TEXT};
use super::layout::{RING, Slot};
use super::region::Region;
use super::state::{Generation, POSITION_MASK, Published, distance};

/// The request is no longer this worker's: the client left, or the front gave the worker up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// The worker's end.
#[derive(Debug)]
pub struct RingWriter {
    slot: Slot,
    position: u64,
    last: Published,
}

impl RingWriter {
    /// For a request that was just claimed.
    pub fn new(slot: Slot, generation: Generation) -> Self {
        let last = Published {
            generation,
            done: false,
            position: 0,
        };
        Self {
            slot,
            position: 0,
            last,
        }
    }

    /// Bytes that fit now, frame heads included.
    pub fn room(&self, region: &Region) -> usize {
        let taken = region.taken(self.slot).load(Acquire);
        RING.saturating_sub(distance(taken, self.position) as usize)
    }

    /// Writes one frame without publishing it. The caller has made sure that it fits.
    pub fn stage(&mut self, region: &Region, kind: Kind, parts: &[&[u8]]) {
        let len = parts.iter().map(|part| part.len()).sum();
        region.write_ring(self.slot, self.position, &frame::pack_head(kind, len));
        let mut at = self.position.wrapping_add(FRAME_HEAD as u64);
        for part in parts {
            region.write_ring(self.slot, at, part);
            at = at.wrapping_add(part.len() as u64);
        }
        let whole = (FRAME_HEAD + frame::padded(len)) as u64;
        self.position = self.position.wrapping_add(whole) & POSITION_MASK;
    }

    /// Makes what was staged visible; `done` = it is the last.
    pub fn publish(&mut self, region: &Region, done: bool) -> Result<(), Gone> {
        let next = Published {
            done,
            position: self.position,
            ..self.last
        };
        let word = region.published(self.slot);
        word.compare_exchange(self.last.pack(), next.pack(), AcqRel, Relaxed)
            .map_err(|_| Gone)?;
        self.last = next;
        Ok(())
    }
}

/// What a reading step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing complete is there.
    Empty,
    /// The head was appended.
    Head,
    /// Body bytes were appended; perhaps not all of their frame.
    Data,
    /// A range of the file whose descriptor came over the link.
    File {
        /// First byte.
        offset: u64,
        /// Bytes.
        len: u64,
    },
    /// The answer is complete.
    End,
    /// The app failed; the payload was appended to the head.
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Body,
    Ended,
}

/// The front's end.
#[derive(Clone, Debug)]
pub struct RingReader {
    slot: Slot,
    generation: Generation,
    position: u64,
    /// Payload bytes of the `Data` frame that is being read, and its padding.
    left: usize,
    padding: usize,
    stage: Stage,
}

impl RingReader {
    /// For a request that is about to be queued.
    pub fn new(slot: Slot, generation: Generation) -> Self {
        Self {
            slot,
            generation,
            position: 0,
            left: 0,
            padding: 0,
            stage: Stage::Head,
        }
    }

    /// Resets the slot's ring for this use. Before the slot becomes ready, never after.
    pub fn reset(&self, region: &Region) {
        let fresh = Published {
            generation: self.generation,
            done: false,
            position: 0,
        };
        region.taken(self.slot).store(0, Relaxed);
        region.cancel(self.slot).store(0, Relaxed);
        region.wants_room(self.slot).store(0, Relaxed);
        region.published(self.slot).store(fresh.pack(), Release);
    }

    /// Whether the answer was read to its end.
    pub fn ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Tells the worker how far it was read.
    pub fn give_room(&self, region: &Region) {
        region.taken(self.slot).store(self.position, Release);
    }

    /// Reads one frame, or a part of a `Data` frame: at most `room` body bytes.
    /// `head` gets the head's or error's payload, `body` the body bytes.
    pub fn step(
        &mut self,
        region: &Region,
        head: &mut Vec<u8>,
        body: &mut Vec<u8>,
        room: usize,
    ) -> Result<Step, BadFrame> {
        if self.ended() {
            return Ok(Step::Empty);
        }
        let published = Published::unpack(region.published(self.slot).load(Acquire));
        let there = distance(self.position, published.position) as usize;
        if published.generation != self.generation || there > RING {
            return Err(BadFrame("ring position out of range"));
        }
        if self.left > 0 {
            return self.data(region, body, room, there);
        }
        if there == 0 {
            let cut = published.done.then_some(BadFrame("answer without an end"));
            return cut.map_or(Ok(Step::Empty), Err);
        }
        let (kind, len) = frame::unpack_head(region.ring_word(self.slot, self.position))?;
        if !there.is_multiple_of(8) || FRAME_HEAD.saturating_add(frame::padded(len)) > there {
            return Err(BadFrame("frame longer than the ring says"));
        }
        let step = self.frame(region, kind, len, head)?;
        if step != Step::Data {
            self.advance(FRAME_HEAD + frame::padded(len));
        } else {
            self.advance(FRAME_HEAD);
            self.left = len;
            self.padding = frame::padded(len) - len;
            return if len == 0 {
                Ok(step)
            } else {
                self.data(region, body, room, there - 8)
            };
        }
        let last = matches!(step, Step::End | Step::Error);
        if last && (!published.done || self.position != published.position) {
            return Err(BadFrame("bytes after the end"));
        }
        Ok(step)
    }

    fn frame(
        &mut self,
        region: &Region,
        kind: Kind,
        len: usize,
        head: &mut Vec<u8>,
    ) -> Result<Step, BadFrame> {
        let payload = self.position.wrapping_add(FRAME_HEAD as u64);
        match (kind, self.stage) {
            (Kind::Head, Stage::Head) if len <= MAX_HEAD => {
                region.read_ring(self.slot, payload, len, head);
                self.stage = Stage::Body;
                Ok(Step::Head)
            }
            (Kind::Data, Stage::Body) => Ok(Step::Data),
            (Kind::File, Stage::Body) if len == 16 => {
                let range = [
                    region.ring_word(self.slot, payload),
                    region.ring_word(self.slot, payload.wrapping_add(8)),
                ];
                let [offset, len] = range;
                Ok(Step::File { offset, len })
            }
            (Kind::End, Stage::Body) if len == 0 => {
                self.stage = Stage::Ended;
                Ok(Step::End)
            }
            (Kind::Error, _) if len <= MAX_TEXT + 1 => {
                head.clear();
                region.read_ring(self.slot, payload, len, head);
                self.stage = Stage::Ended;
                Ok(Step::Error)
            }
            _ => Err(BadFrame("frame out of order")),
        }
    }

    fn data(
        &mut self,
        region: &Region,
        body: &mut Vec<u8>,
        room: usize,
        there: usize,
    ) -> Result<Step, BadFrame> {
        if self.left + self.padding > there {
            return Err(BadFrame("frame longer than the ring says"));
        }
        let part = self.left.min(room);
        region.read_ring(self.slot, self.position, part, body);
        self.left -= part;
        self.advance(part);
        if self.left == 0 {
            self.advance(self.padding);
            self.padding = 0;
        }
        Ok(if part == 0 { Step::Empty } else { Step::Data })
    }

    fn advance(&mut self, bytes: usize) {
        self.position = self.position.wrapping_add(bytes as u64) & POSITION_MASK;
    }
}
