//! A non-blocking stream socket, TCP or unix, on the thread's reactor: the one place that reads and
//! writes connections of clients and upstreams.
//!
//! Reads stop asking the kernel after a short read and writes after a short write, so that no call
//! is made only to learn that there is nothing to do.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{self, RecvFlags, SendFlags, Shutdown};
use rustix::pipe::{SpliceFlags, splice};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::pipe::Pipe;
use crate::watch;

const SPLICE: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

/// A connected stream socket.
#[derive(Debug)]
pub struct Socket {
    fd: AsyncFd<OwnedFd>,
}

impl Socket {
    /// Registers `fd`, which must be a non-blocking stream socket, with the running reactor.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            fd: watch::both(fd)?,
        })
    }

    /// Takes the socket off the reactor.
    pub fn into_inner(self) -> OwnedFd {
        self.fd.into_inner()
    }

    /// Reads into `buf`; 0 means that the peer has finished sending.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            match net::recv(self.fd.get_ref(), &mut *buf, RecvFlags::empty()) {
                Ok((count, _)) => {
                    if count > 0 && count < buf.len() {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(rustix::io::Errno::AGAIN) => guard.clear_ready(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Shows what has arrived in `buf` and leaves it there. Ready when more than `known` bytes have
    /// come, or the peer has finished sending: then there are no more than these.
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        known: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            // Asked before: what came before an end is there when the end is known.
            let ended = guard.ready().is_read_closed();
            match net::recv(self.fd.get_ref(), &mut *buf, RecvFlags::PEEK) {
                Ok((count, _)) if count > known || ended => return Poll::Ready(Ok(count)),
                Ok(_) | Err(rustix::io::Errno::AGAIN) => guard.clear_ready(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Writes what fits of `parts`, in order.
    pub fn poll_write(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.fd.poll_write_ready(cx))?;
            match self.send(parts) {
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(rustix::io::Errno::AGAIN) => guard.clear_ready(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    fn send(&self, parts: &[IoSlice<'_>]) -> rustix::io::Result<usize> {
        match parts {
            [one] => net::send(self.fd.get_ref(), one, SendFlags::NOSIGNAL),
            // The process ignores SIGPIPE, so that writev may be used.
            many => rustix::io::writev(self.fd.get_ref(), many),
        }
    }

    /// Waits until there is something to read, without reading it.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.fd.poll_read_ready(cx))?.retain_ready();
        Poll::Ready(Ok(()))
    }

    /// Waits until there is room to write.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.fd.poll_write_ready(cx))?.retain_ready();
        Poll::Ready(Ok(()))
    }

    /// Moves up to `count` bytes of a regular file into the socket. 0 means end of file.
    pub fn poll_sendfile(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.fd.poll_write_ready(cx))?;
            match rustix::fs::sendfile(self.fd.get_ref(), file, Some(offset), count) {
                Ok(sent) => return Poll::Ready(Ok(sent)),
                Err(rustix::io::Errno::AGAIN) => guard.clear_ready(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Moves up to `count` bytes that have arrived into `pipe`; 0 means that the peer has finished.
    pub fn poll_splice_into(
        &self,
        cx: &mut Context<'_>,
        pipe: &mut Pipe,
        count: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            let Some((_, write)) = pipe.ends() else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            match splice(self.fd.get_ref(), None, write, None, count, SPLICE) {
                Ok(moved) => {
                    pipe.held += moved;
                    return Poll::Ready(Ok(moved));
                }
                Err(rustix::io::Errno::AGAIN) => guard.clear_ready(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Moves bytes of `pipe` into the socket.
    pub fn poll_splice_from(
        &self,
        cx: &mut Context<'_>,
        pipe: &mut Pipe,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.fd.poll_write_ready(cx))?;
            let Some((read, _)) = pipe.ends() else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            match splice(read, None, self.fd.get_ref(), None, pipe.held, SPLICE) {
                Ok(moved) => {
                    pipe.held = pipe.held.saturating_sub(moved);
                    return Poll::Ready(Ok(moved));
                }
                Err(rustix::io::Errno::AGAIN) => guard.clear_ready(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Whether the peer has closed or sent something unasked, as far as the kernel has told us.
    /// Makes no system call while nothing has arrived.
    pub fn is_disturbed(&self) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut probe = [0; 1];
        match self.fd.poll_read_ready(&mut cx) {
            Poll::Pending => false,
            Poll::Ready(Err(_)) => true,
            Poll::Ready(Ok(mut guard)) => {
                match net::recv(self.fd.get_ref(), &mut probe[..], RecvFlags::PEEK) {
                    Err(rustix::io::Errno::AGAIN) => {
                        guard.clear_ready();
                        false
                    }
                    _ => true,
                }
            }
        }
    }

    /// Whether the peer has reset the connection, or is gone altogether: it takes nothing any more.
    pub fn has_failed(&self) -> bool {
        let mut polled = [PollFd::new(self.fd.get_ref(), PollFlags::empty())];
        let failed = PollFlags::ERR | PollFlags::HUP;
        match rustix::event::poll(&mut polled, Some(&Timespec::default())) {
            Ok(_) => polled[0].revents().intersects(failed),
            Err(_) => false,
        }
    }

    /// Waits until [`has_failed`](Self::has_failed), or the reactor ends. Reads nothing.
    pub async fn failed(&self) {
        while let Ok(mut guard) = self.fd.ready(Interest::ERROR).await {
            if self.has_failed() {
                return;
            }
            guard.clear_ready();
        }
    }

    /// Bytes that the peer has not taken yet, if the kernel says.
    pub fn unacknowledged(&self) -> Option<u32> {
        watch::unacknowledged(self.fd.get_ref().as_fd())
    }

    /// Writes all of `bytes`.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = poll_fn(|cx| self.poll_write(cx, &[IoSlice::new(bytes)])).await?;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// See [`poll_read`](Self::poll_read).
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buf)).await
    }

    /// Tells the peer that nothing more will be sent.
    pub fn shutdown_write(&self) {
        // A peer that has gone already needs not be told.
        let _ = net::shutdown(self.fd.get_ref(), Shutdown::Write);
    }

    /// Makes the close visible to the peer as a failure: a reset instead of an orderly end.
    pub fn reset_on_close(&self) {
        let _ = net::sockopt::set_socket_linger(self.fd.get_ref(), Some(std::time::Duration::ZERO));
    }
}

/// Whether the peer of a socket that nobody watched meanwhile neither closed nor sent anything.
pub fn is_quiet(fd: &OwnedFd) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    matches!(
        net::recv(fd, &mut [0; 1][..], flags),
        Err(rustix::io::Errno::AGAIN)
    )
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.get_ref().as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.get_ref().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_io().build().unwrap()
    }

    #[test]
    fn a_peer_that_has_only_finished_sending_has_not_failed() {
        runtime().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut near, _) = listener.accept().unwrap();
            near.set_nonblocking(true).unwrap();
            let socket = Socket::new(near.try_clone().unwrap().into()).unwrap();
            far.shutdown(Shutdown::Write).unwrap();
            assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0);
            assert!(!socket.has_failed());
            let mut failed = std::pin::pin!(socket.failed());
            let mut cx = Context::from_waker(std::task::Waker::noop());
            assert!(failed.as_mut().poll(&mut cx).is_pending());
            drop(far);
            near.write_all(b"?").unwrap();
            // The answer to that is a reset, which the loopback delivers at once.
            assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0);
            assert!(socket.has_failed());
            failed.await;
        });
    }
}
