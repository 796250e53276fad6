//! Pipes through which the kernel moves bytes from socket to socket without copying them here.
//!
//! A thread keeps a few for reuse. A pipe that still holds bytes when its user gives up is closed,
//! never used again.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// Bytes that a pipe should hold. An unprivileged user may have 256 such pipes.
pub const CAPACITY: usize = 256 * 1024;

/// Pipes of a thread that are kept while nobody uses them.
const SHELF: usize = 8;

/// Pipes of a thread in use at once; beyond, bytes are copied.
const MOST: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<(OwnedFd, OwnedFd)>> = const { RefCell::new(Vec::new()) };
    static LENT: Cell<usize> = const { Cell::new(0) };
}

/// A pipe and how many bytes are in it.
#[derive(Debug)]
pub struct Pipe {
    ends: Option<(OwnedFd, OwnedFd)>,
    /// Bytes in it.
    pub held: usize,
}

impl Pipe {
    /// An empty pipe; `None` when there are too many already.
    pub fn lend() -> Option<Self> {
        if LENT.get() >= MOST {
            return None;
        }
        let ends = FREE.with_borrow_mut(Vec::pop).or_else(make)?;
        LENT.set(LENT.get() + 1);
        Some(Self {
            ends: Some(ends),
            held: 0,
        })
    }

    /// The end to read from and the end to write to.
    pub fn ends(&self) -> Option<(&OwnedFd, &OwnedFd)> {
        self.ends.as_ref().map(|(read, write)| (read, write))
    }
}

fn make() -> Option<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
    // A smaller pipe does the same in more steps.
    let _ = fcntl_setpipe_size(&write, CAPACITY);
    Some((read, write))
}

impl Drop for Pipe {
    fn drop(&mut self) {
        LENT.set(LENT.get().saturating_sub(1));
        if let Some(ends) = self.ends.take()
            && self.held == 0
        {
            // A thread that ends may drop exchanges after its shelf is gone.
            let _ = FREE.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < SHELF {
                    free.push(ends);
                }
            });
        }
    }
}
