//! One connection of a web server: its requests, one after the other. At rest it holds almost nothing.

use std::time::Duration;

use super::Wire;
use super::asides::Asides;
use super::inbound::{Arrival, Inbound, Refusal};
use super::outbound::Outbound;
use crate::downstream::body::{Body, Source};
use crate::downstream::connection::{Connection, linger};
use crate::downstream::reply::Reply;
use crate::downstream::service::{self, After};
use crate::downstream::wire;
use crate::error::Kind;
use crate::exchange::Exchange;
use crate::observe::log;

/// How long a connection without a request keeps its memory.
const WARM: Duration = Duration::from_millis(500);

impl<H> Connection<H> {
    /// Serves a web server that speaks `wire` to the end of the connection.
    pub async fn run_cgi(mut self, wire: Wire) {
        let deadline = self.thread.deadlines.register();
        let mut patience = self.thread.settings.header_timeout;
        let mut last = None;
        while self.rest(&deadline, patience).await {
            match Box::pin(self.requests(wire, &mut last)).await {
                Some(After::Next) => {}
                Some(After::Close) => {
                    return Box::pin(linger(&self.socket, &deadline)).await;
                }
                Some(After::Abort) => return self.socket.reset_on_close(),
                None => break,
            }
            patience = self.thread.settings.keepalive;
        }
        self.socket.close();
    }

    /// Serves requests until none comes; `None` when the web server has closed. `last` is what was
    /// served before a rest: of a request that was answered early, its end may come after it.
    async fn requests(&mut self, wire: Wire, last: &mut Option<u16>) -> Option<After> {
        let thread = self.thread.clone();
        let reading = thread.deadlines.register();
        let writing = thread.deadlines.register();
        let asides = Asides::default();
        let place = (&self.socket, wire);
        let inbound = Inbound::new(place, &thread, &reading, &asides, *last);
        let mut body = Body::new(Source::Cgi(Box::new(inbound)));
        let reply = wire::Wire::Cgi(Outbound::new(place, &thread, &writing, &asides));
        let mut reply = Reply::new(&thread, reply);
        let mut exchange = Box::<Exchange>::default();
        loop {
            exchange.reset();
            exchange.client = self.peer;
            exchange.session = self.socket.session().cloned();
            exchange.connection = self.number;
            exchange.connection_request = self.requests + 1;
            let mut local_port = self.end.port;
            let (Source::Cgi(inbound), wire::Wire::Cgi(outbound)) =
                (&mut body.source, &mut reply.wire)
            else {
                return Some(After::Abort);
            };
            let found = inbound.head(&mut exchange.request, WARM).await;
            outbound.answers(inbound.id(), inbound.keeps_connection());
            match found {
                Ok(Arrival::Head(origin)) => {
                    if thread.trust.contains(self.peer.addr) || self.peer.peer.is_none() {
                        exchange.client = origin.client(&self.peer);
                        local_port = if origin.port > 0 {
                            origin.port
                        } else {
                            local_port
                        };
                    }
                }
                Ok(Arrival::Idle) => {
                    *last = inbound.last();
                    return Some(After::Next);
                }
                Ok(Arrival::Closed) => return None,
                Err(Refusal::Garbled(why)) => {
                    thread.counters.rejected.add();
                    log::debug!("a connection was closed: {why}");
                    return Some(After::Abort);
                }
                Err(Refusal::Answer(error)) => {
                    service::refuse(&thread, &mut exchange, &mut reply, error).await;
                    return Some(match error.kind {
                        Kind::ClientGone => After::Abort,
                        _ => After::Close,
                    });
                }
            }
            self.requests += 1;
            if self.requests >= thread.settings.keepalive_requests || thread.is_draining() {
                reply.set_close();
            }
            let mut scope = service::Scope {
                thread: &thread,
                listener: self.end.listener,
                local_port,
                local: self.end.local,
                exchange: &mut exchange,
                body: &mut body,
                reply: &mut reply,
                stream: None,
            };
            match service::serve(&mut scope).await {
                After::Next => {}
                ended => return Some(ended),
            }
            reply.reset();
        }
    }
}
