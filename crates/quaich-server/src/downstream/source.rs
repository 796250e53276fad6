//! Where the body of a request comes from: the connection or stream of a client, whatever it speaks.
//! Called by `body` and by nothing else.

use std::task::{Context, Poll};

use quaich_proto::headers::Headers;

use super::{cgi, h1, h2};
use crate::error::Error;

/// Reads the body of the current request.
pub enum Source<'c> {
    /// Of an HTTP/1 connection.
    H1(h1::inbound::Inbound<'c>),
    /// Of an HTTP/2 stream.
    H2(h2::inbound::Inbound<'c>),
    /// Of a request that another web server has passed on.
    Cgi(Box<cgi::inbound::Inbound<'c>>),
}

impl Source<'_> {
    /// Judges a body of unknown length before anybody else sees the request, as far as it is here or
    /// comes within a moment. Takes nothing of the body.
    pub async fn look_ahead(&mut self) -> Result<(), Error> {
        match self {
            Self::H1(body) => body.look_ahead().await,
            // Frames were judged when they came.
            Self::H2(_) | Self::Cgi(_) => Ok(()),
        }
    }

    /// Bounds the body of this request; 0 = no limit.
    pub fn limit_body(&mut self, limit: u64) -> Result<(), Error> {
        match self {
            Self::H1(body) => body.limit_body(limit),
            Self::H2(body) => body.limit_body(limit),
            Self::Cgi(body) => body.limit_body(limit),
        }
    }

    /// Bytes of the current body that were read.
    pub fn received(&self) -> u64 {
        match self {
            Self::H1(body) => body.received(),
            Self::H2(body) => body.received(),
            Self::Cgi(body) => body.received(),
        }
    }

    /// Whether the whole body has been given out.
    pub fn is_done(&self) -> bool {
        match self {
            Self::H1(body) => body.is_done(),
            Self::H2(body) => body.is_done(),
            Self::Cgi(body) => body.is_done(),
        }
    }

    /// Bytes still to come, if their number is known.
    pub fn remaining(&self) -> Option<u64> {
        match self {
            Self::H1(body) => body.remaining(),
            Self::H2(body) => body.remaining(),
            Self::Cgi(body) => body.remaining(),
        }
    }

    /// Polls for the next piece of the body, decoded: its place in [`bytes`](Self::bytes), `None` at
    /// its end. Invites a client that waits for `100 Continue` to send (RFC 9110 section 10.1.1).
    pub fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<(usize, usize)>, Error>> {
        match self {
            Self::H1(body) => body.poll_data(cx),
            Self::H2(body) => body.poll_data(cx),
            Self::Cgi(body) => body.poll_data(cx),
        }
    }

    /// Bytes that [`poll_data`](Self::poll_data) spoke of.
    pub fn bytes(&self, range: (usize, usize)) -> &[u8] {
        match self {
            Self::H1(body) => body.bytes(range),
            Self::H2(body) => body.bytes(range),
            Self::Cgi(body) => body.bytes(range),
        }
    }

    /// Trailers, once the end of the body has been seen and if the client sent some that count.
    pub fn trailers(&self) -> Option<&Headers> {
        match self {
            // Checked and thrown away.
            Self::H1(_) => None,
            Self::H2(body) => body.trailers(),
            Self::Cgi(_) => None,
        }
    }

    /// The whole body, when all of it is here: nothing needs to be awaited.
    pub fn whole_buffered(&self) -> Option<&[u8]> {
        match self {
            Self::H1(body) => body.whole_buffered(),
            Self::H2(body) => body.whole_buffered(),
            Self::Cgi(body) => body.whole_buffered(),
        }
    }

    /// Counts what [`whole_buffered`](Self::whole_buffered) showed as read.
    pub fn finish_whole(&mut self) {
        match self {
            Self::H1(body) => body.finish_whole(),
            Self::H2(body) => body.finish_whole(),
            Self::Cgi(body) => body.finish_whole(),
        }
    }

    /// The answer was sent before the body was asked for: the client must not be invited any more.
    pub fn forgo_continue(&mut self) {
        match self {
            Self::H1(body) => body.forgo_continue(),
            Self::H2(body) => body.forgo_continue(),
            // The web server has done that.
            Self::Cgi(_) => {}
        }
    }

    /// Whether a body that nobody read can be read and thrown away cheaply.
    pub fn is_discardable(&self) -> bool {
        match self {
            Self::H1(body) => body.is_discardable(),
            // Its stream ends with the response, and no other request needs what it leaves.
            Self::H2(_) => true,
            Self::Cgi(body) => body.is_discardable(),
        }
    }

    /// Reads the rest of the body and throws it away. Fails when it is too much.
    pub async fn discard(&mut self) -> Result<(), Error> {
        match self {
            Self::H1(body) => body.discard().await,
            Self::H2(_) => Ok(()),
            Self::Cgi(body) => body.discard().await,
        }
    }

    /// Ready when the client has left. Reads ahead what it sends meanwhile. `probe` says whether it
    /// may be sent an interim response to find out.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>, probe: bool) -> Poll<Error> {
        match self {
            Self::H1(body) => body.poll_gone(cx, probe),
            Self::H2(body) => body.poll_gone(cx),
            Self::Cgi(body) => body.poll_gone(cx),
        }
    }

    /// Nobody waits for the client to leave any more.
    pub fn forget_gone(&mut self) {
        match self {
            Self::H1(body) => body.forget_gone(),
            Self::H2(_) | Self::Cgi(_) => {}
        }
    }

    /// Says whether the body goes to a server that has a stream for it, not a whole connection: then
    /// a client that sends messages now and then, as gRPC does, is not late.
    pub fn goes_to_stream(&mut self, to_stream: bool) {
        if let Self::H2(body) = self {
            body.goes_to_stream(to_stream);
        }
    }

    /// The request was answered with [`Reply::begin_tunnel`](super::reply::Reply::begin_tunnel): from
    /// here on [`poll_data`](Self::poll_data) yields what the client sends, as it comes and without a deadline,
    /// until it ends its half.
    pub fn begin_tunnel(&mut self) {
        match self {
            Self::H1(body) => body.begin_tunnel(),
            Self::H2(body) => body.begin_tunnel(),
            // None of these wires can carry another protocol, and no head asks for one.
            Self::Cgi(_) => {}
        }
    }
}
