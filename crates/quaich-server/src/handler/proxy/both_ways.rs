//! One exchange in progress: the request body goes up while the response comes down.
//!
//! Called by `proxy` for each attempt, after the head was sent. No more is read from one side than
//! the other takes.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use quaich_proto::h1::{BodyLength, Version};
use quaich_proto::headers::HeaderId;
use quaich_proto::method::Method;

use super::held;
use super::request::Trails;
use super::stay::Stay;
use crate::deadline::within;
use crate::downstream::body::Body;
use crate::downstream::reply::Reply;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::handler::offered::{self, Offer};
use crate::pipe::Pipe;
use crate::spool::SpoolFile;
use crate::upstream::server::Server;
use crate::upstream::wire::{Download, Upload};

/// A rest of a body from which on it is moved by the kernel, not copied here.
const MOVED: u64 = 32 * 1024;

/// What is read of a response that is replaced by a page, so that its connection can be kept.
const REST: usize = 64 * 1024;

/// Interim (1xx) responses that a server may send before the final one.
const MAX_INTERIM: u32 = 8;

/// Whose answer it is.
pub(super) struct From<'e> {
    /// The server.
    pub(super) server: &'e Arc<Server>,
    /// How its clients stay with it.
    pub(super) stay: &'e Stay<'e>,
    /// Whether another server is asked after an answer with this status.
    pub(super) repeats: &'e dyn Fn(u16) -> bool,
    /// Whether the client gets a page in place of the answer.
    pub(super) replaces: &'e dyn Fn(&Exchange) -> bool,
    /// What it is told behind the body.
    pub(super) trails: &'e Trails<'e>,
}

/// How an exchange with a server ended.
pub(super) enum Ended {
    /// Exactly: the connection may be kept.
    Reusable,
    /// Well, and the connection with it.
    Closed,
    /// The connection now carries another protocol.
    Switched,
    /// With a file that is to be sent in place of the answer; whether the connection may be kept.
    Offered(Offer, bool),
    /// With an error in whose place the client gets a page; whether the connection may be kept.
    Replaced(bool),
    /// With an answer that the client is not to see: another server may have a better one.
    Unwanted,
}

impl Ended {
    /// The same when the request was not sent to its end: what follows on the connection would be
    /// taken for the rest of it.
    fn into_last(self) -> Self {
        match self {
            Self::Reusable => Self::Closed,
            Self::Offered(offer, _) => Self::Offered(offer, false),
            Self::Replaced(_) => Self::Replaced(false),
            other => other,
        }
    }
}

/// Where the request body stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
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

/// Request body up and response down at the same time. Ends with the response, or before it begins if
/// the request `repeats` because of its status.
pub(super) async fn both_ways(
    exchange: &mut Exchange,
    (body, reply): (&mut Body<'_>, &mut Reply<'_>),
    (up, down): (&mut Upload<'_>, &mut Download<'_>),
    (sending, held): (Sending, Option<&SpoolFile>),
    from: &From<'_>,
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
    let mut rising = pin!(rise((body, held), up, (&progress, from.trails)));
    let mut falling = pin!(download(exchange, reply, down, (&progress, from)));
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
async fn rise(
    (body, held): (&mut Body<'_>, Option<&SpoolFile>),
    up: &mut Upload<'_>,
    (progress, trails): (&Progress, &Trails<'_>),
) -> Error {
    if progress.sending.get() == Sending::Rest {
        let sent = match held {
            Some(file) => held::send(file, up).await,
            None => upload(body, up, (progress, trails)).await,
        };
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
    (progress, trails): (&Progress, &Trails<'_>),
) -> Result<(), Error> {
    loop {
        progress.awaits_client.set(true);
        let Some(piece) = body.data().await? else {
            break;
        };
        progress.awaits_client.set(false);
        up.data(piece).await?;
    }
    let trailers = body.trailers().map(|trailers| trails.told(trailers));
    up.finish(trailers.as_ref()).await
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
    (progress, from): (&Progress, &From<'_>),
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
    if (from.repeats)(exchange.response.status) {
        return Ok(Ended::Unwanted);
    }
    from.stay.answer(from.server, exchange)?;
    if exchange.response.status == 101 {
        return Ok(Ended::Switched);
    }
    let length = length(exchange);
    let offer = offered::take(&mut exchange.response.headers);
    exchange.notes.asks_gzip = offer.asks_gzip();
    if offer.is_some() {
        return Ok(Ended::Offered(offer, down.is_done()));
    }
    if (from.replaces)(exchange) {
        return Ok(Ended::Replaced(Box::pin(take_rest(down)).await));
    }
    reply.begin(exchange, length);
    // A body that was given no length may take its time: its head does not wait for it.
    let mut hurries = matches!(length, BodyLength::Chunked | BodyLength::UntilClose);
    loop {
        match next_piece(reply, down, progress, std::mem::take(&mut hurries)).await? {
            Some(piece) => reply.push(piece).await?,
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

/// Reads what is here of a response that nobody gets, for nobody waits for the rest; whether that was
/// all.
async fn take_rest(down: &mut Download<'_>) -> bool {
    let mut left = REST;
    while !down.is_done() {
        let mut piece = pin!(down.data());
        let ready = poll_fn(|cx| Poll::Ready(piece.as_mut().poll(cx))).await;
        left = match ready {
            Poll::Ready(Ok(Some(piece))) => left.saturating_sub(piece.len()),
            Poll::Ready(Ok(None)) => return true,
            Poll::Ready(Err(_)) | Poll::Pending => return false,
        };
        if left == 0 {
            return false;
        }
    }
    true
}

/// The next piece of the response. What waits to be sent goes out before a wait if it `hurries`, or if
/// a filter holds it back.
async fn next_piece<'d>(
    reply: &mut Reply<'_>,
    down: &'d mut Download<'_>,
    progress: &Progress,
    hurries: bool,
) -> Result<Option<&'d [u8]>, Error> {
    let mut piece = pin!(down.data());
    let mut ready = Poll::Pending;
    if hurries || reply.holds_back() {
        ready = poll_fn(|cx| Poll::Ready(piece.as_mut().poll(cx))).await;
        if ready.is_pending()
            && let Some(soon) = Box::pin(within(reply.patience(), piece.as_mut())).await
        {
            ready = Poll::Ready(soon);
        }
        if ready.is_pending() {
            reply.flush().await?;
        }
    }
    let piece = match ready {
        Poll::Ready(piece) => piece,
        Poll::Pending => {
            progress.awaits_server.set(true);
            let piece = piece.await;
            progress.awaits_server.set(false);
            piece
        }
    };
    piece.map_err(cut)
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
            _ => {
                offered::take(&mut exchange.response.headers);
                reply.interim(exchange).await?;
            }
        }
    }
    Err(Error::upstream(Kind::BadResponse("too_many_interim")))
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
