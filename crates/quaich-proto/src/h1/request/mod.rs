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
use crate::octets::{TARGET, holds_only};
use crate::target;

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

    /// Puts `path` in the place of the path, in its normal form; [`target`](Self::target) stays what
    /// the client sent. `false`, and nothing changes, when it has no normal form.
    #[must_use]
    pub fn set_path(&mut self, path: &[u8]) -> bool {
        let start = self.text.len();
        if target::normalise(path, &mut self.text).is_none() {
            return false;
        }
        self.path = start..self.text.len();
        target::append_decoded(&mut self.text, start);
        self.decoded = self.path.end..self.text.len();
        true
    }

    /// Puts `query`, without its question mark, in the place of the query. `false`, and nothing
    /// changes, when it holds a byte that no target may hold.
    #[must_use]
    pub fn set_query(&mut self, query: Option<&[u8]>) -> bool {
        if query.is_some_and(|query| !holds_only(query, &TARGET)) {
            return false;
        }
        self.query = query.map(|query| self.keep(query));
        true
    }

    /// Appends to the text and tells where.
    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        start..self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::Limits;

    fn head() -> RequestHead {
        let limits = Limits {
            max_uri: 100,
            max_field: 100,
            max_header: 1000,
            max_headers: 10,
        };
        let mut head = RequestHead::new();
        let text = b"GET /a?b=1 HTTP/1.1\r\nHost: a.test\r\n\r\n";
        assert!(parse_request(text, &limits, &mut head).unwrap().is_some());
        head
    }

    #[test]
    fn another_path_takes_its_normal_form_and_the_target_stays() {
        let mut head = head();
        assert!(head.set_path(b"/x//y/../%7ez/%c3%a9%2f1"));
        assert_eq!(head.path(), b"/x/~z/%C3%A9%2F1");
        assert_eq!(head.path_decoded(), "/x/~z/é/1".as_bytes());
        assert_eq!((head.target(), head.query()), (&b"/a?b=1"[..], &b"b=1"[..]));
        assert_eq!(head.host(), b"a.test");
        for bad in [&b""[..], b"x", b"/../x", b"/a\\b", b"/%00", b"/%2e%2e%2fx"] {
            assert!(!head.set_path(bad));
            assert_eq!(head.path(), b"/x/~z/%C3%A9%2F1");
        }
    }

    #[test]
    fn another_query_holds_what_a_target_may_hold() {
        let mut head = head();
        assert!(head.set_query(Some(b"c=2&d")));
        assert_eq!(head.query(), b"c=2&d");
        assert!(!head.set_query(Some(b"a b")) && !head.set_query(Some(b"a\r\n")));
        assert_eq!(head.query(), b"c=2&d");
        assert!(head.set_query(None));
        assert!(!head.has_query());
    }
}
