//! Requests that wait until a server has room (`max_conns`): one queue per upstream over all threads.
//!
//! Clients take turns, and the requests of one client go in their order, so that one who asks a
//! thousand times holds back only itself. A slot that becomes free goes to exactly one waiter.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::group::Wish;
use super::server::Server;
use super::slot::Slot;

/// The requests that wait.
#[derive(Debug)]
pub struct Queue {
    room: usize,
    /// How many wait.
    waiting: AtomicUsize,
    /// How many of them take any server.
    easy: AtomicUsize,
    /// How many have ever waited.
    waited: AtomicU64,
    lines: Mutex<Lines>,
}

/// Who is next. Leaving costs no more with many who wait: all of them may run out of time at once.
#[derive(Debug, Default)]
struct Lines {
    of_client: HashMap<Option<IpAddr>, Line>,
    /// Clients that have somebody waiting, by their turn.
    turns: BTreeMap<u64, Option<IpAddr>>,
    /// Numbers that were given, as tickets and as turns.
    given: u64,
}

/// The requests of one client.
#[derive(Debug)]
struct Line {
    turn: u64,
    /// By ticket.
    waiters: BTreeMap<u64, Arc<Waiter>>,
}

/// One request that waits.
#[derive(Debug)]
struct Waiter {
    client: Option<IpAddr>,
    /// Its place in the line of its client.
    ticket: u64,
    /// The only server that it takes.
    known: Option<Arc<Server>>,
    /// Servers that it does not take.
    tried: Vec<Arc<Server>>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Waiting(Option<Waker>),
    Granted(Slot),
    /// What it may choose from has changed.
    Released,
    /// Nobody waits any more.
    Over,
}

/// A place in the queue: ready with a slot, or with none when the request is to choose anew. Leaves the
/// queue when it is dropped.
#[derive(Debug)]
pub struct Place<'q> {
    queue: &'q Queue,
    waiter: Arc<Waiter>,
}

impl Queue {
    /// Room for so many waiters.
    pub(super) fn new(room: usize) -> Self {
        Self {
            room,
            waiting: AtomicUsize::new(0),
            easy: AtomicUsize::new(0),
            waited: AtomicU64::new(0),
            lines: Mutex::default(),
        }
    }

