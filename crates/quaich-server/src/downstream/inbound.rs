//! The reading half of a client's HTTP/1 connection: request heads and bodies out of one buffer.

use std::future::poll_fn;
use std::io::IoSlice;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use quaich_proto::h1::{self, BodyLength, ChunkStep, ChunkedDecoder, RequestHead};

use crate::buffer::{self, Buffer};
use crate::clock::Millis;
use crate::deadline::Deadline;
use crate::error::{Error, Kind};
use crate::stream::Stream;
use crate::thread::Thread;

/// After so long a request body must have come at the least rate on average.
const RATE_GRACE: Millis = 20_000;

/// How much of a body that nobody read is read and thrown away to keep the connection.
const DISCARD: u64 = 64 * 1024;

/// How long a look ahead into a chunked body waits for the next byte, and in all.
const LOOK_QUIET: Duration = Duration::from_millis(25);
const LOOK: Duration = Duration::from_secs(2);

/// How often a client that has finished sending is looked at.
const PROBE: Duration = Duration::from_millis(100);

/// Where the body of the current request stands.
#[derive(Debug)]
enum Body {
    /// None, or read to its end.
    Done,
    /// So many bytes are to come.
    Known(u64),
    /// Chunks.
    Chunked(ChunkedDecoder),
}

/// Reads one connection. Lives as long as the connection is busy.
pub struct Inbound<'c> {
    socket: &'c Stream,
    thread: &'c Thread,
    deadline: &'c Deadline,
    buffer: Buffer,
    /// Decoded bytes at the front of the buffer that the last call lent out.
    lent: usize,
    body: Body,
    limit: u64,
    received: u64,
    began: Millis,
    continue_due: bool,
    half_closed: bool,
}

/// What a wait for a request brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A whole head.
    Head,
    /// The client has closed, or sent nothing for the idle time.
    Closed,
    /// Nothing has come for a while: the connection may go to rest.
    Idle,
}

impl<'c> Inbound<'c> {
    /// A reader of `socket`.
    pub fn new(socket: &'c Stream, thread: &'c Thread, deadline: &'c Deadline) -> Self {
        Self {
            socket,
            thread,
            deadline,
            buffer: Buffer::lend(),
            lent: 0,
            body: Body::Done,
            limit: 0,
            received: 0,
            began: 0,
            continue_due: false,
            half_closed: false,
        }
    }

