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
use rustix::process::{Resource, getrlimit};
use tokio::io::unix::AsyncFd;

use super::PerAddress;
use super::entry::Entry;
use crate::observe::log;
use crate::thread::Thread;
use crate::watch;

/// After the process has run out of descriptors: a connection that ends soon gives one back.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// As long as there is no place for another connection.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// Handshakes that one address may have under way at once.
const HANDSHAKES_PER_IP: usize = 100;

/// Somebody wants to connect and there is no place. `accept` itself never says this.
const FULL: Errno = Errno::BUSY;

/// Descriptors that are neither connections nor what serves them: listeners, roots, logs, doorbells,
/// and those that come with the next worker.
const RESERVE: u64 = 64;

/// Limits on connections, shared by all threads.
#[derive(Clone, Debug)]
pub struct Admission {
    open: Arc<AtomicUsize>,
    max: usize,
    pub(super) per_address: Option<Arc<PerAddress>>,
    pub(super) handshakes: Option<Arc<PerAddress>>,
}

impl Admission {
    /// At most `max` connections at once, `per_ip` of one address (0 = no limit).
    ///
    /// Fewer when this process may not open that many files: each connection may need a second
    /// descriptor for an upstream or a file, and a front without descriptors can take no worker.
    pub fn new(max: usize, per_ip: usize) -> Self {
        let max = max.min(affordable(getrlimit(Resource::Nofile).current));
        Self {
            open: Arc::default(),
            max,
            per_address: PerAddress::new(per_ip),
            handshakes: PerAddress::new(HANDSHAKES_PER_IP),
        }
    }

    fn is_full(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.max
    }
}

/// Connections that a process with this limit of open files can serve.
fn affordable(files: Option<u64>) -> usize {
    let files = files.unwrap_or(u64::MAX);
    let half = files.saturating_sub(RESERVE) / 2;
    usize::try_from(half.max(files / 4)).unwrap_or(usize::MAX)
}

/// The port that a socket is bound to; 0 = none.
pub fn port(socket: &OwnedFd) -> u16 {
    getsockname(socket)
        .ok()
        .and_then(|addr| SocketAddr::try_from(addr).ok())
        .map_or(0, |addr| addr.port())
}

/// A listening socket on this thread.
pub struct Acceptor {
    fd: AsyncFd<OwnedFd>,
    entry: Rc<Entry>,
}

impl Acceptor {
    /// Listens on `fd`, which is bound, listening and non-blocking.
    pub fn new(
        fd: OwnedFd,
        index: usize,
        admission: Admission,
        thread: Rc<Thread>,
    ) -> std::io::Result<Self> {
        let entry = Entry::new(index, port(&fd), admission, thread);
        Ok(Self {
            fd: watch::readable(fd)?,
            entry: Rc::new(entry),
        })
    }

    /// Accepts until the thread drains.
    pub async fn run(self) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.entry.thread.drain_started() => return,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok((fd, peer)) => self.entry.admit(fd, peer),
                Err(error) => self.report(error).await,
            }
        }
    }

    /// The next connection. While there is no place for it, it waits in the backlog.
    async fn accept(&self) -> Result<(OwnedFd, Option<SocketAddr>), Errno> {
        loop {
            let accepted = poll_fn(|cx| self.poll_accept(cx)).await;
            if !matches!(accepted, Err(FULL)) {
                return accepted;
            }
            log::warn_limited!(
                "{} connections are open, new ones wait: see max_connections and the limit of \
                 open files",
                self.entry.admission.max
            );
            tokio::time::sleep(FULL_PAUSE).await;
        }
    }

    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(OwnedFd, Option<SocketAddr>), Errno>> {
        const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx)).map_err(|_| Errno::IO)?;
            if self.entry.admission.is_full() {
                return Poll::Ready(Err(FULL));
            }
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

    /// Errors of `accept` concern a connection that is gone already, or this process: without
    /// descriptors it pauses instead of asking again and again.
    async fn report(&self, error: Errno) {
        if matches!(
            error,
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM
        ) {
            log::warn_limited!("cannot accept connections: {error}; raise the limit of open files");
            tokio::time::sleep(EXHAUSTED_PAUSE).await;
        }
    }
}

/// Counts a connection while it is open.
pub(super) struct Open {
    thread: Rc<Thread>,
    all: Arc<AtomicUsize>,
}

impl Open {
    pub(super) fn new(thread: Rc<Thread>, admission: &Admission) -> Self {
        let all = admission.open.clone();
        all.fetch_add(1, Ordering::Relaxed);
        thread.connections.set(thread.connections.get() + 1);
        thread.counters.connections.add();
        Self { thread, all }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
        self.thread
            .connections
            .set(self.thread.connections.get() - 1);
        self.thread.counters.connections.subtract();
        self.thread.connection_closed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_descriptors_is_left_for_upstreams_and_files() {
        assert_eq!(affordable(Some(20_064)), 10_000);
        assert_eq!(affordable(Some(128)), 32);
        assert_eq!(affordable(None), ((u64::MAX - RESERVE) / 2) as usize);
    }
}
