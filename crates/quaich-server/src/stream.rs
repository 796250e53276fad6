//! A connection as the codecs see it: bytes in order both ways, over a bare socket or through TLS.
//!
//! The one place that knows which it is. What only a bare socket can do (`splice`, `sendfile`
//! without copying) is asked for first.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::pipe::Pipe;
use crate::socket::Socket;
use crate::tls::TlsStream;
use crate::tls::session::Session;

/// A connection, to a client or to a server.
#[derive(Debug)]
pub enum Stream {
    /// Bytes go over the socket as they are.
    Plain(Socket),
    /// Through TLS; the handshake is done.
    Tls(Box<TlsStream>),
}

impl Stream {
    /// The socket below.
    pub fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.socket(),
        }
    }

    /// Who is on the other side, if it is a client that speaks TLS.
    pub fn session(&self) -> Option<&Rc<Session>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.session(),
        }
    }

    /// The socket itself, if nothing but the socket has to be known to go on with it.
    pub fn into_plain(self) -> Option<Socket> {
        match self {
            Self::Plain(socket) => Some(socket),
            Self::Tls(_) => None,
        }
    }

    /// Whether bytes can be moved by the kernel, from and to the socket.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Reads into `buf`; 0 means that the peer has finished sending.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_read(cx, buf),
            Self::Tls(stream) => stream.poll_read(cx, buf),
        }
    }

    /// Writes what fits of `parts`, in order: how many bytes have left.
    ///
    /// When it is not ready, some of these bytes may be on their way ([`is_writing`]): the next
    /// call must offer the same again, and may offer more behind them.
    ///
    /// [`is_writing`]: Self::is_writing
    pub fn poll_write(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_write(cx, parts),
            Self::Tls(stream) => stream.poll_write(cx, parts),
        }
    }

    /// Sends a few bytes ahead of what is to be written next, if the kernel takes them at once. Not in
    /// the middle of a write.
    pub fn write_aside(&self, bytes: &[u8]) {
        match self {
            Self::Plain(socket) => {
                let mut cx = Context::from_waker(Waker::noop());
                // A few bytes fit whole or not at all.
                let _ = socket.poll_write(&mut cx, &[IoSlice::new(bytes)]);
            }
            Self::Tls(tls) => tls.write_aside(bytes),
        }
    }

    /// Tells the peer, and waits until the kernel has it, that nothing more will be sent. Without TLS
    /// there is nothing to say but by closing.
    pub fn poll_close(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => tls.poll_close(cx),
        }
    }

    /// Waits until [`poll_read`](Self::poll_read) may have something, without reading it.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_readable(cx),
            Self::Tls(stream) => stream.poll_readable(cx),
        }
    }

    /// Moves up to `count` bytes of a regular file to the peer. 0 means end of file.
    pub fn poll_sendfile(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_sendfile(cx, file, offset, count),
            Self::Tls(stream) => stream.poll_sendfile(cx, file, offset, count),
        }
    }

    /// Moves up to `count` bytes that have arrived into `pipe`. Only when
    /// [`is_plain`](Self::is_plain).
    pub fn poll_splice_into(
        &self,
        cx: &mut Context<'_>,
        pipe: &mut Pipe,
        count: usize,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_splice_into(cx, pipe, count),
            Self::Tls(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    /// Moves bytes of `pipe` to the peer. Only when [`is_plain`](Self::is_plain).
    pub fn poll_splice_from(
        &self,
        cx: &mut Context<'_>,
        pipe: &mut Pipe,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_splice_from(cx, pipe),
            Self::Tls(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    /// Whether the peer has closed or sent something unasked, as far as the kernel has told us.
    pub fn is_disturbed(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_disturbed(),
            Self::Tls(stream) => stream.is_disturbed(),
        }
    }

    /// Whether bytes of a write that was not ready are on their way: it can no longer be taken
    /// back.
    pub fn is_writing(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.is_writing(),
        }
    }

    /// Bytes that the peer has not taken yet, if the kernel says.
    pub fn unacknowledged(&self) -> Option<u32> {
        self.socket().unacknowledged()
    }

    /// See [`poll_read`](Self::poll_read).
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buf)).await
    }

    /// Writes all of `bytes`.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = poll_fn(|cx| self.poll_write(cx, &[IoSlice::new(bytes)])).await?;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Tells the peer that nothing more will be sent.
    pub fn shutdown_write(&self) {
        match self {
            Self::Plain(socket) => socket.shutdown_write(),
            Self::Tls(stream) => stream.shutdown_write(),
        }
    }

    /// To be called before an orderly close: a peer over TLS is told, so that it knows that nothing
    /// is missing.
    pub fn close(&self) {
        if let Self::Tls(stream) = self {
            stream.close();
        }
    }

    /// Makes the close visible to the peer as a failure: a reset instead of an orderly end.
    pub fn reset_on_close(&self) {
        self.socket().reset_on_close();
    }
}
