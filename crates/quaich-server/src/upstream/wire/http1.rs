//! HTTP/1.1 to a server: one exchange at a time over one connection (RFC 9112). uwsgi and SCGI, which
//! have other heads and the same bodies, are dialects of it here: see [`super::dialect`].
//!
//! A connection may be used again only when the request was sent whole and the response read to its
//! exact end, with nothing behind it.

use std::future::poll_fn;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use quaich_proto::h1::{self, BodyLength, BodyReader, Limits, ResponseHead};
use quaich_proto::method::Method;

use super::Patience;
use super::dialect::Dialect;
use crate::buffer::{self, Buffer};
use crate::clock::Millis;
use crate::deadline::{Deadline, Deadlines};
use crate::error::{Error, Kind};
use crate::pipe::{self, Pipe};
use crate::socket::Socket;
use crate::stream::Stream;
use crate::text::Text;
use crate::upstream::pool::Kept;
use crate::upstream::request::Request;

/// What a response head of a server may be.
pub(super) const LIMITS: Limits = Limits {
    max_uri: 8 * 1024,
    max_field: 32 * 1024,
    max_header: 64 * 1024,
    max_headers: 256,
};

/// A connection to a server.
pub struct Conn {
    pub(super) socket: Stream,
    pub(super) deadline: Deadline,
    opened: Millis,
    version: u64,
}

impl Kept for Conn {
    fn is_disturbed(&self) -> bool {
        self.socket.is_disturbed()
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.socket().as_fd()
    }

    fn is_movable(&self) -> bool {
        self.socket.is_plain()
    }

    fn opened(&self) -> Millis {
        self.opened
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn at_version(self, version: u64) -> Self {
        self.of(version)
    }

    fn into_fd(self) -> Option<OwnedFd> {
        self.socket.into_plain().map(Socket::into_inner)
    }

    fn from_fd(
        fd: OwnedFd,
        (opened, version): (Millis, u64),
        deadlines: &Rc<Deadlines>,
    ) -> Option<Self> {
        let socket = Stream::Plain(Socket::new(fd).ok()?);
        let deadline = deadlines.register();
        Some(Self {
            socket,
            deadline,
            opened,
            version,
        })
    }
}

impl Conn {
    /// A new connection over `socket`, whose waits `deadline` bounds.
    pub fn new(socket: Stream, deadline: Deadline) -> Self {
        let opened = deadline.now();
        Self {
            socket,
            deadline,
            opened,
            version: 0,
        }
    }

    /// Noted as one to an address of this version of `Addresses`.
    pub fn of(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// The two halves of the next exchange.
    pub fn begin(
        &self,
        request: &Request,
        timeout: Duration,
        dialect: Dialect,
    ) -> (Upload<'_>, Download<'_>) {
        self.deadline.set(timeout);
        let upload = Upload {
            conn: self,
            timeout,
            framing: request.body(),
            dialect,
        };
        let download = Download {
            conn: self,
            buffer: Buffer::lend(),
            timeout,
            dialect,
            method: request.method(),
            upgrade: request.protocol().is_some(),
            body: BodyReader::default(),
            lent: 0,
            received: false,
            keep_alive: false,
        };
        (upload, download)
    }

    /// Nothing is awaited of it any more.
    pub fn rest(&self) {
        self.deadline.rest();
    }
}

/// Writes one request.
pub struct Upload<'c> {
    conn: &'c Conn,
    timeout: Duration,
    framing: BodyLength,
    dialect: Dialect,
}

impl<'c> Upload<'c> {
    /// Sends the head and what there is of the body with it.
    pub async fn head(&mut self, request: &Request, body: &[u8]) -> Result<(), Error> {
        if self.dialect == Dialect::Http {
            return self.send([request.http1(), body, b""]).await;
        }
        let mut head = Text::lend();
        self.dialect.write_head(&mut head, request)?;
        self.send([&head, body, b""]).await
    }

    /// Sends a piece of the body.
    pub async fn data(&mut self, piece: &[u8]) -> Result<(), Error> {
        if self.framing != BodyLength::Chunked {
            return self.send([piece, b"", b""]).await;
        }
        if piece.is_empty() {
            // An empty chunk would be the last one.
            return Ok(());
        }
        let mut size = Text::lend();
        h1::chunk_head(&mut size, piece.len());
        self.send([&size, piece, b"\r\n"]).await
    }

