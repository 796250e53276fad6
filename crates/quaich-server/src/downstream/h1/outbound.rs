//! The writing half of a client's HTTP/1 connection: one response at a time, framed here and nowhere
//! else (RFC 9112 section 6).
//!
//! Every piece that a handler gives is sent before the call returns: nothing is held back.

use std::future::poll_fn;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll, ready};

use quaich_proto::h1::{self, BodyLength, RequestHead, Version};
use quaich_proto::headers::{HeaderId, Headers};
use quaich_proto::method::Method;

use crate::deadline::Deadline;
use crate::downstream::output::Output;
use crate::downstream::standard::transport_security;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::pipe::Pipe;
use crate::stream::Stream;
use crate::thread::Thread;

/// Pieces up to this size are copied behind what waits already and leave in one piece with it.
const COPY: usize = 16 * 1024;

/// Bytes that one `sendfile` may move, so that other connections have their turn.
const FILE_TURN: u64 = 1024 * 1024;

/// How the body of the current response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// No head was written yet.
    NotBegun,
    /// There is no body, whatever the handler gives.
    None,
    /// So many bytes are owed.
    Known(u64),
    /// Chunks.
    Chunked,
    /// The end of the connection.
    UntilClose,
    /// The end of our half of the connection, which carries another protocol.
    Tunnel,
}

/// Writes one connection. Lives as long as the connection is busy.
pub struct Outbound<'c> {
    output: Output<'c>,
    thread: &'c Thread,
    out: Vec<u8>,
    sent: usize,
    framing: Framing,
    body_bytes: u64,
    sent_bytes: u64,
    /// What of `sent_bytes` were interim responses.
    interim_bytes: u64,
    version: Version,
    takes_trailers: bool,
    close: bool,
}

impl<'c> Outbound<'c> {
    /// A writer of `socket`.
    pub fn new(socket: &'c Stream, thread: &'c Thread, deadline: &'c Deadline) -> Self {
        Self {
            output: Output::new(socket, deadline, thread.settings.write_timeout),
            thread,
            out: Vec::with_capacity(2048),
            sent: 0,
            framing: Framing::NotBegun,
            body_bytes: 0,
            sent_bytes: 0,
            interim_bytes: 0,
            version: Version::Http11,
            takes_trailers: false,
            close: false,
        }
    }

    /// Makes ready for the next response.
    pub fn reset(&mut self) {
        self.framing = Framing::NotBegun;
        self.body_bytes = 0;
        self.sent_bytes = 0;
        self.interim_bytes = 0;
        self.close = false;
    }

    /// Notes what the client of `request` can be answered with.
    pub fn suit(&mut self, request: &RequestHead) {
        self.version = request.version;
        self.takes_trailers = request.accepts_trailers();
        self.close |= !request.keep_alive;
    }

    /// Whether a head was written, so that no other can be.
    pub fn has_begun(&self) -> bool {
        self.framing != Framing::NotBegun
    }

    /// Takes a response back of which the kernel has nothing yet, so that another can be sent.
    /// `false` when it is too late.
    pub fn retract(&mut self) -> bool {
        if self.has_begun()
            && self.sent_bytes == self.interim_bytes
            && !self.output.socket.is_writing()
        {
            self.out.clear();
            self.sent = 0;
            self.body_bytes = 0;
            self.framing = Framing::NotBegun;
        }
        !self.has_begun()
    }

    /// Body bytes given to the kernel or waiting for it.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Bytes of the response that the kernel took.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// The connection ends with this response.
    pub fn set_close(&mut self) {
        self.close = true;
    }

    /// Whether the connection ends with this response.
    pub fn closes(&self) -> bool {
        self.close || matches!(self.framing, Framing::UntilClose | Framing::Tunnel)
    }

    /// Writes the head of `exchange.response` with the framing that suits `length` and the client.
    /// Sends nothing yet.
    pub fn begin(&mut self, exchange: &mut Exchange, length: BodyLength) {
        self.status_and_standard_fields(exchange);
        for (id, name, value) in exchange.response.headers.iter() {
            if !matches!(id, HeaderId::ContentLength | HeaderId::Connection) {
                h1::field(&mut self.out, name, value);
            }
        }
        let status = exchange.response.status;
        let bodyless = is_bodyless(exchange);
        self.framing = match length {
            _ if status < 200 || status == 204 => Framing::None,
            BodyLength::Empty if bodyless => Framing::None,
            BodyLength::Empty => self.known(0),
            BodyLength::Known(length) => self.known(length),
            _ if bodyless => Framing::None,
            BodyLength::Chunked | BodyLength::UntilClose => self.unknown(),
        };
        if bodyless {
            self.framing = Framing::None;
        }
        self.end_head();
    }

    /// As [`begin`](Self::begin), with header lines that are rendered already, `Content-Length`
    /// among them, for a body of `length` bytes.
    pub fn begin_rendered(&mut self, exchange: &mut Exchange, lines: &[u8], length: u64) {
        self.status_and_standard_fields(exchange);
        self.out.extend_from_slice(lines);
        self.framing = match is_bodyless(exchange) {
            true => Framing::None,
            false => Framing::Known(length),
        };
        self.end_head();
    }

