//! Requests that wait until a server has room (`max_conns`): one queue per upstream over all threads.
//!
//! Clients take turns, and the requests of one client go in their order, so that one who asks a
//! thousand times holds back only itself. A slot that becomes free goes to exactly one waiter.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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

/// Who is next.
#[derive(Debug, Default)]
struct Lines {
    of_client: HashMap<Option<IpAddr>, VecDeque<Arc<Waiter>>>,
    /// Clients that have somebody waiting, the next one first.
    turns: VecDeque<Option<IpAddr>>,
}

/// One request that waits.
#[derive(Debug)]
struct Waiter {
    client: Option<IpAddr>,
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
    pub(super) fn is_before(&self, wish: &Wish<'_>) -> bool {
        self.easy.load(Ordering::Relaxed) > 0 && wish.known.is_none() && wish.tried.is_empty()
    }

    /// Takes a place at the end of the client's line; `None` when the queue is full. Whoever has one
    /// looks once more whether there is room: it may have become free before.
    pub(super) fn enter(&self, wish: &Wish<'_>) -> Option<Place<'_>> {
        let waiter = Arc::new(Waiter {
            client: wish.client.map(network),
            known: wish.known.filter(|known| known.takes_known()).cloned(),
            tried: wish.tried.to_vec(),
            state: Mutex::new(State::Waiting(None)),
        });
        let mut lines = self.lock();
        if self.waiting.load(Ordering::Relaxed) >= self.room {
            return None;
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.waited.fetch_add(1, Ordering::Relaxed);
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
        let mut lines = self.lock();
        let Some(waiter) = lines.take_next(server) else {
            return false;
        };
        let Some(slot) = Slot::claim(server) else {
            lines.give_back(waiter);
            return false;
        };
        self.count_out(&waiter);
        drop(lines);
        waiter.settle(State::Granted(slot));
        true
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
    fn push(&mut self, waiter: Arc<Waiter>) {
        let client = waiter.client;
        let line = self.of_client.entry(client).or_default();
        if line.is_empty() {
            self.turns.push_back(client);
        }
        line.push_back(waiter);
    }

    /// The opposite of `take_next`.
    fn give_back(&mut self, waiter: Arc<Waiter>) {
        let client = waiter.client;
        self.of_client.entry(client).or_default().push_front(waiter);
        self.turns.retain(|known| *known != client);
        self.turns.push_front(client);
    }

    fn take_next(&mut self, server: &Arc<Server>) -> Option<Arc<Waiter>> {
        let find = |(turn, client): (usize, &Option<IpAddr>)| {
            let line = self.of_client.get(client)?;
            let at = line.iter().position(|waiter| waiter.takes(server))?;
            Some((turn, at))
        };
        let (turn, at) = self.turns.iter().enumerate().find_map(find)?;
        let client = self.turns.remove(turn)?;
        let line = self.of_client.get_mut(&client)?;
        let waiter = line.remove(at);
        match line.is_empty() {
            true => drop(self.of_client.remove(&client)),
            false => self.turns.push_back(client),
        }
        waiter
    }

    fn take_choosy(&mut self) -> Vec<Arc<Waiter>> {
        let mut taken = Vec::new();
        for line in self.of_client.values_mut() {
            let (easy, choosy) = line.drain(..).partition(|waiter| waiter.is_easy());
            *line = easy;
            taken.extend::<VecDeque<_>>(choosy);
        }
        self.forget_empty();
        taken
    }

    /// Whether it was there.
    fn remove(&mut self, waiter: &Arc<Waiter>) -> bool {
        let Some(line) = self.of_client.get_mut(&waiter.client) else {
            return false;
        };
        let before = line.len();
        line.retain(|known| !Arc::ptr_eq(known, waiter));
        let was_there = line.len() < before;
        if line.is_empty() {
            self.of_client.remove(&waiter.client);
            self.turns.retain(|client| *client != waiter.client);
        }
        was_there
    }

    fn forget_empty(&mut self) {
        self.of_client.retain(|_, line| !line.is_empty());
        let of_client = &self.of_client;
        self.turns.retain(|client| of_client.contains_key(client));
    }
}

impl Waiter {
    fn is_easy(&self) -> bool {
        self.known.is_none() && self.tried.is_empty()
    }

    fn takes(&self, server: &Arc<Server>) -> bool {
        match &self.known {
            Some(known) => Arc::ptr_eq(known, server) && server.takes_known(),
            None => {
                let is_tried = self.tried.iter().any(|tried| Arc::ptr_eq(tried, server));
                !is_tried && server.takes_strangers()
            }
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

/// Whom fairness regards as one: an IPv4 address, or the /64 of an IPv6 one.
fn network(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(_) => addr,
        IpAddr::V6(addr) => IpAddr::V6((addr.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use quaich_config::model::Balance;

    use super::*;
    use crate::upstream::balance::samples;
    use crate::upstream::group::Group;

    /// Two servers with room for one request each.
    fn group() -> Arc<Group> {
        samples::group(Balance::RoundRobin, &[1, 1], |_, server| {
            server.max_conns = 1;
        })
    }

    fn poll(place: &mut Place<'_>) -> Option<Option<Slot>> {
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(place).poll(&mut cx) {
            Poll::Ready(slot) => Some(slot),
            Poll::Pending => None,
        }
    }

    fn from(client: u8) -> Wish<'static> {
        Wish {
            client: Some([10, 0, 0, client].into()),
            ..Wish::default()
        }
    }

    #[test]
    fn room_goes_to_the_next_one_that_takes_the_server() {
        let group = group();
        let (first, second) = (
            group.choose(&from(1)).unwrap(),
            group.choose(&from(1)).unwrap(),
        );
        let known = second.server().clone();
        let choosy = Wish {
            known: Some(&known),
            ..from(1)
        };
        let queue = group.queue();
        let mut choosy = queue.enter(&choosy).unwrap();
        let mut easy = queue.enter(&from(2)).unwrap();
        assert!(poll(&mut choosy).is_none() && poll(&mut easy).is_none());
        assert_eq!(queue.length(), 2);
        // It belongs to the other one.
        drop(first);
        let got = poll(&mut easy).flatten().expect("room");
        assert!(poll(&mut choosy).is_none());
        drop(got);
        assert!(poll(&mut choosy).is_none());
        drop(second);
        let got = poll(&mut choosy).flatten().expect("room");
        assert!(Arc::ptr_eq(got.server(), &known));
        assert_eq!(queue.length(), 0);
    }

    #[test]
    fn room_that_nobody_takes_any_more_goes_to_the_next() {
        let group = group();
        let held = [from(1), from(1)].map(|wish| group.choose(&wish).unwrap());
        let queue = group.queue();
        let granted = queue.enter(&from(2)).unwrap();
        let mut next = queue.enter(&from(3)).unwrap();
        let left = queue.enter(&from(2)).unwrap();
        drop(left);
        assert_eq!(queue.length(), 2);
        let [one, other] = held;
        drop(one);
        assert_eq!(queue.length(), 1);
        drop(granted);
        assert!(poll(&mut next).flatten().is_some());
        drop(other);
        assert_eq!(queue.length(), 0);
    }

    #[test]
    fn who_waits_for_a_server_that_goes_chooses_anew() {
        let group = group();
        let held = group.choose(&from(1)).unwrap();
        let wish = Wish {
            known: Some(held.server()),
            ..from(1)
        };
        let queue = group.queue();
        let mut place = queue.enter(&wish).unwrap();
        assert!(poll(&mut place).is_none());
        group.changed();
        assert!(matches!(poll(&mut place), Some(None)));
    }
}
