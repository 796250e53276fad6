//! Opens a connection to a server: address, PROXY header, TLS. For requests (`endpoint`) and for
//! checks (`health`), so that a check finds what a request would find.

use std::io;
use std::net::SocketAddr;

use quaich_config::model::{H2, UpstreamAddr, UpstreamProtocol};

use super::group::Group;
use super::secure::{Offer, is_http2};
use super::server::Server;
use super::{connect, race};
use crate::error::Kind;
use crate::socket::Socket;
use crate::stream::Stream;

/// Why there is no connection.
pub(super) struct Failure {
    /// For the client and the access log.
    pub kind: Kind,
    /// For the log.
    pub why: io::Error,
}

impl Failure {
    fn connect(why: io::Error) -> Self {
        let kind = Kind::Connect;
        Self { kind, why }
    }
}

/// A connection to `server`, at another port if one is given, and whether it speaks HTTP/2. It begins
/// with the bytes of `greeting`, before any TLS. Whoever calls it sets the time.
pub(super) async fn open(
    group: &Group,
    server: &Server,
    (port, offer): (Option<u16>, Offer),
    greeting: &[u8],
) -> Result<(Stream, bool), Failure> {
    let socket = socket(server, port).await?;
    let greeted = socket.write_all(greeting).await;
    greeted.map_err(Failure::connect)?;
    if !server.settings().tls {
        let http2 = server.settings().protocol == UpstreamProtocol::H2c;
        return Ok((Stream::Plain(socket), http2));
    }
    let shaken = shake_hands(group, server, socket, offer).await;
    shaken.map_err(|why| Failure {
        kind: Kind::UpstreamTls,
        why,
    })
}

/// Connects without TLS.
pub(super) async fn socket(server: &Server, port: Option<u16>) -> Result<Socket, Failure> {
    if let UpstreamAddr::Unix(path) = &server.settings().addr {
        return connect::unix(path).await.map_err(Failure::connect);
    }
    let known = server.addresses().get().await.ok_or_else(|| Failure {
        kind: Kind::NoServer,
        why: io::Error::other("its name has no address"),
    })?;
    let connected = match port {
        None => race::tcp(&known).await,
        Some(port) => {
            let with_port = |addr: &SocketAddr| SocketAddr::new(addr.ip(), port);
            race::tcp(&known.iter().map(with_port).collect::<Vec<_>>()).await
        }
    };
    connected.map_err(Failure::connect)
}

async fn shake_hands(
    group: &Group,
    server: &Server,
    socket: Socket,
    offer: Offer,
) -> io::Result<(Stream, bool)> {
    let connector = group.secure().connector(offer)?;
    let host = match &server.settings().addr {
        UpstreamAddr::Tcp { host, .. } => host,
        UpstreamAddr::Unix(_) => "localhost",
    };
    let (stream, alpn) = connector.connect(socket, host).await?;
    let http2 = is_http2(alpn.as_deref());
    if group.settings().h2 == H2::On && !http2 {
        let why = "it does not choose HTTP/2, and `h2 = true` allows nothing else";
        return Err(io::Error::other(why));
    }
    Ok((stream, http2))
}

/// An error as a cause: "connection refused", not "Connection refused (os error 111)".
pub(super) fn why(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_lowercase(),
        None => text,
    }
}
