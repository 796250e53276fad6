//! A connection as the codecs see it: bytes in order both ways, over a bare socket or through TLS.
//!
//! The one place that knows which it is. What only a bare socket can do (`splice`, `sendfile`
//! without copying) is asked for first.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};

use crate::pipe::Pipe;
use crate::socket::Socket;

/// A connection, to a client or to a server.
#[derive(Debug)]
pub enum Stream {
    /// Bytes go over the socket as they are.
    Plain(Socket),
}

impl Stream {
    /// The socket below.
    pub fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
        }
    }

    /// The socket itself, if nothing but the socket has to be known to go on with it.
    pub fn into_plain(self) -> Option<Socket> {
        match self {
            Self::Plain(socket) => Some(socket),
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
        }
    }

    /// Writes what fits of `parts`, in order.
    pub fn poll_write(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_write(cx, parts),
        }
    }

    /// Waits until [`poll_read`](Self::poll_read) may have something, without reading it.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_readable(cx),
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
        }
    }

    /// Whether the peer has closed or sent something unasked, as far as the kernel has told us.
    pub fn is_disturbed(&self) -> bool {
        self.socket().is_disturbed()
    }

    /// Bytes that the peer has not taken yet, if the kernel says.
    pub fn unacknowledged(&self) -> Option<u32> {
        self.socket().unacknowledged()
    }

    /// See [`poll_read`](Self::poll_read).
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buf)).await
    }

    /// Tells the peer that nothing more will be sent.
    pub fn shutdown_write(&self) {
        self.socket().shutdown_write();
    }

    /// Makes the close visible to the peer as a failure: a reset instead of an orderly end.
    pub fn reset_on_close(&self) {
        self.socket().reset_on_close();
    }
}
