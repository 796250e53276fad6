//! Kept connections to one server: those of this thread first, then a shelf shared by all threads.
//!
//! A thread keeps up to its share; what is beyond goes to the shelf, taken off the thread's reactor,
//! where a busier thread finds it. The shelf's lock is touched only when a thread has none or too
//! many of its own. A connection over TLS stays on its thread.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::server::Server;
use super::wire::http1::Conn;
use crate::deadline::Deadlines;
use crate::socket::{Socket, is_quiet};
use crate::stream::Stream;

/// Connections to one server that no thread holds.
#[derive(Debug)]
pub struct Shelf {
    idle: Mutex<Vec<(OwnedFd, Instant)>>,
    count: AtomicUsize,
    capacity: usize,
    share: usize,
    /// What a thread keeps of connections that it cannot give away.
    bound_share: usize,
}

impl Shelf {
    /// Room for what `threads` threads do not keep themselves of `keepalive` connections.
    pub fn new(keepalive: usize, threads: usize) -> Self {
        let threads = threads.max(1);
        let share = if threads == 1 {
            keepalive
        } else {
            keepalive.div_ceil(2 * threads)
        };
        Self {
            idle: Mutex::default(),
            count: AtomicUsize::new(0),
            capacity: keepalive.saturating_sub(share * threads),
            share,
            bound_share: keepalive.div_ceil(threads),
        }
    }

    fn take(&self) -> Option<OwnedFd> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let fd = idle.pop().map(|(fd, _)| fd);
        self.count.store(idle.len(), Ordering::Relaxed);
        fd
    }

    fn put(&self, fd: OwnedFd) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.capacity {
            idle.push((fd, Instant::now()));
        }
        self.count.store(idle.len(), Ordering::Relaxed);
    }

    fn reap(&self, older: Duration) {
        if self.count.load(Ordering::Relaxed) > 0 {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|(_, since)| since.elapsed() < older);
            self.count.store(idle.len(), Ordering::Relaxed);
        }
    }
}

/// Kept connections to one server, as one thread sees them.
pub struct Pool {
    idle: RefCell<Vec<(Conn, Instant)>>,
    server: Arc<Server>,
    timeout: Duration,
}

impl Pool {
    /// An empty pool over the shelf of `server`.
    pub fn new(server: Arc<Server>, timeout: Duration) -> Self {
        Self {
            idle: RefCell::default(),
            server,
            timeout,
        }
    }

    /// How long a connection may be idle.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether any connection is kept.
    pub fn keeps(&self) -> bool {
        self.server.shelf().bound_share > 0
    }

    /// The connection used last that is still open.
    pub fn take(&self, deadlines: &Rc<Deadlines>) -> Option<Conn> {
        loop {
            let local = self.idle.borrow_mut().pop();
            let conn = match local {
                Some((conn, _)) => conn,
                None => {
                    let fd = self.server.shelf().take()?;
                    // No event loop has watched it on the shelf, and this one knows nothing yet.
                    if !is_quiet(&fd) {
                        continue;
                    }
                    Conn::new(Stream::Plain(Socket::new(fd).ok()?), deadlines.register())
                }
            };
            if !conn.is_disturbed() {
                return Some(conn);
            }
        }
    }

    /// Keeps a connection, or closes it when there are enough.
    pub fn put(&self, conn: Conn) {
        let shelf = self.server.shelf();
        let mut idle = self.idle.borrow_mut();
        let share = match conn.is_movable() {
            true => shelf.share,
            false => shelf.bound_share,
        };
        if idle.len() < share {
            idle.push((conn, Instant::now()));
        } else {
            drop(idle);
            if let Some(fd) = conn.into_fd() {
                shelf.put(fd);
            }
        }
    }

    /// Closes connections that were idle for too long.
    pub fn reap(&self) {
        // Oldest first: the pool is a stack.
        let mut idle = self.idle.borrow_mut();
        let keep = idle
            .iter()
            .position(|(_, since)| since.elapsed() < self.timeout);
        let old = keep.unwrap_or(idle.len());
        idle.drain(..old);
        self.server.shelf().reap(self.timeout);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_connection_that_was_closed_on_the_shelf_is_not_taken() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        runtime.block_on(async {
            let deadlines = Deadlines::new(Clock::of_thread());
            let server = Server::for_tests(8, 2);
            let pool = Pool::new(server.clone(), Duration::from_secs(60));
            let connection = || {
                let (near, far) = UnixStream::pair().unwrap();
                near.set_nonblocking(true).unwrap();
                (OwnedFd::from(near), far)
            };
            let (open, _far) = connection();
            server.shelf().put(open);
            let (closed, far) = connection();
            server.shelf().put(closed);
            drop(far);
            assert!(
                pool.take(&deadlines).is_some(),
                "the open one lies below the closed one"
            );
            assert!(pool.take(&deadlines).is_none());
        });
    }
}