    /// Whether bytes of a next request are here already.
    pub fn has_buffered(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Reads the next request head. `patience` is how long to wait for its first byte before the
    /// connection should go to rest.
    pub async fn head(
        &mut self,
        head: &mut RequestHead,
        patience: Duration,
    ) -> Result<Arrival, Error> {
        let limits = &self.thread.limits;
        let mut begun = false;
        self.buffer.consume(std::mem::take(&mut self.lent));
        loop {
            if !self.buffer.is_empty() {
                if let Some(count) =
                    h1::parse_request(self.buffer.filled(), limits, head).map_err(rejected)?
                {
                    self.deadline.clear();
                    self.buffer.consume(count);
                    self.start_body(head);
                    return Ok(Arrival::Head);
                }
                if !begun {
                    begun = true;
                    self.deadline.set(self.thread.settings.header_timeout);
                }
                if self.buffer.room().is_empty() {
                    // A head that fills the buffer may still be within the limits.
                    self.buffer
                        .grow(limits.max_header + limits.max_uri + buffer::SIZE);
                }
            } else {
                self.deadline.set(patience);
            }
            match self.deadline.guard(poll_fn(|cx| self.poll_fill(cx))).await {
                Err(_) if begun => return Err(Error::downstream(Kind::RequestTimeout)),
                Err(_) => return Ok(Arrival::Idle),
                Ok(Ok(0)) if begun => return Err(Error::CLIENT_GONE),
                Ok(Ok(0)) => return Ok(Arrival::Closed),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        match ready!(self.socket.poll_read(cx, self.buffer.room())) {
            Ok(count) => {
                self.buffer.advance(count);
                Poll::Ready(Ok(count))
            }
            Err(_) => Poll::Ready(Err(Error::CLIENT_GONE)),
        }
    }

    fn start_body(&mut self, head: &RequestHead) {
        self.lent = 0;
        self.received = 0;
        self.limit = u64::MAX;
        self.body = match head.body {
            BodyLength::Empty | BodyLength::Known(0) | BodyLength::UntilClose => Body::Done,
            BodyLength::Known(length) => Body::Known(length),
            BodyLength::Chunked => Body::Chunked(ChunkedDecoder::new()),
        };
        self.continue_due = head.expect_continue;
        if !self.is_done() {
            self.began = self.thread.clock.now();
        }
    }

    /// Bounds the body of this request; 0 = no limit.
    pub fn limit_body(&mut self, limit: u64) -> Result<(), Error> {
        self.limit = if limit == 0 { u64::MAX } else { limit };
        match self.body {
            Body::Known(length) if length > self.limit => {
                Err(Error::downstream(Kind::BodyTooLarge))
            }
            _ => Ok(()),
        }
    }

    /// Bytes of the current body that were read.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether the whole body has been given out.
    pub fn is_done(&self) -> bool {
        matches!(self.body, Body::Done)
    }

    /// Bytes still to come, if their number is known.
    pub fn remaining(&self) -> Option<u64> {
        match self.body {
            Body::Done => Some(0),
            Body::Known(left) => Some(left),
            Body::Chunked(_) => None,
        }
    }

    /// Judges the chunks of a body before anybody else sees the request, as far as they are here
    /// or come within a moment: what must be refused is then refused with nothing passed on. Takes
    /// nothing of the body. A client that waits for `100 Continue` has not begun to send it.
    pub async fn look_ahead(&mut self) -> Result<(), Error> {
        if self.remaining().is_some() || self.continue_due {
            return Ok(());
        }
        let mut decoder = ChunkedDecoder::new();
        let mut seen = 0;
        let end = Instant::now() + LOOK;
        loop {
            while let Some(rest) = self.buffer.filled().get(seen..).filter(|r| !r.is_empty()) {
                match decoder.decode(rest).map_err(rejected)? {
                    ChunkStep::NeedMore { consumed } | ChunkStep::Data { consumed, .. } => {
                        seen += consumed;
                    }
                    ChunkStep::Done { .. } => return Ok(()),
                }
            }
            if self.buffer.room().is_empty() || Instant::now() > end {
                return Ok(());
            }
            match tokio::time::timeout(LOOK_QUIET, poll_fn(|cx| self.poll_fill(cx))).await {
                Err(_) => return Ok(()),
                Ok(Ok(0)) => return Err(Error::CLIENT_GONE),
                Ok(filled) => _ = filled?,
            }
        }
    }

    /// The next piece of the body, decoded; `None` at its end. Sends `100 Continue` when the client
    /// waits for it (RFC 9110 section 10.1.1).
    pub async fn data(&mut self) -> Result<Option<&[u8]>, Error> {
        let range = poll_fn(|cx| self.poll_data(cx)).await?;
        Ok(range.map(|(start, end)| &self.buffer.filled()[start..end]))
    }

    /// Bytes of the body that are here now, when the whole of it is: nothing needs to be awaited.
    pub fn whole_buffered(&self) -> Option<&[u8]> {
        match self.body {
            Body::Done => Some(&[]),
            Body::Known(length) => self
                .buffer
                .filled()
                .get(self.lent..)?
                .get(..usize::try_from(length).ok()?),
            Body::Chunked(_) => None,
        }
    }

    /// Counts what [`whole_buffered`](Self::whole_buffered) showed as read.
    pub fn finish_whole(&mut self) {
        if let Some(length) = self.whole_buffered().map(<[u8]>::len) {
            self.lent += length;
            self.received += length as u64;
            self.body = Body::Done;
        }
    }

    /// Polls for a piece of the body: its place in [`bytes`](Self::bytes), `None` at the end.
    pub fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<(usize, usize)>, Error>> {
        self.buffer.consume(std::mem::take(&mut self.lent));
        loop {
            if self.is_done() {
                self.deadline.clear();
                return Poll::Ready(Ok(None));
            }
            if !self.buffer.is_empty() {
                // A client that does not wait for `100 Continue` gets none: later, it might come in
                // the middle of the response.
                self.continue_due = false;
                if let Some(range) = self.decode()? {
                    // However long this piece is kept, it is not the client that is late.
                    self.deadline.clear();
                    return Poll::Ready(Ok(Some(range)));
                }
                if self.is_done() {
                    continue;
                }
            }
            self.send_continue();
            match self.poll_fill(cx)? {
                Poll::Ready(0) => return Poll::Ready(Err(Error::CLIENT_GONE)),
                Poll::Ready(count) => {
                    self.check_rate(count)?;
                    self.deadline.set(self.thread.settings.body_timeout);
                }
                Poll::Pending => return self.wait(cx),
            }
        }
    }

    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        if !self.deadline.is_set() {
            self.deadline.set(self.thread.settings.body_timeout);
        }
        match self.deadline.check(cx) {
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(Err(Error::downstream(Kind::RequestTimeout))),
        }
    }

    /// Bytes that [`poll_data`](Self::poll_data) spoke of.
    pub fn bytes(&self, (start, end): (usize, usize)) -> &[u8] {
        self.buffer.filled().get(start..end).unwrap_or_default()
    }

    /// Decodes what is in the buffer: a range of it, or `None` when it held no body bytes.
    fn decode(&mut self) -> Result<Option<(usize, usize)>, Error> {
        let filled = self.buffer.filled();
        let (range, consumed, done) = match &mut self.body {
            Body::Done => return Ok(None),
            Body::Known(left) => {
                let take = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(filled.len());
                *left -= take as u64;
                (Some((0, take)), take, *left == 0)
            }
            Body::Chunked(decoder) => match decoder.decode(filled).map_err(rejected)? {
                ChunkStep::NeedMore { consumed } => (None, consumed, false),
                ChunkStep::Data {
                    start,
                    end,
                    consumed,
                } => (Some((start, end)), consumed, false),
                ChunkStep::Done { consumed } => (None, consumed, true),
            },
        };
        if done {
            self.body = Body::Done;
        }
        match range {
            Some((start, end)) => {
                self.received += (end - start) as u64;
                self.lent = consumed;
                if self.received > self.limit {
                    return Err(Error::downstream(Kind::BodyTooLarge));
                }
            }
            None => self.buffer.consume(consumed),
        }
        Ok(range)
    }

    /// A body may come slowly, but not for ever: after a grace period it must have kept the least
    /// rate on average.
    fn check_rate(&self, count: usize) -> Result<(), Error> {
        let elapsed = self.thread.clock.now().saturating_sub(self.began);
        let least = elapsed.saturating_mul(self.thread.settings.min_rate) / 1000;
        if elapsed > RATE_GRACE && self.received + (count as u64) < least {
            return Err(Error::downstream(Kind::RequestTimeout));
        }
        Ok(())
    }

    fn send_continue(&mut self) {
        if std::mem::take(&mut self.continue_due) {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            // 25 bytes into an empty socket buffer: if they do not fit, the client learns from the
            // final answer.
            let _ = self
                .socket
                .poll_write(&mut cx, &[IoSlice::new(h1::CONTINUE)]);
        }
    }

    /// The answer was sent before the body was asked for: the client must not wait for a 100.
    pub fn forgo_continue(&mut self) {
        self.continue_due = false;
    }

    /// Whether a body that nobody read can be read and thrown away cheaply.
    pub fn is_discardable(&self) -> bool {
        !self.continue_due && self.remaining().is_some_and(|left| left <= DISCARD)
    }

    /// Reads the rest of the body and throws it away. Fails when it is too much.
    pub async fn discard(&mut self) -> Result<(), Error> {
        let mut left = DISCARD;
        while let Some(piece) = self.data().await? {
            left = left
                .checked_sub(piece.len() as u64)
                .ok_or(Error::downstream(Kind::BodyTooLarge))?;
        }
        // The last piece lent out is consumed with the next call, which does not come.
        self.buffer.consume(std::mem::take(&mut self.lent));
        Ok(())
    }

    /// Ready when the client has left. Reads ahead what it sends meanwhile.
    ///
    /// A client that has only finished sending still waits for its answer; one that has closed looks
    /// the same until something is sent to it. If it may be sent an interim response (`probe`), it
    /// gets a `100 Continue`, which is legal at any time (RFC 9110 section 15.2) and to which a
    /// closed socket answers with a reset.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>, probe: bool) -> Poll<Error> {
        while !self.half_closed && !self.buffer.room().is_empty() {
            match ready!(self.poll_fill(cx)) {
                Ok(0) => {
                    self.half_closed = true;
                    self.continue_due |= probe;
                    self.deadline.set(PROBE);
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(error),
            }
        }
        if !self.half_closed || !self.deadline.is_set() {
            return Poll::Pending;
        }
        self.send_continue();
        while self.deadline.check(cx).is_err() {
            if self.poll_fill(cx).map(|read| read.is_err()) == Poll::Ready(true) {
                return Poll::Ready(Error::CLIENT_GONE);
            }
            self.deadline.set(PROBE);
        }
        Poll::Pending
    }

    /// Nobody waits for the client to leave any more.
    pub fn forget_gone(&mut self) {
        self.deadline.clear();
    }

    /// What was read beyond the request: the first bytes of a tunnel.
    pub fn take_surplus(&mut self) -> Vec<u8> {
        self.buffer.consume(std::mem::take(&mut self.lent));
        let surplus = self.buffer.filled().to_vec();
        self.buffer.consume(surplus.len());
        surplus
    }
}

fn rejected(reject: h1::Reject) -> Error {
    Error::downstream(Kind::Rejected(reject.status, reject.reason.label()))
}
