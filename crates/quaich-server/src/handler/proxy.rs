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

use quaich_proto::h1::{self, BodyLength, Connection, ResponseHead, Version};
use quaich_proto::headers::HeaderId;
use quaich_proto::method::Method;

use super::{tunnel, websocket};
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
use crate::upstream::endpoint::Want;
use crate::upstream::request::Request;
use crate::upstream::wire::{Conn, Download, Upload};

/// A rest of a body from which on it is moved by the kernel, not copied here.
const MOVED: u64 = 32 * 1024;

/// Interim (1xx) responses that a server may send before the final one.
const MAX_INTERIM: u32 = 8;

/// Passes the exchange of `scope` to a server of `upstream`.
pub async fn run(
    scope: &mut Scope<'_, '_>,
    route: &Route,
    upstream: &Upstream,
) -> Result<(), Error> {
    scope.body.look_ahead().await?;
    let request = request(scope, route);
    let timeout = route.timeout.unwrap_or(upstream.timeout());
    let mut attempts = Attempts {
        left: upstream.retries(),
        want: Want {
            fresh: false,
            upgrade: request.protocol().is_some(),
        },
    };
    loop {
        let (mut conn, server) = connect(scope, upstream, &mut attempts).await?;
        scope.exchange.timings.mark_connected();
        note_server(scope, upstream, server);
        match exchange(scope, &mut conn, &request, timeout).await {
            Ok(Ended::Reusable) => {
                conn.rest();
                upstream.keep(conn, server);
                return Ok(());
            }
            Ok(Ended::Closed | Ended::Switched) => return Ok(()),
            Err(Failed { safe: true, .. }) if attempts.again() => {
                scope.exchange.notes.retries += 1;
                scope.thread.counters.upstream_retries.add();
                scope.exchange.response.clear();
                attempts.want.fresh = true;
            }
            Err(Failed { error, .. }) => return Err(error),
        }
    }
}

fn note_server(scope: &mut Scope<'_, '_>, upstream: &Upstream, server: usize) {
    let note = &mut scope.exchange.notes.upstream;
    note.clear();
    note.push_str(upstream.server_name(server));
}

