//! The writing half of a web server's connection: one answer at a time. Of its length no wire knows
//! but what its head says; the end of the connection, or a record, is the end.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll, ready};

use quaich_proto::cgi;
use quaich_proto::fastcgi::{self, MAX_CONTENT, ProtocolStatus, STDOUT};
use quaich_proto::h1::{self, BodyLength};
use quaich_proto::headers::HeaderId;
use quaich_proto::method::Method;

use super::Wire;
use crate::deadline::Deadline;
use crate::downstream::output::Output;
use crate::downstream::standard::transport_security;
use crate::error::{Error, Kind, Side};
use crate::exchange::Exchange;
use crate::pipe::Pipe;
use crate::stream::Stream;
use crate::thread::Thread;

/// Pieces up to this size are copied behind what waits already and leave in one piece with it.
const COPY: usize = 16 * 1024;

/// How the body of the current answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// No head was written yet.
    NotBegun,
    /// There is no body, whatever the handler gives.
    None,
    /// So many bytes are owed.
    Known(u64),
    /// With the answer.
    Open,
}

/// Writes one connection. Lives as long as the connection is busy.
pub struct Outbound<'c> {
    output: Output<'c>,
    thread: &'c Thread,
    /// What the reading half has to answer, between two records.
    asides: &'c RefCell<Vec<u8>>,
    wire: Wire,
    id: u16,
    keeps: bool,
    head: Vec<u8>,
    out: Vec<u8>,
    sent: usize,
    framing: Framing,
    body_bytes: u64,
    sent_bytes: u64,
    close: bool,
}

