//! Servers that run elsewhere: which one, over which connection, in which wire format.

pub mod connect;
pub mod endpoint;
pub mod pool;
pub mod wire;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quaich_config::model;

use crate::deadline::Deadlines;
use crate::error::Error;
use crate::observe::counters::Counters;
use endpoint::Endpoint;
use pool::{Pool, Shelf};
use wire::http1::Conn;

/// One group of servers, as one thread sees it.
pub struct Upstream {
    settings: model::Upstream,
    endpoints: Vec<Endpoint>,
    next: Cell<usize>,
    counters: Arc<Counters>,
}

/// The shelves of one upstream, one per server, shared by all threads.
pub type Shelves = Arc<[Shelf]>;

/// Makes the shared part of an upstream.
pub fn shelves(settings: &model::Upstream, threads: usize) -> Shelves {
    settings
        .servers
        .iter()
        .map(|_| Shelf::new(settings.keepalive, threads))
        .collect()
}

impl Upstream {
    /// An upstream for this thread.
    pub fn new(
        settings: &model::Upstream,
        shelves: &Shelves,
        deadlines: &Rc<Deadlines>,
        counters: &Arc<Counters>,
    ) -> Self {
        let endpoints = settings
            .servers
            .iter()
            .enumerate()
            .map(|(index, server)| {
                let pool = Pool::new(shelves.clone(), index, settings.keepalive_timeout);
                Endpoint::new(server, pool, deadlines.clone())
            })
            .collect();
        Self {
            settings: settings.clone(),
            endpoints,
            next: Cell::new(0),
            counters: counters.clone(),
        }
    }

    /// The longest wait for a byte of an answer.
    pub fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// Attempts after the first.
    pub fn retries(&self) -> u32 {
        self.settings.retries
    }

    /// Servers in the group.
    pub fn size(&self) -> usize {
        self.endpoints.len()
    }

    /// A connection to the server whose turn it is: a kept one unless `fresh`, else a new one.
    /// Returns it with the index of its server.
    pub async fn connection(&self, fresh: bool) -> Result<(Conn, usize), (Error, usize)> {
        let index = self.next.get() % self.endpoints.len();
        self.next.set(index + 1);
        let Some(endpoint) = self.endpoints.get(index) else {
            return Err((Error::internal(), index));
        };
        if !fresh && let Some(conn) = endpoint.kept() {
            self.counters.upstream_reuses.add();
            return Ok((conn, index));
        }
        match endpoint.connect(self.settings.connect_timeout).await {
            Ok(conn) => {
                self.counters.upstream_connects.add();
                Ok((conn, index))
            }
            Err(error) => Err((error, index)),
        }
    }

    /// Name of a server, for logs.
    pub fn server_name(&self, index: usize) -> &str {
        self.endpoints
            .get(index)
            .map_or("", |endpoint| endpoint.name())
    }

    /// Keeps a connection whose last exchange ended exactly.
    pub fn keep(&self, conn: Conn, index: usize) {
        if let Some(endpoint) = self.endpoints.get(index) {
            endpoint.keep(conn);
        }
    }

    /// Closes connections that were idle for too long. Called now and then.
    pub fn reap(&self) {
        for endpoint in &self.endpoints {
            endpoint.reap();
        }
    }
}
