//! One way to make a request, whatever carries it: HTTP/1.1 or HTTP/2, plain or over TLS.
//!
//! What it shows of an answer is what HTTP means, not what a version of it writes: fields that only
//! frame the message are left out. Tests of meaning run through it over every transport.

mod answer;
mod request;

use std::net::SocketAddr;

use crate::client::RawClient;
use crate::h2::{Block, Frame, H2Client, H2Response, code};
use crate::response::Response;
use crate::tls::TlsClient;

pub use answer::Answer;
use request::Body;
pub use request::Request;

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
