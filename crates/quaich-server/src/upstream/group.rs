//! What all threads share of one upstream: its servers, and what can be chosen now.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use quaich_config::model::{self, Discover, UpstreamServer};
use tokio::sync::Notify;

use super::balance::plan::{Denied, Plan};
use super::budget::Budget;
use super::fleet::Fleet;
use super::health;
use super::queue::{Place, Queue};
use super::secure::Secure;
use super::server::Server;
use super::sites::Sites;
pub use super::slot::Slot;
use crate::clock::{Millis, precise_micros};
use crate::error::{Error, Kind};
use crate::link::{Order, UpstreamMaterial};

/// Between two looks at servers that start slowly.
const GROW_STEP: Duration = Duration::from_millis(100);
const MOST_GROW_STEP: Duration = Duration::from_secs(5);

/// One upstream, as all threads see it.
#[derive(Debug)]
pub struct Group {
    settings: model::Upstream,
    secure: Arc<Secure>,
    threads: usize,
    servers: RwLock<Arc<[Arc<Server>]>>,
    /// Counts the changes of what can be chosen.
    version: AtomicU64,
    /// Groups by key, where servers announce themselves under the host of a request.
    sites: Option<Sites>,
    plan: Mutex<Arc<Plan>>,
    /// Held by whoever works out a plan.
    planning: Mutex<()>,
    fleet: Arc<Fleet>,
    budget: Budget,
    /// Rung when the servers are others than before.
    replaced: Notify,
    /// Held by whoever takes a server out.
    turn_out: Mutex<()>,
    /// What the operator has said of servers, by name; also of those that may come.
    orders: Mutex<HashMap<String, Order>>,
}

/// What is known of a request before a server is chosen for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'w> {
    /// The server that its client belongs to.
    pub known: Option<&'w Arc<Server>>,
    /// Equal ones go to equal servers, where the upstream balances so; `None` = to any.
    pub hash: Option<u64>,
    /// Who asks: clients take turns where requests have to wait.
    pub client: Option<IpAddr>,
    /// Servers that have failed it already.
    pub tried: &'w [Arc<Server>],
}

/// How an exchange went, as far as the health of the server is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered with this status.
    Answered(u16),
    /// It could not be connected to.
    Unreachable,
    /// It broke off, was late or broke the protocol.
    Failed,
}

impl Group {
    /// The servers of the configuration, for `threads` threads.
    pub fn new(settings: &model::Upstream, material: &UpstreamMaterial, threads: usize) -> Self {
        let secure = Arc::new(Secure::new(settings, material));
        Self::with_settings(settings.clone(), secure, threads)
    }

    fn with_settings(settings: model::Upstream, secure: Arc<Secure>, threads: usize) -> Self {
        let by_host = matches!(settings.discover, Some(Discover::Subscribe { key: None }));
        let fleet = Arc::new(Fleet::new(&settings));
        let group = Self {
            secure,
            threads,
            servers: RwLock::new(Arc::new([])),
            version: AtomicU64::new(0),
            plan: Mutex::new(Arc::new(Plan::empty(&fleet))),
            planning: Mutex::default(),
            fleet,
            budget: Budget::new(settings.retry_budget),
            replaced: Notify::new(),
            turn_out: Mutex::default(),
            orders: Mutex::default(),
            sites: by_host.then(Sites::default),
            settings,
        };
        group.replace(&group.settings.servers);
        group
    }

    /// A group like this one for the servers of one key.
    pub fn for_key(&self, key: &str, balance: Option<model::Balance>) -> Self {
        let mut settings = self.settings.clone();
        settings.name = format!("{}/{key}", self.settings.name);
        settings.servers.clear();
        settings.discover = Some(Discover::Subscribe {
            key: Some(key.to_owned()),
        });
        settings.balance = balance.unwrap_or(settings.balance);
        Self::with_settings(settings, self.secure.clone(), self.threads)
    }

    /// The groups of keys, if a request is to be given to the one of its host.
    pub fn sites(&self) -> Option<&Sites> {
        self.sites.as_ref()
    }

    /// `[upstream.NAME]`
    pub fn settings(&self) -> &model::Upstream {
        &self.settings
    }

    /// TLS to the servers.
    pub fn secure(&self) -> &Arc<Secure> {
        &self.secure
    }

