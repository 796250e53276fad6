//! Request heads (RFC 9112 sections 3 and 5): what a head holds. `lines` fills it, `meaning` checks it
//! as a whole. Read by routing, handlers and the data path; never holds a head that has two readings.

mod lines;
mod meaning;
mod structured;

use std::ops::Range;

pub use lines::parse_request;
pub use structured::{Structured, assemble_request};

use super::fields::list;
use super::{BodyLength, Version};
use crate::headers::{HeaderId, Headers};
use crate::method::Method;

/// A request head, checked and taken apart.
#[derive(Debug, Default)]
pub struct RequestHead {
    /// What is to be done.
    pub method: Method,
    /// Of the client.
    pub version: Version,
    /// In their order, without those of ambiguous name.
    pub headers: Headers,
    /// How the end of the body is found.
    pub body: BodyLength,
    /// Whether the client wants to use the connection again.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends a body.
    pub expect_continue: bool,
    /// Whether it asks to switch to one other protocol, not `h2c`; such a request has no body.
    pub upgrade: bool,
    /// Fields left out because another parser might take their name for a different one.
    pub dropped_fields: u16,
    /// Method, target, host; then, if they differ from the target, path and decoded path.
    text: Vec<u8>,
    method_name: Range<usize>,
    target: Range<usize>,
    path: Range<usize>,
    decoded: Range<usize>,
    query: Option<Range<usize>>,
    authority: Range<usize>,
    host: Range<usize>,
    port: Option<u16>,
    progress: lines::Progress,
}

impl RequestHead {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything, keeps the memory. Due before another connection's bytes are parsed; on
    /// the same connection, a head that is complete is cleared by the parser.
    pub fn clear(&mut self) {
        self.progress = lines::Progress::default();
        self.method = Method::Other;
        self.version = Version::Http11;
        self.headers.clear();
        self.body = BodyLength::Empty;
        self.keep_alive = false;
        self.expect_continue = false;
        self.upgrade = false;
        self.dropped_fields = 0;
        self.text.clear();
        for range in [
            &mut self.method_name,
            &mut self.target,
            &mut self.path,
            &mut self.decoded,
            &mut self.authority,
            &mut self.host,
        ] {
            *range = 0..0;
        }
        self.query = None;
        self.port = None;
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// The method as sent.
    pub fn method_name(&self) -> &[u8] {
        self.slice(&self.method_name)
    }

    /// The request target in origin form as sent, query included; `*` for `OPTIONS *`.
    pub fn target(&self) -> &[u8] {
        self.slice(&self.target)
    }

    /// The path in its normal form with canonical percent-encoding. Begins with a slash, or is `*`.
    pub fn path(&self) -> &[u8] {
        self.slice(&self.path)
    }

    /// The normal form, percent-decoded.
    pub fn path_decoded(&self) -> &[u8] {
        self.slice(&self.decoded)
    }

    /// The query as sent, without its question mark.
    pub fn query(&self) -> &[u8] {
        self.query.as_ref().map_or(&[], |range| self.slice(range))
    }

    /// Whether there is a question mark.
    pub fn has_query(&self) -> bool {
        self.query.is_some()
    }

    /// Host and port as sent; empty when an HTTP/1.0 client named none.
    pub fn authority(&self) -> &[u8] {
        self.slice(&self.authority)
    }

    /// The host in lower case, without port and trailing dot; an IPv6 address in its brackets.
    pub fn host(&self) -> &[u8] {
        self.slice(&self.host)
    }

    /// The port that the client named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether the client takes trailers (`TE: trailers`, RFC 9110 section 10.1.4).
    pub fn accepts_trailers(&self) -> bool {
        let mut codings = self.headers.get_all(HeaderId::Te).flat_map(list);
        codings.any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
    }

    /// Appends to the text and tells where.
    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        start..self.text.len()
    }
}
