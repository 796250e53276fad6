//! One server of an upstream: its address and its connections.

use std::cell::Cell;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quaich_config::model::{H2, SendProxy, UpstreamProtocol};
use tokio::sync::Mutex;

use super::announce::{self, Ends};
use super::group::Group;
use super::open::{self, Failure, open};
use super::pool::{self, Limits, Pool};
use super::secure::Offer;
use super::server::Server;
use super::sessions::Sessions;
use super::wire::dialect::Dialect;
use super::wire::{Conn, fastcgi, http1, http2};
use crate::deadline::{Deadline, Deadlines};
use crate::error::{Error, Kind};
use crate::observe::log;
use crate::stream::Stream;

/// One server, as one thread sees it.
pub struct Endpoint {
    server: Arc<Server>,
    group: Arc<Group>,
    h2: H2,
    send_proxy: SendProxy,
    pool: Pool<http1::Conn>,
    idle: Duration,
    sessions: Sessions,
    /// Whether the next connection is likely to speak HTTP/2, so that others may wait for it.
    expects_http2: Cell<bool>,
    /// Held by whoever opens a connection that others wait for.
    opening: Mutex<()>,
    deadlines: Rc<Deadlines>,
    /// Of the addresses that the kept connections go to.
    version: Cell<u64>,
}

/// What an exchange wants of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Want {
    /// Kept connections were a disappointment.
    pub fresh: bool,
    /// The connection is to carry another protocol.
    pub upgrade: bool,
    /// Whose it is, for servers that want to know.
    pub client: Option<Ends>,
}

/// A connection, and whether it was there already.
pub struct Found {
    /// For one exchange.
    pub conn: Conn,
    /// It was.
    pub kept: bool,
}

impl Endpoint {
    /// A server with no connections yet.
    pub fn new(server: Arc<Server>, group: &Arc<Group>, deadlines: &Rc<Deadlines>) -> Self {
        let (settings, h2) = (server.settings(), group.settings().h2);
        let limits = Limits {
            idle: group.settings().keepalive_timeout,
            age: group.settings().keepalive_age,
        };
        let h2c = settings.protocol == UpstreamProtocol::H2c;
        Self {
            expects_http2: Cell::new(h2c || (settings.tls && h2 != H2::Off)),
            h2,
            group: group.clone(),
            send_proxy: group.settings().send_proxy,
            pool: Pool::new(server.clone(), limits, deadlines),
            idle: limits.idle,
            sessions: Sessions::new(deadlines.clone()),
            opening: Mutex::default(),
            deadlines: deadlines.clone(),
            version: Cell::new(server.addresses().version()),
            server,
        }
    }

    /// What all threads know of it.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Keeps a connection.
    pub fn keep(&self, conn: Conn) {
        if self.send_proxy != SendProxy::Off {
            return;
        }
        match conn {
            Conn::Http1(conn, _) => self.pool.put(conn),
            Conn::FastCgi(conn) => self.pool.put(conn.into_inner()),
            // Its session is kept anyway.
            Conn::Http2(_) => {}
        }
    }

    /// Closes connections that were idle for too long.
    pub fn reap(&self) {
        self.leave_vanished();
        self.pool.reap();
        self.sessions.reap(self.idle);
    }

    /// A kept connection that is still good as far as is known, or else a new one within `timeout`,
    /// the first look-up of the name included.
    pub async fn connection(&self, want: Want, timeout: Duration) -> Result<Found, Error> {
        let offer = match want.upgrade && self.server.settings().tls && self.h2 == H2::Auto {
            true => Offer::Http1,
            false => Offer::Usual,
        };
        let alone = self.send_proxy != SendProxy::Off;
        let shared = self.expects_http2.get() && offer == Offer::Usual && !alone;
        if !alone && let Some(conn) = self.kept(want, offer) {
            return Ok(Found { conn, kept: true });
        }
        let deadline = self.deadlines.register();
        deadline.set(timeout);
        let _turn = match shared {
            true => {
                let turn = deadline.guard(self.opening.lock()).await;
                // Whoever had the turn before may have opened one that serves us, too.
                if let Some(lease) = self.sessions.lease() {
                    let conn = Conn::Http2(lease);
                    return Ok(Found { conn, kept: true });
                }
                Some(turn.map_err(|_| Error::upstream(Kind::ConnectTimeout))?)
            }
            false => None,
        };
        // In a box: most requests find a kept one, and none should carry the room for this.
        let conn = Box::pin(self.connect(offer, want.client, deadline)).await?;
        Ok(Found { conn, kept: false })
    }

