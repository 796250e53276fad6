//! What all threads share of one upstream: its servers, and whose turn it is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use quaich_config::model::{self, Discover, UpstreamServer};
use tokio::sync::Notify;

use super::health;
use super::secure::Secure;
use super::server::Server;
use super::sites::Sites;
use crate::error::{Error, Kind};
use crate::link::{Order, UpstreamMaterial};

/// One upstream, as all threads see it.
#[derive(Debug)]
pub struct Group {
    settings: model::Upstream,
    secure: Arc<Secure>,
    threads: usize,
    servers: RwLock<Arc<[Arc<Server>]>>,
    /// Counts the changes of what can be chosen.
    version: AtomicU64,
    turn: AtomicUsize,
    /// Groups by key, where servers announce themselves under the host of a request.
    sites: Option<Sites>,
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
    /// Equal ones go to equal servers, where the upstream balances so.
    pub hash: u64,
    /// Servers that have failed it already.
    pub tried: &'w [Arc<Server>],
}

/// A server's time for one exchange: counted as running until it is dropped.
#[derive(Debug)]
pub struct Slot {
    server: Arc<Server>,
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
        let group = Self {
            secure,
            threads,
            servers: RwLock::new(Arc::new([])),
            version: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
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
        let mut places: Vec<usize> = old.iter().map(|server| server.place()).collect();
        let mut free = (0..).filter(|place| !old.iter().any(|s| s.place() == *place));
        let new = settings.iter().map(|settings| {
            if let Some(same) = old.iter().find(|server| server.is(settings)) {
                same.give_weight(settings.weight);
                return same.clone();
            }
            let place = free.next().unwrap_or(places.len());
            places.push(place);
            let server = Server::new(settings.clone(), &self.settings, place, self.threads);
            if let Some(order) = orders.get(server.name()) {
                server.obey(order);
            }
            Arc::new(server)
        });
        *servers = new.collect();
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

    /// Health, mode or weight of a server have changed: whoever chooses looks anew.
    pub fn changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Grows with every change of what can be chosen.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Chooses a server for a request.
    pub fn choose(&self, wish: &Wish<'_>) -> Result<Slot, Error> {
        if let Some(known) = wish.known.filter(|server| server.takes_known()) {
            return Ok(Slot::new(known.clone()));
        }
        let servers = self.servers();
        let untried = |server: &&Arc<Server>| !wish.tried.iter().any(|t| Arc::ptr_eq(t, server));
        let able: Vec<_> = servers.iter().filter(|server| server.takes_new()).collect();
        let fresh: Vec<_> = able.iter().copied().filter(untried).collect();
        let among = if fresh.is_empty() { able } else { fresh };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        match among.get(turn % among.len().max(1)) {
            Some(server) => Ok(Slot::new(Arc::clone(server))),
            None => Err(Error::upstream(Kind::NoServer)),
        }
    }

    /// Tells how an exchange with a server went.
    pub fn report(&self, server: &Server, outcome: Outcome) {
        if !matches!(outcome, Outcome::Answered(_)) {
            server.note_failure();
        }
        health::learn(self, server, outcome);
    }
}

impl Slot {
    fn new(server: Arc<Server>) -> Self {
        server.begin();
        Self { server }
    }

    /// Whose it is.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.server.end();
    }
}
