//! The value that travels: one request, its response and what is noted about both.
//!
//! It knows no route, no filter, no socket. One is lent to each busy connection and used again for
//! its next request, so that its memory is warm.

pub mod captures;
pub mod identity;
mod shelf;
pub mod timings;

use std::rc::Rc;

use quaich_proto::h1::{RequestHead, ResponseHead};
use quaich_proto::headers::{HeaderId, Headers};

use crate::forwarded::Client;
use crate::request_id::RequestId;
use crate::tls::session::Session;
use captures::Captures;
use identity::Identity;
pub use shelf::Lent;
use timings::Timings;

/// One request and its response.
#[derive(Debug)]
pub struct Exchange {
    /// What the client asked.
    pub request: RequestHead,
    /// What it will be told; handlers fill it, then filters change it.
    pub response: ResponseHead,
    /// Who asked.
    pub client: Client,
    /// Who that is, if somebody has proved it.
    pub identity: Identity,
    /// What the patterns of its route caught.
    pub captures: Captures,
    /// Fields that every answer to it has, also an error page.
    pub additions: Headers,
    /// The fields of the request as apps and upstreams get them, where `is_edited`.
    pub edited: Headers,
    /// Whether they are other ones than the client sent.
    pub is_edited: bool,
    /// The TLS connection that it came over.
    pub session: Option<Rc<Session>>,
    /// The id in logs, error pages and header fields.
    pub request_id: RequestId,
    /// When what happened.
    pub timings: Timings,
    /// Number of the connection in this process.
    pub connection: u64,
    /// Which request of the connection this is, from 1.
    pub connection_request: u64,
    /// What the access log says beyond that.
    pub notes: Notes,
}

/// Where an exchange went and how it ended.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// Index of the site in the configuration.
    pub site: Option<usize>,
    /// Index of the route in its site.
    pub route: Option<usize>,
    /// The server, or the app, that answered.
    pub upstream: String,
    /// It was an app.
    pub by_app: bool,
    /// Who made the answer.
    pub origin: Origin,
    /// Other attempts before it.
    pub retries: u32,
    /// Status sent; 0 when nothing was sent.
    pub status: u16,
    /// Body bytes sent.
    pub body_bytes: u64,
    /// All bytes sent.
    pub sent_bytes: u64,
    /// Body bytes read.
    pub received_bytes: u64,
    /// Why it ended otherwise than well; empty when it did not.
    pub failure: &'static str,
}

/// Who made an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// quaich itself: a redirect, an error page, a refusal.
    #[default]
    Quaich,
    /// A file.
    File,
    /// An app that quaich runs.
    App,
    /// A server that runs elsewhere.
    Upstream,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            request: RequestHead::new(),
            response: ResponseHead::new(),
            client: Client::default(),
            identity: Identity::default(),
            captures: Captures::default(),
            additions: Headers::new(),
            edited: Headers::new(),
            is_edited: false,
            session: None,
            request_id: RequestId::default(),
            timings: Timings::default(),
            connection: 0,
            connection_request: 0,
            notes: Notes::default(),
        }
    }
}

impl Exchange {
    /// The fields of the request as apps and upstreams get them, and whether all of them are to be
    /// believed: those of the configuration are.
    pub fn outgoing(&self) -> (&Headers, bool) {
        match self.is_edited {
            true => (&self.edited, true),
            false => (&self.request.headers, self.client.trusted),
        }
    }

    /// The host that apps and upstreams are asked for, and its port if there is one.
    pub fn outgoing_authority(&self) -> &[u8] {
        let edited = self.edited.get(HeaderId::Host);
        edited.unwrap_or_else(|| self.request.authority())
    }

    /// Forgets the last exchange, keeps the memory.
    pub fn reset(&mut self) {
        self.request.clear();
        self.response.clear();
        self.identity.clear();
        self.captures.clear();
        self.additions.clear();
        self.edited.clear();
        self.is_edited = false;
        self.timings = Timings::default();
        let notes = &mut self.notes;
        notes.site = None;
        notes.route = None;
        notes.upstream.clear();
        notes.retries = 0;
        notes.status = 0;
        notes.body_bytes = 0;
        notes.sent_bytes = 0;
        notes.received_bytes = 0;
        notes.by_app = false;
        notes.origin = Origin::Quaich;
        notes.failure = "";
    }
}
