//! One server of an upstream: its address and its kept connections.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use quaich_config::model::{UpstreamAddr, UpstreamServer};

use super::connect;
use super::pool::Pool;
use super::wire::http1::Conn;
use crate::deadline::Deadlines;
use crate::error::{Error, Kind};
use crate::socket::Socket;
use crate::stream::Stream;

/// How long a resolved name is used before it is looked up again.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);

/// One server.
pub struct Endpoint {
    server: UpstreamServer,
    pool: Pool,
    deadlines: Rc<Deadlines>,
    resolved: RefCell<Option<(Vec<SocketAddr>, Instant)>>,
}

impl Endpoint {
    /// A server with no connections yet.
    pub fn new(server: &UpstreamServer, pool: Pool, deadlines: Rc<Deadlines>) -> Self {
        Self {
            server: server.clone(),
            pool,
            deadlines,
            resolved: RefCell::default(),
        }
    }

    /// As written in the configuration.
    pub fn name(&self) -> &str {
        &self.server.id
    }

    /// A kept connection that is still good as far as is known.
    pub fn kept(&self) -> Option<Conn> {
        self.pool.take(&self.deadlines)
    }

    /// Keeps a connection.
    pub fn keep(&self, conn: Conn) {
        self.pool.put(conn);
    }

    /// Closes connections that were idle for too long.
    pub fn reap(&self) {
        self.pool.reap();
    }

    /// A new connection within `timeout`, the look-up of the name included.
    pub async fn connect(&self, timeout: Duration) -> Result<Conn, Error> {
        let deadline = self.deadlines.register();
        deadline.set(timeout);
        match deadline.guard(self.open()).await {
            Ok(Ok(socket)) => {
                deadline.clear();
                Ok(Conn::new(Stream::Plain(socket), deadline))
            }
            Ok(Err(_)) => Err(Error::upstream(Kind::Connect)),
            Err(_) => Err(Error::upstream(Kind::ConnectTimeout)),
        }
    }

    async fn open(&self) -> std::io::Result<Socket> {
        match &self.server.addr {
            UpstreamAddr::Unix(path) => connect::unix(path).await,
            UpstreamAddr::Tcp { host, port } => {
                let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
                for addr in self.addresses(host, *port).await? {
                    match connect::tcp(addr).await {
                        Ok(socket) => return Ok(socket),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }

    /// The addresses of the server. When a name cannot be looked up any more, the last known
    /// addresses stay in use.
    async fn addresses(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let known = self.resolved.borrow().clone();
        if let Some((addrs, at)) = &known
            && at.elapsed() < RESOLVE_EVERY
        {
            return Ok(addrs.clone());
        }
        match (connect::resolve(host, port).await, known) {
            (Ok(addrs), _) if !addrs.is_empty() => {
                *self.resolved.borrow_mut() = Some((addrs.clone(), Instant::now()));
                Ok(addrs)
            }
            (_, Some((addrs, _))) => Ok(addrs),
            (Ok(_), None) => Err(std::io::ErrorKind::NotFound.into()),
            (Err(error), None) => Err(error),
        }
    }
}