    /// Ends the body, or our half of a tunnel.
    pub async fn finish(&mut self) -> Result<(), Error> {
        match self.framing {
            BodyLength::Chunked => self.send([h1::LAST_CHUNK, b"", b""]).await,
            BodyLength::UntilClose => {
                self.conn.socket.shutdown_write();
                Ok(())
            }
            BodyLength::Empty | BodyLength::Known(_) => Ok(()),
        }
    }

    /// To be used while this is borrowed.
    pub fn patience(&self) -> Patience<'c> {
        Patience::new(&self.conn.deadline, self.timeout)
    }

    /// Bytes go as they are from now on, for as long as it takes.
    pub fn begin_tunnel(&mut self) {
        self.framing = BodyLength::UntilClose;
        self.timeout = Duration::MAX;
        self.conn.deadline.clear();
    }

    async fn send(&self, parts: [&[u8]; 3]) -> Result<(), Error> {
        self.conn.send(parts, self.timeout).await
    }
}

impl Conn {
    /// Sends `parts` in order, in one piece if the kernel takes it.
    pub(super) async fn send(&self, parts: [&[u8]; 3], timeout: Duration) -> Result<(), Error> {
        let mut sent = 0;
        poll_fn(|cx| self.poll_send(cx, parts, &mut sent, timeout)).await
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        parts: [&[u8]; 3],
        sent: &mut usize,
        timeout: Duration,
    ) -> Poll<Result<(), Error>> {
        loop {
            let mut slices = [IoSlice::new(&[]); 3];
            let mut left = 0;
            let mut skip = *sent;
            for part in parts {
                if let Some(rest) = part.get(skip..).filter(|rest| !rest.is_empty()) {
                    slices[left] = IoSlice::new(rest);
                    left += 1;
                }
                skip = skip.saturating_sub(part.len());
            }
            if left == 0 {
                return Poll::Ready(Ok(()));
            }
            match self.socket.poll_write(cx, &slices[..left]) {
                Poll::Ready(Ok(count)) => {
                    *sent += count;
                    self.deadline.set(timeout);
                }
                Poll::Ready(Err(_)) => {
                    return Poll::Ready(Err(Error::upstream(Kind::UpstreamClosed)));
                }
                Poll::Pending => {
                    let late = Error::upstream(Kind::ResponseTimeout);
                    self.deadline.check(cx).map_err(|_| late)?;
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Conn {
    /// Reads into `buffer`, which must have room: 0 at the end of the connection. Until the
    /// deadline, which the caller renews when what has come is part of the answer.
    pub(super) fn poll_fill(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
    ) -> Poll<Result<usize, Error>> {
        // The buffer is lent when there is something to put into it.
        let read = match self.socket.poll_readable(cx) {
            Poll::Ready(Ok(())) => self.socket.poll_read(cx, buffer.room()),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        match read {
            Poll::Ready(Ok(count)) => {
                buffer.advance(count);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(Error::upstream(Kind::UpstreamClosed))),
            Poll::Pending => match self.deadline.check(cx) {
                Ok(()) => Poll::Pending,
                Err(_) => Poll::Ready(Err(Error::upstream(Kind::ResponseTimeout))),
            },
        }
    }
}

/// Reads one response.
pub struct Download<'c> {
    conn: &'c Conn,
    buffer: Buffer,
    timeout: Duration,
    dialect: Dialect,
    method: Method,
    upgrade: bool,
    body: BodyReader,
    lent: usize,
    received: bool,
    keep_alive: bool,
}

impl Download<'_> {
    /// Whether any byte of the response has come.
    pub fn has_begun(&self) -> bool {
        self.received
    }

    /// Reads the next head.
    pub async fn head(&mut self, head: &mut ResponseHead) -> Result<(), Error> {
        self.one_head(head).await?;
        match head.status {
            101 if self.upgrade => return Ok(()),
            101 => return Err(Error::upstream(Kind::BadResponse("unasked_101"))),
            100..=199 => return Ok(()),
            _ => {}
        }
        self.keep_alive = head.keep_alive;
        self.body = BodyReader::new(head.body);
        Ok(())
    }

    async fn one_head(&mut self, head: &mut ResponseHead) -> Result<(), Error> {
        loop {
            if !self.buffer.is_empty() {
                let filled = self.buffer.filled();
                match self.dialect.read_head(filled, &LIMITS, &self.method, head) {
                    Ok(Some(count)) => {
                        self.buffer.consume(count);
                        return Ok(());
                    }
                    Ok(None) if self.buffer.room().is_empty() => {
                        self.buffer.grow(LIMITS.max_header + buffer::SIZE);
                    }
                    Ok(None) => {}
                    Err(bad) => {
                        return Err(Error::upstream(Kind::BadResponse(bad.label())));
                    }
                }
            }
            let count = poll_fn(|cx| self.poll_fill(cx)).await?;
            if count == 0 {
                return Err(Error::upstream(Kind::UpstreamClosed));
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        match ready!(self.conn.poll_fill(cx, &mut self.buffer)) {
            Ok(count) => {
                self.conn.deadline.set(self.timeout);
                self.received |= count > 0;
                Poll::Ready(Ok(count))
            }
            Err(error) if error.kind == Kind::UpstreamClosed && self.received => {
                Poll::Ready(Err(Error::upstream(Kind::Truncated)))
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// The next piece of the body; `None` at its end, which is exact: a body that broke off is an
    /// error.
    pub async fn data(&mut self) -> Result<Option<&[u8]>, Error> {
        // However long the last piece was kept, it was not the server that was late.
        self.conn.deadline.set(self.timeout);
        let range = poll_fn(|cx| self.poll_data(cx)).await?;
        Ok(range.and_then(|(start, end)| self.buffer.filled().get(start..end)))
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<(usize, usize)>, Error>> {
        self.buffer.consume(std::mem::take(&mut self.lent));
        loop {
            if self.body.is_done() {
                return Poll::Ready(Ok(None));
            }
            if !self.buffer.is_empty() {
                match self.decode()? {
                    Some(range) => return Poll::Ready(Ok(Some(range))),
                    None if self.body.is_done() => continue,
                    None => {}
                }
            }
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(match self.body.close() {
                    true => Ok(None),
                    false => Err(Error::upstream(Kind::Truncated)),
                });
            }
        }
    }

    fn decode(&mut self) -> Result<Option<(usize, usize)>, Error> {
        let step = self
            .body
            .decode(self.buffer.filled())
            .map_err(|_| Error::upstream(Kind::BadResponse("bad_chunk")))?;
        match step.data {
            Some(_) => self.lent = step.consumed,
            None => self.buffer.consume(step.consumed),
        }
        Ok(step.data)
    }

    /// Bytes of the body that have not been read from the socket, when their number is known.
    pub fn unread(&self) -> Option<u64> {
        if !self.conn.socket.is_plain() {
            return None;
        }
        let is_all_given = self.buffer.filled().len() == self.lent;
        self.body.remaining().filter(|_| is_all_given)
    }

    /// Moves what has arrived of the body into `pipe`. Only while [`unread`](Self::unread) knows
    /// how much there is.
    pub async fn splice(&mut self, pipe: &mut Pipe) -> Result<(), Error> {
        self.buffer.consume(std::mem::take(&mut self.lent));
        let Some(left) = self.body.remaining().filter(|left| *left > 0) else {
            return Ok(());
        };
        self.conn.deadline.set(self.timeout);
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(pipe::CAPACITY);
        let moved = poll_fn(
            |cx| match self.conn.socket.poll_splice_into(cx, pipe, most) {
                Poll::Pending => match self.conn.deadline.check(cx) {
                    Ok(()) => Poll::Pending,
                    Err(_) => Poll::Ready(Err(Error::upstream(Kind::ResponseTimeout))),
                },
                Poll::Ready(Ok(moved @ 1..)) => Poll::Ready(Ok(moved as u64)),
                Poll::Ready(_) => Poll::Ready(Err(Error::upstream(Kind::Truncated))),
            },
        )
        .await?;
        self.body.skip(moved);
        Ok(())
    }

    /// Whether the whole body has been given out.
    pub fn is_done(&self) -> bool {
        self.body.is_done()
    }

    /// Whether the connection may carry another request: the response ended exactly.
    pub fn is_reusable(&mut self) -> bool {
        self.buffer.consume(std::mem::take(&mut self.lent));
        self.keep_alive && self.is_done() && self.buffer.is_empty()
    }

    /// The connection carries another protocol from now on: what follows the head, until the
    /// server ends its half.
    pub fn begin_tunnel(&mut self) {
        self.body = BodyReader::new(BodyLength::UntilClose);
        self.timeout = Duration::MAX;
        self.conn.deadline.clear();
    }
}
