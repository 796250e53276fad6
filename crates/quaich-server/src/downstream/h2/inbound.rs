//! The body of a request on an HTTP/2 stream. Its window grows only as the body is used, so that a
//! client can send no more than somebody takes.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use quaich_proto::h1::{BodyLength, RequestHead};
use quaich_proto::headers::{HeaderId, Headers};

use super::fields;
use super::stream::Channel;
use crate::clock::Millis;
use crate::deadline::Deadline;
use crate::downstream::body::RATE_GRACE;
use crate::error::{Error, Kind};
use crate::thread::Thread;

/// How long, and how much of, a request that was answered before its end is still taken.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// Reads the body of one request.
pub struct Inbound<'c> {
    recv: RecvStream,
    channel: &'c Channel,
    thread: &'c Thread,
    /// Made when there is something to wait for.
    deadline: Option<Deadline>,
    /// Bytes that have come.
    piece: Bytes,
    /// Whether the last call lent them out.
    lent: bool,
    /// Bytes that `Content-Length` promised and that are still to come.
    left: Option<u64>,
    done: bool,
    limit: u64,
    received: u64,
    began: Millis,
    continue_due: bool,
    /// A tunnel: neither deadline nor least rate.
    patient: bool,
    /// The request goes to a server that speaks HTTP/2, too.
    to_stream: bool,
    /// Messages both ways, as the client says.
    messages: bool,
    trailers: Option<Headers>,
}

impl<'c> Inbound<'c> {
    /// The body of `head`, which came with `recv`. If all of it is here, `head` is told its length.
    pub(super) fn new(
        recv: RecvStream,
        channel: &'c Channel,
        thread: &'c Thread,
        head: &mut RequestHead,
    ) -> Self {
        let content_type = head.headers.get(HeaderId::ContentType).unwrap_or_default();
        let mut body = Self {
            recv,
            channel,
            thread,
            deadline: None,
            piece: Bytes::new(),
            lent: false,
            left: match head.body {
                BodyLength::Known(length) => Some(length),
                BodyLength::Empty => Some(0),
                _ => None,
            },
            done: head.body == BodyLength::Empty,
            limit: u64::MAX,
            received: 0,
            began: thread.clock.now(),
            continue_due: head.expect_continue,
            patient: false,
            to_stream: false,
            messages: content_type.starts_with(b"application/grpc"),
            trailers: None,
        };
        if !body.done {
            body.look();
            if head.body == BodyLength::Chunked
                && let Some(whole) = body.whole_buffered()
            {
                head.body = match whole.len() as u64 {
                    0 if head.method.is_safe() => BodyLength::Empty,
                    length => BodyLength::Known(length),
                };
                body.left = Some(whole.len() as u64);
            }
        }
        body
    }

    /// Takes the first frame if it is here already: small bodies are then whole, and need no waiting.
    fn look(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(Some(Ok(bytes))) = self.recv.poll_data(&mut cx) {
            self.piece = bytes;
        }
        self.done = self.piece.is_empty() && self.recv.is_end_stream();
    }

    pub(in crate::downstream) fn limit_body(&mut self, limit: u64) -> Result<(), Error> {
        self.limit = if limit == 0 { u64::MAX } else { limit };
        match self.left {
            Some(length) if length > self.limit => Err(Error::downstream(Kind::BodyTooLarge)),
            _ => Ok(()),
        }
    }

    pub(in crate::downstream) fn received(&self) -> u64 {
        self.received
    }

    pub(in crate::downstream) fn is_done(&self) -> bool {
        self.done
    }

    pub(in crate::downstream) fn remaining(&self) -> Option<u64> {
        if self.done { Some(0) } else { self.left }
    }

