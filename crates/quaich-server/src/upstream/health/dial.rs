//! A connection for a check: made anew, with TLS where the server speaks it.

use std::io;
use std::net::SocketAddr;

use quaich_config::model::{H2, UpstreamAddr, UpstreamProtocol};

use crate::socket::Socket;
use crate::stream::Stream;
use crate::upstream::group::Group;
use crate::upstream::secure::{Offer, is_http2};
use crate::upstream::server::Server;
use crate::upstream::{announce, connect};

/// Connects to `server`, at another port if there is one, and shakes hands. Whether it speaks
/// HTTP/2.
pub(super) async fn server(
    group: &Group,
    server: &Server,
    port: Option<u16>,
    offer: Offer,
) -> io::Result<(Stream, bool)> {
    let socket = dial(server, port).await?;
    let stream = Stream::Plain(socket);
    send(&stream, &announce::local(group.settings().send_proxy)).await?;
    if !server.settings().tls {
        let http2 = server.settings().protocol == UpstreamProtocol::H2c;
        return Ok((stream, http2));
    }
    let Some(socket) = stream.into_plain() else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let offer = match group.settings().h2 {
        H2::Auto => offer,
        H2::On | H2::Off => Offer::Usual,
    };
    let host = match &server.settings().addr {
        UpstreamAddr::Tcp { host, .. } => host,
        UpstreamAddr::Unix(_) => "localhost",
    };
    let connector = group.secure().connector(offer)?;
    let (stream, alpn) = connector.connect(socket, host).await?;
    Ok((stream, is_http2(alpn.as_deref())))
}

/// Connects without TLS.
pub(super) async fn dial(server: &Server, other: Option<u16>) -> io::Result<Socket> {
    if let UpstreamAddr::Unix(path) = &server.settings().addr {
        return connect::unix(path).await;
    }
    let mut last = io::Error::other("its name has no address");
    let addrs = server.addresses().get().await;
    for addr in addrs.iter().flat_map(|addrs| addrs.iter()) {
        let port = other.unwrap_or(addr.port());
        match connect::tcp(SocketAddr::new(addr.ip(), port)).await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Sends all of `bytes`.
pub(super) async fn send(stream: &Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let slice = [io::IoSlice::new(bytes)];
        let count = std::future::poll_fn(|cx| stream.poll_write(cx, &slice)).await?;
        bytes = bytes.get(count..).unwrap_or_default();
    }
    Ok(())
}

/// An error as a cause: "Connection refused", not "Connection refused (os error 111)".
pub(super) fn why(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_lowercase(),
        None => text,
    }
}
