//! What the servers of one upstream share with each other: whose turn it is, who waits for room.
//!
//! `group` makes one per upstream; `slot` tells it when requests begin and end.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use quaich_config::model::{self, Balance};
use tokio::sync::Notify;

use super::balance::board::Board;
use super::queue::Queue;

/// What the servers of one upstream have in common.
#[derive(Debug)]
pub struct Fleet {
    /// Requests that wait for room.
    pub(super) queue: Queue,
    /// The order of the servers, where there are many.
    pub(super) board: Board,
    /// Told when a server begins to start slowly.
    pub(super) ramping: Notify,
    /// Whether backup servers are in use.
    pub(super) backups: AtomicBool,
    turn: AtomicU32,
    /// Running requests of all servers, if somebody wants to know.
    running: Option<AtomicUsize>,
}

impl Fleet {
    /// For the servers of one upstream.
    pub(super) fn new(settings: &model::Upstream) -> Self {
        let hashes = matches!(settings.balance, Balance::Hash(_));
        Self {
            queue: Queue::new(settings.max_queue),
            board: Board::default(),
            ramping: Notify::new(),
            backups: AtomicBool::new(false),
            turn: AtomicU32::new(0),
            running: hashes.then(AtomicUsize::default),
        }
    }

    /// The next turn, over all threads. A request that is put to `another` server takes none: else
    /// those after it would always begin with the same.
    pub(super) fn turn(&self, another: bool) -> u32 {
        match another {
            false => self.turn.fetch_add(1, Ordering::Relaxed),
            true => self.turn.load(Ordering::Relaxed),
        }
    }

    pub(super) fn begun(&self) {
        if let Some(running) = &self.running {
            running.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn ended(&self) {
        if let Some(running) = &self.running {
            running.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Running requests of all servers; 0 where nobody counts them.
    pub(super) fn running(&self) -> usize {
        let running = self.running.as_ref();
        running.map_or(0, |running| running.load(Ordering::Relaxed))
    }
}
