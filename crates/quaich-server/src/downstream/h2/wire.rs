//! What the `h2` crate reads from and writes to: the connection's stream behind two lent buffers.
//!
//! Nothing is sent while the crate writes: the connection sends once at the end of its turn, so that
//! the frames of many streams leave in one system call, and in one TLS record where they fit. At rest
//! no buffer is held.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::floods::{Breach, Floods};
use crate::buffer::Buffer;
use crate::clock::Clock;
use crate::downstream::output::Output;
use crate::error::Error;
use crate::stream::Stream;

/// The connection's stream, for its task and for the crate.
pub(super) struct Wire {
    stream: Stream,
    clock: Rc<Clock>,
    incoming: RefCell<Option<Buffer>>,
    outgoing: RefCell<Option<Buffer>>,
    floods: RefCell<Floods>,
    breach: Cell<Option<Breach>>,
    /// The crate had more to write than there was room for.
    was_full: Cell<bool>,
}

impl Wire {
    /// A wire over `stream`, of which `early` was read already.
    pub(super) fn new(stream: Stream, early: Option<Buffer>, clock: Rc<Clock>) -> Rc<Self> {
        let mut floods = Floods::new(clock.now());
        let breach = early
            .as_ref()
            .and_then(|early| floods.receive(early.filled(), clock.now()));
        Rc::new(Self {
            stream,
            clock,
            incoming: RefCell::new(early),
            outgoing: RefCell::default(),
            floods: RefCell::new(floods),
            breach: Cell::new(breach),
            was_full: Cell::new(false),
        })
    }

    /// The stream below.
    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Why the connection is to be ended, once.
    pub(super) fn take_breach(&self) -> Option<Breach> {
        self.breach.take()
    }

    /// Whether the crate waits for room; it is to be asked again after [`poll_send`](Self::poll_send)
    /// has made some.
    pub(super) fn take_full(&self) -> bool {
        self.was_full.take()
    }

    /// Sends what was written. `output` is that of [`stream`](Self::stream).
    pub(super) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        output: &Output<'_>,
    ) -> Poll<Result<(), Error>> {
        let mut outgoing = self.outgoing.borrow_mut();
        while let Some(buffer) = outgoing.as_mut().filter(|buffer| !buffer.is_empty()) {
            let parts = [IoSlice::new(buffer.filled())];
            let step = output.poll_step(cx, |stream, cx| stream.poll_write(cx, &parts));
            buffer.consume(ready!(step)?);
        }
        if outgoing.take().is_some() {
            self.floods.borrow_mut().flushed();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads more if nothing is left of what was read; 0 at the end.
    fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut incoming = self.incoming.borrow_mut();
        if let Some(buffer) = incoming.as_ref().filter(|buffer| !buffer.is_empty()) {
            return Poll::Ready(Ok(buffer.filled().len()));
        }
        let mut buffer = incoming.take().unwrap_or_else(Buffer::lend);
        let count = ready!(self.stream.poll_read(cx, buffer.room()))?;
        buffer.advance(count);
        let breach = self
            .floods
            .borrow_mut()
            .receive(buffer.filled(), self.clock.now());
        if breach.is_some() {
            self.breach.set(breach);
            return Poll::Pending;
        }
        if count > 0 {
            *incoming = Some(buffer);
        }
        Poll::Ready(Ok(count))
    }

    /// Writes a `GOAWAY` before the crate can: no stream was begun.
    pub(super) fn say_goaway(&self, reason: Reason) {
        let [a, b, c, d] = u32::from(reason).to_be_bytes();
        self.write(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]);
    }

    fn take_incoming(&self, into: &mut ReadBuf<'_>) {
        let mut incoming = self.incoming.borrow_mut();
        let Some(buffer) = incoming.as_mut() else {
            return;
        };
        let count = into.remaining().min(buffer.filled().len());
        into.put_slice(buffer.filled().get(..count).unwrap_or_default());
        buffer.consume(count);
        if buffer.is_empty() {
            *incoming = None;
        }
    }

    /// Takes what fits of `bytes`.
    fn write(&self, bytes: &[u8]) -> usize {
        let mut outgoing = self.outgoing.borrow_mut();
        let room = outgoing.get_or_insert_with(Buffer::lend).room();
        let count = room.len().min(bytes.len());
        let (Some(room), Some(bytes)) = (room.get_mut(..count), bytes.get(..count)) else {
            return 0;
        };
        room.copy_from_slice(bytes);
        if let Some(flood) = self.floods.borrow_mut().send(bytes) {
            self.breach.set(Some(Breach::Flood(flood)));
        }
        if let Some(buffer) = outgoing.as_mut() {
            buffer.advance(count);
        }
        count
    }
}

/// The crate's end of a [`Wire`].
pub(super) struct Io(pub(super) Rc<Wire>);

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0.breach.get().is_some() {
            return Poll::Pending;
        }
        ready!(self.0.poll_fill(cx))?;
        self.0.take_incoming(into);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut written = 0;
        let mut given = 0;
        for part in parts {
            given += part.len();
            written += self.0.write(part);
            if written < given {
                break;
            }
        }
        if written < given {
            self.0.was_full.set(true);
        }
        match written {
            0 if given > 0 => Poll::Pending,
            written => Poll::Ready(Ok(written)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Sending is the connection's business, at the end of its turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// So is closing.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