    /// The servers of now.
    pub fn servers(&self) -> Arc<[Arc<Server>]> {
        let servers = self.servers.read();
        servers.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// These are the servers from now on, beside those of the configuration. No two of them have
    /// the same name.
    pub fn found(&self, servers: Vec<UpstreamServer>) {
        let own = &self.settings.servers;
        let others = servers
            .into_iter()
            .filter(|s| own.iter().all(|known| known.id != s.id));
        let all: Vec<_> = own.iter().cloned().chain(others).collect();
        self.replace(&all);
    }

    /// These are the servers from now on. One that was there before, equal in all but its weight,
    /// stays as it is: health, mode, connections. Requests on those that are gone end undisturbed.
    pub fn replace(&self, settings: &[UpstreamServer]) {
        let mut servers = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let old = servers.clone();
        let is_first = old.is_empty();
        let mut free = (0..).filter(|place| !old.iter().any(|s| s.place() == *place));
        let new = settings.iter().map(|settings| {
            if let Some(same) = old.iter().find(|server| server.is(settings)) {
                same.give_weight(settings.weight);
                return same.clone();
            }
            let place = free.next().unwrap_or(old.len());
            let shared = (self.threads, &self.fleet);
            let server = Server::new(settings.clone(), &self.settings, place, shared);
            if let Some(order) = orders.get(server.name()) {
                server.obey(order);
            }
            if !is_first {
                server.start_slowly();
            }
            Arc::new(server)
        });
        *servers = new.collect();
        let stay: HashSet<_> = servers.iter().map(Arc::as_ptr).collect();
        let gone = old.iter().filter(|s| !stay.contains(&Arc::as_ptr(s)));
        gone.for_each(|server| server.retire());
        drop((servers, orders));
        self.changed();
        self.replaced.notify_one();
    }

    /// Rung when the servers are others than before; for one listener.
    pub(super) fn replaced(&self) -> &Notify {
        &self.replaced
    }

    /// To be held by whoever takes a server out because of what requests tell.
    pub(super) fn turn_out(&self) -> &Mutex<()> {
        &self.turn_out
    }

    /// Does what the operator says of the server called `name`, now and whenever there is one of
    /// that name. Whether anything is different now.
    pub fn order(&self, name: &str, order: Order) -> bool {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.entry(name.to_owned()).or_default().add(order);
        drop(orders);
        let servers = self.servers();
        let named = servers.iter().filter(|server| server.name() == name);
        let news = named.fold(false, |news, server| server.obey(&order) | news);
        if news {
            self.changed();
            health::relieve(self);
        }
        news
    }

    /// Health, mode or weight of a server have changed: whoever chooses looks anew, and whoever waits
    /// may have somewhere to go.
    pub fn changed(&self) {
        self.make_plan();
        // Whoever begins to wait from here on sees the change; see `Queue::enter`.
        fence(Ordering::SeqCst);
        let queue = &self.fleet.queue;
        if queue.is_waited_in() {
            queue.release_choosy();
            self.give_room();
        }
    }

    /// Works out what can be chosen now: here, so that no thread that has requests waits for it.
    fn make_plan(&self) {
        let planning = self.planning.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.version() + 1;
        let balance = &self.settings.balance;
        let plan = Arc::new(self.plan().next(version, self.servers(), balance));
        let old = std::mem::replace(&mut *self.lock_plan(), plan);
        self.version.store(version, Ordering::Release);
        drop(planning);
        // It may be large.
        drop(old);
    }

    fn lock_plan(&self) -> MutexGuard<'_, Arc<Plan>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives all room that there is to those who wait.
    pub(super) fn give_room(&self) {
        for server in self.servers().iter() {
            while self.fleet.queue.offer(server) {}
        }
    }

    /// Takes a place among those who wait for room; `None` when the queue is full.
    pub(super) fn enter(&self, wish: &Wish<'_>) -> Option<Place<'_>> {
        self.fleet.queue.enter(wish, || self.servers())
    }

    /// Grows with every change of what can be chosen.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// What can be chosen now. Good until there is another [`version`](Self::version).
    pub fn plan(&self) -> Arc<Plan> {
        self.lock_plan().clone()
    }

    /// Chooses a server for a request, without waiting for room. Threads that do so for every request
    /// keep the plan.
    pub fn choose(&self, wish: &Wish<'_>) -> Result<Slot, Error> {
        self.plan().choose(wish).map_err(|denied| {
            Error::upstream(match denied {
                Denied::Full => Kind::QueueFull,
                Denied::Nobody => Kind::NoServer,
            })
        })
    }

    /// Takes one retry out of `retry_budget`; false if there is none left.
    pub fn may_retry(&self, now: Millis) -> bool {
        self.budget.take(now, || self.requests())
    }

    /// Notes how many requests there were. Called about once a second.
    pub fn note_requests(&self, now: Millis) {
        self.budget.mark(now, || self.requests());
    }

    fn requests(&self) -> u64 {
        self.servers().iter().map(|server| server.served()).sum()
    }

    /// Requests that wait for room.
    pub fn queue(&self) -> &Queue {
        &self.fleet.queue
    }

    /// Gives servers that start slowly the share that is due to them, for as long as the upstream
    /// lasts. Ends at once where none does.
    pub async fn grow_shares(&self) {
        let whole = self.settings.slow_start;
        if whole.is_zero() {
            return;
        }
        loop {
            self.fleet.ramping.notified().await;
            while self.grow_once() {
                tokio::time::sleep((whole / 50).clamp(GROW_STEP, MOST_GROW_STEP)).await;
            }
        }
    }

    fn grow_once(&self) -> bool {
        let now = precise_micros();
        let servers = self.servers();
        let growing = servers.iter().filter(|server| server.grow(now)).count();
        if growing > 0 {
            self.changed();
        }
        growing > 0
    }

    /// Tells how an exchange with a server went.
    pub fn report(&self, server: &Server, outcome: Outcome) {
        if !matches!(outcome, Outcome::Answered(_)) {
            server.note_failure();
        }
        health::learn(self, server, outcome);
    }
}
