//! Servers that run elsewhere: which one, over which connection, in which wire format.
//!
//! What all threads share of an upstream is its [`group::Group`]; each thread has an [`Upstream`]
//! over it, with connections of its own.

pub mod addresses;
pub mod announce;
pub mod balance;
pub mod budget;
pub mod connect;
pub mod endpoint;
mod fleet;
pub mod group;
pub mod hash;
pub mod health;
mod open;
pub mod pool;
pub mod queue;
mod race;
pub mod request;
pub mod secure;
pub mod server;
pub mod sessions;
pub mod sites;
mod slot;
pub mod sticky;
#[cfg(test)]
mod tests;
pub mod wire;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quaich_config::model::{self, SendProxy};

use crate::deadline::Deadlines;
use crate::error::{Error, Kind};
use crate::observe::counters::Counters;
use crate::stream::Stream;
use announce::Ends;
use balance::plan::{Denied, Plan};
use endpoint::{Endpoint, Found, Want};
use group::{Group, Outcome, Slot, Wish};
use queue::Place;
use server::Server;
use sites::ByKey;
use sticky::Sticky;
use wire::Conn;

/// One group of servers, as one thread sees it.
pub struct Upstream {
    group: Arc<Group>,
    /// What can be chosen, as far as this thread knows.
    plan: RefCell<Arc<Plan>>,
    /// By `Server::place`.
    endpoints: RefCell<Vec<Option<Rc<Endpoint>>>>,
    /// As `Group::sites`, and which version of it.
    sites: RefCell<(u64, ByKey<Rc<Upstream>>)>,
    secret: Box<[u8]>,
    sticky: Option<Sticky>,
    deadlines: Rc<Deadlines>,
    counters: Arc<Counters>,
}

/// A connection to a chosen server, for one exchange.
pub struct Link {
    /// The connection.
    pub conn: Conn,
    /// The server's time.
    pub slot: Slot,
    /// The connection was there already.
    pub kept: bool,
}

/// A server that was chosen and cannot be reached.
pub struct Unreachable {
    /// Why.
    pub error: Error,
    /// Which; `None` = there is none to choose from.
    pub server: Option<Arc<Server>>,
}

impl Upstream {
    /// An upstream for this thread. Sticky cookies are signed with `secret`.
    pub fn new(
        group: &Arc<Group>,
        secret: &[u8],
        deadlines: &Rc<Deadlines>,
        counters: &Arc<Counters>,
    ) -> Self {
        Self {
            group: group.clone(),
            sticky: Sticky::new(group.settings(), secret),
            plan: RefCell::new(group.plan()),
            endpoints: RefCell::default(),
            sites: RefCell::default(),
            secret: secret.into(),
            deadlines: deadlines.clone(),
            counters: counters.clone(),
        }
    }

    /// What all threads share of it.
    pub fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// The upstream of the servers that have announced themselves for a request, if it is to be given
    /// to those.
    pub fn for_request(&self, authority: &[u8], path: &[u8]) -> Option<Rc<Upstream>> {
        let version = self.group.sites()?.version();
        if self.sites.borrow().0 != version {
            self.copy_sites(version);
        }
        sites::find(&self.sites.borrow().1, authority, path).cloned()
    }

    /// Makes an upstream of this thread for each group, and keeps those that are there.
    fn copy_sites(&self, version: u64) {
        let groups = self.group.sites().map(sites::Sites::groups);
        let (known_version, known) = &mut *self.sites.borrow_mut();
        let groups = groups.unwrap_or_default();
        known.retain(|key, upstream| {
            let group = groups.get(key);
            group.is_some_and(|group| Arc::ptr_eq(group, &upstream.group))
        });
        for (key, group) in groups.iter() {
            known.entry(key.clone()).or_insert_with(|| {
                Rc::new(Self::new(
                    group,
                    &self.secret,
                    &self.deadlines,
                    &self.counters,
                ))
            });
        }
        *known_version = version;
    }

