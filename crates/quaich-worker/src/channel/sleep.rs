//! How a request thread sleeps: on its doorbell, and on the death of a front thread.
//!
//! One epoll set per thread, edge-triggered, so that a wake-up costs one system call and the
//! doorbell is never read.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

const DOORBELL: u64 = 0;
const LINK: u64 = 1;

#[derive(Debug)]
pub(super) struct Bed {
    epoll: OwnedFd,
}

impl Bed {
    pub(super) fn new<'a>(
        doorbell: BorrowedFd<'_>,
        links: impl Iterator<Item = BorrowedFd<'a>>,
    ) -> io::Result<Self> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let edge = EventFlags::IN | EventFlags::ET;
        epoll::add(&set, doorbell, EventData::new_u64(DOORBELL), edge)?;
        for link in links {
            epoll::add(&set, link, EventData::new_u64(LINK), EventFlags::RDHUP)?;
        }
        Ok(Self { epoll: set })
    }

    /// Sleeps until something rings; false = a front thread is gone.
    pub(super) fn sleep(&self) -> bool {
        let mut events = [epoll::Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }; 2];
        match epoll::wait(&self.epoll, &mut events[..], None) {
            Ok(count) => events
                .iter()
                .take(count)
                .all(|event| event.data.u64() == DOORBELL),
            Err(Errno::INTR) => true,
            Err(_) => false,
        }
    }
}

/// Rings a doorbell. A full counter has rung already.
pub(super) fn ring(doorbell: &impl AsFd) {
    let _ = rustix::io::write(doorbell, &1u64.to_ne_bytes());
}
