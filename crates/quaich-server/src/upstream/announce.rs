//! `send_proxy`: the first bytes of a connection tell the server whose it is. Such a connection serves
//! one client only.

use std::io;
use std::net::SocketAddr;

use quaich_config::model::SendProxy;
use quaich_proto::proxy_protocol::{Version, write, write_local};

use crate::socket::Socket;

/// A client, and what it has connected to.
pub type Ends = (SocketAddr, SocketAddr);

/// Sends the header for a client of which this is known.
pub(super) async fn announce(
    socket: &Socket,
    setting: SendProxy,
    client: Option<Ends>,
) -> io::Result<()> {
    match version(setting) {
        Some(version) => {
            let mut header = Vec::with_capacity(128);
            write(&mut header, version, client);
            socket.write_all(&header).await
        }
        None => Ok(()),
    }
}

/// What a connection of our own begins with, as for a check: nothing where servers are told nothing.
pub fn local(setting: SendProxy) -> Vec<u8> {
    let mut header = Vec::new();
    if let Some(version) = version(setting) {
        write_local(&mut header, version);
    }
    header
}

fn version(setting: SendProxy) -> Option<Version> {
    match setting {
        SendProxy::Off => None,
        SendProxy::V1 => Some(Version::V1),
        SendProxy::V2 => Some(Version::V2),
    }
}