impl<'c> Outbound<'c> {
    pub(super) fn new(
        (socket, wire): (&'c Stream, Wire),
        thread: &'c Thread,
        deadline: &'c Deadline,
        asides: &'c RefCell<Vec<u8>>,
    ) -> Self {
        Self {
            output: Output::new(socket, deadline, thread.settings.write_timeout),
            thread,
            asides,
            wire,
            id: 0,
            keeps: false,
            head: Vec::with_capacity(1024),
            out: Vec::with_capacity(2048),
            sent: 0,
            framing: Framing::NotBegun,
            body_bytes: 0,
            sent_bytes: 0,
            close: false,
        }
    }

    /// What is answered next, and whether the connection may go on after it.
    pub(super) fn answers(&mut self, id: u16, keeps: bool) {
        (self.id, self.keeps) = (id, keeps);
    }

    /// Makes ready for the next answer.
    pub fn reset(&mut self) {
        self.framing = Framing::NotBegun;
        self.body_bytes = 0;
        self.sent_bytes = 0;
        self.close = false;
    }

    /// Whether a head was written, so that no other can be.
    pub fn has_begun(&self) -> bool {
        self.framing != Framing::NotBegun
    }

    /// Takes an answer back of which the kernel has nothing yet. `false` when it is too late.
    pub fn retract(&mut self) -> bool {
        if self.has_begun() && self.sent_bytes == 0 && !self.output.socket.is_writing() {
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

    /// Bytes of the answer that the kernel took.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// The connection ends with this answer.
    pub fn set_close(&mut self) {
        self.close = true;
    }

    /// Whether the connection ends with this answer.
    pub fn closes(&self) -> bool {
        self.close || !self.keeps
    }

    /// Writes the head of `exchange.response` for a body of this length. Sends nothing yet.
    pub fn begin(&mut self, exchange: &mut Exchange, length: BodyLength) {
        self.standard_fields(exchange);
        for (id, name, value) in exchange.response.headers.iter() {
            if !matches!(id, HeaderId::ContentLength | HeaderId::Connection) {
                h1::field(&mut self.head, name, value);
            }
        }
        let status = exchange.response.status;
        let bodyless = is_bodyless(exchange);
        let said = match length {
            _ if status < 200 || status == 204 => None,
            BodyLength::Empty if bodyless => None,
            BodyLength::Empty => Some(0),
            BodyLength::Known(length) => Some(length),
            BodyLength::Chunked | BodyLength::UntilClose => None,
        };
        if let Some(length) = said {
            h1::field_u64(&mut self.head, b"Content-Length", length);
        }
        self.framing = match said {
            _ if bodyless => Framing::None,
            Some(length) => Framing::Known(length),
            None => Framing::Open,
        };
        self.end_head();
    }

    /// As [`begin`](Self::begin), with header lines that are rendered already.
    pub fn begin_rendered(&mut self, exchange: &mut Exchange, lines: &[u8], length: u64) {
        self.standard_fields(exchange);
        self.head.extend_from_slice(lines);
        self.framing = match is_bodyless(exchange) {
            true => Framing::None,
            false => Framing::Known(length),
        };
        self.end_head();
    }

    fn standard_fields(&mut self, exchange: &mut Exchange) {
        let status = exchange.response.status;
        exchange.notes.status = status;
        self.head.clear();
        match self.wire {
            Wire::Uwsgi => h1::status_line(&mut self.head, status),
            Wire::FastCgi | Wire::Scgi => cgi::status(&mut self.head, status),
        }
        if let Some(server) = &self.thread.server_line {
            self.head.extend_from_slice(server);
        }
        if self.thread.settings.date_header && !exchange.response.headers.contains(HeaderId::Date) {
            self.thread.clock.append_date_line(&mut self.head);
        }
        if let Some(value) = transport_security(self.thread, exchange) {
            h1::field(&mut self.head, b"Strict-Transport-Security", value);
        }
    }

    fn end_head(&mut self) {
        self.close |= self.thread.is_draining();
        self.head.extend_from_slice(b"\r\n");
        self.out.append(&mut self.asides.borrow_mut());
        match self.wire {
            Wire::FastCgi => fastcgi::record(&mut self.out, STDOUT, self.id, &self.head),
            _ => self.out.extend_from_slice(&self.head),
        }
    }

    /// Sends a piece of the body, with everything that waits before it.
    pub async fn data(&mut self, piece: &[u8]) -> Result<(), Error> {
        let piece = self.admit(piece);
        if piece.len() <= COPY {
            self.append(piece);
            return self.flush().await;
        }
        for piece in piece.chunks(MAX_CONTENT) {
            self.begin_record(piece.len());
            let mut done = 0;
            poll_fn(|cx| self.poll_send_with(cx, piece, &mut done)).await?;
        }
        Ok(())
    }

    /// Adds a piece of the body behind what waits, without sending it.
    pub fn add(&mut self, piece: &[u8]) {
        let piece = self.admit(piece);
        self.append(piece);
    }

    fn append(&mut self, piece: &[u8]) {
        match self.wire {
            Wire::FastCgi => fastcgi::record(&mut self.out, STDOUT, self.id, piece),
            _ => self.out.extend_from_slice(piece),
        }
    }

    /// What stands before the next bytes of the body, at most [`MAX_CONTENT`].
    fn begin_record(&mut self, length: usize) {
        if let (Wire::FastCgi, Ok(length)) = (self.wire, u16::try_from(length)) {
            let header = fastcgi::record_header(STDOUT, self.id, length);
            self.out.extend_from_slice(&header);
        }
    }

    /// What of `piece` belongs into the answer: nothing without a body, no more than was promised.
    fn admit<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let piece = match &mut self.framing {
            Framing::None | Framing::NotBegun => &[],
            Framing::Known(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let piece = piece.get(..most).unwrap_or(piece);
                *left -= piece.len() as u64;
                piece
            }
            Framing::Open => piece,
        };
        self.body_bytes += piece.len() as u64;
        piece
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
            Framing::Open => length,
        };
        self.body_bytes += left;
        self.flush().await?;
        while left > 0 {
            let mut turn = left.min(MAX_CONTENT as u64) as usize;
            left -= turn as u64;
            self.begin_record(turn);
            self.flush().await?;
            while turn > 0 {
                let sent = poll_fn(|cx| {
                    self.output
                        .poll_step(cx, |s, cx| s.poll_sendfile(cx, file, &mut offset, turn))
                })
                .await?;
                if sent == 0 {
                    return Err(Error::new(Kind::Truncated, Side::Internal));
                }
                turn -= sent;
                self.sent_bytes += sent as u64;
            }
        }
        Ok(())
    }

    /// Whether the next `count` bytes of the body may go to the socket as they are.
    pub fn takes_plain(&self, count: u64) -> bool {
        self.wire != Wire::FastCgi
            && self.output.socket.is_plain()
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

    /// Ends the answer. Fails when fewer bytes were given than promised.
    pub async fn finish(&mut self) -> Result<(), Error> {
        if matches!(self.framing, Framing::Known(1..)) {
            return Err(Error::new(Kind::Truncated, Side::Internal));
        }
        if self.wire == Wire::FastCgi {
            self.out.append(&mut self.asides.borrow_mut());
            let last = fastcgi::record_header(STDOUT, self.id, 0);
            self.out.extend_from_slice(&last);
            fastcgi::end(&mut self.out, self.id, 0, ProtocolStatus::Complete);
        }
        self.flush().await?;
        if self.closes() {
            // The end of the connection is the end of the body: it must be seen to be meant.
            poll_fn(|cx| {
                self.output
                    .poll_step(cx, |stream, cx| stream.poll_close(cx).map_ok(|()| 0))
            })
            .await?;
        }
        Ok(())
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

/// Whether the answer has no body, whatever its head says of one (RFC 9110 section 6.4.1).
fn is_bodyless(exchange: &Exchange) -> bool {
    let status = exchange.response.status;
    status < 200 || matches!(status, 204 | 304) || exchange.request.method == Method::Head
}