    fn status_and_standard_fields(&mut self, exchange: &mut Exchange) {
        exchange.notes.status = exchange.response.status;
        h1::status_line(&mut self.out, exchange.response.status);
        self.standard_fields(exchange);
    }

    fn end_head(&mut self) {
        // The client learns with this response that no other follows.
        self.close |= self.thread.is_draining();
        self.connection_field();
        self.out.extend_from_slice(b"\r\n");
    }

    fn standard_fields(&mut self, exchange: &Exchange) {
        if let Some(server) = &self.thread.server_line {
            self.out.extend_from_slice(server);
        }
        if self.thread.settings.date_header && !exchange.response.headers.contains(HeaderId::Date) {
            self.thread.clock.append_date_line(&mut self.out);
        }
        if let Some(value) = transport_security(self.thread, exchange) {
            h1::field(&mut self.out, b"Strict-Transport-Security", value);
        }
    }

    fn known(&mut self, length: u64) -> Framing {
        h1::field_u64(&mut self.out, b"Content-Length", length);
        Framing::Known(length)
    }

    fn unknown(&mut self) -> Framing {
        if self.version == Version::Http10 {
            return Framing::UntilClose;
        }
        h1::field(&mut self.out, b"Transfer-Encoding", b"chunked");
        Framing::Chunked
    }

    fn connection_field(&mut self) {
        match (self.closes(), self.version) {
            (true, _) => h1::field(&mut self.out, b"Connection", b"close"),
            (false, Version::Http10) => h1::field(&mut self.out, b"Connection", b"keep-alive"),
            (false, _) => {}
        }
    }

    /// Writes a `101` head with the response's own `Connection` and `Upgrade`, after which the
    /// connection carries what the two ends please, without a deadline.
    pub fn begin_tunnel(&mut self, exchange: &mut Exchange) {
        self.status_and_standard_fields(exchange);
        for (_, name, value) in exchange.response.headers.iter() {
            h1::field(&mut self.out, name, value);
        }
        self.out.extend_from_slice(b"\r\n");
        self.framing = Framing::Tunnel;
        self.output.be_patient();
    }

    /// Sends an informational response. HTTP/1.0 has none, and its clients get none.
    pub async fn interim(&mut self, status: u16, headers: &Headers) -> Result<(), Error> {
        if self.has_begun() || self.version == Version::Http10 {
            return Ok(());
        }
        h1::status_line(&mut self.out, status);
        for (id, name, value) in headers.iter() {
            if !(h1::is_hop_by_hop(id) || id == HeaderId::ContentLength) {
                h1::field(&mut self.out, name, value);
            }
        }
        self.out.extend_from_slice(b"\r\n");
        self.flush().await?;
        self.interim_bytes = self.sent_bytes;
        Ok(())
    }

    /// Sends a piece of the body, with everything that waits before it.
    pub async fn data(&mut self, piece: &[u8]) -> Result<(), Error> {
        let piece = self.admit(piece);
        if piece.is_empty() {
            return self.flush().await;
        }
        if self.framing == Framing::Chunked {
            h1::chunk_head(&mut self.out, piece.len());
        }
        if piece.len() <= COPY {
            self.out.extend_from_slice(piece);
            self.end_chunk();
            return self.flush().await;
        }
        let mut done = 0;
        poll_fn(|cx| self.poll_send_with(cx, piece, &mut done)).await?;
        self.end_chunk();
        Ok(())
    }

    /// Adds a piece of the body behind what waits, without sending it. For small pieces that are
    /// known to be followed by [`finish`](Self::finish) or [`data`](Self::data) at once.
    pub fn add(&mut self, piece: &[u8]) {
        let piece = self.admit(piece);
        if piece.is_empty() {
            return;
        }
        if self.framing == Framing::Chunked {
            h1::chunk_head(&mut self.out, piece.len());
        }
        self.out.extend_from_slice(piece);
        self.end_chunk();
    }