    pub(in crate::downstream) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<(usize, usize)>, Error>> {
        self.give_back();
        loop {
            if self.done {
                self.clear_deadline();
                return Poll::Ready(Ok(None));
            }
            if !self.piece.is_empty() {
                if !ready!(self.poll_confirmed(cx))? {
                    continue;
                }
                // A client that does not wait for `100 Continue` gets none.
                self.continue_due = false;
                self.clear_deadline();
                return self.lend().map(|range| range.map(Some));
            }
            match self.recv.poll_data(cx) {
                Poll::Ready(Some(Ok(bytes))) => self.piece = bytes,
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Error::CLIENT_GONE)),
                Poll::Ready(None) => ready!(self.poll_end(cx))?,
                Poll::Pending => {
                    self.send_continue();
                    return self.wait(cx);
                }
            }
        }
    }

    /// The last piece that was promised is not given out before the stream has ended with it: of a
    /// request with more than that nothing may be passed on as whole (RFC 9113 section 8.1.1).
    fn poll_confirmed(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        if self.left != Some(self.piece.len() as u64) || self.recv.is_end_stream() {
            return Poll::Ready(Ok(true));
        }
        match self.recv.poll_data(cx) {
            Poll::Ready(Some(Ok(more))) if more.is_empty() => Poll::Ready(Ok(false)),
            Poll::Ready(Some(_)) => Poll::Ready(Err(Error::CLIENT_GONE)),
            Poll::Ready(None) => Poll::Ready(Ok(true)),
            Poll::Pending => self.wait(cx),
        }
    }

    /// Counts the piece as received and lends it out.
    fn lend(&mut self) -> Poll<Result<(usize, usize), Error>> {
        let count = self.piece.len();
        self.received += count as u64;
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(count as u64);
        }
        if self.received > self.limit {
            return Poll::Ready(Err(Error::downstream(Kind::BodyTooLarge)));
        }
        self.check_rate()?;
        self.lent = true;
        Poll::Ready(Ok((0, count)))
    }

    /// The piece was used: the client may send as much again.
    fn give_back(&mut self) {
        if std::mem::take(&mut self.lent) {
            let count = std::mem::take(&mut self.piece).len();
            // Fails only on a stream that is over.
            let _ = self.recv.flow_control().release_capacity(count);
        }
    }

    /// Behind the last piece: trailers, if there are some.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let trailers = match self.recv.poll_trailers(cx) {
            Poll::Ready(trailers) => trailers.map_err(|_| Error::CLIENT_GONE)?,
            Poll::Pending => return self.wait(cx),
        };
        self.done = true;
        self.left = Some(0);
        self.trailers = trailers.as_ref().map(read_trailers).transpose()?;
        Poll::Ready(Ok(()))
    }

    pub(in crate::downstream) fn bytes(&self, (start, end): (usize, usize)) -> &[u8] {
        self.piece.get(start..end).unwrap_or_default()
    }

    pub(in crate::downstream) fn trailers(&self) -> Option<&Headers> {
        self.trailers
            .as_ref()
            .filter(|trailers| !trailers.is_empty())
    }

    pub(in crate::downstream) fn whole_buffered(&self) -> Option<&[u8]> {
        let is_whole = self.done || !self.lent && self.recv.is_end_stream();
        is_whole.then_some(if self.done { &[] } else { &*self.piece })
    }

    pub(in crate::downstream) fn finish_whole(&mut self) {
        if let Some(length) = self.whole_buffered().map(<[u8]>::len) {
            self.received += length as u64;
            self.lent = true;
            self.give_back();
            self.done = true;
        }
    }

    pub(in crate::downstream) fn forgo_continue(&mut self) {
        self.continue_due = false;
    }

    pub(in crate::downstream) fn begin_tunnel(&mut self) {
        self.done = false;
        self.left = None;
        self.limit = u64::MAX;
        self.patient = true;
        self.clear_deadline();
    }

    /// The answer may have come before the end of the request. Some clients take a reset right behind
    /// it for a failure: they get a moment to stop by themselves (RFC 9113 section 8.1).
    pub(super) async fn see_off(&mut self) {
        if self.done {
            return;
        }
        self.give_back();
        let deadline = self.thread.deadlines.register();
        deadline.set(LINGER);
        let mut left = LINGER_BYTES;
        let over = poll_fn(|cx| {
            while let Some(Ok(piece)) = ready!(self.recv.poll_data(cx)) {
                let count = piece.len();
                if count <= left {
                    left -= count;
                    // Fails only on a stream that is over.
                    let _ = self.recv.flow_control().release_capacity(count);
                }
            }
            Poll::Ready(())
        });
        // Late or not, the stream ends now.
        let _ = deadline.guard(over).await;
    }

    pub(in crate::downstream) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        self.channel.poll_gone(cx).map(|()| Error::CLIENT_GONE)
    }

    fn send_continue(&mut self) {
        if std::mem::take(&mut self.continue_due) && !self.channel.has_begun() {
            self.channel.send_interim(100, HeaderMap::new());
        }
    }

    /// The body goes up a stream beside others, where it costs little to wait for it.
    pub(in crate::downstream) fn goes_to_stream(&mut self, to_stream: bool) {
        self.to_stream = to_stream;
    }

    /// A body may come slowly, but not for ever. Where both sides talk, the client is not late; but
    /// what it says of that counts only where a waiting request holds no worker and no connection.
    fn is_patient(&self) -> bool {
        self.patient || self.to_stream && (self.messages || self.channel.has_begun())
    }

    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        if self.is_patient() {
            self.clear_deadline();
            return Poll::Pending;
        }
        let thread = self.thread;
        let deadline = self
            .deadline
            .get_or_insert_with(|| thread.deadlines.register());
        if !deadline.is_set() {
            deadline.set(thread.settings.body_timeout);
        }
        match deadline.check(cx) {
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(Err(Error::downstream(Kind::RequestTimeout))),
        }
    }

    fn check_rate(&self) -> Result<(), Error> {
        let elapsed = self.thread.clock.now().saturating_sub(self.began);
        let least = elapsed.saturating_mul(self.thread.settings.min_rate) / 1000;
        if elapsed > RATE_GRACE && self.received < least && !self.is_patient() {
            return Err(Error::downstream(Kind::RequestTimeout));
        }
        Ok(())
    }

    fn clear_deadline(&self) {
        if let Some(deadline) = &self.deadline {
            deadline.clear();
        }
    }
}

fn read_trailers(map: &HeaderMap) -> Result<Headers, Error> {
    let refused = Error::downstream(Kind::Rejected(431, "trailer_too_large"));
    fields::read_trailers(map).ok_or(refused)
}
