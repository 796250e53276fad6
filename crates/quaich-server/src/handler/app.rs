//! `app`: runs the exchange in a worker process of a Python app.
//!
//! The request body is read before a worker is taken; the response leaves the worker as fast as it
//! produces it and waits here, in memory and then on disk, for a client that is slower. So a client
//! never holds a worker longer than the app needs.

use std::future::{Future, poll_fn};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use quaich_config::model;
use quaich_proto::h1::{BodyLength, Version};
use quaich_proto::headers::HeaderId;
use quaich_proto::method::Method;
use quaich_proto::worker::frame::HeadView;
use quaich_proto::worker::message::{Body, RequestMeta};

use super::Channel;
use super::gateway::{self, Address};
use super::offered::{self, Offer, Protected};
use super::replaced;
use crate::deadline::within;
use crate::downstream::body::Body as RequestBody;
use crate::downstream::reply::Reply;
use crate::downstream::service::Scope;
use crate::error::{Error, Kind, Side};
use crate::exchange::{Exchange, Origin};
use crate::forwarded;
use crate::observe::log;
use crate::route::Route;
use crate::spool::{Collected, Collector, Part, Spool};
use crate::upstream::wire::worker::{Answer, AppCall, Failure, SubmitError, Timeouts};

/// Request bodies up to this size travel with the request; larger ones in a file.
const INLINE: usize = 32 * 1024;

/// Bytes of a response that are read from a worker at once.
const READ: usize = 128 * 1024;

/// What is read of an answer that is replaced by a page.
const DISCARD: usize = 1024 * 1024;

/// An app as the end of a route.
pub struct App {
    name: String,
    channel: Channel,
    timeouts: Timeouts,
}

impl App {
    /// The app behind `channel`.
    pub fn new(settings: &model::App, channel: Channel) -> Self {
        Self {
            name: settings.name.clone(),
            channel,
            timeouts: Timeouts {
                queue: settings.queue_timeout,
                run: settings.timeout,
            },
        }
    }
}

/// Runs the exchange of `scope` in a worker.
pub async fn run(
    scope: &mut Scope<'_, '_>,
    route: &Route,
    app: &App,
    protected: Option<&Protected>,
) -> Result<(), Error> {
    scope.exchange.notes.upstream.push_str(&app.name);
    scope.exchange.notes.by_app = true;
    scope.exchange.notes.origin = Origin::App;
    let mut call = submit(scope, route, app).await?;
    call.keep(scope.exchange.tally.places());
    let mut head = Vec::with_capacity(1024);
    let mut body = Vec::with_capacity(1024);
    let answer = first_answer(scope, &mut call, &mut head, &mut body).await?;
    scope.exchange.timings.mark_first_byte();
    let offer = take_head(scope.exchange, &head).ok_or(Error::app(Kind::AppFailed))?;
    if offer.is_some() {
        discard(call, answer).await?;
        return offered::send(scope, protected, &offer, Side::App).await;
    }
    if replaced::applies(scope.thread, scope.exchange) {
        // The page does not wait for the worker, which is free when the app has said all.
        tokio::task::spawn_local(discard_some(call, answer));
        return Err(replaced::error(scope.thread, scope.exchange, Side::App));
    }
    let complete = answer.end.then_some(body.len());
    let length = length(scope.exchange, complete);
    if answer.end && answer.file.is_none() {
        return scope.reply.complete(scope.exchange, length, &body).await;
    }
    scope.reply.begin(scope.exchange, length);
    relay(scope.reply, call, answer, body).await
}

/// Reads the request body, then puts the request into the queue of the app.
async fn submit(scope: &mut Scope<'_, '_>, route: &Route, app: &App) -> Result<AppCall, Error> {
    let small = scope
        .body
        .whole_buffered()
        .is_some_and(|whole| whole.len() <= INLINE);
    if small {
        let whole = scope.body.whole_buffered().unwrap_or_default();
        let body = if whole.is_empty() {
            Body::None
        } else {
            Body::Inline(whole)
        };
        let call = enqueue(scope, route, app, body, None)?;
        scope.body.finish_whole();
        return Ok(call);
    }
    let mut collector = Collector::default();
    while let Some(piece) = scope.body.data().await? {
        collector.push(piece).await.map_err(|_| Error::internal())?;
    }
    match collector
        .finish(INLINE)
        .await
        .map_err(|_| Error::internal())?
    {
        Collected::Memory(bytes) => enqueue(scope, route, app, Body::Inline(&bytes), None),
        Collected::File(file) => {
            let fd = file.share().map_err(|_| Error::internal())?;
            enqueue(scope, route, app, Body::File { len: file.len() }, Some(fd))
        }
    }
}

