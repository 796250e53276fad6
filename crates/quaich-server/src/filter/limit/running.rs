//! How many requests of each key run now, over all threads. Keys without any are not held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Parts with a lock each.
const SHARDS: usize = 16;

/// Requests that run, by key.
#[derive(Debug, Default)]
pub(super) struct Running {
    shards: [Mutex<HashMap<u64, u32>>; SHARDS],
    admitted: AtomicU64,
}

/// One request that runs; gives its place back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    of: Arc<Running>,
    key: u64,
}

impl Running {
    /// A place for a request of `key`, if fewer than `limit` run.
    pub(super) fn admit(self: &Arc<Self>, key: u64, limit: u32) -> Option<Place> {
        let mut running = self.shard(key);
        let count = running.entry(key).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        self.admitted.fetch_add(1, Ordering::Relaxed);
        Some(Place {
            of: self.clone(),
            key,
        })
    }

    /// Requests that run.
    pub(super) fn count(&self) -> u64 {
        let shards = self.shards.iter().map(lock);
        shards
            .map(|running| running.values().copied().map(u64::from).sum::<u64>())
            .sum()
    }

    /// Requests that got a place.
    pub(super) fn admitted(&self) -> u64 {
        self.admitted.load(Ordering::Relaxed)
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, HashMap<u64, u32>> {
        lock(&self.shards[key as usize % SHARDS])
    }
}

fn lock(shard: &Mutex<HashMap<u64, u32>>) -> MutexGuard<'_, HashMap<u64, u32>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.of.shard(self.key);
        if let Some(count) = running.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                running.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_request_has_ended() {
        let running = Arc::<Running>::default();
        let places: Vec<_> = (0..3).map(|_| running.admit(7, 2)).collect();
        assert!(places[1].is_some() && places[2].is_none());
        assert!(running.admit(8, 2).is_some(), "another key has its own");
        assert_eq!(running.count(), 2);
        drop(places);
        assert_eq!(running.count(), 0);
        assert!(running.shards.iter().all(|shard| lock(shard).is_empty()));
    }
}
