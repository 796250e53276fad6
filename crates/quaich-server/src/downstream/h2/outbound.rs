//! The response on an HTTP/2 stream. A piece goes to the connection as soon as the client's windows
//! and the connection's own bound of memory let it, and the last one ends the stream.

use std::future::poll_fn;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response};
use quaich_proto::h1::{BodyLength, RequestHead};
use quaich_proto::headers::Headers;
use quaich_proto::method::Method;
use rustix::buffer::spare_capacity;

use super::fields;
use super::piece::{Budget, Piece};
use super::stream::Channel;
use crate::deadline::Deadline;
use crate::error::{Error, Kind, Side};
use crate::exchange::Exchange;
use crate::thread::Thread;

/// Bytes of a file that are read at once: two frames.
const FILE_PIECE: u64 = 32 * 1024;

/// Pieces up to this size are copied behind what waits already and leave in one piece with it.
const COPY: usize = 16 * 1024;

/// Octets of a frame head, for the count of bytes sent.
const FRAME: u64 = 9;

/// Fields that a response may have beside its own.
const FURTHER: usize = 8;

/// How the body of the response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// No head was given yet.
    NotBegun,
    /// There is no body, whatever the handler gives.
    None,
    /// So many bytes are owed.
    Known(u64),
    /// Whenever the handler says so.
    Open,
}

/// Writes the response of one request.
pub struct Outbound<'c> {
    channel: &'c Channel,
    thread: &'c Thread,
    budget: &'c Rc<Budget>,
    /// Made when there is something to wait for.
    deadline: Option<Deadline>,
    /// A head that was given and not sent.
    head: Option<Response<()>>,
    /// Body bytes that were given and not sent.
    out: BytesMut,
    framing: Framing,
    ended: bool,
    /// The request is an extended CONNECT: a status of 2xx opens a tunnel.
    connects: bool,
    tunnel: bool,
    takes_trailers: bool,
    body_bytes: u64,
    sent_bytes: u64,
}

impl<'c> Outbound<'c> {
    pub(super) fn new(channel: &'c Channel, thread: &'c Thread, budget: &'c Rc<Budget>) -> Self {
        Self {
            channel,
            thread,
            budget,
            deadline: None,
            head: None,
            out: BytesMut::new(),
            framing: Framing::NotBegun,
            ended: false,
            connects: false,
            tunnel: false,
            takes_trailers: false,
            body_bytes: 0,
            sent_bytes: 0,
        }
    }

    pub(in crate::downstream) fn suit(&mut self, request: &RequestHead) {
        self.connects = request.upgrade;
        self.takes_trailers = request.accepts_trailers();
    }

    pub(in crate::downstream) fn has_begun(&self) -> bool {
        self.framing != Framing::NotBegun
    }

    /// Whether the stream ended as it should.
    pub(in crate::downstream) fn is_ended(&self) -> bool {
        self.ended
    }

    pub(in crate::downstream) fn retract(&mut self) -> bool {
        if self.head.take().is_some() {
            self.out.clear();
            self.body_bytes = 0;
            self.framing = Framing::NotBegun;
        }
        !self.has_begun()
    }

    pub(in crate::downstream) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    pub(in crate::downstream) fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    pub(in crate::downstream) fn interim(&mut self, status: u16, headers: &Headers) {
        if !self.has_begun() {
            let mut map = HeaderMap::with_capacity(headers.len());
            fields::write_fields(&mut map, headers);
            self.channel.send_interim(status, map);
        }
    }

    pub(in crate::downstream) fn begin(&mut self, exchange: &mut Exchange, length: BodyLength) {
        if self.connects && (200..300).contains(&exchange.response.status) {
            // The client would take it for the agreement that it is not.
            exchange.response.status = 502;
        }
        let mut map = self.begin_map(exchange);
        fields::write_fields(&mut map, &exchange.response.headers);
        let status = exchange.response.status;
        let bodyless = is_bodyless(exchange);
        self.framing = match length {
            _ if bodyless => Framing::None,
            BodyLength::Empty => Framing::Known(0),
            BodyLength::Known(length) => Framing::Known(length),
            BodyLength::Chunked | BodyLength::UntilClose => Framing::Open,
        };
        if let BodyLength::Known(length) = length
            && status != 204
        {
            fields::write_length(&mut map, length);
        }
        self.set_head(exchange, map);
    }

