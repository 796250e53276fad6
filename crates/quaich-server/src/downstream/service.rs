//! One exchange from its head to its log line. The steps:
//!
//! | step | where |
//! |---|---|
//! | 1 client: who asks, after forwarding fields | `forwarded` |
//! | 2 route: host, path, method ... to a route | `route` |
//! | 3 filters: who may ask, and for what | `filter` |
//! | 4 handler: files, app, upstream, respond, redirect | `handler` |
//! | 5 failure: an error becomes a response | here, `error`, `error_page`, `filter` |
//! | 6 rest of the request body: read or connection closed | here |
//! | 7 log and count | here, `observe` |
//!
//! An [`Error`] becomes a status here and nowhere else.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use quaich_proto::h1::{BodyLength, Version};
use quaich_proto::headers::HeaderId;

use super::body::Body;
use super::h2::stream::Channel;
use super::log_line;
use super::reply::Reply;
use crate::error::{Error, Kind, Side};
use crate::error_page;
use crate::exchange::timings::Timings;
use crate::exchange::{Exchange, Origin};
use crate::filter::{self, Flow};
use crate::handler::{self, https_redirect};
use crate::thread::Thread;
use crate::tls::Misdirected;

/// What one exchange is served with.
pub struct Scope<'s, 'c> {
    /// The thread.
    pub thread: &'s Thread,
    /// Index of the listener.
    pub listener: usize,
    /// Its port.
    pub local_port: u16,
    /// What the client has connected to, where somebody wants to know.
    pub local: Option<SocketAddr>,
    /// The request, and the response to be.
    pub exchange: &'s mut Exchange,
    /// The request body.
    pub body: &'s mut Body<'c>,
    /// Where the response goes.
    pub reply: &'s mut Reply<'c>,
    /// The stream, when the exchange has one of its own that can end at any time.
    pub(super) stream: Option<&'s Channel>,
}

impl Scope<'_, '_> {
    /// Waits for `future` while the client does.
    pub async fn unless_gone<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Error> {
        let probe = self.exchange.request.version != Version::Http10;
        let mut future = pin!(future);
        let body = &mut *self.body;
        let ended = poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => body.poll_gone(cx, probe).map(Err),
        })
        .await;
        self.body.forget_gone();
        ended
    }
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Another request may follow.
    Next,
    /// It ends.
    Close,
    /// It ends visibly broken, since the response is not complete.
    Abort,
}

/// Serves one exchange whose head was read.
pub async fn serve(scope: &mut Scope<'_, '_>) -> After {
    let thread = scope.thread;
    begin(scope);
    let stream = scope.stream;
    let outcome = {
        let handling = pin!(handle(scope));
        match stream {
            Some(stream) => unless_gone(stream, handling).await,
            None => handling.await,
        }
    };
    let after = match outcome {
        Ok(()) => settle(scope).await,
        Err(error) => fail(scope, error).await,
    };
    scope.exchange.notes.received_bytes = scope.body.received();
    note_sent(scope.exchange, scope.reply);
    conclude(thread, scope.exchange);
    after
}

fn begin(scope: &mut Scope<'_, '_>) {
    let thread = scope.thread;
    let exchange = &mut *scope.exchange;
    exchange.timings = Timings::begin(thread.access_log.is_some());
    scope.body.begin();
    thread.counters.requests.add();
    if exchange.request.dropped_fields > 0 {
        thread
            .counters
            .dropped_fields
            .add_many(exchange.request.dropped_fields.into());
    }
    thread
        .trust
        .apply(&mut exchange.client, &exchange.request.headers);
    let given = exchange
        .request
        .headers
        .get(HeaderId::XRequestId)
        .filter(|_| exchange.client.trusted);
    exchange.request_id = crate::request_id::next(given);
    scope.reply.suit(&exchange.request);
}

