//! Writes headers, for servers that ask for them.

use std::net::{IpAddr, SocketAddr};

use super::v2;

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// Writes whose connection it is. Without addresses (of the client or of what it has connected to),
/// that it is a client's of which no more is known.
pub fn write(out: &mut Vec<u8>, version: Version, ends: Option<(SocketAddr, SocketAddr)>) {
    match (version, ends.map(|(from, to)| alike(from, to))) {
        (Version::V1, None) => out.extend_from_slice(b"PROXY UNKNOWN\r\n"),
        (Version::V1, Some((from, to))) => {
            let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from_ip, to_ip) = (from.ip(), to.ip());
            let (from_port, to_port) = (from.port(), to.port());
            let line = format!("PROXY {family} {from_ip} {to_ip} {from_port} {to_port}\r\n");
            out.extend_from_slice(line.as_bytes());
        }
        (Version::V2, None) => head(out, 0x21, 0x00, 0),
        (Version::V2, Some((from, to))) => {
            let (family, length) = if from.is_ipv4() {
                (0x11, 12)
            } else {
                (0x21, 36)
            };
            head(out, 0x21, family, length);
            for end in [from, to] {
                match end.ip() {
                    IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
                    IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
                }
            }
            for end in [from, to] {
                out.extend_from_slice(&end.port().to_be_bytes());
            }
        }
    }
}

/// Writes that the connection is the proxy's own, as for a health check.
pub fn write_local(out: &mut Vec<u8>, version: Version) {
    match version {
        Version::V1 => out.extend_from_slice(b"PROXY UNKNOWN\r\n"),
        Version::V2 => head(out, 0x20, 0x00, 0),
    }
}

fn head(out: &mut Vec<u8>, command: u8, family: u8, length: u16) {
    out.extend_from_slice(v2::SIGNATURE);
    out.extend_from_slice(&[command, family]);
    out.extend_from_slice(&length.to_be_bytes());
}

/// Both of one family: a header has no place for two.
fn alike(from: SocketAddr, to: SocketAddr) -> (SocketAddr, SocketAddr) {
    let plain = |addr: SocketAddr| SocketAddr::new(addr.ip().to_canonical(), addr.port());
    let (from, to) = (plain(from), plain(to));
    if from.is_ipv4() == to.is_ipv4() {
        return (from, to);
    }
    let wide = |addr: SocketAddr| match addr.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), addr.port()),
        IpAddr::V6(_) => addr,
    };
    (wide(from), wide(to))
}