    pub(in crate::downstream) fn begin_rendered(
        &mut self,
        exchange: &mut Exchange,
        lines: &[u8],
        length: u64,
    ) {
        let mut map = self.begin_map(exchange);
        fields::write_lines(&mut map, lines);
        self.framing = match is_bodyless(exchange) {
            true => Framing::None,
            false => Framing::Known(length),
        };
        self.set_head(exchange, map);
    }

    pub(in crate::downstream) fn begin_tunnel(&mut self, exchange: &mut Exchange) {
        exchange.response.status = 200;
        let mut map = self.begin_map(exchange);
        let of_the_switch = |name: &[u8]| name.eq_ignore_ascii_case(b"sec-websocket-accept");
        let headers = &mut exchange.response.headers;
        headers.retain(|_, name, _| !of_the_switch(name));
        fields::write_fields(&mut map, headers);
        self.framing = Framing::Open;
        self.tunnel = true;
        self.set_head(exchange, map);
    }

    /// The fields of every response, in front of its own.
    fn begin_map(&self, exchange: &Exchange) -> HeaderMap {
        let own = exchange.response.headers.len();
        let mut map = HeaderMap::with_capacity(own + FURTHER);
        fields::write_standard(&mut map, self.thread, exchange);
        map
    }

    fn set_head(&mut self, exchange: &mut Exchange, map: HeaderMap) {
        exchange.notes.status = exchange.response.status;
        let size = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.as_str().len() + value.len()) as u64
        };
        self.sent_bytes += FRAME + map.iter().map(size).sum::<u64>();
        let mut head = Response::new(());
        *head.status_mut() = fields::status(exchange.response.status);
        *head.headers_mut() = map;
        self.head = Some(head);
    }

    pub(in crate::downstream) async fn data(&mut self, piece: &[u8]) -> Result<(), Error> {
        if piece.len() <= COPY {
            self.add(piece);
            let ends = self.ends();
            return poll_fn(|cx| self.poll_out(cx, ends)).await;
        }
        self.flush().await?;
        let mut piece = self.admit(piece);
        // Copied only as it may leave: what a client is too slow for waits where it came from.
        while !piece.is_empty() {
            let room = poll_fn(|cx| self.poll_room(cx, piece.len())).await?;
            let (now, later) = piece.split_at(room.min(piece.len()));
            piece = later;
            let ends = piece.is_empty() && self.ends();
            self.send(Bytes::copy_from_slice(now), ends)?;
        }
        Ok(())
    }

    /// Whether the last byte that was promised has been given, and nothing comes behind it.
    fn ends(&self) -> bool {
        self.framing == Framing::Known(0) && !self.takes_trailers
    }

    pub(in crate::downstream) fn add(&mut self, piece: &[u8]) {
        let piece = self.admit(piece);
        self.out.extend_from_slice(piece);
    }

    /// What of `piece` belongs into the response: nothing without a body, no more than was promised.
    fn admit<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let take = match &mut self.framing {
            Framing::None | Framing::NotBegun => 0,
            Framing::Known(left) => {
                let take = usize::try_from(*left).map_or(piece.len(), |left| left.min(piece.len()));
                *left -= take as u64;
                take
            }
            Framing::Open => piece.len(),
        };
        self.body_bytes += take as u64;
        piece.get(..take).unwrap_or_default()
    }

    pub(in crate::downstream) async fn file(
        &mut self,
        file: BorrowedFd<'_>,
        mut offset: u64,
        length: u64,
    ) -> Result<(), Error> {
        let mut left = match self.framing {
            Framing::None | Framing::NotBegun => return Ok(()),
            Framing::Known(owed) => length.min(owed),
            Framing::Open => length,
        };
        self.flush().await?;
        while left > 0 {
            let most = left.min(FILE_PIECE) as usize;
            let room = poll_fn(|cx| self.poll_room(cx, most)).await?;
            let mut piece = Vec::with_capacity(room.min(most));
            let read = rustix::io::pread(file, spare_capacity(&mut piece), offset);
            let count = read.map_err(|_| Error::internal())? as u64;
            if count == 0 {
                return Err(Error::new(Kind::Truncated, Side::Internal));
            }
            left = left.saturating_sub(count);
            offset += count;
            self.body_bytes += count;
            if let Framing::Known(owed) = &mut self.framing {
                *owed = owed.saturating_sub(count);
            }
            let ends = self.ends();
            self.send(piece.into(), ends)?;
        }
        Ok(())
    }

    pub(in crate::downstream) async fn finish(&mut self) -> Result<(), Error> {
        if matches!(self.framing, Framing::Known(left) if left > 0) {
            return Err(Error::new(Kind::Truncated, Side::Internal));
        }
        poll_fn(|cx| self.poll_out(cx, true)).await
    }

    pub(in crate::downstream) async fn finish_with(
        &mut self,
        trailers: &Headers,
    ) -> Result<(), Error> {
        let map = fields::write_trailers(trailers);
        if self.ended || map.is_empty() || self.framing == Framing::None {
            return self.finish().await;
        }
        if matches!(self.framing, Framing::Known(left) if left > 0) {
            return Err(Error::new(Kind::Truncated, Side::Internal));
        }
        self.flush().await?;
        self.channel.with_body(|body| body.send_trailers(map))?;
        self.ended = true;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    pub(in crate::downstream) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        self.poll_out(cx, false)
    }

    /// Sends what waits; `ends` says that nothing follows it.
    fn poll_out(&mut self, cx: &mut Context<'_>, ends: bool) -> Poll<Result<(), Error>> {
        if let Some(head) = self.head.take() {
            let alone = ends && self.out.is_empty();
            self.channel.send_head(head, alone)?;
            self.ended = alone;
        }
        while !self.ended && !self.out.is_empty() {
            let room = ready!(self.poll_room(cx, self.out.len()))?;
            let piece = fields::split(&mut self.out, room);
            self.send(piece, ends && self.out.is_empty())?;
        }
        if ends && !self.ended {
            self.send(Bytes::new(), true)?;
        }
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, piece: Bytes, ends: bool) -> Result<(), Error> {
        self.sent_bytes += FRAME + piece.len() as u64;
        let piece = Piece::new(piece, self.budget);
        self.channel.with_body(|body| body.send_data(piece, ends))?;
        self.ended = ends;
        Ok(())
    }

    /// Waits until something of `wanted` bytes may be sent: how much. The deadline starts when the
    /// client first keeps us waiting, and anew after each step; a tunnel has none.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Result<usize, Error>> {
        let Poll::Ready(room) = self.budget.poll_room(cx) else {
            return self.wait(cx);
        };
        let capacity = self.channel.with_body(|body| {
            body.reserve_capacity(wanted.min(room));
            Ok(match body.capacity() {
                0 => body.poll_capacity(cx),
                capacity => Poll::Ready(Some(Ok(capacity))),
            })
        })?;
        match capacity {
            Poll::Ready(Some(Ok(capacity))) if capacity > 0 => {
                if let Some(deadline) = &self.deadline {
                    deadline.clear();
                }
                Poll::Ready(Ok(capacity.min(wanted)))
            }
            Poll::Ready(Some(Ok(_))) | Poll::Pending => self.wait(cx),
            Poll::Ready(Some(Err(_)) | None) => Poll::Ready(Err(Error::CLIENT_GONE)),
        }
    }

    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        if self.tunnel {
            return Poll::Pending;
        }
        let thread = self.thread;
        let deadline = self
            .deadline
            .get_or_insert_with(|| thread.deadlines.register());
        if !deadline.is_set() {
            deadline.set(thread.settings.write_timeout);
        }
        match deadline.check(cx) {
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(Err(Error::downstream(Kind::WriteTimeout))),
        }
    }
}

/// Whether the response has no body, whatever its head says of one (RFC 9110 section 6.4.1).
fn is_bodyless(exchange: &Exchange) -> bool {
    let status = exchange.response.status;
    matches!(status, 204 | 304) || exchange.request.method == Method::Head
}
