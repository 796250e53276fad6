//! What becomes of an accepted connection: who its client is, its place, its handshake, and then what
//! the listener is for. Called by `accept` for each.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use quaich_config::model::{OtherProtocol, ProxyProtocol, SendProxy};
use rustix::net::getsockname;

use super::accept::{Admission, Open};
use super::announced;
use super::handshake::Arrival;
use super::per_ip::Place;
use crate::downstream::cgi::Wire;
use crate::downstream::connection::{Connection, End, Protocol};
use crate::downstream::tcp;
use crate::forwarded::Client;
use crate::socket::Socket;
use crate::stream::Stream;
use crate::thread::Thread;
use crate::tls::Protocols;
use crate::upstream::Upstream;

/// A listener on this thread, for the connections that it accepts.
pub(super) struct Entry {
    index: usize,
    port: u16,
    spoken: Spoken,
    /// What is spoken inside TLS; `None` = no TLS here.
    tls: Option<Protocols>,
    proxy_protocol: ProxyProtocol,
    /// Some server wants to know which address its clients have connected to.
    notes_local: bool,
    pub(super) admission: Admission,
    pub(super) thread: Rc<Thread>,
}

/// What a listener is for.
#[derive(Clone)]
enum Spoken {
    /// Requests over HTTP, as found without ALPN.
    Http(Protocol),
    /// Requests that another web server passes on.
    Cgi(Wire),
    /// Bytes for a server.
    Tcp(Rc<Upstream>),
}

/// Whose connection it is.
#[derive(Clone, Copy)]
struct Caller {
    peer: Option<SocketAddr>,
    /// The peer speaks TLS with a proxy that has said so.
    https: bool,
    /// Where it has connected to, if a proxy has said so.
    local: Option<SocketAddr>,
}

/// What a listener counts for one connection, and gives back at its end.
type Held = (Open, Option<Place>);

impl Entry {
    /// For the listener `index`, at `port`.
    pub(super) fn new(index: usize, port: u16, admission: Admission, thread: Rc<Thread>) -> Self {
        let settings = thread.settings.listeners.get(index);
        let (h1, h2) = settings.map_or((true, false), |listener| (listener.h1, listener.h2));
        let upstreams = &thread.generation.upstreams;
        let asks = |upstream: &Rc<Upstream>| upstream.send_proxy() != SendProxy::Off;
        Self {
            index,
            port,
            spoken: match settings.and_then(|listener| listener.other) {
                // A configuration that was checked names only upstreams that there are.
                Some(OtherProtocol::Tcp { upstream }) => match upstreams.get(upstream) {
                    Some(upstream) => Spoken::Tcp(upstream.clone()),
                    None => Spoken::Http(Protocol::Http1),
                },
                Some(OtherProtocol::Uwsgi) => Spoken::Cgi(Wire::Uwsgi),
                Some(OtherProtocol::FastCgi) => Spoken::Cgi(Wire::FastCgi),
                Some(OtherProtocol::Scgi) => Spoken::Cgi(Wire::Scgi),
                None => Spoken::Http(Protocol::without_alpn(h1, h2)),
            },
            tls: settings
                .filter(|listener| listener.tls)
                .map(|_| Protocols { h1, h2 }),
            proxy_protocol: settings.map_or(ProxyProtocol::Off, |l| l.proxy_protocol),
            notes_local: upstreams.iter().any(asks),
            admission,
            thread,
        }
    }

    /// Serves an accepted connection, in a task of its own.
    pub(super) fn admit(self: &Rc<Self>, fd: OwnedFd, peer: Option<SocketAddr>) {
        self.thread.counters.accepted.add();
        let caller = Caller {
            peer,
            https: false,
            local: None,
        };
        let trusted = || self.thread.trust.contains(peer.map(|peer| peer.ip()));
        match self.proxy_protocol {
            ProxyProtocol::Off => self.enter(fd, caller),
            ProxyProtocol::Accept if !trusted() => self.enter(fd, caller),
            ProxyProtocol::Accept => self.ask(fd, caller, false),
            ProxyProtocol::Require if trusted() => self.ask(fd, caller, true),
            ProxyProtocol::Require => announced::refuse_stranger(&self.thread, peer),
        }
    }

    /// For a connection whose peer is its client.
    fn enter(&self, fd: OwnedFd, caller: Caller) {
        match (self.place(caller.peer), Socket::new(fd)) {
            (Ok(place), Ok(socket)) => self.serve(socket, caller, (self.open(), place)),
            _ => self.thread.counters.refused.add(),
        }
    }

