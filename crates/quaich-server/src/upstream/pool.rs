//! Kept connections to one server: those of this thread first, then a shelf shared by all threads.
//!
//! A thread keeps up to its share; what is beyond goes to the shelf, taken off the thread's reactor,
//! where a busier thread finds it. The shelf's lock is touched only when a thread has none or too
//! many of its own. A connection over TLS stays on its thread.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::server::Server;
use crate::clock::Millis;
use crate::deadline::Deadlines;
use crate::socket::is_quiet;

/// A connection that can be kept between two exchanges.
pub trait Kept: Sized {
    /// Whether the server closed it, or sent something unasked.
    fn is_disturbed(&self) -> bool;

    /// The socket below.
    fn as_fd(&self) -> BorrowedFd<'_>;

    /// Whether another thread could use it.
    fn is_movable(&self) -> bool;

    /// When it was opened, by the coarse clock.
    fn opened(&self) -> Millis;

    /// The version of `Addresses` that had its peer when it was looked up last.
    fn version(&self) -> u64;

    /// It is among those of this version, too.
    fn at_version(self, version: u64) -> Self;

    /// Takes it off this thread, if it is nothing but its socket.
    fn into_fd(self) -> Option<OwnedFd>;

    /// The opposite, on the thread of `deadlines`. `noted` is `opened` and `version`.
    fn from_fd(fd: OwnedFd, noted: (Millis, u64), deadlines: &Rc<Deadlines>) -> Option<Self>;
}

/// A connection that no thread holds.
#[derive(Debug)]
struct Shelved {
    fd: OwnedFd,
    opened: Millis,
    version: u64,
    since: Millis,
}

/// Connections to one server that no thread holds.
#[derive(Debug)]
pub struct Shelf {
    idle: Mutex<Vec<Shelved>>,
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

    fn take(&self) -> Option<Shelved> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.pop();
        self.count.store(idle.len(), Ordering::Relaxed);
        found
    }

    fn put(&self, shelved: Shelved) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.capacity {
            idle.push(shelved);
        }
        self.count.store(idle.len(), Ordering::Relaxed);
    }

    fn retain(&self, keep: impl Fn(&OwnedFd) -> bool) {
        if self.count.load(Ordering::Relaxed) > 0 {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|shelved| keep(&shelved.fd));
            self.count.store(idle.len(), Ordering::Relaxed);
        }
    }

    fn reap(&self, limits: &Limits, now: Millis) {
        if self.count.load(Ordering::Relaxed) > 0 {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|shelved| limits.allow(shelved.opened, shelved.since, now));
            self.count.store(idle.len(), Ordering::Relaxed);
        }
    }
}

/// How long a connection is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Between two exchanges.
    pub idle: Duration,
    /// Since it was opened; 0 = for ever.
    pub age: Duration,
}

impl Limits {
    fn allow(&self, opened: Millis, since: Millis, now: Millis) -> bool {
        self.is_young(opened, now) && u128::from(now.saturating_sub(since)) < self.idle.as_millis()
    }

    fn is_young(&self, opened: Millis, now: Millis) -> bool {
        let age = u128::from(now.saturating_sub(opened));
        self.age.is_zero() || age < self.age.as_millis()
    }
}

/// Kept connections to one server, as one thread sees them.
pub struct Pool<C> {
    idle: RefCell<Vec<(C, Millis)>>,
    server: Arc<Server>,
    limits: Limits,
    deadlines: Rc<Deadlines>,
}

impl<C: Kept> Pool<C> {
    /// An empty pool over the shelf of `server`.
    pub fn new(server: Arc<Server>, limits: Limits, deadlines: &Rc<Deadlines>) -> Self {
        Self {
            idle: RefCell::default(),
            server,
            limits,
            deadlines: deadlines.clone(),
        }
    }

    /// Whether any connection is kept.
    pub fn keeps(&self) -> bool {
        self.server.shelf().bound_share > 0
    }

    /// The connection used last that is still open.
    pub fn take(&self) -> Option<C> {
        loop {
            let local = self.idle.borrow_mut().pop();
            let conn = match local {
                Some((conn, _)) => conn,
                None => {
                    let shelved = self.server.shelf().take()?;
                    let Shelved {
                        fd,
                        opened,
                        version,
                        ..
                    } = shelved;
                    // No event loop has watched it on the shelf, and this one knows nothing yet.
                    if !is_quiet(&fd) {
                        continue;
                    }
                    C::from_fd(fd, (opened, version), &self.deadlines)?
                }
            };
            if !conn.is_disturbed() {
                return Some(conn);
            }
        }
    }

