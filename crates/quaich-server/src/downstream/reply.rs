//! The response as handlers give it: dressed by the filters of its route, then written by a `Wire`.
//!
//! Every piece that a handler gives is on its way before the call returns: nothing is held back but
//! what [`Reply::add`] adds, and that only to the next call, and what [`Reply::push`] was given, until
//! [`Reply::flush`].

use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};
use std::time::Duration;

use quaich_proto::h1::{BodyLength, RequestHead};
use quaich_proto::headers::{HeaderId, Headers};

use super::wire::Wire;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::filter;
use crate::filter::stage::Stage;
use crate::pipe::Pipe;
use crate::thread::Thread;

/// Writes the response of the current request.
pub struct Reply<'c> {
    thread: &'c Thread,
    pub(super) wire: Wire<'c>,
    /// What the body passes on its way; `None` = it goes as it is.
    stage: Option<Box<Stage>>,
}

impl<'c> Reply<'c> {
    /// Replies over `wire`.
    pub(super) fn new(thread: &'c Thread, wire: Wire<'c>) -> Self {
        Self {
            thread,
            wire,
            stage: None,
        }
    }

    /// Makes ready for the next response.
    pub(super) fn reset(&mut self) {
        self.stage = None;
        self.wire.reset();
    }

    /// Notes what the client of `request` can be answered with.
    pub(super) fn suit(&mut self, request: &RequestHead) {
        self.wire.suit(request);
    }

    /// Whether a head was written, so that no other can be.
    pub fn has_begun(&self) -> bool {
        self.wire.has_begun()
    }

    /// Whether the response has left to its end. Known of streams only.
    pub(super) fn is_ended(&self) -> bool {
        self.wire.is_ended()
    }

    /// Takes a response back of which nothing has left yet, so that another can be sent. `false` when
    /// it is too late.
    pub fn retract(&mut self) -> bool {
        let retracted = self.wire.retract();
        if retracted {
            self.stage = None;
        }
        retracted
    }

    /// Body bytes that have left or are about to.
    pub fn body_bytes(&self) -> u64 {
        self.wire.body_bytes()
    }

    /// Bytes of the response that have left.
    pub fn sent_bytes(&self) -> u64 {
        self.wire.sent_bytes()
    }

    /// The connection ends with this response.
    pub fn set_close(&mut self) {
        self.wire.set_close();
    }

    /// Whether the connection ends with this response.
    pub fn closes(&self) -> bool {
        self.wire.closes()
    }

    /// Sends `exchange.response`, an informational one (103 and the like), to a client that
    /// understands it.
    pub async fn interim(&mut self, exchange: &mut Exchange) -> Result<(), Error> {
        filter::before_answer(self.thread, exchange);
        let response = &exchange.response;
        self.wire.interim(response.status, &response.headers).await
    }

    /// Writes the head of `exchange.response`, as the filters of its route leave it, with the framing
    /// that suits `length` and the client. Sends nothing yet.
    pub fn begin(&mut self, exchange: &mut Exchange, length: BodyLength) {
        let (length, stage) = filter::response(self.thread, exchange, length);
        self.stage = stage;
        self.wire.begin(exchange, length);
    }

    /// As [`begin`](Self::begin), with header lines that are rendered already, `Content-Length`
    /// among them, for a body of `length` bytes.
    pub fn begin_rendered(&mut self, exchange: &mut Exchange, lines: &[u8], length: u64) {
        if !filter::dresses_rendered(self.thread, exchange, (lines, length)) {
            return self.wire.begin_rendered(exchange, lines, length);
        }
        let headers = &mut exchange.response.headers;
        // What an app said along with the file is among the lines, as far as it holds for the file.
        headers.clear();
        // Lines of our own are valid.
        let _ = headers.append_block(lines);
        // That of the lines counts: to HEAD it tells of a body that does not come.
        let told = headers.get(HeaderId::ContentLength);
        let told = told.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        let length = told.map_or(BodyLength::Empty, BodyLength::Known);
        self.begin(exchange, length);
    }

    /// Agrees to another protocol with the fields of `exchange.response`, a 101. After it the body is
    /// what the two ends please, and [`finish`](Self::finish) ends our half.
    pub fn begin_tunnel(&mut self, exchange: &mut Exchange) {
        filter::agreement(self.thread, exchange);
        self.wire.begin_tunnel(exchange);
    }