    /// What of `piece` belongs into the response: nothing without a body, no more than was promised.
    fn admit<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let piece = match &mut self.framing {
            Framing::None | Framing::NotBegun => &[],
            Framing::Known(left) => {
                let take = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(piece.len());
                *left -= take as u64;
                &piece[..take]
            }
            Framing::Chunked | Framing::UntilClose | Framing::Tunnel => piece,
        };
        self.body_bytes += piece.len() as u64;
        piece
    }

    fn end_chunk(&mut self) {
        if self.framing == Framing::Chunked {
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// Sends `length` bytes of a regular file from `offset`. Fails when the file is shorter.
    pub async fn file(
        &mut self,
        file: BorrowedFd<'_>,
        mut offset: u64,
        length: u64,
    ) -> Result<(), Error> {
        let mut left = match &mut self.framing {
            Framing::None | Framing::NotBegun => return Ok(()),
            Framing::Known(owed) => {
                let take = length.min(*owed);
                *owed -= take;
                take
            }
            Framing::Chunked | Framing::UntilClose | Framing::Tunnel => length,
        };
        if left == 0 {
            // An empty chunk would be the last one.
            return self.flush().await;
        }
        self.body_bytes += left;
        if self.framing == Framing::Chunked {
            h1::chunk_head(&mut self.out, usize::try_from(left).unwrap_or(usize::MAX));
        }
        self.flush().await?;
        while left > 0 {
            let turn = left.min(FILE_TURN) as usize;
            let sent = poll_fn(|cx| {
                self.output
                    .poll_step(cx, |s, cx| s.poll_sendfile(cx, file, &mut offset, turn))
            })
            .await?;
            if sent == 0 {
                return Err(Error::new(Kind::Truncated, crate::error::Side::Internal));
            }
            left -= sent as u64;
            self.sent_bytes += sent as u64;
        }
        self.end_chunk();
        Ok(())
    }

    /// Whether the next `count` bytes of the body may go to the socket as they are.
    pub fn takes_plain(&self, count: u64) -> bool {
        self.output.socket.is_plain()
            && matches!(self.framing, Framing::Known(left) if left >= count)
    }

    /// Sends what is in `pipe` as a piece of the body. Only after
    /// [`takes_plain`](Self::takes_plain).
    pub async fn splice(&mut self, pipe: &mut Pipe) -> Result<(), Error> {
        self.flush().await?;
        while pipe.held > 0 {
            let moved = poll_fn(|cx| {
                self.output
                    .poll_step(cx, |socket, cx| socket.poll_splice_from(cx, pipe))
            })
            .await?;
            self.body_bytes += moved as u64;
            self.sent_bytes += moved as u64;
            if let Framing::Known(left) = &mut self.framing {
                *left = left.saturating_sub(moved as u64);
            }
        }
        Ok(())
    }

    /// Ends the response, and a tunnel's half of the connection. Fails when fewer bytes were given
    /// than promised: the caller must then abort the connection, so that a cut answer never looks
    /// complete.
    pub async fn finish(&mut self) -> Result<(), Error> {
        match self.framing {
            Framing::Known(left) if left > 0 => {
                return Err(Error::new(Kind::Truncated, crate::error::Side::Internal));
            }
            Framing::Chunked => self.out.extend_from_slice(h1::LAST_CHUNK),
            _ => {}
        }
        self.flush().await?;
        if matches!(self.framing, Framing::Tunnel | Framing::UntilClose) {
            // The end of the connection is the end of the body: it must be seen to be meant.
            poll_fn(|cx| {
                self.output
                    .poll_step(cx, |stream, cx| stream.poll_close(cx).map_ok(|()| 0))
            })
            .await?;
        }
        if self.framing == Framing::Tunnel {
            self.output.socket.shutdown_write();
        }
        Ok(())
    }

    /// As [`finish`](Self::finish), with trailers if the client takes some and the framing has a
    /// place for them; else they are dropped (RFC 9110 section 6.5.1).
    pub async fn finish_with(&mut self, trailers: &Headers) -> Result<(), Error> {
        if self.framing != Framing::Chunked || !self.takes_trailers {
            return self.finish().await;
        }
        self.out.extend_from_slice(b"0\r\n");
        for (id, name, value) in trailers.iter() {
            if h1::may_trail(id) {
                h1::field(&mut self.out, name, value);
            }
        }
        self.out.extend_from_slice(b"\r\n");
        self.flush().await
    }

    /// Sends what waits.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Polls [`flush`](Self::flush).
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut nothing = 0;
        self.poll_send_with(cx, &[], &mut nothing)
    }

    /// Sends what waits, then `piece` from `done` on.
    fn poll_send_with(
        &mut self,
        cx: &mut Context<'_>,
        piece: &[u8],
        done: &mut usize,
    ) -> Poll<Result<(), Error>> {
        loop {
            let waiting = self.out.get(self.sent..).unwrap_or_default();
            let rest = piece.get(*done..).unwrap_or_default();
            let parts = [IoSlice::new(waiting), IoSlice::new(rest)];
            let parts = match (waiting.is_empty(), rest.is_empty()) {
                (true, true) => {
                    self.out.clear();
                    self.sent = 0;
                    return Poll::Ready(Ok(()));
                }
                (false, true) => &parts[..1],
                (true, false) => &parts[1..],
                (false, false) => &parts[..],
            };
            let ahead = waiting.len();
            let count = ready!(
                self.output
                    .poll_step(cx, |socket, cx| socket.poll_write(cx, parts))
            )?;
            self.sent_bytes += count as u64;
            self.sent += count.min(ahead);
            *done += count.saturating_sub(ahead);
        }
    }
}

/// Whether the response has no body, whatever its head says of one (RFC 9110 section 6.4.1).
fn is_bodyless(exchange: &Exchange) -> bool {
    let status = exchange.response.status;
    status < 200 || matches!(status, 204 | 304) || exchange.request.method == Method::Head
}