    /// How clients stay with their servers, if they are to.
    pub fn sticky(&self) -> Option<&Sticky> {
        self.sticky.as_ref()
    }

    /// `[upstream.NAME]`
    pub fn settings(&self) -> &model::Upstream {
        self.group.settings()
    }

    /// The longest wait for a byte of an answer.
    pub fn timeout(&self) -> Duration {
        self.group.settings().timeout
    }

    /// The time of the server that is chosen for `wish`; `None` when it has to be waited for.
    pub fn slot(&self, wish: &Wish<'_>) -> Result<Option<Slot>, Error> {
        let queue = self.group.queue();
        if queue.would_overtake(wish) {
            return Ok(None);
        }
        self.choose(wish)
    }

    /// Whether servers are told who the client of a connection is.
    pub fn send_proxy(&self) -> SendProxy {
        self.group.settings().send_proxy
    }

    /// A new connection to the server that is chosen for `wish`, for the bytes of a client. `client` is
    /// whose, if the server wants to know.
    pub async fn dial(
        &self,
        client: Option<Ends>,
        wish: &Wish<'_>,
    ) -> Result<(Stream, Slot), Unreachable> {
        let slot = self.place(wish).await?;
        let timeout = self.group.settings().connect_timeout;
        match self.endpoint(slot.server()).dial(client, timeout).await {
            Ok(stream) => {
                self.counters.upstream_connects.add();
                Ok((stream, slot))
            }
            Err(error) => {
                self.group.report(slot.server(), Outcome::Unreachable);
                Err(Unreachable {
                    error,
                    server: Some(slot.server().clone()),
                })
            }
        }
    }

    fn choose(&self, wish: &Wish<'_>) -> Result<Option<Slot>, Error> {
        let mut plan = self.plan.borrow_mut();
        if plan.version() != self.group.version() {
            *plan = self.group.plan();
        }
        match plan.choose(wish) {
            Ok(slot) => Ok(Some(slot)),
            Err(Denied::Full) => Ok(None),
            Err(Denied::Nobody) => Err(Error::upstream(Kind::NoServer)),
        }
    }

    /// Waits for the time of a server: until one has room, or `queue_timeout`.
    pub async fn wait(&self, wish: &Wish<'_>) -> Result<Slot, Error> {
        let deadline = self.deadlines.register();
        deadline.set(self.group.settings().queue_timeout);
        let waited = deadline.guard(self.wait_on(wish)).await;
        let waited = waited.unwrap_or(Err(Error::upstream(Kind::QueueTimeout)));
        match waited.as_ref().map_err(|error| error.kind) {
            Err(Kind::QueueFull) => self.counters.upstream_queue_full.add(),
            Err(Kind::QueueTimeout) => self.counters.upstream_queue_timeouts.add(),
            _ => {}
        }
        waited
    }

    async fn wait_on(&self, wish: &Wish<'_>) -> Result<Slot, Error> {
        let mut is_first = true;
        loop {
            let place = self.group.enter(wish);
            let place = place.ok_or(Error::upstream(Kind::QueueFull))?;
            if std::mem::take(&mut is_first) {
                self.counters.upstream_queued.add();
            }
            if let Some(slot) = self.look_again(&place, wish)? {
                return Ok(slot);
            }
            if let Some(slot) = place.await {
                return Ok(slot);
            }
            if let Some(slot) = self.choose(wish)? {
                return Ok(slot);
            }
        }
    }

    /// Room may have become free before the queue knew of this request.
    fn look_again(&self, place: &Place<'_>, wish: &Wish<'_>) -> Result<Option<Slot>, Error> {
        if place.is_behind_others() {
            // Those before it look for themselves alone, or not at all if they found this one there.
            self.group.give_room();
            return Ok(None);
        }
        self.choose(wish)
    }

