//! One way to make a request, whatever carries it: HTTP/1.1 or HTTP/2, plain or over TLS.
//!
//! What it shows of an answer is what HTTP means, not what a version of it writes: fields that only
//! frame the message are left out. Tests of meaning run through it over every transport.

use std::net::SocketAddr;

use crate::client::RawClient;
use crate::h2::{Block, Ended, Frame, H2Client, H2Response, code};
use crate::response::Response;
use crate::tls::TlsClient;

/// What carries an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1 over TCP.
    Http1,
    /// HTTP/1.1 over TLS.
    Http1Tls,
    /// HTTP/2 over TCP, with prior knowledge.
    Http2,
    /// HTTP/2 over TLS, chosen by ALPN.
    Http2Tls,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Http1, Self::Http1Tls, Self::Http2, Self::Http2Tls];

    /// Whether it is HTTP/2.
    #[must_use]
    pub fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2Tls)
    }

    /// Whether it runs over TLS.
    #[must_use]
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Http1Tls | Self::Http2Tls)
    }

    /// Connects to this address, which must speak what the transport is; over TLS it asks for this
    /// name, and believes anybody.
    ///
    /// # Panics
    /// When nobody listens there, or ALPN chooses something else.
    #[must_use]
    #[track_caller]
    pub fn connect(self, addr: SocketAddr, name: &str) -> Caller {
        let alpn = if self.is_http2() { "h2" } else { "http/1.1" };
        let raw = if self.is_tls() {
            let client = TlsClient::credulous().asking(name).offering(&[alpn]);
            let raw = RawClient::connect_tls(addr, &client);
            assert_eq!(raw.handshake().alpn.as_deref(), Some(alpn), "ALPN");
            raw
        } else {
            RawClient::connect(addr)
        };
        let line = if self.is_http2() {
            Line::Http2(Box::new(H2Client::over(raw)))
        } else {
            Line::Http1(Box::new(raw))
        };
        Caller { line, open: None }
    }
}

/// A request in the terms that all versions share.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    host: String,
    fields: Vec<(String, String)>,
    body: Body,
    trailers: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
enum Body {
    None,
    /// All of it, with its length said before.
    Sized(Vec<u8>),
    /// All of it, its length unknown before.
    Unsized(Vec<u8>),
    /// It comes by `Caller::send`; the length that is said before, if one is.
    Later(Option<usize>),
}

impl Request {
    /// A request to `test` without a body.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_string(),
            target: target.to_string(),
            host: "test".to_string(),
            fields: Vec::new(),
            body: Body::None,
            trailers: Vec::new(),
        }
    }

    /// A GET.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST whose length is said before.
    #[must_use]
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Body::Sized(body.into()),
            ..Self::new("POST", target)
        }
    }

    /// A POST whose length is not known before.
    #[must_use]
    pub fn post_unsized(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Body::Unsized(body.into()),
            ..Self::new("POST", target)
        }
    }

    /// A POST whose body comes later, by `Caller::send`; with its length, if that is to be said.
    #[must_use]
    pub fn post_later(target: &str, length: Option<usize>) -> Self {
        Self {
            body: Body::Later(length),
            ..Self::new("POST", target)
        }
    }

    /// Another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.to_string();
        self
    }

    /// Another host.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.host = host.to_string();
        self
    }

    /// One more field, its name in lower case.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.push((name.to_string(), value.into()));
        self
    }

    /// A field behind the body, which must be one of unknown length.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_string(), value.to_string()));
        self
    }

    fn length(&self) -> Option<usize> {
        match &self.body {
            Body::None | Body::Unsized(_) => None,
            Body::Sized(bytes) => Some(bytes.len()),
            Body::Later(length) => *length,
        }
    }

    /// The head as HTTP/1.1 writes it.
    fn http1_head(&self) -> String {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\n",
            self.method, self.target, self.host
        );
        for (name, value) in &self.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match (self.length(), &self.body) {
            (Some(length), _) => head.push_str(&format!("content-length: {length}\r\n")),
            (None, Body::None) => {}
            (None, _) => head.push_str("transfer-encoding: chunked\r\n"),
        }
        head + "\r\n"
    }

    /// The head as HTTP/2 writes it.
    fn http2_block(&self, scheme: &str) -> Block {
        let mut block = Block::new()
            .field(":method", &self.method)
            .field(":scheme", scheme)
            .field(":authority", &self.host)
            .field(":path", &self.target);
        for (name, value) in &self.fields {
            block = block.field(name, value);
        }
        match self.length() {
            Some(length) => block.field("content-length", length.to_string()),
            None => block,
        }
    }
}

