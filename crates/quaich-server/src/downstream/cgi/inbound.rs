//! The reading half of a web server's connection: heads and bodies of requests out of one buffer.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use quaich_proto::cgi::{Limits, Variables};
use quaich_proto::fastcgi::{self, RequestReader, RequestStep};
use quaich_proto::h1::{BodyLength, Reject, RequestHead};
use quaich_proto::{scgi, uwsgi};

use super::Wire;
use super::asides::Asides;
use super::head::{Fields, Origin};
use crate::buffer::Buffer;
use crate::clock::Millis;
use crate::deadline::Deadline;
use crate::downstream::body::RATE_GRACE;
use crate::error::{Error, Kind};
use crate::stream::Stream;
use crate::thread::Thread;

/// How much of a body that nobody read is read and thrown away to keep the connection.
const DISCARD: u64 = 64 * 1024;

/// `modifier1` of what is served; 100 asks whether somebody is there.
const MODIFIERS: &[u8] = &[0];
const PING: u8 = 100;
const PONG: [u8; 4] = [PING, 0, 0, 1];

/// Reads one connection. Lives as long as the connection is busy.
pub struct Inbound<'c> {
    socket: &'c Stream,
    thread: &'c Thread,
    deadline: &'c Deadline,
    /// Records that answer what is no request, for the writing half.
    asides: &'c Asides,
    wire: Wire,
    buffer: Buffer,
    /// Bytes at the front of the buffer that the last call lent out.
    lent: usize,
    variables: Variables,
    fields: Fields,
    records: RequestReader,
    /// Of the body; `None` = until its last record.
    left: Option<u64>,
    ended: bool,
    limit: u64,
    received: u64,
    began: Millis,
}

/// What a wait for a request brought.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A head, and what its variables say of its client.
    Head(Origin),
    /// The web server has closed, or was answered.
    Closed,
    /// Nothing has come for a while.
    Idle,
}