    /// A connection to the server of `slot`.
    pub async fn connect(&self, slot: Slot, want: Want) -> Result<Link, Unreachable> {
        let endpoint = self.endpoint(slot.server());
        let timeout = self.group.settings().connect_timeout;
        match endpoint.connection(want, timeout).await {
            Ok(Found { conn, kept }) => {
                match kept {
                    true => self.counters.upstream_reuses.add(),
                    false => self.counters.upstream_connects.add(),
                }
                Ok(Link { conn, slot, kept })
            }
            Err(error) => {
                self.group.report(slot.server(), Outcome::Unreachable);
                Err(Unreachable {
                    error,
                    server: Some(slot.server().clone()),
                })
            }
        }
    }

    /// A connection to the server that is chosen for `wish`, whoever has to be waited for.
    pub async fn link(&self, want: Want, wish: &Wish<'_>) -> Result<Link, Unreachable> {
        let slot = self.place(wish).await?;
        self.connect(slot, want).await
    }

    /// The time of the server that is chosen for `wish`, also if it has to be waited for.
    async fn place(&self, wish: &Wish<'_>) -> Result<Slot, Unreachable> {
        let slot = match self.slot(wish) {
            Ok(None) => Box::pin(self.wait(wish)).await,
            Ok(Some(slot)) => Ok(slot),
            Err(error) => Err(error),
        };
        slot.map_err(|error| Unreachable {
            error,
            server: None,
        })
    }

    /// Keeps a connection whose last exchange ended exactly.
    pub fn keep(&self, link: Link) {
        let Link { conn, slot, .. } = link;
        let endpoints = self.endpoints.borrow();
        // A server that is gone may have left its place to another one.
        if let Some(Some(endpoint)) = endpoints.get(slot.server().place())
            && Arc::ptr_eq(endpoint.server(), slot.server())
        {
            endpoint.keep(conn);
        }
    }

    /// Whether a request may be sent again, as far as `retry_budget` goes.
    pub fn may_retry(&self) -> bool {
        let may = self.group.may_retry(self.deadlines.now());
        if !may {
            self.counters.upstream_retries_refused.add();
        }
        may
    }

    /// Whether there is a server for a request beside those that it has tried.
    pub fn has_other(&self, tried: &[Arc<Server>], this: &Arc<Server>) -> bool {
        let is_other = |server: &Arc<Server>| {
            !Arc::ptr_eq(server, this) && !tried.iter().any(|tried| Arc::ptr_eq(tried, server))
        };
        let servers = self.group.servers();
        servers.iter().any(|s| s.takes_strangers() && is_other(s))
    }

    /// Closes connections that were idle for too long, and those to servers that are gone. Called
    /// about once a second.
    pub fn reap(&self) {
        let sites = &self.sites.borrow().1;
        sites.values().for_each(|upstream| upstream.reap());
        self.group.note_requests(self.deadlines.now());
        let servers = self.group.servers();
        for known in self.endpoints.borrow_mut().iter_mut() {
            let Some(endpoint) = known else { continue };
            match servers.iter().any(|s| Arc::ptr_eq(s, endpoint.server())) {
                true => endpoint.reap(),
                false => *known = None,
            }
        }
    }

    /// This thread's side of a server; made when it is first needed.
    fn endpoint(&self, server: &Arc<Server>) -> Rc<Endpoint> {
        let place = server.place();
        let mut endpoints = self.endpoints.borrow_mut();
        if let Some(Some(known)) = endpoints.get(place)
            && Arc::ptr_eq(known.server(), server)
        {
            return known.clone();
        }
        if endpoints.len() <= place {
            endpoints.resize_with(place + 1, || None);
        }
        let endpoint = Rc::new(Endpoint::new(server.clone(), &self.group, &self.deadlines));
        if let Some(known) = endpoints.get_mut(place) {
            *known = Some(endpoint.clone());
        }
        endpoint
    }
}
