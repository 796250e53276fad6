//! Drawing by weight in constant time: Walker's alias method, as Vose builds it.
//!
//! `plan` makes one for `random` and `p2c`.

use std::cell::Cell;

use rustix::rand::{GetRandomFlags, getrandom};

use crate::upstream::hash::mix;

/// Tickets of one column: it gives its own index below `cut`, else the other one.
#[derive(Clone, Copy, Debug)]
struct Column {
    cut: u32,
    other: u32,
}

/// A weighted lottery.
#[derive(Debug)]
pub struct Lot {
    columns: Box<[Column]>,
}

impl Lot {
    /// One with these weights.
    pub fn new(weights: &[u64]) -> Self {
        let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        // Scaled so that a full column is 2^32.
        let full = 1_u128 << 32;
        let count = weights.len() as u128;
        let mut left: Vec<u128> = weights
            .iter()
            .map(|weight| u128::from(*weight) * count * full / total.max(1))
            .collect();
        let column = |own: usize| Column {
            cut: u32::MAX,
            other: u32::try_from(own).unwrap_or(u32::MAX),
        };
        let mut columns: Box<[Column]> = (0..weights.len()).map(column).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|at| left.get(*at).is_some_and(|share| *share < full));
        while let (Some(less), Some(more)) = (small.pop(), large.last().copied()) {
            let share = left.get(less).copied().unwrap_or(full);
            if let Some(column) = columns.get_mut(less) {
                column.cut = u32::try_from(share).unwrap_or(u32::MAX);
                column.other = u32::try_from(more).unwrap_or(u32::MAX);
            }
            let Some(giver) = left.get_mut(more) else {
                break;
            };
            *giver = giver.saturating_sub(full - share);
            if *giver < full {
                large.pop();
                small.push(more);
            }
        }
        Self { columns }
    }

    /// Who `random` draws; `None` when nobody takes part.
    pub fn draw(&self, random: u64) -> Option<usize> {
        let place = (u128::from(random >> 32) * self.columns.len() as u128) >> 32;
        let place = usize::try_from(place).ok()?;
        let column = self.columns.get(place)?;
        Some(match (random as u32) < column.cut {
            true => place,
            false => column.other as usize,
        })
    }
}

thread_local! {
    static STATE: Cell<u64> = Cell::new(seed());
}

/// The next number of this thread's generator (SplitMix64): fair, not secret.
pub fn random() -> u64 {
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    mix(state)
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    // Where a sandbox forbids it, threads draw alike: no harm.
    let _ = getrandom(&mut bytes, GetRandomFlags::empty());
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_weights() {
        for weights in [&[5, 3, 2][..], &[1], &[1, 1_000_000], &[7; 33]] {
            let lot = Lot::new(weights);
            let mut state = 7_u64;
            let mut drawn = vec![0_u64; weights.len()];
            const DRAWS: u64 = 200_000;
            for _ in 0..DRAWS {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                drawn[lot.draw(mix(state)).unwrap()] += 1;
            }
            let total: u64 = weights.iter().sum();
            for (weight, drawn) in weights.iter().zip(drawn) {
                let (due, got) = (*weight as f64 / total as f64, drawn as f64 / DRAWS as f64);
                assert!((due - got).abs() < 0.01, "{weights:?}: {due} and {got}");
            }
        }
    }

    #[test]
    fn nobody_is_drawn_from_none() {
        assert_eq!(Lot::new(&[]).draw(u64::MAX), None);
    }
}