    /// A new connection within `timeout`, the look-up of the name included, for the bytes of a client.
    pub async fn dial(&self, client: Option<Ends>, timeout: Duration) -> Result<Stream, Error> {
        let deadline = self.deadlines.register();
        deadline.set(timeout);
        let (stream, _) = self.open(Offer::Usual, client, &deadline).await?;
        Ok(stream)
    }

    fn kept(&self, want: Want, offer: Offer) -> Option<Conn> {
        self.leave_vanished();
        if offer == Offer::Usual
            && let Some(lease) = self.sessions.lease()
        {
            return Some(Conn::Http2(lease));
        }
        // A server that was seen to speak HTTP/1.1 keeps its connections here.
        (!want.fresh)
            .then(|| self.pool.take())
            .flatten()
            .map(|conn| self.speaking(conn))
    }

    /// A connection of its own, as what the server speaks.
    fn speaking(&self, conn: http1::Conn) -> Conn {
        match self.server.settings().protocol {
            UpstreamProtocol::FastCgi => {
                let keep = self.pool.keeps();
                Conn::FastCgi(fastcgi::Conn::new(conn, self.server.clone(), keep))
            }
            UpstreamProtocol::Uwsgi => {
                let modifiers = self.server.settings().modifiers;
                Conn::Http1(conn, Dialect::Uwsgi(modifiers))
            }
            UpstreamProtocol::Scgi => Conn::Http1(conn, Dialect::Scgi),
            _ => Conn::Http1(conn, Dialect::Http),
        }
    }

    async fn connect(
        &self,
        offer: Offer,
        client: Option<Ends>,
        deadline: Deadline,
    ) -> Result<Conn, Error> {
        let version = self.server.addresses().version();
        let (stream, http2) = self.open(offer, client, &deadline).await?;
        if offer == Offer::Usual {
            self.expects_http2.set(http2);
        }
        if !http2 {
            deadline.clear();
            return Ok(self.speaking(http1::Conn::new(stream, deadline).of(version)));
        }
        let peer = pool::peer(stream.socket().as_fd());
        let session = deadline
            .guard(http2::open(stream, &self.deadlines))
            .await
            .map_err(|_| Error::upstream(Kind::ConnectTimeout))??;
        let lease = match self.send_proxy {
            SendProxy::Off => {
                let lease = self.sessions.add(session, peer);
                let addresses = self.server.addresses();
                if addresses.version() != version {
                    self.sessions.leave_vanished(addresses);
                }
                lease
            }
            // Other clients are others.
            _ => session.first_lease(&self.deadlines),
        };
        Ok(Conn::Http2(lease.ok_or(Error::upstream(Kind::Connect))?))
    }

    /// A connection, and whether it speaks HTTP/2. Says in the log why there is none.
    async fn open(
        &self,
        offer: Offer,
        client: Option<Ends>,
        deadline: &Deadline,
    ) -> Result<(Stream, bool), Error> {
        let greeting = announce::of_client(self.send_proxy, client);
        let opening = open(&self.group, &self.server, (None, offer), &greeting);
        let failure = match deadline.guard(opening).await {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(failure)) => failure,
            Err(_) => Failure {
                kind: Kind::ConnectTimeout,
                why: io::Error::other("no connection in time"),
            },
        };
        self.complain(&failure);
        Err(Error::upstream(failure.kind))
    }

    fn complain(&self, Failure { kind, why }: &Failure) {
        let (upstream, server) = (&self.group.settings().name, self.server.name());
        if *kind == Kind::UpstreamTls {
            let advice = match why.kind() {
                io::ErrorKind::InvalidData => {
                    " (see `ca`, `sni` and `verify` of the upstream's `tls`)"
                }
                _ => "",
            };
            log::warn_limited!("TLS with a server failed: {why}{advice}";
                upstream = upstream, server = server);
        } else {
            let cause = open::why(why);
            log::warn_limited!("a server cannot be reached: {cause}";
                upstream = upstream, server = server);
        }
    }

    /// Closes kept connections to addresses that the server has no more.
    fn leave_vanished(&self) {
        let addresses = self.server.addresses();
        let version = addresses.version();
        if self.version.replace(version) != version {
            self.pool.leave_vanished();
            self.sessions.leave_vanished(addresses);
        }
    }
}