    /// A whole response in one piece.
    pub async fn whole(&mut self, exchange: &mut Exchange, body: &[u8]) -> Result<(), Error> {
        let length = BodyLength::Known(body.len() as u64);
        self.complete(exchange, length, body).await
    }

    /// A response whose body is all here. `length` is what its head tells, which may be of a body that
    /// does not come.
    pub async fn complete(
        &mut self,
        exchange: &mut Exchange,
        length: BodyLength,
        body: &[u8],
    ) -> Result<(), Error> {
        let (told, mut stage) = filter::response(self.thread, exchange, length);
        let agrees = length == BodyLength::Known(body.len() as u64);
        let changed = match &mut stage {
            Some(stage) if agrees => Box::pin(stage.whole(body)).await?,
            _ => None,
        };
        self.stage = stage;
        let (told, body) = match &changed {
            Some(changed) => (BodyLength::Known(changed.len() as u64), &**changed),
            None => (told, body),
        };
        self.wire.begin(exchange, told);
        self.add(body);
        self.finish().await
    }

    /// Sends a piece of the body, with everything that waits before it.
    pub async fn data(&mut self, piece: &[u8]) -> Result<(), Error> {
        match &mut self.stage {
            None => self.wire.data(piece).await,
            Some(stage) => Box::pin(stage.data(piece, &mut self.wire)).await,
        }
    }

    /// As [`data`](Self::data), but the piece may be held back until [`flush`](Self::flush), which the
    /// caller must call before it waits for anything when something [`is`](Self::holds_back).
    pub async fn push(&mut self, piece: &[u8]) -> Result<(), Error> {
        match &mut self.stage {
            None => self.wire.data(piece).await,
            Some(stage) => Box::pin(stage.push(piece, &mut self.wire)).await,
        }
    }

    /// Whether pieces are held back.
    pub fn holds_back(&self) -> bool {
        self.stage.as_ref().is_some_and(|stage| stage.holds_back())
    }

    /// How long the next piece may be waited for before [`flush`](Self::flush).
    pub fn patience(&self) -> Duration {
        let patience = self.stage.as_ref().map(|stage| stage.patience());
        patience.unwrap_or_default()
    }

    /// Adds a piece of the body behind what waits, without sending it. For small pieces that are
    /// known to be followed by [`finish`](Self::finish) or [`data`](Self::data) at once.
    pub fn add(&mut self, piece: &[u8]) {
        match &mut self.stage {
            None => self.wire.add(piece),
            Some(stage) => stage.add(piece, &mut self.wire),
        }
    }

    /// Sends `length` bytes of a regular file from `offset`. Fails when the file is shorter.
    pub async fn file(
        &mut self,
        file: BorrowedFd<'_>,
        offset: u64,
        length: u64,
    ) -> Result<(), Error> {
        match &mut self.stage {
            None => self.wire.file(file, offset, length).await,
            Some(stage) => Box::pin(stage.file(file, (offset, length), &mut self.wire)).await,
        }
    }

    /// Whether the next `count` bytes of the body may go from socket to socket as they are.
    pub fn takes_plain(&self, count: u64) -> bool {
        self.stage.is_none() && self.wire.takes_plain(count)
    }

    /// Sends what is in `pipe` as a piece of the body. Only after
    /// [`takes_plain`](Self::takes_plain).
    pub async fn splice(&mut self, pipe: &mut Pipe) -> Result<(), Error> {
        self.wire.splice(pipe).await
    }

    /// Ends the response, and a tunnel's half of the connection. Fails when fewer bytes were given
    /// than promised: the response must then be broken off, so that a cut answer never looks
    /// complete.
    pub async fn finish(&mut self) -> Result<(), Error> {
        if let Some(stage) = &mut self.stage {
            Box::pin(stage.finish(&mut self.wire)).await?;
        }
        self.wire.finish().await
    }

    /// As [`finish`](Self::finish), with trailers for a client that takes some.
    pub async fn finish_with(&mut self, trailers: &Headers) -> Result<(), Error> {
        if let Some(stage) = &mut self.stage {
            Box::pin(stage.finish(&mut self.wire)).await?;
        }
        self.wire.finish_with(trailers).await
    }

    /// Sends what waits.
    pub async fn flush(&mut self) -> Result<(), Error> {
        if let Some(stage) = &mut self.stage {
            Box::pin(stage.flush(&mut self.wire)).await?;
        }
        self.wire.flush().await
    }

    /// Polls [`flush`](Self::flush) in a tunnel, where nothing is between handler and wire.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.wire.poll_flush(cx)
    }
}
