//! `upstream` and `proxy`: passes the exchange to a server that runs elsewhere.
//!
//! Bodies flow both ways with back-pressure: no more is read from one side than the other takes. A
//! response that breaks off is never made to look complete. A request is sent a second time only
//! when the first attempt cannot have had an effect.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use quaich_proto::h1::{self, BodyLength, Connection, ResponseHead};
use quaich_proto::headers::HeaderId;
use quaich_proto::method::Method;

use super::tunnel;
use crate::downstream::body::Body;
use crate::downstream::reply::Reply;
use crate::downstream::service::Scope;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::forwarded;
use crate::observe::log;
use crate::pipe::Pipe;
use crate::route::{Route, strip_mount};
use crate::upstream::Upstream;
use crate::upstream::wire::http1::{self, Conn, Response};

/// A rest of a body from which on it is moved by the kernel, not copied here.
const MOVED: u64 = 32 * 1024;

/// Passes the exchange of `scope` to a server of `upstream`.
pub async fn run(
    scope: &mut Scope<'_, '_>,
    route: &Route,
    upstream: &Upstream,
) -> Result<(), Error> {
    scope.body.look_ahead().await?;
    let mut head = Vec::with_capacity(1024);
    write_head(&mut head, scope, route);
    let timeout = route.timeout.unwrap_or(upstream.timeout());
    let mut attempts = Attempts {
        left: upstream.retries(),
        fresh: false,
    };
    loop {
        let (conn, server) = connect(scope, upstream, &mut attempts).await?;
        scope.exchange.timings.mark_connected();
        scope.exchange.notes.upstream.clear();
        scope
            .exchange
            .notes
            .upstream
            .push_str(upstream.server_name(server));
        match exchange(scope, &conn, &head, timeout).await {
            Ok(Ended::Reusable) => {
                conn.rest();
                upstream.keep(conn, server);
                return Ok(());
            }
            Ok(Ended::Closed | Ended::Switched) => return Ok(()),
            Err(Failed { error, safe: true }) if attempts.again() => {
                scope.exchange.notes.retries += 1;
                scope.thread.counters.upstream_retries.add();
                scope.exchange.response.clear();
                attempts.fresh = true;
                let _ = error;
            }
            Err(Failed { error, .. }) => return Err(error),
        }
    }
}

/// What may still be tried.
struct Attempts {
    left: u32,
    /// Kept connections were a disappointment: use new ones.
    fresh: bool,
}

impl Attempts {
    fn again(&mut self) -> bool {
        let again = self.left > 0;
        self.left = self.left.saturating_sub(1);
        again
    }
}

/// A connection to some server. Nothing was sent over a connection that was never made, so another
/// server may be tried whatever the method.
async fn connect(
    scope: &mut Scope<'_, '_>,
    upstream: &Upstream,
    attempts: &mut Attempts,
) -> Result<(Conn, usize), Error> {
    loop {
        match upstream.connection(attempts.fresh).await {
            Ok(found) => return Ok(found),
            Err((error, server)) => {
                let name = upstream.server_name(server);
                log::warn_limited!("a server cannot be reached: {error}"; server = name);
                scope.exchange.notes.upstream.clear();
                scope
                    .exchange
                    .notes
                    .upstream
                    .push_str(upstream.server_name(server));
                if !attempts.again() {
                    return Err(error);
                }
                scope.exchange.notes.retries += 1;
                scope.thread.counters.upstream_retries.add();
            }
        }
    }
}

/// How an exchange with a server ended.
enum Ended {
    /// Exactly: the connection may be kept.
    Reusable,
    /// Well, and the connection with it.
    Closed,
    /// The connection now carries another protocol.
    Switched,
}

impl Ended {
    /// The same when the request was not sent to its end: what follows on the connection would be
    /// taken for the rest of it.
    fn into_last(self) -> Self {
        match self {
            Self::Reusable => Self::Closed,
            other => other,
        }
    }
}

/// A failed attempt, and whether another one is safe.
struct Failed {
    error: Error,
    safe: bool,
}

