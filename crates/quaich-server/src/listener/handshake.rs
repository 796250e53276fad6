//! The TLS handshake of a connection that was just accepted, under its deadline.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use rustix::net::getsockname;

use super::per_ip::Place;
use crate::deadline::Expired;
use crate::downstream::connection::Protocol;
use crate::observe::log;
use crate::socket::Socket;
use crate::stream::Stream;
use crate::thread::Thread;
use crate::tls::{Failure, Protocols};

/// From the connection to the end of the handshake.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A connection whose handshake is to come.
pub(super) struct Arrival {
    pub(super) socket: Socket,
    pub(super) peer: Option<SocketAddr>,
    /// What it has connected to, if that is not this socket.
    pub(super) local: Option<SocketAddr>,
    pub(super) protocols: Protocols,
    pub(super) listener: usize,
    pub(super) thread: Rc<Thread>,
    pub(super) _under_way: Option<Place>,
}

impl Arrival {
    /// The stream and what is spoken on it, unless the handshake fails or takes too long.
    pub(super) async fn shake_hands(self) -> Option<(Stream, Protocol)> {
        let Self {
            socket,
            peer,
            local,
            protocols,
            listener,
            thread,
            _under_way,
        } = self;
        let tls = thread.tls.clone()?;
        let bound = || SocketAddr::try_from(getsockname(&socket).ok()?).ok();
        let local = local.or_else(bound);
        let routes = &thread.generation.routes;
        let site_of = |name: &[u8]| Some(routes.site(listener, name)?.index);
        let deadline = thread.deadlines.register();
        deadline.set(TIMEOUT);
        let handshake = tls.accept(socket, protocols, local.map(|addr| addr.ip()), site_of);
        match deadline.guard(handshake).await {
            Ok(Ok(stream)) => {
                let session = stream.session();
                thread.counters.tls_handshakes.add();
                if session.is_some_and(|session| session.resumed) {
                    thread.counters.tls_resumed.add();
                }
                // Who says nothing of the protocol speaks HTTP/1.1, where there is a choice.
                let http2 = session.is_some_and(|session| session.http2) || !protocols.h1;
                let protocol = match http2 {
                    true => Protocol::Http2,
                    false => Protocol::Http1,
                };
                return Some((Stream::Tls(Box::new(stream)), protocol));
            }
            Ok(Err(Failure::Silent)) => {}
            Ok(Err(failure @ Failure::Challenge)) => log::debug!("TLS: {failure}"),
            Ok(Err(failure)) => note_failure(&thread, peer, &failure),
            Err(Expired) => note_failure(&thread, peer, &"it took too long"),
        }
        None
    }
}

/// Most failures are no fault of this side, and anybody can cause them: they are for who looks.
fn note_failure(thread: &Thread, peer: Option<SocketAddr>, why: &dyn fmt::Display) {
    thread.counters.tls_handshake_failures.add();
    let client = peer.map_or_else(|| "unix".to_owned(), |peer| peer.ip().to_string());
    log::debug!("a TLS handshake failed: {why}"; client = client);
}
