#![allow(unsafe_code)]
//! Puts a descriptor that this process owns under the runtime's watch.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches for readability, edge-triggered.
pub(super) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` stays the same open descriptor until it is dropped, and `AsyncFd` hands
    // it out only by shared reference until it has ended the watch.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }
}