    /// For a connection whose peer says, or may say, who its client is.
    fn ask(self: &Rc<Self>, fd: OwnedFd, mut caller: Caller, must: bool) {
        let Ok(socket) = Socket::new(fd) else {
            return self.thread.counters.refused.add();
        };
        let open = self.open();
        let entry = self.clone();
        tokio::task::spawn_local(async move {
            let Some(told) = announced::receive(&socket, &entry.thread, caller.peer, must).await
            else {
                return;
            };
            if let Some((from, to)) = told.ends {
                caller.peer = Some(from);
                caller.local = Some(to);
                caller.https = told.tls;
            }
            match entry.place(caller.peer) {
                Ok(place) => entry.serve(socket, caller, (open, place)),
                Err(Crowded) => entry.thread.counters.refused.add(),
            }
        });
    }

    fn open(&self) -> Open {
        Open::new(self.thread.clone(), &self.admission)
    }

    /// A place among the connections of an address.
    fn place(&self, peer: Option<SocketAddr>) -> Result<Option<Place>, Crowded> {
        let addr = peer.map(|peer| peer.ip().to_canonical());
        match self.admission.per_address.as_ref().zip(addr) {
            Some((table, addr)) => table.admit(addr).map(Some).ok_or(Crowded),
            None => Ok(None),
        }
    }

    fn serve(&self, socket: Socket, caller: Caller, held: Held) {
        let end = self.end(&socket, caller);
        let thread = self.thread.clone();
        let Some(protocols) = self.tls else {
            let client = Client::new(caller.peer, caller.https);
            let stream = Stream::Plain(socket);
            match self.spoken.clone() {
                Spoken::Http(protocol) => {
                    let connection = Connection::new(stream, protocol, thread, end, client, held);
                    tokio::task::spawn_local(connection.run());
                }
                Spoken::Cgi(wire) => {
                    let protocol = Protocol::Http1;
                    let connection = Connection::new(stream, protocol, thread, end, client, held);
                    tokio::task::spawn_local(connection.run_cgi(wire));
                }
                Spoken::Tcp(upstream) => {
                    let call = tcp::Call::new(stream, thread, end, client);
                    tokio::task::spawn_local(call.serve(upstream, held));
                }
            }
            return;
        };
        let Ok(under_way) = self.handshake_place(caller.peer) else {
            return self.thread.counters.refused.add();
        };
        let arrival = Arrival {
            socket,
            peer: caller.peer,
            local: caller.local,
            protocols,
            listener: self.index,
            thread: thread.clone(),
            _under_way: under_way,
        };
        let spoken = self.spoken.clone();
        tokio::task::spawn_local(async move {
            // Boxed, so that it is gone once it is done.
            let Some((stream, protocol)) = Box::pin(arrival.shake_hands()).await else {
                return;
            };
            let client = Client::new(caller.peer, true);
            match spoken {
                Spoken::Http(_) => {
                    Connection::new(stream, protocol, thread, end, client, held)
                        .run()
                        .await;
                }
                Spoken::Cgi(wire) => {
                    let connection = Connection::new(stream, protocol, thread, end, client, held);
                    Box::pin(connection.run_cgi(wire)).await;
                }
                Spoken::Tcp(upstream) => {
                    let call = tcp::Call::new(stream, thread, end, client);
                    Box::pin(call.serve(upstream, held)).await;
                }
            }
        });
    }

    fn end(&self, socket: &Socket, caller: Caller) -> End {
        let asked = || getsockname(socket).ok()?.try_into().ok();
        End {
            listener: self.index,
            port: caller.local.map_or(self.port, |local| local.port()),
            local: match caller.local {
                None if self.notes_local => asked(),
                told => told,
            },
        }
    }

    /// A place for a handshake. Trusted proxies may have as many under way as they like.
    fn handshake_place(&self, peer: Option<SocketAddr>) -> Result<Option<Place>, Crowded> {
        let addr = peer.map(|peer| peer.ip().to_canonical());
        let table = self.admission.handshakes.as_ref().zip(addr);
        match table.filter(|_| !self.thread.trust.contains(addr)) {
            Some((table, addr)) => table.admit(addr).map(Some).ok_or(Crowded),
            None => Ok(None),
        }
    }
}

/// An address has too many connections, or handshakes under way.
struct Crowded;