    /// Keeps a connection, or closes it when it is old or there are enough.
    pub fn put(&self, conn: C) {
        let (shelf, now) = (self.server.shelf(), self.deadlines.now());
        let opened = conn.opened();
        if !self.limits.is_young(opened, now) {
            return;
        }
        let Some(conn) = self.still_known(conn) else {
            return;
        };
        let version = conn.version();
        let mut idle = self.idle.borrow_mut();
        let share = match conn.is_movable() {
            true => shelf.share,
            false => shelf.bound_share,
        };
        if idle.len() < share {
            idle.push((conn, now));
        } else {
            drop(idle);
            if let Some(fd) = conn.into_fd() {
                let since = now;
                shelf.put(Shelved {
                    fd,
                    opened,
                    version,
                    since,
                });
            }
        }
    }

    /// The connection, unless its address has vanished while it was in use.
    fn still_known(&self, conn: C) -> Option<C> {
        let addresses = self.server.addresses();
        let version = addresses.version();
        if conn.version() == version {
            return Some(conn);
        }
        let stays = peer(conn.as_fd()).is_none_or(|peer| addresses.include(&peer));
        stays.then(|| conn.at_version(version))
    }

    /// Closes connections to addresses that the server has no more.
    pub fn leave_vanished(&self) {
        let addresses = self.server.addresses();
        let stays = |fd: BorrowedFd<'_>| peer(fd).is_none_or(|peer| addresses.include(&peer));
        let mut idle = self.idle.borrow_mut();
        idle.retain(|(conn, _)| stays(conn.as_fd()));
        self.server.shelf().retain(|fd| stays(fd.as_fd()));
    }

    /// Closes connections that were idle for too long or are too old.
    pub fn reap(&self) {
        let now = self.deadlines.now();
        let allowed = |(conn, since): &(C, Millis)| self.limits.allow(conn.opened(), *since, now);
        self.idle.borrow_mut().retain(allowed);
        self.server.shelf().reap(&self.limits, now);
    }
}

/// Whom the socket is connected to; `None` = not over TCP.
pub fn peer(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    SocketAddr::try_from(rustix::net::getpeername(socket).ok()??).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::clock::Clock;
    use crate::upstream::wire::http1::Conn;

    const LIMITS: Limits = Limits {
        idle: Duration::from_secs(60),
        age: Duration::ZERO,
    };

    fn shelved(fd: OwnedFd) -> Shelved {
        let (opened, version, since) = (0, 0, 0);
        Shelved {
            fd,
            opened,
            version,
            since,
        }
    }

    #[test]
    fn a_connection_that_was_closed_on_the_shelf_is_not_taken() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        runtime.block_on(async {
            let deadlines = Deadlines::new(Clock::of_thread());
            let server = Server::for_tests(8, 2);
            let pool = Pool::<Conn>::new(server.clone(), LIMITS, &deadlines);
            let connection = || {
                let (near, far) = UnixStream::pair().unwrap();
                near.set_nonblocking(true).unwrap();
                (OwnedFd::from(near), far)
            };
            let (open, _far) = connection();
            server.shelf().put(shelved(open));
            let (closed, far) = connection();
            server.shelf().put(shelved(closed));
            drop(far);
            assert!(
                pool.take().is_some(),
                "the open one lies below the closed one"
            );
            assert!(pool.take().is_none());
        });
    }

    #[test]
    fn a_connection_to_an_address_that_vanished_while_it_was_in_use_is_not_kept() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        runtime.block_on(async {
            let deadlines = Deadlines::new(Clock::of_thread());
            let server = Server::for_tests(8, 1);
            let pool = Pool::<Conn>::new(server.clone(), LIMITS, &deadlines);
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let here = listener.local_addr().unwrap();
            let elsewhere = SocketAddr::from(([192, 0, 2, 1], 80));
            let addresses = server.addresses();
            addresses.set(vec![here]);
            let version = addresses.version();
            let connect = || {
                let near = std::net::TcpStream::connect(here).unwrap();
                near.set_nonblocking(true).unwrap();
                Conn::from_fd(near.into(), (0, version), &deadlines).unwrap()
            };
            let (first, second) = (connect(), connect());
            addresses.set(vec![here, elsewhere]);
            pool.put(first);
            let first = pool.take().expect("its address has stayed");
            assert_eq!(first.version(), addresses.version());
            addresses.set(vec![elsewhere]);
            pool.put(first);
            pool.put(second);
            assert!(pool.take().is_none());
        });
    }
}
