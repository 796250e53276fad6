//! The packed words of a slot: who has it, and how far its answer is.
//!
//! Pure. Used by both ends of the channel; a word read from the region may hold anything.

/// Largest worker id that fits a state word.
pub const WORKER_MAX: u32 = (1 << 24) - 1;
/// Generations count modulo 2^28.
pub const GENERATION_MASK: u32 = (1 << 28) - 1;
/// Ring positions count modulo 2^35.
pub const POSITION_MASK: u64 = (1 << 35) - 1;

const PHASE_READY: u64 = 1;
const PHASE_RUNNING: u64 = 2;

/// Which use of a slot a word speaks of; a late write for an older use is recognised by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Generation(u32);

impl Generation {
    /// From the low 28 bits.
    pub fn new(bits: u32) -> Self {
        Self(bits & GENERATION_MASK)
    }

    /// The generation of the slot's next use.
    #[must_use]
    pub fn next(self) -> Self {
        Self::new(self.0.wrapping_add(1))
    }

    /// The plain number.
    pub fn bits(self) -> u32 {
        self.0
    }
}

/// Who has a slot: generation (28 bits), worker (24), thread (8), phase (4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody: the front may use it.
    Free,
    /// In the queue: the first who swaps it to `Running` has it.
    Ready(Generation),
    /// A worker thread serves it.
    Running(Generation, Owner),
    /// No valid word: a worker wrote nonsense.
    Invalid,
}

/// A worker thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The worker's id, at most [`WORKER_MAX`].
    pub worker: u32,
    /// The thread's number in it.
    pub thread: u8,
}

impl State {
    /// The word.
    pub fn pack(self) -> u64 {
        match self {
            Self::Free | Self::Invalid => 0,
            Self::Ready(generation) => u64::from(generation.0) << 36 | PHASE_READY,
            Self::Running(generation, owner) => {
                u64::from(generation.0) << 36
                    | u64::from(owner.worker & WORKER_MAX) << 12
                    | u64::from(owner.thread) << 4
                    | PHASE_RUNNING
            }
        }
    }

    /// Any word.
    pub fn unpack(word: u64) -> Self {
        let generation = Generation::new((word >> 36) as u32);
        match word & 15 {
            0 if word == 0 => Self::Free,
            PHASE_READY if word & 0xF_FFFF_FFF0 == 0 => Self::Ready(generation),
            PHASE_RUNNING => Self::Running(
                generation,
                Owner {
                    worker: (word >> 12) as u32 & WORKER_MAX,
                    thread: (word >> 4) as u8,
                },
            ),
            _ => Self::Invalid,
        }
    }
}

/// How far a worker's answer is: generation (28 bits), finished (1), ring position (35).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The use of the slot it speaks of.
    pub generation: Generation,
    /// The worker will not touch the slot again.
    pub done: bool,
    /// Bytes written to the ring since the use began, modulo 2^35.
    pub position: u64,
}

impl Published {
    /// The word.
    pub fn pack(self) -> u64 {
        u64::from(self.generation.0) << 36
            | u64::from(self.done) << 35
            | (self.position & POSITION_MASK)
    }

    /// Any word.
    pub fn unpack(word: u64) -> Self {
        Self {
            generation: Generation::new((word >> 36) as u32),
            done: word >> 35 & 1 == 1,
            position: word & POSITION_MASK,
        }
    }
}

/// Bytes between two ring positions.
pub fn distance(from: u64, to: u64) -> u64 {
    to.wrapping_sub(from) & POSITION_MASK
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_word_unpacks_and_valid_ones_pack_back(word: u64) {
            match State::unpack(word) {
                State::Invalid => {}
                state => prop_assert_eq!(state.pack(), word),
            }
            prop_assert_eq!(Published::unpack(word).pack(), word);
        }
    }

    #[test]
    fn distance_survives_the_wrap() {
        assert_eq!(distance(POSITION_MASK, 3), 4);
        assert_eq!(distance(5, 5), 0);
    }
}