/// An answer in the terms that all versions share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status code; 0 when there was no final head before the end.
    pub status: u16,
    /// Fields in their order, names in lower case, without those that frame the message.
    pub fields: Vec<(String, String)>,
    /// Body, as much as came.
    pub body: Vec<u8>,
    /// Fields behind the body.
    pub trailers: Vec<(String, String)>,
    /// Interim responses that came before, by status.
    pub interim: Vec<u16>,
    /// Whether the mark of the end was seen: nothing is missing.
    pub complete: bool,
}

/// Fields that say how a message of HTTP/1.1 is framed.
const FRAMING: [&str; 3] = ["connection", "keep-alive", "transfer-encoding"];

impl Answer {
    /// The value of a field; the first when there are several.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    /// All values of a field, in order.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(field, _)| field == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none; the message shows the whole answer.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {:?} {}", self.fields, self.text()))
    }

    /// Fails the test unless the status is this one.
    ///
    /// # Panics
    /// When it is another one; the message shows the whole answer.
    #[track_caller]
    pub fn expect_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{:?} {}", self.fields, self.text());
        self
    }

    /// Fails the test unless the body is this text and complete.
    ///
    /// # Panics
    /// When it is not; the message shows the fields.
    #[track_caller]
    pub fn expect_body(&self, body: &str) -> &Self {
        assert_eq!(self.text(), body, "{:?}", self.fields);
        assert!(self.complete, "the body was cut short: {:?}", self.fields);
        self
    }

    /// Fails the test unless the field has this value.
    ///
    /// # Panics
    /// When it has not; the message shows the fields.
    #[track_caller]
    pub fn expect_header(&self, name: &str, value: &str) -> &Self {
        assert_eq!(self.header(name), Some(value), "{name}: {:?}", self.fields);
        self
    }

    fn of_http1(response: Response, interim: Vec<u16>) -> Self {
        let lines = response.head.lines().skip(1);
        let fields = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_string()))
        });
        Self {
            status: response.status,
            fields: fields
                .filter(|(name, _)| !FRAMING.contains(&name.as_str()))
                .collect(),
            body: response.body,
            trailers: response.trailers,
            interim,
            complete: response.complete,
        }
    }

    fn of_http2(response: H2Response) -> Self {
        Self {
            status: response.status,
            fields: response.fields,
            body: response.body,
            trailers: response.trailers,
            interim: response.interim,
            complete: response.ended == Ended::Whole,
        }
    }
}

/// One connection; exchanges on it come one after the other.
#[derive(Debug)]
pub struct Caller {
    line: Line,
    open: Option<Open>,
}

#[derive(Debug)]
enum Line {
    Http1(Box<RawClient>),
    Http2(Box<H2Client>),
}

/// The exchange that runs.
#[derive(Debug)]
enum Open {
    Http1 {
        method: String,
        chunked: bool,
        interim: Vec<u16>,
        /// From the final head on.
        response: Option<Response>,
    },
    Http2 {
        stream: u32,
        response: H2Response,
        over: bool,
    },
}

impl Caller {
    /// A whole exchange.
    ///
    /// # Panics
    /// When no answer comes.
    #[track_caller]
    pub fn call(&mut self, request: &Request) -> Answer {
        self.begin(request);
        self.answer()
    }

    /// Sends the head, and the body if the request has one already.
    #[track_caller]
    pub fn begin(&mut self, request: &Request) -> &mut Self {
        match &mut self.line {
            Line::Http1(raw) => {
                raw.send(request.http1_head());
                self.open = Some(Open::Http1 {
                    method: request.method.clone(),
                    chunked: request.length().is_none(),
                    interim: Vec::new(),
                    response: None,
                });
            }
            Line::Http2(client) => {
                let block = request.http2_block(client.scheme());
                let alone = matches!(request.body, Body::None);
                self.open = Some(Open::Http2 {
                    stream: client.begin(&block, alone),
                    response: H2Response::new(),
                    over: false,
                });
            }
        }
        match &request.body {
            Body::None | Body::Later(_) => {}
            Body::Sized(bytes) | Body::Unsized(bytes) => {
                if !bytes.is_empty() {
                    self.send(bytes);
                }
                self.end_with(&request.trailers);
            }
        }
        self
    }