fn enqueue(
    scope: &Scope<'_, '_>,
    route: &Route,
    app: &App,
    body: Body<'_>,
    file: Option<OwnedFd>,
) -> Result<AppCall, Error> {
    let exchange = &*scope.exchange;
    let (request, client) = (&exchange.request, &exchange.client);
    let authority = request.authority();
    let public = scope
        .thread
        .trust
        .public(client, &request.headers, authority, scope.local_port);
    let path = request.path_decoded();
    let (script_name, path_info) = gateway::mounted(path, &public, route);
    let addr = Address::of(exchange);
    let meta = RequestMeta {
        method: request.method_name(),
        script_name: &script_name,
        path_info,
        query: request.query(),
        raw_target: request.target(),
        version: match request.version {
            Version::Http10 => 10,
            Version::Http11 => 11,
            Version::Http2 => 20,
        },
        scheme_https: client.https,
        server_name: gateway::server_name(public.host, request.host()),
        server_port: gateway::server_port(&public, client),
        remote_addr: addr.as_bytes(),
        remote_port: client.port,
        remote_user: exchange.identity.named().map_or(b"", |(_, user)| user),
        request_id: exchange.request_id.as_bytes(),
        content_length: match (request.body, &body) {
            (BodyLength::Known(length), _) => Some(length),
            (BodyLength::Chunked, Body::Inline(bytes)) => Some(bytes.len() as u64),
            (BodyLength::Chunked, Body::File { len }) => Some(*len),
            _ => None,
        },
        chunked: request.body == BodyLength::Chunked,
        body,
    };
    let identity = &exchange.identity;
    let (fields, trusted) = exchange.outgoing();
    let fields = fields.iter().filter(|(id, name, value)| {
        !matches!(id, HeaderId::ContentLength | HeaderId::Expect)
            && !quaich_proto::h1::is_hop_by_hop(*id)
            && !is_dropped(*id, name, trusted)
            && (exchange.is_edited || !identity.hides(*id, value))
    });
    let fields = fields.chain(identity.fields.iter());
    let fields = fields.map(|(id, name, value)| (id as u8, name, value));
    let own = variables(route, exchange);
    let own = own.iter().map(|(name, text)| (0, &**name, &**text));
    let kind = identity.named();
    let kind = kind.map(|(kind, _)| (0, &b"=AUTH_TYPE"[..], kind.as_bytes()));
    let told = session_variables(exchange).chain(kind);
    let fields = told.chain(fields).chain(own);
    let timeouts = Timeouts {
        run: route.timeout.unwrap_or(app.timeouts.run),
        ..app.timeouts
    };
    app.channel
        .submit(&meta, fields, file.map(Rc::new), timeouts)
        .map_err(|error| match error {
            SubmitError::QueueFull => Error::app(Kind::QueueFull),
            SubmitError::TooBig => Error::downstream(Kind::Rejected(431, "header_too_large")),
        })
}

/// Those of the route, under names that tell the worker that they are no header fields.
fn variables(route: &Route, exchange: &Exchange) -> Vec<(Vec<u8>, Vec<u8>)> {
    let variables = route.variables.iter().map(|(name, template)| {
        let mut text = Vec::new();
        template.write(&mut text, exchange);
        ([b"=", name.as_slice()].concat(), text)
    });
    variables.collect()
}

/// What the app is told of the TLS connection. No field of a client has such a name.
fn session_variables(exchange: &Exchange) -> impl Iterator<Item = (u8, &[u8], &[u8])> {
    let session = exchange.session.iter();
    let variables = session.flat_map(|session| session.variables());
    variables.map(|(name, value)| (0, name.as_bytes(), value.as_bytes()))
}

/// The app is told what quaich believes in the environment; what a trusted proxy sent it may see.
fn is_dropped(id: HeaderId, name: &[u8], trusted: bool) -> bool {
    !trusted && forwarded::is_dropped(id, name, trusted)
}

/// Waits for the head of the answer, and meanwhile for the client to leave.
async fn first_answer(
    scope: &mut Scope<'_, '_>,
    call: &mut AppCall,
    head: &mut Vec<u8>,
    body: &mut Vec<u8>,
) -> Result<Answer, Error> {
    let probe = scope.exchange.request.version != Version::Http10;
    let inbound: &mut RequestBody<'_> = scope.body;
    let answer = poll_fn(|cx| {
        if let Poll::Ready(answer) = call.poll_read(cx, head, body, READ) {
            return Poll::Ready(Ok(answer));
        }
        inbound.poll_gone(cx, probe).map(Err)
    })
    .await?;
    scope.body.forget_gone();
    match answer {
        Ok(answer) if answer.status.is_some() => Ok(answer),
        Ok(_) => Err(Error::app(Kind::AppFailed)),
        Err(failure) => Err(failed(failure)),
    }
}