/// One attempt.
async fn exchange(
    scope: &mut Scope<'_, '_>,
    conn: &Conn,
    head: &[u8],
    timeout: Duration,
) -> Result<Ended, Failed> {
    let Scope {
        exchange,
        body,
        reply,
        ..
    } = scope;
    let idempotent = exchange.request.method.is_idempotent();
    let mut response = conn.response(timeout);
    let whole = body.whole_buffered();
    let streams = whole.is_none();
    let sent = conn.send([head, whole.unwrap_or_default()], timeout).await;
    let outcome = match sent {
        Ok(()) if streams => both_ways(exchange, body, reply, &mut response, conn, timeout).await,
        Ok(()) => download(exchange, reply, &mut response).await,
        // The server may have answered before it closed: read on.
        Err(Error {
            kind: Kind::UpstreamClosed,
            ..
        }) if !streams => download(exchange, reply, &mut response)
            .await
            .map(Ended::into_last),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(Ended::Reusable) => {
            body.finish_whole();
            Ok(if response.is_reusable() {
                Ended::Reusable
            } else {
                Ended::Closed
            })
        }
        Ok(Ended::Switched) => {
            body.begin_tunnel();
            // However it ends, both connections end with it.
            let _ = tunnel::run(body, reply, conn.socket(), &response.take_surplus()).await;
            Ok(Ended::Closed)
        }
        Ok(Ended::Closed) => Ok(Ended::Closed),
        Err(error) => {
            let unanswered = !response.has_begun() && !reply.has_begun();
            let closed = error.kind == Kind::UpstreamClosed;
            // A server may act on a head alone (RFC 9110 section 9.2.2), and a body of which a part
            // is gone cannot be sent again.
            let harmless = idempotent && body.received() == 0;
            Err(Failed {
                error,
                safe: closed && unanswered && harmless,
            })
        }
    }
}

