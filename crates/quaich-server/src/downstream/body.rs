//! The body of a request as handlers see it, whatever the client speaks, and whatever was looked at
//! before.

use std::future::poll_fn;
use std::task::{Context, Poll};

use quaich_proto::headers::Headers;

use super::held::Held;
pub(super) use super::source::Source;
use crate::clock::Millis;
use crate::error::Error;

/// After so long a request body must have come at the least rate on average.
pub(super) const RATE_GRACE: Millis = 20_000;

/// Reads the body of the current request.
pub struct Body<'c> {
    pub(super) source: Source<'c>,
    /// What was looked at, and is given out before all else.
    held: Option<Held>,
}

impl<'c> Body<'c> {
    /// The body that comes from `source`.
    pub(super) fn new(source: Source<'c>) -> Self {
        Self { source, held: None }
    }

    /// Forgets what was held of the request before.
    pub(super) fn begin(&mut self) {
        self.held = None;
    }

    /// The first `limit` bytes of the body, and whether that is all of it. Whoever reads it later gets
    /// it from its beginning. Fails when too much is held on this thread.
    pub async fn peek(&mut self, limit: usize) -> Result<(&[u8], bool), Error> {
        if self.held.is_none() && self.source.whole_buffered().is_some() {
            let whole = self.source.whole_buffered().unwrap_or_default();
            let seen = whole.get(..limit).unwrap_or(whole);
            return Ok((seen, seen.len() == whole.len()));
        }
        let held = self.held.get_or_insert_default();
        while held.bytes().len() <= limit {
            let piece = poll_fn(|cx| self.source.poll_data(cx)).await?;
            let Some(range) = piece else { break };
            held.add(self.source.bytes(range))?;
        }
        let bytes = held.bytes();
        Ok((bytes.get(..limit).unwrap_or(bytes), bytes.len() <= limit))
    }

    /// Judges a body of unknown length before anybody else sees the request, as far as it is here or
    /// comes within a moment. Takes nothing of the body.
    pub async fn look_ahead(&mut self) -> Result<(), Error> {
        match self.held {
            // The beginning was judged as it was read.
            Some(_) => Ok(()),
            None => self.source.look_ahead().await,
        }
    }

    /// Bounds the body of this request; 0 = no limit.
    pub fn limit_body(&mut self, limit: u64) -> Result<(), Error> {
        self.source.limit_body(limit)?;
        let known = self.source.remaining().unwrap_or(0);
        let over = self.held.is_some() && self.source.received().saturating_add(known) > limit;
        match over && limit > 0 {
            true => Err(Error::downstream(crate::error::Kind::BodyTooLarge)),
            false => Ok(()),
        }
    }

    /// Bytes of the current body that were given out.
    pub fn received(&self) -> u64 {
        let held = self.held.as_ref().map_or(0, |held| held.rest().len());
        self.source.received().saturating_sub(held as u64)
    }

    /// Whether the whole body has been given out.
    pub fn is_done(&self) -> bool {
        let held = self.held.as_ref();
        self.source.is_done() && held.is_none_or(|held| held.rest().is_empty())
    }

    /// The next piece of the body, decoded; `None` at its end. Invites a client that waits for `100
    /// Continue` to send (RFC 9110 section 10.1.1).
    pub async fn data(&mut self) -> Result<Option<&[u8]>, Error> {
        let range = poll_fn(|cx| self.poll_data(cx)).await?;
        Ok(range.map(|range| self.bytes(range)))
    }

    /// Polls [`data`](Self::data): the place of the piece in [`bytes`](Self::bytes).
    pub fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<(usize, usize)>, Error>> {
        if let Some(held) = &mut self.held {
            let piece = held.give();
            if piece.is_some() {
                return Poll::Ready(Ok(piece));
            }
        }
        self.source.poll_data(cx)
    }

    /// Bytes that [`poll_data`](Self::poll_data) spoke of.
    pub fn bytes(&self, (start, end): (usize, usize)) -> &[u8] {
        match &self.held {
            Some(held) if held.lent => held.bytes().get(start..end).unwrap_or_default(),
            _ => self.source.bytes((start, end)),
        }
    }

    /// Trailers, once the end of the body has been seen and if the client sent some that count.
    pub fn trailers(&self) -> Option<&Headers> {
        self.source.trailers()
    }

    /// The whole body, when all of it is here: nothing needs to be awaited. Never one whose length the
    /// client has not said: whoever sends it on frames it piece by piece, held or not.
    pub fn whole_buffered(&self) -> Option<&[u8]> {
        match self.held {
            None => self.source.whole_buffered(),
            Some(_) => None,
        }
    }

    /// Counts what [`whole_buffered`](Self::whole_buffered) showed as read.
    pub fn finish_whole(&mut self) {
        if self.held.is_none() {
            self.source.finish_whole();
        }
    }

    /// The answer was sent before the body was asked for: the client must not be invited any more.
    pub fn forgo_continue(&mut self) {
        self.source.forgo_continue();
    }

    /// Whether a body that nobody read can be read and thrown away cheaply.
    pub fn is_discardable(&self) -> bool {
        self.source.is_done() || self.source.is_discardable()
    }

    /// Reads the rest of the body and throws it away. Fails when it is too much.
    pub async fn discard(&mut self) -> Result<(), Error> {
        self.held = None;
        self.source.discard().await
    }

    /// Ready when the client has left. Reads ahead what it sends meanwhile. `probe` says whether it
    /// may be sent an interim response to find out.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>, probe: bool) -> Poll<Error> {
        self.source.poll_gone(cx, probe)
    }

    /// Nobody waits for the client to leave any more.
    pub fn forget_gone(&mut self) {
        self.source.forget_gone();
    }

    /// Says whether the body goes to a server that has a stream for it, not a whole connection: then
    /// a client that sends messages now and then, as gRPC does, is not late.
    pub fn goes_to_stream(&mut self, to_stream: bool) {
        self.source.goes_to_stream(to_stream);
    }

    /// The request was answered with [`Reply::begin_tunnel`](super::reply::Reply::begin_tunnel): from
    /// here on [`data`](Self::data) yields what the client sends, as it comes and without a deadline,
    /// until it ends its half.
    pub fn begin_tunnel(&mut self) {
        self.source.begin_tunnel();
    }
}