/// Steps 2 to 4.
async fn handle(scope: &mut Scope<'_, '_>) -> Result<(), Error> {
    filter::patched(scope).await?;
    filter::disclaim(scope);
    if scope.exchange.request.target() == b"*" {
        // `OPTIONS *` asks about this server, not about anything behind it (RFC 9110 9.3.7).
        scope.exchange.response.status = 204;
        return bodyless(scope).await;
    }
    if handler::acme_challenge::run(scope).await? {
        return Ok(());
    }
    let generation = &scope.thread.generation;
    let site = generation
        .routes
        .find(scope.listener, &scope.exchange.request)?;
    // Before that, a site has no say in what is answered.
    check_direction(scope, site.index)?;
    scope.exchange.notes.site = Some(site.index);
    if https_redirect::applies(&site.secure, scope.exchange, scope.thread.tls.as_deref()) {
        return https_redirect::run(scope, &site.secure).await;
    }
    for round in 0..=MAX_REROUTES {
        // Nothing of a route that has sent the request on holds any longer.
        scope.exchange.notes.route = None;
        scope.exchange.captures.clear();
        let route = match generation.routes.choose(site, scope.exchange) {
            Ok(route) => route,
            Err(error) => return Err(filter::unrouted(scope, error)),
        };
        scope.exchange.notes.route = Some(route.index);
        scope
            .body
            .limit_body(route.max_body.unwrap_or(scope.thread.settings.max_body))?;
        match filter::request(scope, round == 0).await? {
            Flow::Pass => return handler::run(scope, route).await,
            Flow::Answered => return Ok(()),
            Flow::Reroute => {}
        }
    }
    Err(Error::new(Kind::RewriteLoop, Side::Internal))
}

/// How often a request may be sent on to another route; nginx has the same limit.
const MAX_REROUTES: u32 = 10;

/// Over TLS, a connection may only be used for the sites that it could have been opened for.
fn check_direction(scope: &Scope<'_, '_>, site: usize) -> Result<(), Error> {
    let exchange = &*scope.exchange;
    let (Some(tls), Some(session)) = (&scope.thread.tls, &exchange.session) else {
        return Ok(());
    };
    tls.admits(
        session,
        site,
        exchange.request.host(),
        exchange.client.trusted,
    )
    .map_err(|Misdirected| Error::downstream(Kind::Misdirected))
}

/// Runs `handling` while there is somebody to be answered: what a handler waits for is given up when
/// the client gives up.
async fn unless_gone(
    stream: &Channel,
    mut handling: Pin<&mut impl Future<Output = Result<(), Error>>>,
) -> Result<(), Error> {
    poll_fn(|cx| match handling.as_mut().poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(outcome),
        Poll::Pending => stream.poll_gone(cx).map(|()| Err(Error::CLIENT_GONE)),
    })
    .await
}

/// Step 5: answers a failure.
async fn fail(scope: &mut Scope<'_, '_>, error: Error) -> After {
    let thread = scope.thread;
    let label = error.label();
    if scope.exchange.notes.failure.is_empty() {
        scope.exchange.notes.failure = label;
    }
    count_failure(scope.thread, error);
    // What an app has begun was its answer; what a server has begun and broken off was none.
    let open = !scope.reply.has_begun() || (error.side == Side::Upstream && scope.reply.retract());
    let Some(status) = error.status().filter(|_| open) else {
        if scope.exchange.notes.status == 0 {
            scope.exchange.notes.status = CLIENT_CLOSED;
        }
        return After::Abort;
    };
    if error.closes() {
        scope.reply.set_close();
    }
    leave_body(scope);
    if send_page(thread, scope.exchange, (scope.reply, status, error))
        .await
        .is_err()
    {
        return After::Abort;
    }
    if error.closes() {
        After::Close
    } else {
        settle(scope).await
    }
}

/// nginx's word for "the client left before it was answered"; only ever seen in the log.
const CLIENT_CLOSED: u16 = 499;