/// Reads an answer to its end that nobody gets.
async fn discard(mut call: AppCall, first: Answer) -> Result<(), Error> {
    let (mut head, mut body) = (Vec::new(), Vec::new());
    let mut answer = first;
    while !answer.end {
        body.clear();
        answer = call
            .read(&mut head, &mut body, READ)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

/// Reads an answer to its end that nobody gets, unless it is too long: then the app is told that
/// nobody listens.
async fn discard_some(mut call: AppCall, first: Answer) {
    let (mut head, mut body) = (Vec::new(), Vec::new());
    let (mut answer, mut left) = (first, DISCARD);
    while !answer.end && left > 0 {
        body.clear();
        match call.read(&mut head, &mut body, READ).await {
            Ok(more) => answer = more,
            Err(_) => return,
        }
        left = left.saturating_sub(body.len());
    }
}

/// Reads the head of the answer into the response, but for what is meant for quaich.
fn take_head(exchange: &mut Exchange, head: &[u8]) -> Option<Offer> {
    // After an interim response the client would take the next answer for this one.
    let view = HeadView::decode(head)
        .ok()
        .filter(|view| view.status >= 200)?;
    let response = &mut exchange.response;
    response.status = view.status;
    let mut offer = Offer::default();
    for field in view.fields() {
        let (name, value) = field.ok()?;
        let id = HeaderId::from_name(name);
        let drops = quaich_proto::h1::is_hop_by_hop(id) || id == HeaderId::Server;
        if !drops && !offer.takes(id, value) {
            response.headers.push(name, value).ok()?;
        }
    }
    exchange.notes.asks_gzip = offer.asks_gzip();
    Some(offer)
}

/// The length that the client is told. `complete` is the size of a body that is here whole.
fn length(exchange: &Exchange, complete: Option<usize>) -> BodyLength {
    let told = exchange.response.headers.get(HeaderId::ContentLength);
    let told = told.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let head_only = exchange.request.method == Method::Head;
    match (told, complete) {
        (Some(length), _) => BodyLength::Known(length),
        _ if exchange.response.status == 304 => BodyLength::Empty,
        (None, Some(length)) if !head_only => BodyLength::Known(length as u64),
        _ => BodyLength::Chunked,
    }
}

fn failed(failure: Failure) -> Error {
    match failure {
        Failure::WorkerDied | Failure::Protocol => Error::app(Kind::WorkerDied),
        Failure::QueueTimeout => Error::app(Kind::QueueTimeout),
        Failure::Timeout => Error::app(Kind::AppTimeout),
        Failure::App(kind, text) => {
            if !text.is_empty() {
                log::error!("the app failed: {text}"; kind = format_args!("{kind:?}"));
            }
            Error::app(Kind::AppFailed)
        }
    }
}

/// Passes on an answer that comes in parts: one side takes it from the worker, the other gives it to
/// the client, and what lies between them waits in a spool.
async fn relay(
    reply: &mut Reply<'_>,
    mut call: AppCall,
    first: Answer,
    body: Vec<u8>,
) -> Result<(), Error> {
    let spool = Spool::default();
    let mut receive = pin!(receive(&mut call, &spool, first, body));
    let mut send = pin!(send(reply, &spool));
    let mut receiving = true;
    poll_fn(|cx| {
        loop {
            let moves = spool.moves();
            if receiving && let Poll::Ready(received) = receive.as_mut().poll(cx) {
                receiving = false;
                if let Err(error) = received {
                    // What came before the failure leaves if it can at once.
                    let _ = send.as_mut().poll(cx);
                    return Poll::Ready(Err(error));
                }
            }
            if let Poll::Ready(sent) = send.as_mut().poll(cx) {
                return Poll::Ready(sent);
            }
            if spool.moves() == moves {
                return Poll::Pending;
            }
        }
    })
    .await
}

async fn receive(
    call: &mut AppCall,
    spool: &Spool,
    first: Answer,
    mut body: Vec<u8>,
) -> Result<(), Error> {
    let mut answer = first;
    let mut head = Vec::new();
    loop {
        if !body.is_empty() {
            spool.push(&mut body).await.map_err(|_| Error::internal())?;
        }
        if let Some(part) = answer.file.take() {
            spool.push_file(part.fd, part.offset, part.len);
        }
        if answer.end {
            spool.end();
            return Ok(());
        }
        poll_fn(|_| {
            if spool.is_full() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
        answer = call
            .read(&mut head, &mut body, READ)
            .await
            .map_err(|failure| Error {
                kind: Kind::Truncated,
                ..failed(failure)
            })?;
    }
}

async fn send(reply: &mut Reply<'_>, spool: &Spool) -> Result<(), Error> {
    reply.flush().await?;
    loop {
        match spool.take() {
            Part::Memory(bytes) => reply.push(&bytes).await?,
            Part::File {
                file,
                offset,
                length,
            } => {
                reply.file(file.as_fd(), offset, length).await?;
            }
            Part::Nothing => {
                let moves = spool.moves();
                let moved = poll_fn(|_| match spool.moves() == moves {
                    true => Poll::Pending,
                    false => Poll::Ready(()),
                });
                if !reply.holds_back() {
                    moved.await;
                } else if Box::pin(within(reply.patience(), moved)).await.is_none() {
                    reply.flush().await?;
                }
            }
            Part::End => {
                return reply.finish().await.map_err(|e| Error {
                    side: Side::App,
                    ..e
                });
            }
        }
    }
}
