//! Servers that run elsewhere: which one, over which connection, in which wire format.

pub mod connect;
pub mod endpoint;
pub mod pool;
pub mod request;
pub mod secure;
pub mod sessions;
pub mod wire;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quaich_config::model;

use crate::deadline::Deadlines;
use crate::error::Error;
use crate::link::UpstreamMaterial;
use crate::observe::counters::Counters;
use endpoint::{Endpoint, Found, Want};
use pool::{Pool, Shelf};
use secure::Secure;
use wire::Conn;

/// One group of servers, as one thread sees it.
pub struct Upstream {
    settings: model::Upstream,
    endpoints: Vec<Endpoint>,
    next: Cell<usize>,
    counters: Arc<Counters>,
}

/// The shelves of one upstream, one per server.
pub type Shelves = Arc<[Shelf]>;

/// What all threads share of one upstream.
#[derive(Clone, Debug)]
pub struct Common {
    shelves: Shelves,
    secure: Arc<Secure>,
}

impl Common {
    /// For `threads` threads.
    pub fn new(settings: &model::Upstream, material: &UpstreamMaterial, threads: usize) -> Self {
        let shelves = settings.servers.iter();
        Self {
            shelves: shelves
                .map(|_| Shelf::new(settings.keepalive, threads))
                .collect(),
            secure: Arc::new(Secure::new(settings, material)),
        }
    }

    /// New connections of every thread are made with these certificates.
    pub fn renew(&self, material: &UpstreamMaterial) {
        self.secure.renew(material);
    }
}

impl Upstream {
    /// An upstream for this thread.
    pub fn new(
        settings: &model::Upstream,
        common: &Common,
        deadlines: &Rc<Deadlines>,
        counters: &Arc<Counters>,
    ) -> Self {
        let endpoints = settings
            .servers
            .iter()
            .enumerate()
            .map(|(index, server)| {
                let pool = Pool::new(common.shelves.clone(), index, settings.keepalive_timeout);
                let secure = common.secure.clone();
                Endpoint::new(server, settings.h2, secure, pool, deadlines.clone())
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

    /// A connection to the server whose turn it is. Returns it with the index of its server.
    pub async fn connection(&self, want: Want) -> Result<(Conn, usize), (Error, usize)> {
        let index = self.next.get() % self.endpoints.len();
        self.next.set(index + 1);
        let Some(endpoint) = self.endpoints.get(index) else {
            return Err((Error::internal(), index));
        };
        let timeout = self.settings.connect_timeout;
        match endpoint.connection(want, timeout).await {
            Ok(Found { conn, kept: true }) => {
                self.counters.upstream_reuses.add();
                Ok((conn, index))
            }
            Ok(Found { conn, kept: false }) => {
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