    /// Sends a part of the body.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) -> &mut Self {
        match (&mut self.line, &self.open) {
            (Line::Http1(raw), Some(Open::Http1 { chunked: true, .. })) => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend_from_slice(bytes);
                chunk.extend_from_slice(b"\r\n");
                raw.send(chunk);
            }
            (Line::Http1(raw), _) => {
                raw.send(bytes);
            }
            (Line::Http2(client), Some(Open::Http2 { stream, .. })) => {
                // What ended the stream is seen when the answer is read.
                let _ = client.data(*stream, bytes, false);
            }
            (Line::Http2(_), _) => panic!("no exchange has begun"),
        }
        self
    }

    /// Ends the body.
    #[track_caller]
    pub fn end(&mut self) -> &mut Self {
        self.end_with(&[])
    }

    #[track_caller]
    fn end_with(&mut self, trailers: &[(String, String)]) -> &mut Self {
        match (&mut self.line, &self.open) {
            (Line::Http1(raw), Some(Open::Http1 { chunked: true, .. })) => {
                let mut last = "0\r\n".to_string();
                for (name, value) in trailers {
                    last.push_str(&format!("{name}: {value}\r\n"));
                }
                raw.send(last + "\r\n");
            }
            (Line::Http2(client), Some(Open::Http2 { stream, .. })) => {
                if trailers.is_empty() {
                    client.frame(&Frame::data(*stream, []).end());
                } else {
                    let add = |block: Block, (n, v): &(String, String)| block.field(n, v);
                    let block = trailers.iter().fold(Block::new(), add);
                    client.send_block(*stream, &block, true);
                }
            }
            _ => {}
        }
        self
    }

    /// Waits for an interim response; returns its status.
    ///
    /// # Panics
    /// When a final one comes instead, or nothing.
    #[track_caller]
    pub fn interim(&mut self) -> u16 {
        match (&mut self.line, &mut self.open) {
            (Line::Http1(raw), Some(Open::Http1 { interim, .. })) => {
                let head = raw.head();
                assert!(head.status < 200, "no interim response: {}", head.head);
                interim.push(head.status);
                head.status
            }
            (
                Line::Http2(client),
                Some(Open::Http2 {
                    stream, response, ..
                }),
            ) => {
                let had = response.interim.len();
                client.advance(*stream, response);
                let more = response.interim.get(had);
                *more.unwrap_or_else(|| panic!("no interim response: {response:?}"))
            }
            _ => panic!("no exchange has begun"),
        }
    }

    /// Waits until this much of the body has come in all (or it has ended); returns all of it so
    /// far. With 0 it waits for the head.
    ///
    /// # Panics
    /// When no exchange has begun, or nothing comes.
    #[track_caller]
    pub fn body(&mut self, count: usize) -> Vec<u8> {
        match (&mut self.line, &mut self.open) {
            (
                Line::Http1(raw),
                Some(Open::Http1 {
                    method,
                    interim,
                    response,
                    ..
                }),
            ) => {
                let response = response.get_or_insert_with(|| final_head(raw, method, interim));
                while response.body.len() < count && raw.advance(response) {}
                response.body.clone()
            }
            (
                Line::Http2(client),
                Some(Open::Http2 {
                    stream,
                    response,
                    over,
                }),
            ) => {
                while !*over && (response.status == 0 || response.body.len() < count) {
                    *over = !client.advance(*stream, response);
                }
                response.body.clone()
            }
            _ => panic!("no exchange has begun"),
        }
    }

    /// Reads the answer to its end.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        self.body(usize::MAX);
        match self.open.take() {
            Some(Open::Http1 {
                interim, response, ..
            }) => Answer::of_http1(response.expect("its head was read"), interim),
            Some(Open::Http2 { response, .. }) => Answer::of_http2(response),
            None => panic!("no exchange has begun"),
        }
    }

    /// Gives the exchange up: HTTP/1.1 by a reset of the connection, HTTP/2 by one of the stream.
    pub fn abort(mut self) {
        match (self.line, self.open.take()) {
            (Line::Http1(raw), _) => raw.reset(),
            (Line::Http2(mut client), Some(Open::Http2 { stream, .. })) => {
                client.frame(&Frame::rst_stream(stream, code::CANCEL));
            }
            (Line::Http2(_), _) => {}
        }
    }
}

#[track_caller]
fn final_head(raw: &mut RawClient, method: &str, interim: &mut Vec<u16>) -> Response {
    loop {
        let mut head = raw.head();
        if head.status >= 200 || head.status == 101 {
            head.expect_body_of(method);
            return head;
        }
        interim.push(head.status);
    }
}
