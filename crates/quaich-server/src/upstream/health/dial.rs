//! A connection for a check: made anew, the way that requests make theirs.

use std::io;

use quaich_config::model::H2;

use crate::socket::Socket;
use crate::stream::Stream;
use crate::upstream::group::Group;
use crate::upstream::secure::Offer;
use crate::upstream::server::Server;
use crate::upstream::{announce, open};

pub(super) use crate::upstream::open::why;

/// Connects to `server`, at another port if there is one, and shakes hands. Whether it speaks
/// HTTP/2.
pub(super) async fn server(
    group: &Group,
    server: &Server,
    port: Option<u16>,
    offer: Offer,
) -> io::Result<(Stream, bool)> {
    let offer = match group.settings().h2 {
        H2::Auto => offer,
        H2::On | H2::Off => Offer::Usual,
    };
    let greeting = announce::local(group.settings().send_proxy);
    let opened = open::open(group, server, (port, offer), &greeting).await;
    opened.map_err(|failure| failure.why)
}

/// Connects without TLS.
pub(super) async fn dial(server: &Server, port: Option<u16>) -> io::Result<Socket> {
    let connected = open::socket(server, port).await;
    connected.map_err(|failure| failure.why)
}
