//! What all threads know of who asked for how much, by the name of the limit: every route of every
//! thread that has it counts in the same place.

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quaich_config::model;
use serde_json::{Value, json};

use super::running::Running;
use super::table::Table;
use crate::clock::precise_nanos;

/// Shards that are looked at with each turn of a sweep: some ten microseconds.
const TENDED: usize = 2;

/// What all threads know.
#[derive(Debug, Default)]
pub struct Store {
    states: Mutex<BTreeMap<String, Arc<State>>>,
    /// Keys are hashed with it; others cannot know it.
    secret: RandomState,
}

/// Of one limit.
#[derive(Debug)]
pub(in crate::filter) struct State {
    dry_run: bool,
    /// When the bucket of each key is full again.
    pub(super) rate: Table,
    /// Up to when each key has its bytes.
    pub(super) paced: Table,
    pub(super) running: Arc<Running>,
    /// Requests that wait for their turn.
    pub(super) waiting: AtomicUsize,
    /// Requests that had to.
    pub(super) delayed: AtomicU64,
    /// Requests that were refused, or would have been.
    pub(super) refused: AtomicU64,
    /// Second of the last line in the log, and refusals since.
    logged: Mutex<(u64, u64)>,
}

impl Store {
    /// The state of a limit, made by whoever asks first.
    pub(super) fn state(&self, limit: &model::Limit) -> Arc<State> {
        let mut states = self.states();
        let state = states.entry(limit.name.clone());
        state.or_insert_with(|| Arc::new(State::new(limit))).clone()
    }

    /// What keys are hashed with.
    pub(super) fn secret(&self) -> RandomState {
        self.secret.clone()
    }

    /// Gives memory back that is no longer needed. Called now and then by each thread.
    pub fn tend(&self) {
        let states = self.states();
        if states.is_empty() {
            return;
        }
        let now = precise_nanos();
        for state in states.values() {
            state.rate.tend(now, TENDED);
            state.paced.tend(now, TENDED);
        }
    }

    /// What `quaich status` says of each.
    pub fn status(&self) -> Vec<Value> {
        let states = self.states();
        states
            .iter()
            .map(|(name, state)| state.status(name))
            .collect()
    }

    fn states(&self) -> MutexGuard<'_, BTreeMap<String, Arc<State>>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(limit: &model::Limit) -> Self {
        let keys = usize::try_from(limit.max_keys).unwrap_or(usize::MAX);
        Self {
            dry_run: limit.dry_run,
            rate: Table::new(keys),
            paced: Table::new(keys),
            running: Arc::default(),
            waiting: AtomicUsize::new(0),
            delayed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            logged: Mutex::default(),
        }
    }

    /// Refusals since the last line in the log, if one is due: one a second.
    pub(super) fn line_is_due(&self, second: u64) -> Option<u64> {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.0 == second {
            logged.1 += 1;
            return None;
        }
        Some(std::mem::replace(&mut *logged, (second, 0)).1)
    }

    fn status(&self, name: &str) -> Value {
        json!({
            "name": name,
            "dry_run": self.dry_run,
            "keys": self.rate.keys().max(self.paced.keys()),
            "bytes": self.rate.bytes() + self.paced.bytes(),
            "admitted": self.rate.admitted().max(self.running.admitted()),
            "refused": self.refused.load(Ordering::Relaxed),
            "delayed": self.delayed.load(Ordering::Relaxed),
            "waiting": self.waiting.load(Ordering::Relaxed),
            "running": self.running.count(),
        })
    }
}
