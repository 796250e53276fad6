//! The brake of response bodies: `bandwidth`.
//!
//! Each key has a moment up to which its bytes are spoken for; a piece takes the time that it is worth
//! behind it and leaves when that begins. So all answers of a key share its bandwidth, piece by piece.

use std::sync::Arc;
use std::time::Duration;

use super::store::State;
use crate::clock::precise_nanos;

const SECOND: u64 = 1_000_000_000;

/// A piece is worth so much time at most, ...
const PIECE: u64 = SECOND / 20;

/// ... unless it would be smaller than this, in bytes.
const SMALLEST: u64 = 1024;

/// Pieces are not larger than this, in bytes.
const LARGEST: u64 = 256 * 1024;

/// Time that a late piece may make up for: timers are late by a millisecond.
const SLACK: u64 = PIECE;

/// The brake of one body.
#[derive(Debug, Default)]
pub struct Pace {
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    state: Arc<State>,
    key: u64,
    /// Bytes per second, more than 0.
    bandwidth: u64,
    /// Bytes that are not held back.
    free: u64,
}

impl Pace {
    /// `bandwidth` bytes per second for `key`, the first `free` bytes apart.
    pub(in crate::filter) fn add(
        &mut self,
        state: &Arc<State>,
        key: u64,
        (bandwidth, free): (u64, u64),
    ) {
        self.lanes.push(Lane {
            state: state.clone(),
            key,
            bandwidth: bandwidth.max(1),
            free,
        });
    }

    /// Whether it holds nothing back.
    pub(in crate::filter) fn is_idle(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Bytes of the largest piece that may leave at once.
    pub fn piece(&self) -> usize {
        let of = |lane: &Lane| (lane.bandwidth / (SECOND / PIECE)).clamp(SMALLEST, LARGEST);
        let piece = self.lanes.iter().map(of).min().unwrap_or(LARGEST);
        piece as usize
    }

    /// Waits until `bytes` may leave.
    pub async fn admit(&mut self, bytes: usize) {
        let now = precise_nanos();
        let starts = self
            .lanes
            .iter_mut()
            .map(|lane| lane.start(bytes as u64, now));
        let wait = starts.max().unwrap_or(0).saturating_sub(now);
        if wait > 0 {
            tokio::time::sleep(Duration::from_nanos(wait)).await;
        }
    }
}

impl Lane {
    /// When `bytes` may leave.
    fn start(&mut self, bytes: u64, now: u64) -> u64 {
        let free = bytes.min(self.free);
        self.free -= free;
        let bytes = bytes - free;
        if bytes == 0 {
            return now;
        }
        let worth = u128::from(bytes) * u128::from(SECOND) / u128::from(self.bandwidth);
        let worth = u64::try_from(worth).unwrap_or(u64::MAX);
        self.state.paced.update(self.key, now, |until, _| {
            let start = match until {
                0 => now,
                until => until.max(now.saturating_sub(SLACK)),
            };
            (start.saturating_add(worth), start)
        })
    }
}
