//! The reading half of a client's HTTP/1 connection: request heads and bodies out of one buffer.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use quaich_proto::h1::{self, BodyReader, ChunkStep, ChunkedDecoder, RequestHead};

use crate::buffer::{self, Buffer};
use crate::clock::Millis;
use crate::deadline::Deadline;
use crate::downstream::body::RATE_GRACE;
use crate::error::{Error, Kind};
use crate::stream::Stream;
use crate::thread::Thread;

/// How much of a body that nobody read is read and thrown away to keep the connection.
const DISCARD: u64 = 64 * 1024;

/// How long a look ahead into a chunked body waits for the next byte, and in all.
const LOOK_QUIET: Duration = Duration::from_millis(25);
const LOOK: Duration = Duration::from_secs(2);

/// How often a client that has finished sending is looked at.
const PROBE: Duration = Duration::from_millis(100);

/// What an HTTP/2 client that knows whom it speaks to sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads one connection. Lives as long as the connection is busy.
pub struct Inbound<'c> {
    socket: &'c Stream,
    thread: &'c Thread,
    deadline: &'c Deadline,
    buffer: Buffer,
    /// Decoded bytes at the front of the buffer that the last call lent out.
    lent: usize,
    body: BodyReader,
    /// After a `101`: bytes are the client's own, to the end of its half.
    tunnel: Option<Half>,
    limit: u64,
    received: u64,
    began: Millis,
    continue_due: bool,
    half_closed: bool,
}

/// The client's half of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Open,
    Ended,
}

/// What a wait for a request brought.
#[derive(Debug)]
pub enum Arrival {
    /// A whole head.
    Head,
    /// The client has closed, or sent nothing for the idle time.
    Closed,
    /// Nothing has come for a while: the connection may go to rest.
    Idle,
    /// The first bytes of an HTTP/2 connection: these.
    Http2(Box<Buffer>),
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
            body: BodyReader::default(),
            tunnel: None,
            limit: 0,
            received: 0,
            began: 0,
            continue_due: false,
            half_closed: false,
        }
    }

    /// Reads the next request head. `patience` is how long to wait for its first byte before the
    /// connection should go to rest; `detect` says whether the client may turn out to speak HTTP/2.
    pub async fn head(
        &mut self,
        head: &mut RequestHead,
        patience: Duration,
        detect: bool,
    ) -> Result<Arrival, Error> {
        let limits = &self.thread.limits;
        let mut begun = false;
        self.buffer.consume(std::mem::take(&mut self.lent));
        loop {
            if !self.buffer.is_empty() {
                let filled = self.buffer.filled();
                if detect && filled.starts_with(PREFACE) {
                    self.deadline.clear();
                    let buffer = std::mem::replace(&mut self.buffer, Buffer::lend());
                    return Ok(Arrival::Http2(Box::new(buffer)));
                }
                // A preface that has not come whole is no request to be judged.
                let judged = !(detect && PREFACE.starts_with(filled));
                if judged
                    && let Some(count) =
                        h1::parse_request(filled, limits, head).map_err(rejected)?
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
        self.body = BodyReader::new(head.body);
        self.continue_due = head.expect_continue;
        if !self.is_done() {
            self.began = self.thread.clock.now();
        }
    }

    /// Bounds the body of this request; 0 = no limit.
    pub fn limit_body(&mut self, limit: u64) -> Result<(), Error> {
        self.limit = if limit == 0 { u64::MAX } else { limit };
        match self.body.remaining() {
            Some(length) if length > self.limit => Err(Error::downstream(Kind::BodyTooLarge)),
            _ => Ok(()),
        }
    }

    /// Bytes of the current body that were read.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether the whole body has been given out.
    pub fn is_done(&self) -> bool {
        self.body.is_done()
    }

    /// Bytes still to come, if their number is known.
    pub fn remaining(&self) -> Option<u64> {
        self.body.remaining()
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

    /// Bytes of the body that are here now, when the whole of it is: nothing needs to be awaited.
    pub fn whole_buffered(&self) -> Option<&[u8]> {
        let length = usize::try_from(self.body.remaining()?).ok()?;
        self.buffer.filled().get(self.lent..)?.get(..length)
    }

    /// Counts what [`whole_buffered`](Self::whole_buffered) showed as read.
    pub fn finish_whole(&mut self) {
        if let Some(length) = self.whole_buffered().map(<[u8]>::len) {
            self.lent += length;
            self.received += length as u64;
            self.body = BodyReader::default();
        }
    }

    /// Polls for the next piece of the body, decoded: its place in [`bytes`](Self::bytes), `None` at
    /// the end. Sends `100 Continue` when the client waits for it (RFC 9110 section 10.1.1).
    pub fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<(usize, usize)>, Error>> {
        self.buffer.consume(std::mem::take(&mut self.lent));
        if self.tunnel.is_some() {
            return self.poll_tunnel(cx);
        }
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
        let step = self.body.decode(self.buffer.filled()).map_err(rejected)?;
        match step.data {
            Some((start, end)) => {
                self.received += (end - start) as u64;
                self.lent = step.consumed;
                if self.received > self.limit {
                    return Err(Error::downstream(Kind::BodyTooLarge));
                }
            }
            None => self.buffer.consume(step.consumed),
        }
        Ok(step.data)
    }

    /// The request was answered with another protocol: from here on the body is what the client
    /// sends, as it comes and without a deadline, to the end of its half of the connection.
    pub fn begin_tunnel(&mut self) {
        self.buffer.consume(std::mem::take(&mut self.lent));
        self.deadline.clear();
        self.limit = u64::MAX;
        self.tunnel = Some(match self.half_closed {
            true => Half::Ended,
            false => Half::Open,
        });
    }

    fn poll_tunnel(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<(usize, usize)>, Error>> {
        if self.buffer.is_empty()
            && self.tunnel == Some(Half::Open)
            && ready!(self.poll_fill(cx))? == 0
        {
            self.tunnel = Some(Half::Ended);
        }
        self.lent = self.buffer.filled().len();
        self.received += self.lent as u64;
        Poll::Ready(Ok((self.lent > 0).then_some((0, self.lent))))
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
            // 25 bytes into an empty socket buffer: if they do not fit, the client learns from the
            // final answer.
            self.socket.write_aside(h1::CONTINUE);
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
        while let Some((start, end)) = poll_fn(|cx| self.poll_data(cx)).await? {
            left = left
                .checked_sub((end - start) as u64)
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
            // Reading goes on to show the orderly end that came first.
            if self.socket.socket().has_failed() {
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
}

fn rejected(reject: h1::Reject) -> Error {
    Error::downstream(Kind::Rejected(reject.status, reject.reason.label()))
}