    /// How many wait now.
    pub fn length(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many have waited since the start.
    pub fn waited(&self) -> u64 {
        self.waited.load(Ordering::Relaxed)
    }

    /// Whether anybody waits.
    pub(super) fn is_waited_in(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Whether a request with this wish would overtake somebody if it did not wait.
    pub(super) fn would_overtake(&self, wish: &Wish<'_>) -> bool {
        self.easy.load(Ordering::Relaxed) > 0 && wish.known.is_none() && wish.tried.is_empty()
    }

    /// Takes a place at the end of the client's line; `None` when the queue is full. Whoever has one
    /// looks once more whether there is room: it may have become free before. `servers` are those of
    /// the upstream.
    pub(super) fn enter(
        &self,
        wish: &Wish<'_>,
        servers: impl FnOnce() -> Arc<[Arc<Server>]>,
    ) -> Option<Place<'_>> {
        let mut lines = self.lock();
        if self.waiting.load(Ordering::Relaxed) >= self.room {
            return None;
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // Whoever changes a server from here on knows that somebody waits; what was changed before is
        // seen here.
        fence(Ordering::SeqCst);
        self.waited.fetch_add(1, Ordering::Relaxed);
        // One that would refuse all servers would wait in vain.
        let is_open = |s: &Arc<Server>| s.takes_strangers() && !is_among(wish.tried, s);
        let tried = match !wish.tried.is_empty() && servers().iter().any(is_open) {
            true => wish.tried.to_vec(),
            false => Vec::new(),
        };
        let waiter = Arc::new(Waiter {
            client: wish.client.map(network),
            ticket: lines.number(),
            known: wish.known.filter(|known| known.takes_known()).cloned(),
            tried,
            state: Mutex::new(State::Waiting(None)),
        });
        if waiter.is_easy() {
            self.easy.fetch_add(1, Ordering::SeqCst);
        }
        lines.push(waiter.clone());
        Some(Place {
            queue: self,
            waiter,
        })
    }

    /// Gives room of `server` to whoever is next and takes it; whether somebody did.
    pub(super) fn offer(&self, server: &Arc<Server>) -> bool {
        if server.is_full() {
            return false;
        }
        let mut lines = self.lock();
        let Some(next) = lines.next(server) else {
            return false;
        };
        let Some(slot) = Slot::claim(server) else {
            return false;
        };
        let waiter = lines.take(next);
        if let Some(waiter) = &waiter {
            self.count_out(waiter);
        }
        // A slot that is dropped needs the lock.
        drop(lines);
        let found = waiter.is_some();
        if let Some(waiter) = waiter {
            waiter.settle(State::Granted(slot));
        }
        found
    }

    /// Sends away those who do not take any server: what they may choose from has changed.
    pub(super) fn release_choosy(&self) {
        let mut lines = self.lock();
        let choosy = lines.take_choosy();
        for waiter in &choosy {
            self.count_out(waiter);
        }
        drop(lines);
        for waiter in choosy {
            waiter.settle(State::Released);
        }
    }

    fn count_out(&self, waiter: &Waiter) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        if waiter.is_easy() {
            self.easy.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn number(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    fn push(&mut self, waiter: Arc<Waiter>) {
        let (client, ticket) = (waiter.client, waiter.ticket);
        let line = match self.of_client.entry(client) {
            Entry::Occupied(line) => line.into_mut(),
            Entry::Vacant(place) => {
                self.turns.insert(ticket, client);
                place.insert(Line {
                    turn: ticket,
                    waiters: BTreeMap::new(),
                })
            }
        };
        line.waiters.insert(ticket, waiter);
    }

    /// The client, and the ticket, of whoever is to have room of `server`.
    fn next(&self, server: &Arc<Server>) -> Option<(Option<IpAddr>, u64)> {
        self.turns.values().find_map(|client| {
            let line = self.of_client.get(client)?;
            let waiter = line.waiters.values().find(|waiter| waiter.takes(server))?;
            Some((*client, waiter.ticket))
        })
    }

    /// Takes one out; the client has had its turn.
    fn take(&mut self, (client, ticket): (Option<IpAddr>, u64)) -> Option<Arc<Waiter>> {
        let turn = self.number();
        let line = self.of_client.get_mut(&client)?;
        let waiter = line.waiters.remove(&ticket)?;
        self.turns.remove(&line.turn);
        line.turn = turn;
        match line.waiters.is_empty() {
            true => drop(self.of_client.remove(&client)),
            false => drop(self.turns.insert(turn, client)),
        }
        Some(waiter)
    }

    fn take_choosy(&mut self) -> Vec<Arc<Waiter>> {
        let mut taken = Vec::new();
        for line in self.of_client.values_mut() {
            let all = std::mem::take(&mut line.waiters).into_iter();
            let (easy, choosy) = all.partition(|(_, waiter)| waiter.is_easy());
            line.waiters = easy;
            taken.extend(BTreeMap::into_values(choosy));
        }
        self.of_client.retain(|_, line| !line.waiters.is_empty());
        let of_client = &self.of_client;
        self.turns
            .retain(|_, client| of_client.contains_key(client));
        taken
    }

    /// Whether it was there.
    fn remove(&mut self, waiter: &Waiter) -> bool {
        let Some(line) = self.of_client.get_mut(&waiter.client) else {
            return false;
        };
        let was_there = line.waiters.remove(&waiter.ticket).is_some();
        if line.waiters.is_empty() {
            self.turns.remove(&line.turn);
            self.of_client.remove(&waiter.client);
        }
        was_there
    }
}

impl Waiter {
    fn is_easy(&self) -> bool {
        self.known.is_none() && self.tried.is_empty()
    }

    fn takes(&self, server: &Arc<Server>) -> bool {
        match &self.known {
            Some(known) => Arc::ptr_eq(known, server) && server.takes_known(),
            None => !is_among(&self.tried, server) && server.takes_strangers(),
        }
    }

    /// Ends the wait. A slot that nobody waits for any more becomes free again.
    fn settle(&self, new: State) {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Over) {
            State::Waiting(waker) => {
                *state = new;
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            _ => {
                drop(state);
                drop(new);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Whether somebody else would be given any room before.
    pub(super) fn is_behind_others(&self) -> bool {
        let own = usize::from(self.waiter.is_easy());
        self.waiter.is_easy() && self.queue.easy.load(Ordering::SeqCst) > own
    }
}

impl Future for Place<'_> {
    type Output = Option<Slot>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Slot>> {
        let mut state = self.waiter.lock();
        match std::mem::replace(&mut *state, State::Over) {
            State::Waiting(_) => {
                *state = State::Waiting(Some(cx.waker().clone()));
                Poll::Pending
            }
            State::Granted(slot) => Poll::Ready(Some(slot)),
            State::Released | State::Over => Poll::Ready(None),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut *self.waiter.lock(), State::Over);
        if matches!(state, State::Waiting(_)) {
            let mut lines = self.queue.lock();
            if lines.remove(&self.waiter) {
                self.queue.count_out(&self.waiter);
            }
        }
        // A slot that was granted and not taken goes to the next.
        drop(state);
    }
}

fn is_among(servers: &[Arc<Server>], server: &Arc<Server>) -> bool {
    servers.iter().any(|known| Arc::ptr_eq(known, server))
}

/// Whom fairness regards as one: an IPv4 address, or the /64 of an IPv6 one.
fn network(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(_) => addr,
        IpAddr::V6(addr) => IpAddr::V6((addr.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests;
