//! Servers that run elsewhere: which one, over which connection, in which wire format.
//!
//! What all threads share of an upstream is its [`group::Group`]; each thread has an [`Upstream`]
//! over it, with connections of its own.

pub mod addresses;
pub mod connect;
pub mod endpoint;
pub mod group;
pub mod health;
pub mod pool;
pub mod request;
pub mod secure;
pub mod server;
pub mod sessions;
pub mod sticky;
pub mod wire;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::deadline::Deadlines;
use crate::error::Error;
use crate::observe::counters::Counters;
use endpoint::{Endpoint, Found, Want};
use group::{Group, Outcome, Slot, Wish};
use server::Server;
use sticky::Sticky;
use wire::Conn;

/// One group of servers, as one thread sees it.
pub struct Upstream {
    group: Arc<Group>,
    /// By `Server::place`.
    endpoints: RefCell<Vec<Option<Rc<Endpoint>>>>,
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
            endpoints: RefCell::default(),
            deadlines: deadlines.clone(),
            counters: counters.clone(),
        }
    }

    /// What all threads share of it.
    pub fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// How clients stay with their servers, if they are to.
    pub fn sticky(&self) -> Option<&Sticky> {
        self.sticky.as_ref()
    }

    /// The longest wait for a byte of an answer.
    pub fn timeout(&self) -> Duration {
        self.group.settings().timeout
    }

    /// Attempts after the first.
    pub fn retries(&self) -> u32 {
        self.group.settings().retries
    }

    /// A connection to the server that is chosen for `wish`.
    pub async fn link(&self, want: Want, wish: &Wish<'_>) -> Result<Link, Unreachable> {
        let slot = self.group.choose(wish).map_err(|error| Unreachable {
            error,
            server: None,
        })?;
        let endpoint = self.endpoint(slot.server());
        let timeout = self.group.settings().connect_timeout;
        match endpoint.connection(want, timeout).await {
            Ok(Found { conn, kept }) => {
                match kept {
                    true => self.counters.upstream_reuses.add(),
                    false => self.counters.upstream_connects.add(),
                }
                Ok(Link { conn, slot })
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

    /// Keeps a connection whose last exchange ended exactly.
    pub fn keep(&self, link: Link) {
        let Link { conn, slot } = link;
        self.endpoint(slot.server()).keep(conn);
    }

    /// Closes connections that were idle for too long, and those to servers that are gone. Called
    /// now and then.
    pub fn reap(&self) {
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
