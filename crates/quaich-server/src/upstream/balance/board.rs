//! The order of many servers, kept up to date as requests begin and end, so that nobody looks through
//! all of them.
//!
//! `plan` switches it on for upstreams of more than a few servers; `slot` tells it of every change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tournament::{Key, Tournament};
use crate::upstream::server::Server;
use crate::upstream::slot::Slot;

/// What decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Turns by weight.
    Turns,
    /// Load, then turns by weight.
    Load,
    /// The order in the file.
    File,
}

/// Steps between two turns of a server with a weight of 1.
const STRIDE: u64 = 100 << 20;

/// The order of the servers of an upstream.
#[derive(Debug, Default)]
pub struct Board {
    on: AtomicBool,
    state: Mutex<Option<State>>,
}

#[derive(Debug)]
struct State {
    order: Order,
    tree: Tournament,
    /// By `Server::place`.
    servers: Vec<Option<Arc<Server>>>,
    /// The turn that was taken last.
    now: u64,
}

impl Board {
    /// Keeps these servers in order from now on.
    pub fn arrange(&self, order: Order, servers: &[Arc<Server>]) {
        let mut state = self.lock();
        let room = servers.iter().map(|s| s.place() + 1).max().unwrap_or(0);
        let mut by_place = vec![None; room];
        let mut keys = vec![Key::OUT; room];
        let now = state.as_ref().map_or(0, |state| state.now);
        for (index, server) in servers.iter().enumerate() {
            let place = server.place();
            let old = state.as_ref().filter(|state| state.holds(server));
            // Who comes back has not saved up turns.
            let due = match (order, old) {
                (Order::File, _) => index as u64,
                (_, Some(old)) => old.tree.key(place).due.min(now + stride(server)).max(now),
                (_, None) => now + stride(server),
            };
            if let (Some(known), Some(key)) = (by_place.get_mut(place), keys.get_mut(place)) {
                *known = Some(server.clone());
                *key = Key {
                    load: load(order, server),
                    due,
                };
            }
        }
        *state = Some(State {
            order,
            tree: Tournament::new(keys),
            servers: by_place,
            now,
        });
        self.on.store(true, Ordering::SeqCst);
    }

    /// Keeps nothing any more.
    pub fn clear(&self) {
        self.on.store(false, Ordering::SeqCst);
        *self.lock() = None;
    }

    /// The number of running requests of `server` has changed.
    pub fn touch(&self, server: &Arc<Server>) {
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        if let Some(state) = &mut *self.lock()
            && state.order.minds(server)
            && state.holds(server)
        {
            let (place, load) = (server.place(), load(state.order, server));
            let due = state.tree.key(place).due;
            state.tree.set(place, Key { load, due });
        }
    }

    /// A slot of the first server that `accepts` and that has room.
    pub fn claim(&self, mut accepts: impl FnMut(&Arc<Server>) -> bool) -> Option<Slot> {
        let mut guard = self.lock();
        let state = guard.as_mut()?;
        let mut aside = Vec::new();
        let mut found = None;
        while let Some(place) = state.tree.winner() {
            let Some(Some(server)) = state.servers.get(place) else {
                break;
            };
            let key = state.tree.key(place);
            let server = server.clone();
            if accepts(&server) && server.try_begin() {
                state.advance(&server, key);
                found = Some(Slot::of_begun(&server));
                break;
            }
            state.tree.set(place, Key::OUT);
            aside.push((server, key.due));
        }
        for (server, due) in aside {
            let load = load(state.order, &server);
            state.tree.set(server.place(), Key { load, due });
        }
        found
    }

    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn holds(&self, server: &Arc<Server>) -> bool {
        let known = self.servers.get(server.place());
        known.is_some_and(|known| known.as_ref().is_some_and(|k| Arc::ptr_eq(k, server)))
    }

    /// `server` has taken a turn that was due by `key`.
    fn advance(&mut self, server: &Arc<Server>, key: Key) {
        let mut due = key.due;
        if self.order != Order::File {
            self.now = self.now.max(key.due);
            due = due.saturating_add(stride(server));
        }
        let load = load(self.order, server);
        self.tree.set(server.place(), Key { load, due });
    }
}

impl Order {
    /// Whether the running requests of `server` count.
    fn minds(self, server: &Server) -> bool {
        self == Self::Load || server.max_conns() > 0
    }
}

fn load(order: Order, server: &Server) -> u64 {
    match order {
        _ if server.is_full() => u64::MAX,
        Order::Load => server.load(),
        Order::Turns | Order::File => 0,
    }
}

fn stride(server: &Server) -> u64 {
    STRIDE / server.share().max(1)
}
