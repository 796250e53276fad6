//! What the connections of one front thread share. Nothing here is shared between threads but the
//! counters, which are atomic, and the configuration, which never changes.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use quaich_config::model;
use quaich_proto::h1::Limits;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::deadline::Deadlines;
use crate::forwarded::Trust;
use crate::generation::Generation;
use crate::observe::access_log::AccessLogger;
use crate::observe::counters::Counters;
use crate::tls::Terminator;

/// Bytes of one header field; 431 beyond. Two large cookies fit.
const MAX_FIELD: usize = 8 * 1024;

/// The context of a front thread.
pub struct Thread {
    /// `[server]`
    pub settings: Arc<model::Server>,
    /// The same limits in the codec's words.
    pub limits: Limits,
    /// The port of each listener; 0 = none.
    pub ports: Vec<u16>,
    /// `Server: ...` with its line end.
    pub server_line: Option<Vec<u8>>,
    /// Coarse time.
    pub clock: Rc<Clock>,
    /// Deadlines of all connections.
    pub deadlines: Rc<Deadlines>,
    /// Sites, routes, upstreams.
    pub generation: Rc<Generation>,
    /// Whose forwarding fields are believed.
    pub trust: Trust,
    /// TLS towards clients; `None` = no listener speaks it.
    pub tls: Option<Arc<Terminator>>,
    /// Lines of the access log; `None` = off.
    pub access_log: Option<AccessLogger>,
    /// Counted things, also read by other threads.
    pub counters: Arc<Counters>,
    /// Busy connections of this thread that keep their memory while they wait.
    pub warm: Cell<usize>,
    /// Connections that went to rest since memory was last given back.
    pub rested: Cell<usize>,
    /// Connections of this thread.
    pub connections: Cell<usize>,
    draining: Cell<bool>,
    drain: Notify,
    cut: Notify,
    empty: Notify,
}

/// What a thread is made of.
pub struct ThreadParts {
    /// `[server]`
    pub settings: Arc<model::Server>,
    /// The port of each listener; 0 = none.
    pub ports: Vec<u16>,
    /// Coarse time.
    pub clock: Rc<Clock>,
    /// Deadlines of all connections.
    pub deadlines: Rc<Deadlines>,
    /// Sites, routes, upstreams.
    pub generation: Rc<Generation>,
    /// TLS towards clients; `None` = no listener speaks it.
    pub tls: Option<Arc<Terminator>>,
    /// Lines of the access log; `None` = off.
    pub access_log: Option<AccessLogger>,
    /// Counted things.
    pub counters: Arc<Counters>,
}

impl Thread {
    /// Puts a thread's context together.
    pub fn new(parts: ThreadParts) -> Rc<Self> {
        let settings = parts.settings;
        Rc::new(Self {
            limits: Limits {
                max_uri: settings.max_uri,
                max_field: MAX_FIELD.min(settings.max_header),
                max_header: settings.max_header,
                max_headers: settings.max_headers,
            },
            server_line: settings
                .server_header
                .as_ref()
                .map(|name| format!("Server: {name}\r\n").into_bytes()),
            trust: Trust::new(&settings.trust),
            settings,
            ports: parts.ports,
            clock: parts.clock,
            deadlines: parts.deadlines,
            generation: parts.generation,
            tls: parts.tls,
            access_log: parts.access_log,
            counters: parts.counters,
            warm: Cell::new(0),
            rested: Cell::new(0),
            connections: Cell::new(0),
            draining: Cell::new(false),
            drain: Notify::new(),
            cut: Notify::new(),
            empty: Notify::new(),
        })
    }

    /// Accept nothing new, end each connection with its current response.
    pub fn start_drain(&self) {
        self.draining.set(true);
        self.drain.notify_waiters();
    }

    /// Whether the thread drains.
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// End what does not end by itself: connections that carry another protocol.
    pub fn start_cut(&self) {
        self.cut.notify_waiters();
    }

    /// Waits for the end of the time that a drain may take.
    pub async fn cut_started(&self) {
        self.cut.notified().await;
    }

    /// Told by each connection when it is gone.
    pub fn connection_closed(&self) {
        if self.is_draining() && self.connections.get() == 0 {
            self.empty.notify_one();
        }
    }

    /// Waits until no connection is left. To be called while draining.
    pub async fn emptied(&self) {
        while self.connections.get() > 0 {
            self.empty.notified().await;
        }
    }

    /// Waits until the thread drains.
    pub async fn drain_started(&self) {
        let notified = self.drain.notified();
        if !self.is_draining() {
            notified.await;
        }
    }
}
