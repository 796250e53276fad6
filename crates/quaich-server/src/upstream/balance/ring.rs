//! Consistent hashing: servers have points on a ring, a key belongs to the next point.
//!
//! A server that comes or goes moves only the keys of its own points; the points follow from its name
//! alone, so the order in the file means nothing. Servers that are down stay on the ring and are passed
//! over, so that nothing is worked out anew when one fails.

use crate::upstream::hash::{self, mix};

/// Points of a server of weight 1: shares differ by about a twelfth of their size.
const POINTS: u64 = 128;

/// The most points of a ring; with more, every server has fewer.
const MOST_POINTS: u64 = 1 << 21;

/// The ring. Servers have numbers in the order in which they were given.
#[derive(Debug)]
pub struct Ring {
    points: Box<[(u64, u32)]>,
    /// Where the points of each equal part of the ring begin.
    parts: Box<[u32]>,
    shift: u32,
}

impl Ring {
    /// A ring of servers with these names and weights.
    pub fn new<'n>(servers: impl ExactSizeIterator<Item = (&'n str, u64)> + Clone) -> Self {
        let total = |scale: u64| -> u64 {
            let points = servers.clone().map(|(_, weight)| count(weight, scale));
            points.fold(0, u64::saturating_add)
        };
        let mut scale = 0;
        while scale < 7 && total(scale) > MOST_POINTS {
            scale += 1;
        }
        let mut points = Vec::new();
        for (index, (name, weight)) in servers.enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let name = hash::of(name.as_bytes());
            let of_server = (0..count(weight, scale)).map(|n| (mix(name ^ mix(n + 1)), index));
            points.extend(of_server);
        }
        points.sort_unstable();
        let bits = points.len().max(2).next_power_of_two().ilog2();
        let shift = u64::BITS - bits;
        let mut parts = Vec::with_capacity(1 << bits);
        let mut at = 0_u32;
        for part in 0..1_u64 << bits {
            while points.get(at as usize).is_some_and(|p| p.0 >> shift < part) {
                at += 1;
            }
            parts.push(at);
        }
        Self {
            points: points.into(),
            parts: parts.into(),
            shift,
        }
    }

    /// The servers for a key, the first choice first; each may come several times.
    pub fn from(&self, key: u64) -> impl Iterator<Item = usize> {
        let part = usize::try_from(key >> self.shift).unwrap_or(usize::MAX);
        let mut at = self.parts.get(part).map_or(0, |at| *at as usize);
        while self.points.get(at).is_some_and(|point| point.0 < key) {
            at += 1;
        }
        let (before, after) = self.points.split_at(at.min(self.points.len()));
        after.iter().chain(before).map(|point| point.1 as usize)
    }
}

fn count(weight: u64, scale: u64) -> u64 {
    let points = weight.saturating_mul(POINTS) >> scale;
    points.clamp(u64::from(weight > 0), 1 << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: u64 = 100_000;

    fn ring(names: &[String]) -> Ring {
        Ring::new(names.iter().map(|name| (name.as_str(), 1)))
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("10.0.0.{n}:8000")).collect()
    }

    fn owners<'n>(ring: &Ring, names: &'n [String]) -> Vec<&'n str> {
        let owner = |key| names[ring.from(mix(key)).next().unwrap()].as_str();
        (0..KEYS).map(owner).collect()
    }

    #[test]
    fn a_server_that_goes_moves_its_own_keys_only() {
        let all = names(10);
        let before_all = ring(&all);
        let before = owners(&before_all, &all);
        let rest: Vec<String> = all.iter().skip(1).cloned().collect();
        let after_ring = ring(&rest);
        let after = owners(&after_ring, &rest);
        let moved = before.iter().zip(&after).filter(|(b, a)| b != a).count();
        let own = before.iter().filter(|owner| **owner == all[0]).count();
        assert_eq!(moved, own);
        assert!((moved as f64 / KEYS as f64 - 0.1).abs() < 0.03, "{moved}");
        // The same as passing over it.
        let passed = |key| {
            let mut from = before_all.from(mix(key));
            from.find(|at| *at != 0).map(|at| all[at].as_str()).unwrap()
        };
        assert!(
            (0..KEYS)
                .zip(after)
                .all(|(key, after)| passed(key) == after)
        );
    }

    #[test]
    fn the_order_of_the_servers_means_nothing() {
        let all = names(7);
        let turned: Vec<String> = all.iter().rev().cloned().collect();
        let (first, second) = (ring(&all), ring(&turned));
        assert_eq!(owners(&first, &all), owners(&second, &turned));
    }

    #[test]
    fn shares_follow_the_weights() {
        let all = names(2);
        let weighted = Ring::new(all.iter().map(String::as_str).zip([3, 1]));
        let owned = owners(&weighted, &all);
        let first = owned.iter().filter(|owner| **owner == all[0]).count();
        assert!((first as f64 / KEYS as f64 - 0.75).abs() < 0.06, "{first}");
    }

    #[test]
    fn every_server_is_reached_from_every_key() {
        let all = names(5);
        let ring = ring(&all);
        for key in 0..100 {
            let mut seen: Vec<usize> = ring.from(mix(key)).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, [0, 1, 2, 3, 4]);
        }
    }

    #[test]
    fn an_empty_ring_has_nobody() {
        assert_eq!(ring(&[]).from(5).next(), None);
    }
}