/// What may still be tried.
struct Attempts {
    left: u32,
    want: Want,
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
        match upstream.connection(attempts.want).await {
            Ok(found) => return Ok(found),
            Err((error, server)) => {
                // What is wrong with TLS was said already.
                if error.kind != Kind::UpstreamTls {
                    let name = upstream.server_name(server);
                    log::warn_limited!("a server cannot be reached: {error}"; server = name);
                }
                note_server(scope, upstream, server);
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
    conn: &mut Conn,
    request: &Request,
    timeout: Duration,
) -> Result<Ended, Failed> {
    let Scope {
        exchange,
        body,
        reply,
        ..
    } = scope;
    let whole = body.whole_buffered();
    let is_empty = whole.is_some_and(<[u8]>::is_empty);
    let begun = conn.begin(request, is_empty, timeout).await;
    let (mut up, mut down) = begun.map_err(|error| Failed {
        error,
        safe: error.kind == Kind::UpstreamRefused,
    })?;
    let sending = match (up.head(request, whole).await, whole) {
        (Ok(()), None) => Ok(Sending::Rest),
        (Ok(()), Some(_)) => Ok(Sending::Done),
        // The server may have answered before it closed: read on.
        (Err(error), Some(_)) if error.kind == Kind::UpstreamClosed => Ok(Sending::Failed),
        (Err(error), _) => Err(error),
    };
    let outcome = match sending {
        Ok(sending) => {
            let client = (&mut **body, &mut **reply);
            both_ways(exchange, client, (&mut up, &mut down), sending).await
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok(Ended::Reusable) => {
            body.finish_whole();
            Ok(match down.is_reusable() {
                true => Ended::Reusable,
                false => Ended::Closed,
            })
        }
        Ok(Ended::Switched) => {
            let over_http2 = matches!(down, Download::Http2(_));
            prove(exchange, request, over_http2).map_err(|error| Failed { error, safe: false })?;
            reply.begin_tunnel(exchange);
            // However it ends, both connections end with it.
            let _ = tunnel::run(body, reply, (&mut up, &mut down)).await;
            Ok(Ended::Closed)
        }
        Ok(Ended::Closed) => Ok(Ended::Closed),
        Err(error) => {
            let unanswered = !down.has_begun() && !reply.has_begun();
            // A server may act on a head alone (RFC 9110 section 9.2.2) ...
            let harmless = match error.kind {
                Kind::UpstreamClosed => exchange.request.method.is_idempotent(),
                Kind::UpstreamRefused => true,
                _ => false,
            };
            Err(Failed {
                error,
                // ... and a body of which a part is gone cannot be sent again.
                safe: harmless && unanswered && body.received() == 0,
            })
        }
    }
}

/// Where the request body stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// It is to be sent.
    Rest,
    /// It was sent whole.
    Done,
    /// The server has closed its side: its answer may still be there to be read.
    Failed,
}

/// What the two directions of an exchange know of each other.
struct Progress {
    sending: Cell<Sending>,
    /// The next piece of the request has not come.
    awaits_client: Cell<bool>,
    /// The next piece of the response has not come.
    awaits_server: Cell<bool>,
    /// The head of the response has come.
    answered: Cell<bool>,
    /// Somebody looks whether the client leaves before that.
    watched: Cell<bool>,
    /// The client may be sent an interim response to find out.
    probe: bool,
}

/// Request body up and response down at the same time. Ends with the response.
async fn both_ways(
    exchange: &mut Exchange,
    (body, reply): (&mut Body<'_>, &mut Reply<'_>),
    (up, down): (&mut Upload<'_>, &mut Download<'_>),
    sending: Sending,
) -> Result<Ended, Error> {
    let progress = Progress {
        sending: Cell::new(sending),
        awaits_client: Cell::new(false),
        awaits_server: Cell::new(false),
        answered: Cell::new(false),
        watched: Cell::new(false),
        probe: exchange.request.version != Version::Http10,
    };
    let patience = up.patience();
    let mut rising = pin!(rise(body, up, &progress));
    let mut falling = pin!(download(exchange, reply, down, &progress));
    poll_fn(|cx| {
        loop {
            let sends = progress.sending.get() == Sending::Rest;
            if sends && let Poll::Ready(error) = rising.as_mut().poll(cx) {
                return Poll::Ready(Err(error));
            }
            if progress.awaits_client.get() {
                patience.renew();
            }
            if let Poll::Ready(ended) = falling.as_mut().poll(cx)? {
                let whole = progress.sending.get() == Sending::Done;
                return Poll::Ready(Ok(if whole { ended } else { ended.into_last() }));
            }
            // Only who waits for an answer is asked whether it still wants one.
            let is_over = progress.answered.get() && progress.watched.get();
            if !sends && let Poll::Ready(error) = rising.as_mut().poll(cx) {
                return Poll::Ready(Err(error));
            }
            if !is_over {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Sends the rest of the request body, then waits for the client to leave. Ends with an error only.
async fn rise(body: &mut Body<'_>, up: &mut Upload<'_>, progress: &Progress) -> Error {
    if progress.sending.get() == Sending::Rest {
        let sent = upload(body, up, progress).await;
        progress.awaits_client.set(false);
        progress.sending.set(match sent {
            Ok(()) => Sending::Done,
            Err(error) if error.kind == Kind::UpstreamClosed => Sending::Failed,
            Err(error) => return error,
        });
    }
    watch(body, progress).await
}

async fn upload(
    body: &mut Body<'_>,
    up: &mut Upload<'_>,
    progress: &Progress,
) -> Result<(), Error> {
    loop {
        progress.awaits_client.set(true);
        let Some(piece) = body.data().await? else {
            break;
        };
        progress.awaits_client.set(false);
        up.data(piece).await?;
    }
    up.finish(body.trailers()).await
}

/// Waits for the client to leave.
async fn watch(body: &mut Body<'_>, progress: &Progress) -> Error {
    if !progress.answered.get() {
        progress.watched.set(true);
        let gone = poll_fn(|cx| match progress.answered.get() {
            true => Poll::Ready(None),
            false => body.poll_gone(cx, progress.probe).map(Some),
        });
        if let Some(error) = gone.await {
            return error;
        }
        // The answer is sent under a deadline of its own.
        body.forget_gone();
        progress.watched.set(false);
    }
    poll_fn(|cx| {
        if !progress.awaits_server.get() {
            return Poll::Pending;
        }
        let gone = body.poll_gone(cx, false);
        body.forget_gone();
        gone
    })
    .await
}

/// Reads the response and passes it on.
async fn download(
    exchange: &mut Exchange,
    reply: &mut Reply<'_>,
    down: &mut Download<'_>,
    progress: &Progress,
) -> Result<Ended, Error> {
    final_head(exchange, reply, down).await?;
    exchange.timings.mark_first_byte();
    progress.answered.set(true);
    // `both_ways` lets `watch` end before it comes back here.
    poll_fn(|_| match progress.watched.get() {
        true => Poll::Pending,
        false => Poll::Ready(()),
    })
    .await;
    if exchange.response.status == 101 {
        return Ok(Ended::Switched);
    }
    let length = length(exchange);
    drop_hop_by_hop(&mut exchange.response);
    reply.begin(exchange, length);
    loop {
        progress.awaits_server.set(true);
        let piece = down.data().await.map_err(cut)?;
        progress.awaits_server.set(false);
        match piece {
            Some(piece) => reply.data(piece).await?,
            None => break,
        }
        move_body(reply, down).await?;
    }
    match down.trailers() {
        Some(trailers) => reply.finish_with(trailers).await?,
        None => reply.finish().await?,
    }
    Ok(Ended::Reusable)
}

/// Reads the final head; passes on what comes before it and concerns the client.
async fn final_head(
    exchange: &mut Exchange,
    reply: &mut Reply<'_>,
    down: &mut Download<'_>,
) -> Result<(), Error> {
    for _ in 0..=MAX_INTERIM {
        down.head(&mut exchange.response).await?;
        match exchange.response.status {
            // The first is between two neighbours, the second is no more than a sign of life.
            100 | 102 => {}
            101 | 200.. => return Ok(()),
            status => {
                drop_hop_by_hop(&mut exchange.response);
                reply.interim(status, &exchange.response.headers).await?;
            }
        }
    }
    Err(Error::upstream(Kind::BadResponse("too_many_interim")))
}

/// The proof of a WebSocket handshake, where only one side has one.
fn prove(exchange: &mut Exchange, request: &Request, over_http2: bool) -> Result<(), Error> {
    let from_http2 = exchange.request.version == Version::Http2;
    if from_http2 == over_http2 {
        return Ok(());
    }
    let key = request
        .fields()
        .find(|(name, _)| name.eq_ignore_ascii_case(b"sec-websocket-key"));
    let proof = key.map(|(_, key)| websocket::accept(key));
    let headers = &mut exchange.response.headers;
    if from_http2 {
        return match headers.by_name(b"sec-websocket-accept") == proof.as_deref() {
            true => Ok(()),
            false => Err(Error::upstream(Kind::BadResponse("bad_websocket_accept"))),
        };
    }
    let fields = [
        (&b"Connection"[..], Some(&b"upgrade"[..])),
        (b"Upgrade", request.protocol()),
        (b"Sec-WebSocket-Accept", proof.as_deref()),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            headers.set(name, value).map_err(|_| Error::internal())?;
        }
    }
    Ok(())
}

/// What is left of a large body of known length goes from socket to socket inside the kernel.
async fn move_body(reply: &mut Reply<'_>, down: &mut Download<'_>) -> Result<(), Error> {
    let worth = |left: &u64| *left >= MOVED && reply.takes_plain(*left);
    if down.unread().filter(worth).is_none() {
        return Ok(());
    }
    let Some(mut pipe) = Pipe::lend() else {
        return Ok(());
    };
    while !down.is_done() {
        down.splice(&mut pipe).await.map_err(cut)?;
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

/// The request for the server: the client's, without what belongs to the client's connection, with
/// the fields that say who asked.
fn request(scope: &Scope<'_, '_>, route: &Route) -> Request {
    let exchange = &*scope.exchange;
    let from = &exchange.request;
    let path = match strip_mount(from.path(), &route.prefix) {
        Some(b"") => b"/",
        Some(rest) => rest,
        None => from.path(),
    };
    let query = from.has_query().then(|| from.query());
    let method = (from.method, from.method_name());
    let mut request = Request::new(method, path, query, from.authority());
    let listed = Connection::of(&from.headers);
    let asked = exchange
        .session
        .as_ref()
        .is_some_and(|session| session.asked);
    for (id, name, value) in from.headers.iter() {
        let ours = matches!(
            id,
            HeaderId::Host | HeaderId::ContentLength | HeaderId::Expect | HeaderId::XRequestId
        );
        if !(ours
            || h1::is_hop_by_hop(id)
            || is_for_proxy(id, name)
            || listed.names(name)
            || forwarded::is_dropped(id, name, exchange.client.trusted)
            || asked && forwarded::is_certificate(name))
        {
            request.field(name, value);
        }
    }
    let protocol = from.headers.get(HeaderId::Upgrade);
    let protocol = protocol.filter(|_| from.upgrade);
    if protocol.is_some() && from.version == Version::Http2 {
        request.field(b"Sec-WebSocket-Key", &websocket::key());
    }
    let (client, authority) = (&exchange.client, from.authority());
    let public = scope
        .thread
        .trust
        .public(client, &from.headers, authority, scope.local_port);
    let lines = request.lines();
    forwarded::append(lines, &from.headers, client, &public, &route.prefix);
    for (name, value) in exchange.session.iter().flat_map(|session| session.fields()) {
        request.field(name.as_bytes(), value.as_bytes());
    }
    request.field(b"X-Request-ID", exchange.request_id.as_bytes());
    if from.accepts_trailers() {
        request.accept_trailers();
    }
    request.end(from.body, protocol);
    request
}

/// `Proxy-Authorization` is for the first proxy that asks for it (RFC 9110 section 11.7.2), and none
/// behind this one did.
fn is_for_proxy(id: HeaderId, name: &[u8]) -> bool {
    id == HeaderId::Other && name.eq_ignore_ascii_case(b"proxy-authorization")
}
