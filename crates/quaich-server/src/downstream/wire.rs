//! The response on its way to the client, whatever it speaks. Called by `reply` and by nothing else.
//!
//! Every piece is on its way before the call returns: nothing is held back but what [`Wire::add`]
//! adds, and that only to the next call.

use std::future::poll_fn;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};

use quaich_proto::h1::{BodyLength, RequestHead};
use quaich_proto::headers::Headers;

use super::{cgi, h1, h2};
use crate::error::Error;
use crate::exchange::Exchange;
use crate::pipe::Pipe;

/// Writes the response of the current request.
pub enum Wire<'c> {
    /// To an HTTP/1 connection.
    H1(h1::outbound::Outbound<'c>),
    /// To an HTTP/2 stream.
    H2(h2::outbound::Outbound<'c>),
    /// To a web server that has passed the request on.
    Cgi(cgi::outbound::Outbound<'c>),
}

impl Wire<'_> {
    /// Makes ready for the next response.
    pub(super) fn reset(&mut self) {
        match self {
            Self::H1(reply) => reply.reset(),
            // A stream has one response.
            Self::H2(_) => {}
            Self::Cgi(reply) => reply.reset(),
        }
    }

    /// Notes what the client of `request` can be answered with.
    pub(super) fn suit(&mut self, request: &RequestHead) {
        match self {
            Self::H1(reply) => reply.suit(request),
            Self::H2(reply) => reply.suit(request),
            Self::Cgi(_) => {}
        }
    }

    /// Whether a head was written, so that no other can be.
    pub fn has_begun(&self) -> bool {
        match self {
            Self::H1(reply) => reply.has_begun(),
            Self::H2(reply) => reply.has_begun(),
            Self::Cgi(reply) => reply.has_begun(),
        }
    }

    /// Whether the response has left to its end. Known of streams only.
    pub(super) fn is_ended(&self) -> bool {
        match self {
            Self::H1(_) | Self::Cgi(_) => true,
            Self::H2(reply) => reply.is_ended(),
        }
    }

    /// Takes a response back of which nothing has left yet, so that another can be sent. `false` when
    /// it is too late.
    pub fn retract(&mut self) -> bool {
        match self {
            Self::H1(reply) => reply.retract(),
            Self::H2(reply) => reply.retract(),
            Self::Cgi(reply) => reply.retract(),
        }
    }

    /// Body bytes that have left or are about to.
    pub fn body_bytes(&self) -> u64 {
        match self {
            Self::H1(reply) => reply.body_bytes(),
            Self::H2(reply) => reply.body_bytes(),
            Self::Cgi(reply) => reply.body_bytes(),
        }
    }

    /// Bytes of the response that have left.
    pub fn sent_bytes(&self) -> u64 {
        match self {
            Self::H1(reply) => reply.sent_bytes(),
            Self::H2(reply) => reply.sent_bytes(),
            Self::Cgi(reply) => reply.sent_bytes(),
        }
    }

    /// The connection ends with this response.
    pub fn set_close(&mut self) {
        match self {
            Self::H1(reply) => reply.set_close(),
            // Other streams have nothing to do with it.
            Self::H2(_) => {}
            Self::Cgi(reply) => reply.set_close(),
        }
    }

    /// Whether the connection ends with this response.
    pub fn closes(&self) -> bool {
        match self {
            Self::H1(reply) => reply.closes(),
            Self::H2(_) => false,
            Self::Cgi(reply) => reply.closes(),
        }
    }

    /// Sends an informational response (103 and the like) to a client that understands it.
    pub async fn interim(&mut self, status: u16, headers: &Headers) -> Result<(), Error> {
        match self {
            Self::H1(reply) => reply.interim(status, headers).await,
            Self::H2(reply) => {
                reply.interim(status, headers);
                Ok(())
            }
            // These wires have none.
            Self::Cgi(_) => Ok(()),
        }
    }

    /// Writes the head of `exchange.response` with the framing that suits `length` and the client.
    /// Sends nothing yet.
    pub fn begin(&mut self, exchange: &mut Exchange, length: BodyLength) {
        match self {
            Self::H1(reply) => reply.begin(exchange, length),
            Self::H2(reply) => reply.begin(exchange, length),
            Self::Cgi(reply) => reply.begin(exchange, length),
        }
    }

    /// As [`begin`](Self::begin), with header lines that are rendered already, `Content-Length`
    /// among them, for a body of `length` bytes.
    pub fn begin_rendered(&mut self, exchange: &mut Exchange, lines: &[u8], length: u64) {
        match self {
            Self::H1(reply) => reply.begin_rendered(exchange, lines, length),
            Self::H2(reply) => reply.begin_rendered(exchange, lines, length),
            Self::Cgi(reply) => reply.begin_rendered(exchange, lines, length),
        }
    }

    /// Agrees to another protocol with the fields of `exchange.response`, a 101. After it the body is
    /// what the two ends please, and [`finish`](Self::finish) ends our half.
    pub fn begin_tunnel(&mut self, exchange: &mut Exchange) {
        match self {
            Self::H1(reply) => reply.begin_tunnel(exchange),
            Self::H2(reply) => reply.begin_tunnel(exchange),
            // No head asks for it.
            Self::Cgi(reply) => reply.begin(exchange, BodyLength::Empty),
        }
    }

    /// Sends a piece of the body, with everything that waits before it.
    pub async fn data(&mut self, piece: &[u8]) -> Result<(), Error> {
        match self {
            Self::H1(reply) => reply.data(piece).await,
            Self::H2(reply) => reply.data(piece).await,
            Self::Cgi(reply) => reply.data(piece).await,
        }
    }

    /// Adds a piece of the body behind what waits, without sending it. For small pieces that are
    /// known to be followed by [`finish`](Self::finish) or [`data`](Self::data) at once.
    pub fn add(&mut self, piece: &[u8]) {
        match self {
            Self::H1(reply) => reply.add(piece),
            Self::H2(reply) => reply.add(piece),
            Self::Cgi(reply) => reply.add(piece),
        }
    }

    /// Sends `length` bytes of a regular file from `offset`. Fails when the file is shorter.
    pub async fn file(
        &mut self,
        file: BorrowedFd<'_>,
        offset: u64,
        length: u64,
    ) -> Result<(), Error> {
        match self {
            Self::H1(reply) => reply.file(file, offset, length).await,
            Self::H2(reply) => reply.file(file, offset, length).await,
            Self::Cgi(reply) => reply.file(file, offset, length).await,
        }
    }

    /// Whether the next `count` bytes of the body may go from socket to socket as they are.
    pub fn takes_plain(&self, count: u64) -> bool {
        match self {
            Self::H1(reply) => reply.takes_plain(count),
            Self::H2(_) => false,
            Self::Cgi(reply) => reply.takes_plain(count),
        }
    }

    /// Sends what is in `pipe` as a piece of the body. Only after
    /// [`takes_plain`](Self::takes_plain).
    pub async fn splice(&mut self, pipe: &mut Pipe) -> Result<(), Error> {
        match self {
            Self::H1(reply) => reply.splice(pipe).await,
            Self::H2(_) => Err(Error::internal()),
            Self::Cgi(reply) => reply.splice(pipe).await,
        }
    }

    /// Ends the response, and a tunnel's half of the connection. Fails when fewer bytes were given
    /// than promised: the response must then be broken off, so that a cut answer never looks
    /// complete.
    pub async fn finish(&mut self) -> Result<(), Error> {
        match self {
            Self::H1(reply) => reply.finish().await,
            Self::H2(reply) => reply.finish().await,
            Self::Cgi(reply) => reply.finish().await,
        }
    }

    /// As [`finish`](Self::finish), with trailers for a client that takes some.
    pub async fn finish_with(&mut self, trailers: &Headers) -> Result<(), Error> {
        match self {
            Self::H1(reply) => reply.finish_with(trailers).await,
            Self::H2(reply) => reply.finish_with(trailers).await,
            Self::Cgi(reply) => reply.finish().await,
        }
    }

    /// Sends what waits.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Polls [`flush`](Self::flush).
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self {
            Self::H1(reply) => reply.poll_flush(cx),
            Self::H2(reply) => reply.poll_flush(cx),
            Self::Cgi(reply) => reply.poll_flush(cx),
        }
    }
}
