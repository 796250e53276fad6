//! Puts a descriptor that this process owns under the watch of the thread's event loop, and asks
//! the kernel how far its peer has read.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Bytes that were given to a stream socket and that its peer has not taken yet; `None` when the
/// kernel does not say.
pub(crate) fn unacknowledged(fd: BorrowedFd<'_>) -> Option<u32> {
    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open for the length of the borrow, and SIOCOUTQ (the same number as
    // TIOCOUTQ) writes one int.
    let outcome = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    u32::try_from(count).ok().filter(|_| outcome == 0)
}

/// Watches for readability, edge-triggered.
pub(crate) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    watch(fd, Interest::READABLE)
}

/// Watches for readability and writability, edge-triggered.
pub(crate) fn both(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    watch(fd, Interest::READABLE | Interest::WRITABLE)
}

fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` stays the same open descriptor until it is dropped, and `AsyncFd` hands
    // it out only by shared reference until it has ended the watch.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}
