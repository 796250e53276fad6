//! Listeners with `protocols = ["tcp"]`: the bytes of a client go to a server of the listener's
//! upstream as they are, and back, until both have ended.
//!
//! Another server is tried only while none has been reached: what a client has sent is sent once.

mod way;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use quaich_proto::headers::Headers;

use self::way::Way;
use super::connection::End;
use crate::clock::unix_millis;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::exchange::timings::Timings;
use crate::forwarded::Client;
use crate::observe::record::{self, Record};
use crate::stream::Stream;
use crate::thread::Thread;
use crate::upstream::group::{Outcome, Slot, Wish};
use crate::upstream::hash;
use crate::upstream::server::Server;
use crate::upstream::{Unreachable, Upstream};

/// A client's connection, from accept to end.
pub struct Call {
    stream: Stream,
    thread: Rc<Thread>,
    end: End,
    client: Client,
    number: u64,
    timings: Timings,
    server: Option<Arc<Server>>,
    retries: u32,
    sent: u64,
    received: u64,
}

/// Why both connections ended: the word of the access log.
type Why = &'static str;

impl Call {
    /// A connection that was just accepted.
    pub fn new(stream: Stream, thread: Rc<Thread>, end: End, client: Client) -> Self {
        Self {
            number: thread.counters.accepted.value(),
            timings: Timings::begin(thread.access_log.is_some()),
            stream,
            thread,
            end,
            client,
            server: None,
            retries: 0,
            sent: 0,
            received: 0,
        }
    }

    /// Serves it to its end. `held` is dropped then.
    pub async fn serve<H>(mut self, upstream: Rc<Upstream>, held: H) {
        // In a box: only the bytes both ways take long.
        let why = match Box::pin(self.connect(&upstream)).await {
            Ok((server, slot)) => {
                self.timings.mark_connected();
                self.thread.counters.tunnels.add();
                let why = self.both_ways(&server, &upstream).await;
                drop(slot);
                why
            }
            Err(error) => {
                // The client learns that nobody was there, not that all is said.
                self.stream.reset_on_close();
                error.label()
            }
        };
        self.log(&upstream, why);
        drop(held);
    }

    /// A connection to some server.
    async fn connect(&mut self, upstream: &Upstream) -> Result<(Stream, Slot), Error> {
        let announced = self.announced();
        let mut tried: Vec<Arc<Server>> = Vec::new();
        let own = self.own_server(upstream);
        let mut left = upstream.settings().retries;
        loop {
            let wish = Wish {
                known: own.as_ref().filter(|_| tried.is_empty()),
                hash: self.client.addr.map(hash::of_address),
                tried: &tried,
                client: self.client.addr,
            };
            let dialled = unless_gone(&self.stream, upstream.dial(announced, &wish)).await?;
            let Unreachable { error, server } = match dialled {
                Ok((stream, slot)) => {
                    self.server = Some(slot.server().clone());
                    return Ok((stream, slot));
                }
                Err(unreachable) => unreachable,
            };
            let Some(server) = server else {
                return Err(error);
            };
            self.server = Some(server.clone());
            tried.push(server);
            if left == 0 || !upstream.may_retry() {
                return Err(error);
            }
            left -= 1;
            self.retries += 1;
            self.thread.counters.upstream_retries.add();
        }
    }

    /// The server that the client belongs to, if `sticky` goes by its address.
    fn own_server(&self, upstream: &Upstream) -> Option<Arc<Server>> {
        let sticky = upstream.sticky()?;
        sticky.known(upstream.group(), &Headers::default(), self.client.addr)
    }

    fn announced(&self) -> Option<(SocketAddr, SocketAddr)> {
        let from = SocketAddr::new(self.client.addr?, self.client.port);
        Some((from, self.end.local?))
    }

