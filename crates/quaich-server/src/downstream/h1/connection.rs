//! One client connection over HTTP/1: at rest it holds almost nothing; busy, it serves requests one
//! after the other.
//!
//! A connection at rest is one small task: socket, deadline, no buffer. The first byte of a request
//! wakes it; the future that serves it is made then, with buffers lent by the thread, and dropped
//! when no further request comes for [`WARM`]. So ten thousand idle connections cost little and a
//! busy one allocates nothing per request.

use std::future::poll_fn;
use std::time::Duration;

use super::inbound::{Arrival, Inbound};
use super::outbound::Outbound;
use crate::deadline::Deadline;
use crate::downstream::body::{Body, Source};
use crate::downstream::connection::{Connection, Protocol, linger};
use crate::downstream::reply::Reply;
use crate::downstream::service;
use crate::downstream::wire::Wire;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::thread::Thread;

/// How long a connection without a request keeps its memory.
const WARM: Duration = Duration::from_millis(500);

/// Connections of a thread that may keep their memory while they wait for a next request.
const MAX_WARM: usize = 256;

/// How a busy phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No request for a while; the connection stays.
    Rest,
    /// The connection ends in order.
    Close,
    /// The connection ends, and the client may still be sending.
    Linger,
    /// The connection ends visibly broken.
    Abort,
    /// The client speaks HTTP/2.
    Http2,
}

impl<H> Connection<H> {
    /// Serves HTTP/1 to the end of the connection, or until the client turns out to speak HTTP/2:
    /// then returns true, and what was read of that is in `early`.
    pub(in crate::downstream) async fn serve_h1(&mut self) -> bool {
        let deadline = self.thread.deadlines.register();
        let mut fresh = true;
        loop {
            let patience = if fresh {
                self.thread.settings.header_timeout
            } else {
                self.thread.settings.keepalive
            };
            if !self.rest(&deadline, patience).await {
                self.socket.close();
                return false;
            }
            fresh = false;
            match Box::pin(self.busy()).await {
                Phase::Rest => self.thread.rested.set(self.thread.rested.get() + 1),
                Phase::Close => {
                    self.socket.close();
                    return false;
                }
                Phase::Http2 => return true,
                Phase::Linger => {
                    Box::pin(linger(&self.socket, &deadline)).await;
                    return false;
                }
                Phase::Abort => {
                    self.socket.reset_on_close();
                    return false;
                }
            }
        }
    }

    /// Waits for the first byte of a request; `false` when the connection should end.
    pub(in crate::downstream) async fn rest(
        &self,
        deadline: &Deadline,
        patience: Duration,
    ) -> bool {
        deadline.set(patience);
        let readable = deadline.guard(poll_fn(|cx| self.socket.poll_readable(cx)));
        let arrived = tokio::select! {
            biased;
            readable = readable => matches!(readable, Ok(Ok(()))),
            () = self.thread.drain_started() => self.socket.is_disturbed(),
        };
        deadline.clear();
        arrived
    }

    /// Serves requests until none comes.
    async fn busy(&mut self) -> Phase {
        let thread = self.thread.clone();
        let reading = thread.deadlines.register();
        let writing = thread.deadlines.register();
        let mut body = Body::new(Source::H1(Inbound::new(&self.socket, &thread, &reading)));
        let reply = Wire::H1(Outbound::new(&self.socket, &thread, &writing));
        let mut reply = Reply::new(&thread, reply);
        let mut exchange = Box::<Exchange>::default();
        thread.warm.set(thread.warm.get() + 1);
        let phase = loop {
            exchange.client = self.peer;
            exchange.session = self.socket.session().cloned();
            exchange.connection = self.number;
            exchange.connection_request = self.requests + 1;
            let detect = self.protocol == Protocol::Either && self.requests == 0;
            match next_request(&thread, &mut body, &mut exchange, detect).await {
                Ok(Arrival::Head) => {}
                Ok(Arrival::Idle) => break Phase::Rest,
                Ok(Arrival::Closed) => break Phase::Close,
                Ok(Arrival::Http2(buffer)) => {
                    self.early = Some(buffer);
                    break Phase::Http2;
                }
                Err(error) => {
                    service::refuse(&thread, &mut exchange, &mut reply, error).await;
                    break match error.kind {
                        Kind::ClientGone => Phase::Close,
                        _ => Phase::Linger,
                    };
                }
            }
            self.requests += 1;
            if self.requests >= thread.settings.keepalive_requests || thread.is_draining() {
                reply.set_close();
            }
            let mut scope = service::Scope {
                thread: &thread,
                listener: self.end.listener,
                local_port: self.end.port,
                local: self.end.local,
                exchange: &mut exchange,
                body: &mut body,
                reply: &mut reply,
                stream: None,
            };
            match service::serve(&mut scope).await {
                service::After::Next => {}
                service::After::Close => break Phase::Linger,
                service::After::Abort => break Phase::Abort,
            }
            reply.reset();
        };
        thread.warm.set(thread.warm.get() - 1);
        phase
    }
}

/// Waits for the head of the next request. Gives up its memory early when many others wait, too.
async fn next_request(
    thread: &Thread,
    body: &mut Body<'_>,
    exchange: &mut Exchange,
    detect: bool,
) -> Result<Arrival, Error> {
    exchange.reset();
    let patience = if thread.is_draining() || thread.warm.get() > MAX_WARM {
        Duration::ZERO
    } else {
        WARM
    };
    match &mut body.source {
        Source::H1(inbound) => inbound.head(&mut exchange.request, patience, detect).await,
        Source::H2(_) | Source::Cgi(_) => Ok(Arrival::Closed),
    }
}