async fn send_page(
    thread: &Thread,
    exchange: &mut Exchange,
    (reply, status, error): (&mut Reply<'_>, u16, Error),
) -> Result<(), Error> {
    exchange.notes.origin = Origin::Quaich;
    exchange.response.status = status;
    if !matches!(error.kind, Kind::Replaced(_)) {
        // `Allow` of a 405 was put there by the handler; everything else belongs to a response that
        // is not sent.
        let headers = &mut exchange.response.headers;
        headers.retain(|_, name, _| name.eq_ignore_ascii_case(b"allow"));
    }
    let mut page = Vec::with_capacity(2048);
    let shown = filter::error_page(thread, exchange, (&mut page, error.kind));
    let content_type = match &shown {
        Some(shown) => {
            exchange.response.status = shown.status.unwrap_or(status);
            shown.content_type
        }
        None => {
            let accept = exchange.request.headers.get(HeaderId::Accept);
            error_page::render(&mut page, status, exchange.request_id.as_bytes(), accept)
        }
    };
    let headers = &mut exchange.response.headers;
    let retry = error.retry_after().map(|after| after.as_secs().to_string());
    let fields: [(&[u8], &[u8]); 3] = [
        (b"Content-Type", content_type.as_bytes()),
        (b"Cache-Control", b"no-store"),
        (b"X-Request-ID", exchange.request_id.as_bytes()),
    ];
    for (name, value) in fields {
        // These are fixed or made of hexadecimal digits, hence valid.
        let _ = headers.push(name, value);
    }
    if let Some(seconds) = retry {
        let _ = headers.push(b"Retry-After", seconds.as_bytes());
    }
    reply.whole(exchange, &page).await
}

/// Step 6: the rest of the request body.
async fn settle(scope: &mut Scope<'_, '_>) -> After {
    if scope.reply.closes() {
        return After::Close;
    }
    if scope.body.is_done() {
        return After::Next;
    }
    scope.body.forgo_continue();
    match scope.body.discard().await {
        Ok(()) => After::Next,
        Err(_) => After::Close,
    }
}

/// Answers a request that could not be read.
pub async fn refuse(thread: &Thread, exchange: &mut Exchange, reply: &mut Reply<'_>, error: Error) {
    let Some(status) = error.status() else {
        return;
    };
    exchange.request_id = crate::request_id::next(None);
    exchange.timings = Timings::begin(thread.access_log.is_some());
    thread.counters.requests.add();
    exchange.notes.failure = error.label();
    count_failure(thread, error);
    exchange.response.clear();
    reply.set_close();
    // The client may have left; there is nothing more to do for it.
    let _ = send_page(thread, exchange, (reply, status, error)).await;
    note_sent(exchange, reply);
    conclude(thread, exchange);
}

fn count_failure(thread: &Thread, error: Error) {
    let counters = &thread.counters;
    match error.kind {
        Kind::Rejected(..) | Kind::BodyTooLarge => counters.rejected.add(),
        Kind::AddressDenied => counters.address_denied.add(),
        Kind::ClientGone => counters.client_gone.add(),
        Kind::RequestTimeout => counters.request_timeouts.add(),
        Kind::WriteTimeout => counters.write_timeouts.add(),
        Kind::Truncated => counters.truncated.add(),
        _ => {}
    }
}

fn note_sent(exchange: &mut Exchange, reply: &Reply<'_>) {
    exchange.notes.body_bytes = reply.body_bytes();
    exchange.notes.sent_bytes = reply.sent_bytes();
}

/// Step 7.
fn conclude(thread: &Thread, exchange: &mut Exchange) {
    match exchange.notes.status {
        0..=399 => thread.counters.succeeded.add(),
        400..=499 => thread.counters.client_errors.add(),
        _ => thread.counters.server_errors.add(),
    }
    if let Some(log) = &thread.access_log {
        exchange.timings.mark_end();
        if thread
            .generation
            .routes
            .logs(exchange.notes.site, exchange.notes.route)
        {
            log_line::write(log, exchange, &thread.generation.routes);
        }
    }
}

/// To be called before a response that leaves the request body unread: unless little of it is to
/// come for certain, the client is told that the connection ends (RFC 9110 section 10.1.1).
pub fn leave_body(scope: &mut Scope<'_, '_>) {
    if !(scope.body.is_done() || scope.body.is_discardable()) {
        scope.reply.set_close();
    }
}

/// A response without a body of its own.
pub async fn bodyless(scope: &mut Scope<'_, '_>) -> Result<(), Error> {
    leave_body(scope);
    scope.reply.begin(scope.exchange, BodyLength::Empty);
    scope.reply.finish().await
}