    /// Bytes both ways until both have ended, one has failed, or none came for long.
    async fn both_ways(&mut self, server: &Stream, upstream: &Upstream) -> Why {
        let deadline = self.thread.deadlines.register();
        let idle = upstream.timeout();
        deadline.set(idle);
        let mut ways = Ways::default();
        let mut cut = pin!(self.thread.cut_started());
        let why = poll_fn(|cx| {
            let before = ways.moved();
            if let Poll::Ready(why) = ways.poll(cx, &self.stream, server) {
                return Poll::Ready(why);
            }
            if ways.moved() != before {
                deadline.set(idle);
            }
            if cut.as_mut().poll(cx).is_ready() {
                return Poll::Ready("shutdown");
            }
            poll_idle(&deadline, cx)
        })
        .await;
        (self.received, self.sent) = (ways.up.moved, ways.down.moved);
        if !matches!(why, CLIENT_CLOSED | SERVER_CLOSED | IDLE) {
            // Neither is to take what it got for all that there was.
            self.stream.reset_on_close();
            server.reset_on_close();
        } else {
            self.stream.close();
            server.close();
        }
        if let (Some(known), true) = (&self.server, why == SERVER_RESET) {
            upstream.group().report(known, Outcome::Failed);
        } else if let Some(known) = &self.server {
            upstream.group().report(known, Outcome::Answered(0));
        }
        why
    }

    fn log(&mut self, upstream: &Upstream, why: Why) {
        let Some(log) = &self.thread.access_log else {
            return;
        };
        self.timings.mark_end();
        let connected = self.timings.connected;
        log.log(&Record {
            client: self.client.addr,
            remote_user: None,
            unix_millis: unix_millis().saturating_sub(self.timings.total() / 1000),
            method: b"",
            target: b"",
            protocol: "TCP",
            scheme: if self.client.https { "tls" } else { "tcp" },
            status: 0,
            body_bytes: self.sent,
            sent_bytes: self.sent,
            received_bytes: self.received,
            host: b"",
            headers: &Headers::new(),
            timings: record::Timings {
                header: None,
                queue: None,
                connect: (connected > 0).then(|| connected.saturating_sub(self.timings.start)),
                first_byte: None,
                total: self.timings.total(),
            },
            request_id: b"",
            site: "",
            route: "",
            app: "",
            upstream: &upstream.group().settings().name,
            server: self.server.as_ref().map_or("", |server| server.name()),
            outcome: why,
            connection: self.number,
            connection_request: 1,
            retries: self.retries,
        });
    }
}

/// Waits for `future` while the client does: one that has only finished sending waits for what comes.
async fn unless_gone<T>(client: &Stream, future: impl Future<Output = T>) -> Result<T, Error> {
    let mut future = pin!(future);
    let mut failed = pin!(client.socket().failed());
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Ok(value)),
        Poll::Pending => failed.as_mut().poll(cx).map(|()| Err(Error::CLIENT_GONE)),
    })
    .await
}

const CLIENT_CLOSED: Why = "client_closed";
const SERVER_CLOSED: Why = "server_closed";
const CLIENT_RESET: Why = "client_reset";
const IDLE: Why = "idle_timeout";
const SERVER_RESET: Why = "server_reset";

fn poll_idle(deadline: &Deadline, cx: &mut Context<'_>) -> Poll<Why> {
    match deadline.check(cx) {
        Ok(()) => Poll::Pending,
        Err(_) => Poll::Ready(IDLE),
    }
}

/// Both directions.
#[derive(Default)]
struct Ways {
    up: Way,
    down: Way,
    /// Who was the first to end.
    first: Option<Why>,
}

impl Ways {
    fn moved(&self) -> u64 {
        self.up.moved.wrapping_add(self.down.moved)
    }

    fn poll(&mut self, cx: &mut Context<'_>, client: &Stream, server: &Stream) -> Poll<Why> {
        self.up.poll(cx, client, server);
        if self.up.has_ended() {
            self.first.get_or_insert(CLIENT_CLOSED);
        }
        self.down.poll(cx, server, client);
        if self.down.has_ended() {
            self.first.get_or_insert(SERVER_CLOSED);
        }
        if self.up.source_failed() {
            return Poll::Ready(CLIENT_RESET);
        }
        if self.down.source_failed() {
            return Poll::Ready(SERVER_RESET);
        }
        if !(self.up.is_over() && self.down.is_over()) {
            // Who takes nothing any more may have said all before: it is read to its end.
            return Poll::Pending;
        }
        Poll::Ready(match (self.up.sink_failed(), self.down.sink_failed()) {
            (_, true) => CLIENT_RESET,
            (true, false) => SERVER_RESET,
            (false, false) => self.first.unwrap_or(CLIENT_CLOSED),
        })
    }
}