/// Request body up and response down at the same time.
async fn both_ways(
    exchange: &mut Exchange,
    body: &mut Body<'_>,
    reply: &mut Reply<'_>,
    response: &mut Response<'_>,
    conn: &Conn,
    timeout: Duration,
) -> Result<Ended, Error> {
    let chunked = body.remaining().is_none();
    let awaits_client = Cell::new(false);
    let mut upload = pin!(upload(body, conn, chunked, timeout, &awaits_client));
    let mut download = pin!(download(exchange, reply, response));
    let mut uploading = true;
    // Not to be asked of `body`: its last piece is read before it is sent.
    let mut sent_whole = false;
    poll_fn(|cx| {
        if uploading && let Poll::Ready(done) = upload.as_mut().poll(cx) {
            uploading = false;
            match done {
                Ok(()) => sent_whole = true,
                // The server closed its side: its answer may still be there to be read.
                Err(Error {
                    kind: Kind::UpstreamClosed,
                    ..
                }) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if uploading && awaits_client.get() {
            conn.postpone(timeout);
        }
        download
            .as_mut()
            .poll(cx)
            .map_ok(|ended| if sent_whole { ended } else { ended.into_last() })
    })
    .await
}

async fn upload(
    body: &mut Body<'_>,
    conn: &Conn,
    chunked: bool,
    timeout: Duration,
    awaits_client: &Cell<bool>,
) -> Result<(), Error> {
    let mut chunk = Vec::new();
    loop {
        awaits_client.set(true);
        let Some(piece) = body.data().await? else {
            break;
        };
        awaits_client.set(false);
        chunk.clear();
        if chunked {
            h1::chunk_head(&mut chunk, piece.len());
            conn.send([&chunk, piece], timeout).await?;
            conn.send([b"\r\n", b""], timeout).await?;
        } else {
            conn.send([piece, b""], timeout).await?;
        }
    }
    awaits_client.set(false);
    if chunked {
        conn.send([h1::LAST_CHUNK, b""], timeout).await?;
    }
    Ok(())
}

/// Reads the response and passes it on.
async fn download(
    exchange: &mut Exchange,
    reply: &mut Reply<'_>,
    response: &mut Response<'_>,
) -> Result<Ended, Error> {
    let upgrade = exchange.request.upgrade;
    response
        .head(&mut exchange.response, &exchange.request.method, upgrade)
        .await?;
    exchange.timings.mark_first_byte();
    if exchange.response.status == 101 {
        reply.begin_tunnel(exchange);
        reply.flush().await?;
        return Ok(Ended::Switched);
    }
    let length = length(exchange);
    drop_hop_by_hop(&mut exchange.response);
    reply.begin(exchange, length);
    while let Some(piece) = response.data().await.map_err(cut)? {
        reply.data(piece).await?;
        move_body(reply, response).await?;
    }
    reply.finish().await?;
    Ok(Ended::Reusable)
}

/// What is left of a large body of known length goes from socket to socket inside the kernel.
async fn move_body(reply: &mut Reply<'_>, response: &mut Response<'_>) -> Result<(), Error> {
    let worth = |left: &u64| *left >= MOVED && reply.takes_plain(*left);
    if response.unread().filter(worth).is_none() {
        return Ok(());
    }
    let Some(mut pipe) = Pipe::lend() else {
        return Ok(());
    };
    while !response.is_done() {
        response.splice(&mut pipe).await.map_err(cut)?;
        reply.splice(&mut pipe).await?;
    }
    Ok(())
}

/// Once the head is out, a failure of the server can only be shown by breaking off.
fn cut(error: Error) -> Error {
    Error {
        kind: Kind::Truncated,
        ..error
    }
}

/// The length of the response body as the client is to be told. `HEAD` and 304 may tell the length
/// of a body that does not come.
fn length(exchange: &Exchange) -> BodyLength {
    let without = exchange.request.method == Method::Head || exchange.response.status == 304;
    match exchange.response.body {
        BodyLength::Empty if without => exchange
            .response
            .headers
            .get(HeaderId::ContentLength)
            .and_then(|value| std::str::from_utf8(value).ok()?.parse().ok())
            .map_or(BodyLength::UntilClose, BodyLength::Known),
        length => length,
    }
}

/// Fields that belong to the connection with the server (RFC 9110 section 7.6.1), and those that
/// quaich sets itself.
fn drop_hop_by_hop(response: &mut ResponseHead) {
    // Most responses have no such field, and nothing is allocated for them.
    let listed = response
        .headers
        .get_all(HeaderId::Connection)
        .collect::<Vec<_>>()
        .join(&b',');
    let listed = Connection::parse(&listed);
    response.headers.retain(|id, name, _| {
        !(h1::is_hop_by_hop(id) || id == HeaderId::Server || listed.names(name))
    });
}

/// Writes the request head for the server: the client's, without what belongs to the client's
/// connection, with the fields that say who asked.
fn write_head(out: &mut Vec<u8>, scope: &Scope<'_, '_>, route: &Route) {
    let exchange = &*scope.exchange;
    let request = &exchange.request;
    let path = match strip_mount(request.path(), &route.prefix) {
        Some(b"") => b"/",
        Some(rest) => rest,
        None => request.path(),
    };
    let query = request.has_query().then(|| request.query());
    http1::request_line(out, request.method_name(), path, query);
    h1::field(out, b"Host", request.authority());
    let listed = Connection::of(&request.headers);
    let asked = exchange
        .session
        .as_ref()
        .is_some_and(|session| session.asked);
    for (id, name, value) in request.headers.iter() {
        let ours = matches!(
            id,
            HeaderId::Host | HeaderId::ContentLength | HeaderId::Expect | HeaderId::XRequestId
        );
        if !(ours
            || h1::is_hop_by_hop(id)
            || listed.names(name)
            || forwarded::is_dropped(id, name, exchange.client.trusted)
            || asked && forwarded::is_certificate(name))
        {
            h1::field(out, name, value);
        }
    }
    if request.upgrade
        && let Some(protocol) = request.headers.get(HeaderId::Upgrade)
    {
        h1::field(out, b"Connection", b"upgrade");
        h1::field(out, b"Upgrade", protocol);
    }
    let (client, authority) = (&exchange.client, request.authority());
    let public = scope
        .thread
        .trust
        .public(client, &request.headers, authority, scope.local_port);
    forwarded::append(out, &request.headers, client, &public, &route.prefix);
    for (name, value) in exchange.session.iter().flat_map(|session| session.fields()) {
        h1::field(out, name.as_bytes(), value.as_bytes());
    }
    h1::field(out, b"X-Request-ID", exchange.request_id.as_bytes());
    http1::end_head(out, request.body);
}