/// Why there is no request.
pub(super) enum Refusal {
    /// It cannot be told from others: nobody can be answered.
    Garbled(&'static str),
    /// It is to be answered so.
    Answer(Error),
}

impl<'c> Inbound<'c> {
    pub(super) fn new(
        (socket, wire): (&'c Stream, Wire),
        thread: &'c Thread,
        deadline: &'c Deadline,
        asides: &'c Asides,
        last: Option<u16>,
    ) -> Self {
        Self {
            socket,
            thread,
            deadline,
            asides,
            wire,
            buffer: Buffer::lend(),
            lent: 0,
            variables: Variables::new(),
            fields: Fields::default(),
            records: RequestReader::after(Limits::default(), last),
            left: Some(0),
            ended: true,
            limit: 0,
            received: 0,
            began: 0,
        }
    }

    /// The request of the last head, where the wire has numbers for them.
    pub(super) fn id(&self) -> u16 {
        self.records.id()
    }

    /// What a next `Inbound` of this connection has to know.
    pub(super) fn last(&self) -> Option<u16> {
        self.records.last()
    }

    /// Whether the connection goes on after the answer.
    pub(super) fn keeps_connection(&self) -> bool {
        self.wire == Wire::FastCgi && self.records.keeps_connection()
    }

    /// Reads the next head. `patience` is how long to wait for its first byte.
    pub(super) async fn head(
        &mut self,
        head: &mut RequestHead,
        patience: Duration,
    ) -> Result<Arrival, Refusal> {
        self.buffer.consume(std::mem::take(&mut self.lent));
        self.records.next();
        self.deadline.set(patience);
        let mut begun = false;
        loop {
            if self.find_head(head)? {
                self.deadline.clear();
                return Ok(Arrival::Head(Origin::of(&self.variables)));
            }
            if self.answer_asides().await? {
                return Ok(Arrival::Closed);
            }
            let waits = self.buffer.is_empty() && self.records.is_idle();
            if waits == begun {
                begun = !waits;
                // What was half read may have been the end of the request before.
                self.deadline.set(match begun {
                    true => self.thread.settings.header_timeout,
                    false => patience,
                });
            }
            if self.buffer.room().is_empty() {
                // A packet has at most 64 KiB and its head.
                self.buffer.grow(2 * Limits::default().max_bytes);
            }
            match self.deadline.guard(poll_fn(|cx| self.poll_fill(cx))).await {
                Err(_) if begun => return Err(Refusal::Garbled("request_timeout")),
                Err(_) => return Ok(Arrival::Idle),
                Ok(Ok(0)) if begun => return Err(Refusal::Garbled("client_gone")),
                Ok(Ok(0) | Err(_)) => return Ok(Arrival::Closed),
                Ok(Ok(_)) => {}
            }
        }
    }

    /// Looks for a head in the buffer.
    fn find_head(&mut self, head: &mut RequestHead) -> Result<bool, Refusal> {
        let limits = Limits::default();
        let input = self.buffer.filled();
        let found = match self.wire {
            Wire::FastCgi => return self.find_records(head),
            Wire::Uwsgi if input.first() == Some(&PING) => {
                self.asides.push(&PONG);
                return Ok(false);
            }
            Wire::Uwsgi => uwsgi::parse_request(input, &limits, MODIFIERS, &mut self.variables)
                .map_err(uwsgi::BadPacket::label),
            Wire::Scgi => scgi::parse_request(input, &limits, &mut self.variables)
                .map_err(scgi::BadRequest::label),
        };
        let Some(count) = found.map_err(Refusal::Garbled)? else {
            return Ok(false);
        };
        self.buffer.consume(count);
        self.start(head, true)?;
        Ok(true)
    }

    fn find_records(&mut self, head: &mut RequestHead) -> Result<bool, Refusal> {
        while !self.buffer.is_empty() {
            let step = self.records.decode(self.buffer.filled());
            match step.map_err(|bad| Refusal::Garbled(bad.label()))? {
                RequestStep::NeedMore { consumed } => self.buffer.consume(consumed),
                RequestStep::Head { consumed } => {
                    self.buffer.consume(consumed);
                    std::mem::swap(&mut self.variables, self.records.variables_mut());
                    let ends = self.ends_at_once();
                    self.start(head, ends)?;
                    return Ok(true);
                }
                // Of a request that was given up before it was whole.
                RequestStep::Abort { .. } => return Err(Refusal::Garbled("client_gone")),
                RequestStep::Stdin { end, .. } => self.buffer.consume(end),
                RequestStep::StdinEnd { consumed } => self.buffer.consume(consumed),
                other => self.answer(other),
            }
        }
        Ok(false)
    }

    /// Whether the body is known to be empty: its end has come already.
    fn ends_at_once(&mut self) -> bool {
        // What decides it stands in one record without content.
        let rest = self.buffer.filled();
        matches!(rest, [1, fastcgi::STDIN, _, _, 0, 0, ..])
    }

    /// Notes the answer to a record that is not part of the request.
    fn answer(&mut self, step: RequestStep) {
        let most = self.thread.settings.max_connections;
        let consumed = self.asides.answer(step, self.records.asked(), most);
        self.buffer.consume(consumed);
    }

    /// Sends what was answered while there is no request; whether that was all for this connection.
    async fn answer_asides(&mut self) -> Result<bool, Refusal> {
        let bytes = self.asides.take();
        if bytes.is_empty() {
            return Ok(false);
        }
        let sent = self.deadline.guard(self.socket.write_all(&bytes)).await;
        match sent {
            Ok(Ok(())) => Ok(self.wire == Wire::Uwsgi),
            _ => Err(Refusal::Garbled("client_gone")),
        }
    }

    /// The variables are there.
    fn start(&mut self, head: &mut RequestHead, ends: bool) -> Result<(), Refusal> {
        self.received = 0;
        self.limit = u64::MAX;
        self.ended = true;
        self.left = Some(0);
        let limits = &self.thread.limits;
        self.fields
            .read(&self.variables, ends, limits, head)
            .map_err(|reject| Refusal::Answer(rejected(reject)))?;
        self.left = match head.body {
            BodyLength::Empty => Some(0),
            BodyLength::Known(length) => Some(length),
            BodyLength::Chunked | BodyLength::UntilClose => None,
        };
        self.ended = self.left == Some(0);
        if !self.ended {
            self.began = self.thread.clock.now();
        }
        Ok(())
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

    /// Bounds the body of this request; 0 = no limit.
    pub fn limit_body(&mut self, limit: u64) -> Result<(), Error> {
        self.limit = if limit == 0 { u64::MAX } else { limit };
        match self.left {
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
        self.ended
    }

    /// Bytes still to come, if their number is known.
    pub fn remaining(&self) -> Option<u64> {
        self.left
    }

    /// Bytes of the body that are here now, when the whole of it is.
    pub fn whole_buffered(&self) -> Option<&[u8]> {
        if self.ended {
            return Some(&[]);
        }
        if self.wire == Wire::FastCgi {
            return None;
        }
        let length = usize::try_from(self.left?).ok()?;
        self.buffer.filled().get(self.lent..)?.get(..length)
    }

    /// Counts what [`whole_buffered`](Self::whole_buffered) showed as read.
    pub fn finish_whole(&mut self) {
        if let Some(length) = self.whole_buffered().map(<[u8]>::len) {
            self.lent += length;
            self.received += length as u64;
            self.left = Some(0);
            self.ended = true;
        }
    }

    /// Polls for the next piece of the body: its place in [`bytes`](Self::bytes), `None` at the end.
    pub fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<(usize, usize)>, Error>> {
        self.buffer.consume(std::mem::take(&mut self.lent));
        loop {
            if self.ended {
                self.deadline.clear();
                return Poll::Ready(Ok(None));
            }
            if let Some(range) = self.next_piece()? {
                // However long this piece is kept, it is not the client that is late.
                self.deadline.clear();
                return Poll::Ready(Ok(Some(range)));
            }
            if self.ended {
                continue;
            }
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

    /// The next piece of the body in the buffer, counted as read.
    fn next_piece(&mut self) -> Result<Option<(usize, usize)>, Error> {
        while !self.buffer.is_empty() {
            let filled = self.buffer.filled();
            if self.wire != Wire::FastCgi {
                let left = self.left.unwrap_or(0);
                let count = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(filled.len());
                return self.lend((0, count)).map(Some);
            }
            let step = self.records.decode(filled);
            match step.map_err(|bad| refused(bad.label()))? {
                RequestStep::NeedMore { consumed } => self.buffer.consume(consumed),
                RequestStep::Stdin { start, end } => return self.lend((start, end)).map(Some),
                RequestStep::StdinEnd { consumed } => {
                    self.buffer.consume(consumed);
                    if self.left.is_some_and(|left| left > 0) {
                        return Err(refused("body_too_short"));
                    }
                    self.ended = true;
                    return Ok(None);
                }
                RequestStep::Abort { .. } => return Err(Error::CLIENT_GONE),
                RequestStep::Head { consumed } => self.buffer.consume(consumed),
                other => self.answer(other),
            }
            if self.asides.is_flooded() {
                return Err(Error::CLIENT_GONE);
            }
        }
        Ok(None)
    }

    fn lend(&mut self, (start, end): (usize, usize)) -> Result<(usize, usize), Error> {
        let count = (end - start) as u64;
        self.received += count;
        self.lent = end;
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(count).ok_or(refused("body_too_long"))?;
            self.ended = *left == 0;
        }
        if self.received > self.limit {
            return Err(Error::downstream(Kind::BodyTooLarge));
        }
        Ok((start, end))
    }

    /// Bytes that [`poll_data`](Self::poll_data) spoke of.
    pub fn bytes(&self, (start, end): (usize, usize)) -> &[u8] {
        self.buffer.filled().get(start..end).unwrap_or_default()
    }

    /// As for a body over HTTP/1: slow is allowed, but not for ever.
    fn check_rate(&self, count: usize) -> Result<(), Error> {
        let elapsed = self.thread.clock.now().saturating_sub(self.began);
        let least = elapsed.saturating_mul(self.thread.settings.min_rate) / 1000;
        if elapsed > RATE_GRACE && self.received + (count as u64) < least {
            return Err(Error::downstream(Kind::RequestTimeout));
        }
        Ok(())
    }

    /// Whether a body that nobody read can be read and thrown away cheaply.
    pub fn is_discardable(&self) -> bool {
        self.left.is_some_and(|left| left <= DISCARD)
    }

    /// Reads the rest of the body and throws it away. Fails when it is too much.
    pub async fn discard(&mut self) -> Result<(), Error> {
        let mut left = DISCARD;
        while let Some((start, end)) = poll_fn(|cx| self.poll_data(cx)).await? {
            left = left
                .checked_sub((end - start) as u64)
                .ok_or(Error::downstream(Kind::BodyTooLarge))?;
        }
        self.buffer.consume(std::mem::take(&mut self.lent));
        Ok(())
    }

    /// Ready when the web server has left, or says that its client has. Reads ahead meanwhile.
    ///
    /// The end of what it sends means that it has left: no web server closes one half of a
    /// connection to an application server, and one whose client has gone just closes.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        loop {
            if self.ended && self.wire == Wire::FastCgi && self.was_aborted() {
                return Poll::Ready(Error::CLIENT_GONE);
            }
            if self.buffer.room().is_empty() {
                return Poll::Pending;
            }
            match ready!(self.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(Error::CLIENT_GONE),
                Ok(_) => {}
                Err(error) => return Poll::Ready(error),
            }
        }
    }

    /// Whether what has come behind the body says that nobody waits for the answer.
    fn was_aborted(&mut self) -> bool {
        self.buffer.consume(std::mem::take(&mut self.lent));
        while !self.buffer.is_empty() {
            match self.records.decode(self.buffer.filled()) {
                Ok(RequestStep::NeedMore { consumed }) | Ok(RequestStep::StdinEnd { consumed }) => {
                    self.buffer.consume(consumed);
                }
                Ok(RequestStep::Stdin { .. } | RequestStep::Head { .. }) => return true,
                Ok(RequestStep::Abort { .. }) | Err(_) => return true,
                Ok(other) => self.answer(other),
            }
            if self.asides.is_flooded() {
                return true;
            }
        }
        false
    }
}

fn rejected(reject: Reject) -> Error {
    refused_with(reject.status, reject.reason.label())
}

fn refused(label: &'static str) -> Error {
    refused_with(400, label)
}

fn refused_with(status: u16, label: &'static str) -> Error {
    Error::downstream(Kind::Rejected(status, label))
}
