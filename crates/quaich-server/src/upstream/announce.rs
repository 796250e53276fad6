//! `send_proxy`: the first bytes of a connection tell the server whose it is. Such a connection serves
//! one client only.

use std::net::SocketAddr;

use quaich_config::model::SendProxy;
use quaich_proto::proxy_protocol::{Version, write, write_local};

/// A client, and what it has connected to.
pub type Ends = (SocketAddr, SocketAddr);

/// What a connection for a client of which this is known begins with: nothing where servers are told
/// nothing.
pub(super) fn of_client(setting: SendProxy, client: Option<Ends>) -> Vec<u8> {
    let mut header = Vec::new();
    if let Some(version) = version(setting) {
        header.reserve(128);
        write(&mut header, version, client);
    }
    header
}

/// What a connection of our own begins with, as for a check: nothing where servers are told nothing.
pub(super) fn local(setting: SendProxy) -> Vec<u8> {
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
