//! A request as it is put to servers: written once, for every attempt and every wire.
//!
//! Its text is a head of HTTP/1.1, since most servers get it so; the other wires take its parts.

use std::ops::Range;

use quaich_config::model::UpstreamProtocol;
use quaich_proto::cgi::Variables;
use quaich_proto::h1::{self, BodyLength};
use quaich_proto::method::Method;

use crate::text::Text;

/// A request for a server. Names and values hold no byte that could end their line.
#[derive(Debug)]
pub struct Request {
    text: Text,
    method: Method,
    method_name: usize,
    path: Range<usize>,
    target: Range<usize>,
    authority: Range<usize>,
    fields: Range<usize>,
    body: BodyLength,
    protocol: Option<Range<usize>>,
    trailers: bool,
    /// Over HTTP/1 the server is to close after its answer.
    close: bool,
    /// For servers that get variables, as those of this protocol get them.
    variables: Option<(UpstreamProtocol, Box<Variables>)>,
}

impl Request {
    /// The first line and `Host`.
    pub fn new(
        method: (Method, &[u8]),
        path: &[u8],
        query: Option<&[u8]>,
        authority: &[u8],
    ) -> Self {
        Self::begin(method, (path, query), b" HTTP/1.1\r\n", Some(authority))
    }

    /// The first line of a request of HTTP/1.0, for a server that is asked over HTTP/1; `Host` only
    /// if there is one.
    pub fn http10(
        method: (Method, &[u8]),
        path: &[u8],
        query: Option<&[u8]>,
        host: Option<&[u8]>,
    ) -> Self {
        Self::begin(method, (path, query), b" HTTP/1.0\r\n", host)
    }

    fn begin(
        (method, name): (Method, &[u8]),
        (path, query): (&[u8], Option<&[u8]>),
        version: &[u8],
        authority: Option<&[u8]>,
    ) -> Self {
        let mut text = Text::lend();
        text.extend_from_slice(name);
        text.push(b' ');
        let target = text.len();
        text.extend_from_slice(path);
        let path = target..text.len();
        if let Some(query) = query {
            text.push(b'?');
            text.extend_from_slice(query);
        }
        let target = target..text.len();
        text.extend_from_slice(version);
        let authority = match authority {
            None => 0..0,
            Some(authority) => {
                text.extend_from_slice(b"Host: ");
                let host = text.len();
                text.extend_from_slice(authority);
                let authority = host..text.len();
                text.extend_from_slice(b"\r\n");
                authority
            }
        };
        let fields = text.len()..text.len();
        Self {
            text,
            method,
            method_name: name.len(),
            path,
            target,
            authority,
            fields,
            body: BodyLength::Empty,
            protocol: None,
            trailers: false,
            close: false,
            variables: None,
        }
    }

    /// Adds a field that concerns the whole way, not one connection.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        h1::field(&mut self.text, name, value);
    }

    /// Where fields may be added as lines, each with its end.
    pub fn lines(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// The client understands trailers (`TE: trailers`).
    pub fn accept_trailers(&mut self) {
        self.trailers = true;
    }

    /// No other request follows on the connection, if it is this request's alone.
    pub fn close_after(&mut self) {
        self.close = true;
    }

    /// Ends the head: how the body is framed, and the protocol that is to follow in its place.
    pub fn end(&mut self, body: BodyLength, protocol: Option<&[u8]>) {
        self.fields.end = self.text.len();
        self.body = body;
        if let Some(protocol) = protocol {
            self.text
                .extend_from_slice(b"Connection: upgrade\r\nUpgrade: ");
            let start = self.text.len();
            self.text.extend_from_slice(protocol);
            self.protocol = Some(start..self.text.len());
            self.text.extend_from_slice(b"\r\n");
        }
        if self.close {
            h1::field(&mut self.text, b"Connection", b"close");
        }
        match body {
            BodyLength::Known(length) => h1::field_u64(&mut self.text, b"Content-Length", length),
            BodyLength::Chunked => h1::field(&mut self.text, b"Transfer-Encoding", b"chunked"),
            BodyLength::Empty | BodyLength::UntilClose => {}
        }
        self.text.extend_from_slice(b"\r\n");
    }

    /// The head as HTTP/1.1 has it.
    pub fn http1(&self) -> &[u8] {
        &self.text
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// What is to be done.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Its name.
    pub fn method_name(&self) -> &[u8] {
        self.part(&(0..self.method_name))
    }

    /// The path, without the query.
    pub fn path(&self) -> &[u8] {
        self.part(&self.path)
    }

    /// Path and query.
    pub fn target(&self) -> &[u8] {
        self.part(&self.target)
    }

    /// Host, and port if there is one.
    pub fn authority(&self) -> &[u8] {
        self.part(&self.authority)
    }

    /// How the body is framed.
    pub fn body(&self) -> BodyLength {
        self.body
    }

    /// The protocol that the connection is to carry, if it is to be another.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.protocol.as_ref().map(|range| self.part(range))
    }

    /// Whether the client understands trailers.
    pub fn accepts_trailers(&self) -> bool {
        self.trailers
    }

    /// The variables for a server of `protocol`, if they were made.
    pub fn variables(&self, protocol: UpstreamProtocol) -> Option<&Variables> {
        let made = self.variables.as_ref().filter(|(of, _)| *of == protocol);
        made.map(|(_, variables)| &**variables)
    }

    /// Keeps the variables for servers of `protocol`.
    pub fn set_variables(&mut self, protocol: UpstreamProtocol, variables: Variables) {
        self.variables = Some((protocol, Box::new(variables)));
    }

    /// Name and value of each field; `Host` and what belongs to one connection are not among them.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.part(&self.fields);
        std::iter::from_fn(move || {
            let (line, after) = rest.split_at(memchr::memchr(b'\r', rest)?);
            rest = after.get(2..).unwrap_or_default();
            let (name, value) = line.split_at(memchr::memchr(b':', line)?);
            Some((name, value.get(2..).unwrap_or_default()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        let method = (Method::Post, &b"POST"[..]);
        let mut request = Request::new(method, b"/a", Some(b"b=c"), b"x.test:81");
        request.field(b"X-One", b"1: 2");
        request.lines().extend_from_slice(b"X-Empty: \r\n");
        request
    }

    #[test]
    fn its_text_is_a_head_of_http1() {
        let mut request = request();
        request.end(BodyLength::Known(5), None);
        assert_eq!(
            request.http1(),
            b"POST /a?b=c HTTP/1.1\r\nHost: x.test:81\r\nX-One: 1: 2\r\nX-Empty: \r\n\
              Content-Length: 5\r\n\r\n"
        );
    }

    #[test]
    fn its_parts_are_found_again() {
        let mut request = request();
        request.end(BodyLength::Empty, Some(b"websocket"));
        assert_eq!(request.method_name(), b"POST");
        assert_eq!(request.path(), b"/a");
        assert_eq!(request.target(), b"/a?b=c");
        assert_eq!(request.authority(), b"x.test:81");
        assert_eq!(request.protocol(), Some(&b"websocket"[..]));
        let fields: Vec<_> = request.fields().collect();
        assert_eq!(fields, [(&b"X-One"[..], &b"1: 2"[..]), (b"X-Empty", b"")]);
    }
}
