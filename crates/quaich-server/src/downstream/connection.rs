//! One client connection, whatever it speaks: what stays with it from accept to end.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::buffer::Buffer;
use crate::deadline::Deadline;
use crate::forwarded::Client;
use crate::stream::Stream;
use crate::thread::Thread;

/// How long and how much is read of a client that was refused, so that it can read why.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// Everything that stays with a connection.
pub struct Connection<H> {
    pub(super) socket: Stream,
    pub(super) thread: Rc<Thread>,
    pub(super) protocol: Protocol,
    pub(super) end: End,
    pub(super) peer: Client,
    pub(super) number: u64,
    pub(super) requests: u64,
    /// What was read before it was known what the client speaks.
    pub(super) early: Option<Box<Buffer>>,
    /// Dropped with the connection.
    _held: H,
}

/// Our end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Index of the listener that accepted it.
    pub listener: usize,
    /// Port of the listener, for `SERVER_PORT`; 0 for unix sockets.
    pub port: u16,
    /// What the client has connected to; only known where a proxy has said so, or a server asks.
    pub local: Option<SocketAddr>,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 or 1.0.
    Http1,
    /// HTTP/2, by ALPN or because the listener has nothing else.
    Http2,
    /// Its first bytes tell: the preface of HTTP/2, or a request (RFC 9113 section 3.3).
    Either,
}

impl Protocol {
    /// What is spoken on a connection without ALPN, given what its listener speaks.
    pub fn without_alpn(h1: bool, h2: bool) -> Self {
        match (h1, h2) {
            (true, true) => Self::Either,
            (false, true) => Self::Http2,
            (_, false) => Self::Http1,
        }
    }
}

impl<H> Connection<H> {
    /// A connection that was just accepted. `held` is dropped when it ends.
    pub fn new(
        socket: Stream,
        protocol: Protocol,
        thread: Rc<Thread>,
        end: End,
        peer: Client,
        held: H,
    ) -> Self {
        let number = thread.counters.accepted.value();
        Self {
            socket,
            thread,
            protocol,
            end,
            peer,
            number,
            requests: 0,
            early: None,
            _held: held,
        }
    }

    /// Serves the connection to its end.
    #[allow(
        clippy::manual_async_fn,
        reason = "an async fn would hold its argument twice"
    )]
    pub fn run(mut self) -> impl Future<Output = ()> {
        async move {
            if self.protocol == Protocol::Http2 || self.serve_h1().await {
                Box::pin(self.serve_h2()).await;
            }
        }
    }
}

/// Closes so that a client that is still sending can read its answer: an immediate close would answer
/// its bytes with a reset and take the response with it (RFC 9112 section 9.6).
pub(super) async fn linger(socket: &Stream, deadline: &Deadline) {
    socket.shutdown_write();
    deadline.set(LINGER);
    // Not an array: it would be part of every connection, also of those at rest.
    let mut scratch = Buffer::lend();
    let mut left = LINGER_BYTES;
    // What it sends is of no interest, also not what stands in its records.
    let socket = socket.socket();
    while let Ok(Ok(count @ 1..)) = deadline.guard(socket.read(scratch.room())).await {
        left = left.saturating_sub(count);
        if left == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<F>(_: fn(Connection<()>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_at_rest_is_small() {
        let size = size_of_future(Connection::run);
        assert!(size <= 512, "{size} bytes");
    }
}
