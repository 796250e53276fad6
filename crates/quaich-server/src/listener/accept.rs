//! Accepts connections of one socket and gives each its task.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with, getsockname};
use tokio::io::unix::AsyncFd;

use super::PerAddress;
use crate::downstream::connection::Connection;
use crate::forwarded::Client;
use crate::observe::log;
use crate::socket::Socket;
use crate::thread::Thread;
use crate::watch;

/// After the process has run out of descriptors: a connection that ends soon gives one back.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Limits on connections, shared by all threads.
#[derive(Clone, Debug)]
pub struct Admission {
    open: Arc<AtomicUsize>,
    max: usize,
    per_address: Option<Arc<PerAddress>>,
}

impl Admission {
    /// At most `max` connections at once, `per_ip` of one address (0 = no limit).
    pub fn new(max: usize, per_ip: usize) -> Self {
        Self { open: Arc::default(), max, per_address: PerAddress::new(per_ip) }
    }

    fn is_full(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.max
    }
}

/// A listening socket on this thread.
pub struct Acceptor {
    fd: AsyncFd<OwnedFd>,
    index: usize,
    port: u16,
    admission: Admission,
    thread: Rc<Thread>,
}

impl Acceptor {
    /// Listens on `fd`, which is bound, listening and non-blocking.
    pub fn new(
        fd: OwnedFd,
        index: usize,
        admission: Admission,
        thread: Rc<Thread>,
    ) -> std::io::Result<Self> {
        let port = getsockname(&fd)
            .ok()
            .and_then(|addr| SocketAddr::try_from(addr).ok())
            .map_or(0, |addr| addr.port());
        Ok(Self { fd: watch::readable(fd)?, index, port, admission, thread })
    }

    /// Accepts until the thread drains.
    pub async fn run(self) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.thread.drain_started() => return,
                accepted = poll_fn(|cx| self.poll_accept(cx)) => accepted,
            };
            match accepted {
                Ok((fd, peer)) => self.admit(fd, peer),
                Err(error) => self.report(error).await,
            }
        }
    }

    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(OwnedFd, Option<SocketAddr>), Errno>> {
        const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx)).map_err(|_| Errno::IO)?;
            match acceptfrom_with(self.fd.get_ref(), FLAGS) {
                Ok((fd, peer)) => {
                    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                    return Poll::Ready(Ok((fd, peer)));
                }
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn admit(&self, fd: OwnedFd, peer: Option<SocketAddr>) {
        let counters = &self.thread.counters;
        counters.accepted.add();
        let addr = peer.map(|peer| peer.ip().to_canonical());
        let place = match (&self.admission.per_address, addr) {
            (Some(table), Some(addr)) => match table.admit(addr) {
                Some(place) => Some(place),
                None => return counters.refused.add(),
            },
            _ => None,
        };
        if self.admission.is_full() {
            return counters.refused.add();
        }
        let Ok(socket) = Socket::new(fd) else {
            return counters.refused.add();
        };
        let client = Client::new(peer, false);
        let thread = self.thread.clone();
        let connection = Connection::new(socket, thread.clone(), self.index, client, self.port);
        let open = Open::new(thread, self.admission.open.clone());
        tokio::task::spawn_local(async move {
            let _held = (open, place);
            connection.run().await;
        });
    }

    /// Errors of `accept` concern a connection that is gone already, or this process: without
    /// descriptors it pauses instead of asking again and again.
    async fn report(&self, error: Errno) {
        if matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) {
            log::warn_limited!("cannot accept connections: {error}; raise the limit of open files");
            tokio::time::sleep(EXHAUSTED_PAUSE).await;
        }
    }
}

/// Counts a connection while it is open.
struct Open {
    thread: Rc<Thread>,
    all: Arc<AtomicUsize>,
}

impl Open {
    fn new(thread: Rc<Thread>, all: Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Ordering::Relaxed);
        thread.connections.set(thread.connections.get() + 1);
        thread.counters.connections.add();
        Self { thread, all }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
        self.thread.connections.set(self.thread.connections.get() - 1);
        self.thread.counters.connections.subtract();
        self.thread.connection_closed();
    }
}
