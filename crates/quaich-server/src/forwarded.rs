//! Who the client is behind trusted proxies, and what upstreams and apps are told about it.
//!
//! The data path calls [`resolve`] once per request, skips the fields for which [`is_dropped`]
//! holds when it copies the request's header, and appends quaich's own with
//! [`append_forwarding`]. A field of a peer that is not trusted must have no effect at all.

mod address;
mod dropped;
mod elements;

use std::net::IpAddr;

use quaich_config::model::Network;
use quaich_proto::headers::{HeaderId, Headers};

pub use dropped::is_dropped;

use crate::observe::number;

/// The networks of `[server] trust`.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    networks: Vec<Network>,
}

impl Trust {
    /// Trusts the peers in `networks` and nobody else.
    pub fn new(networks: &[Network]) -> Self {
        Self {
            networks: networks.iter().map(address::canonical).collect(),
        }
    }

    /// Whether the forwarding fields of `peer` are believed. The peer of a unix socket (`None`)
    /// is on this machine: it is trusted if a loopback address is.
    pub fn contains(&self, peer: Option<IpAddr>) -> bool {
        match peer.map(|peer| peer.to_canonical()) {
            Some(peer) => self
                .networks
                .iter()
                .any(|network| address::is_within(peer, network)),
            None => self
                .networks
                .iter()
                .any(|network| network.addr.is_loopback()),
        }
    }
}

/// What the connection and the request itself say.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// The other end; `None` = a unix socket.
    pub peer: Option<IpAddr>,
    /// Whether it speaks TLS.
    pub https: bool,
    /// `Host` or authority, as sent; may be empty.
    pub host: &'a [u8],
    /// Port that the client connected to; 0 for a unix socket.
    pub port: u16,
}

/// What is believed about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client<'a> {
    /// The address that the request came from; `None` = a unix socket.
    pub addr: Option<IpAddr>,
    /// Whether the peer is trusted.
    pub trusted: bool,
    /// Whether the client spoke TLS to the outermost trusted proxy.
    pub https: bool,
    /// Host and port as the client wrote them; may be empty.
    pub host: &'a [u8],
    /// Port that the client connected to; 0 = unknown.
    pub port: u16,
    /// Path that an outer proxy has taken off: empty, or `/x` without trailing slash.
    pub prefix: &'a [u8],
}

impl Client<'_> {
    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
}

/// Finds out who sent a request. Of a peer that is not trusted nothing but the connection counts.
///
/// `X-Forwarded-For` is read from the right: the first address that is not trusted is the client.
/// `Forwarded` (RFC 7239) counts only where there is no `X-Forwarded-For`: proxies that write the
/// latter often let the former of a client pass. Of other `X-Forwarded-*` fields the last value
/// counts, for the nearest proxy wrote it. A value that is malformed is as good as absent.
pub fn resolve<'a>(trust: &Trust, conn: &Connection<'a>, headers: &'a Headers) -> Client<'a> {
    let mut client = Client {
        addr: conn.peer.map(|peer| peer.to_canonical()),
        trusted: !trust.networks.is_empty() && trust.contains(conn.peer),
        https: conn.https,
        host: conn.host,
        port: conn.port,
        prefix: b"",
    };
    if !client.trusted {
        return client;
    }
    if headers.contains(HeaderId::XForwardedFor) {
        believe_x_forwarded_for(&mut client, trust, headers);
    } else if headers.contains(HeaderId::Forwarded) {
        believe_forwarded(&mut client, trust, headers);
    }
    believe_x_forwarded(&mut client, headers);
    client
}

fn believe_x_forwarded_for(client: &mut Client<'_>, trust: &Trust, headers: &Headers) {
    let mut nearest = NearestUntrusted::default();
    for line in headers.get_all(HeaderId::XForwardedFor) {
        for entry in line.split(|&byte| byte == b',') {
            let entry = entry.trim_ascii();
            if !entry.is_empty() {
                let addr = address::parse(entry);
                nearest.offer(trust, addr, addr);
            }
        }
    }
    client.addr = nearest.found.flatten().or(client.addr);
}

fn believe_forwarded<'a>(client: &mut Client<'a>, trust: &Trust, headers: &'a Headers) {
    let mut nearest = NearestUntrusted::default();
    for line in headers.get_all(HeaderId::Forwarded) {
        for element in elements::elements(line) {
            // What stands behind a malformed element cannot be told apart from its inside.
            let Ok(element) = element else { return };
            nearest.offer(trust, element.client.and_then(address::parse), element);
        }
    }
    let Some(element) = nearest.found else { return };
    client.addr = element.client.and_then(address::parse).or(client.addr);
    client.https = element.proto.and_then(is_https).unwrap_or(client.https);
    if let Some(host) = element.host.filter(|host| is_host(host)) {
        client.host = host;
        client.port = port_of(host, client.https);
    }
}

fn believe_x_forwarded<'a>(client: &mut Client<'a>, headers: &'a Headers) {
    let last = |id| last_value(headers, id);
    if let Some(https) = last(HeaderId::XForwardedProto).and_then(is_https) {
        client.https = https;
    }
    if let Some(host) = last(HeaderId::XForwardedHost).filter(|host| is_host(host)) {
        client.host = host;
        client.port = port_of(host, client.https);
    } else if headers.contains(HeaderId::XForwardedProto) {
        client.port = port_of(client.host, client.https);
    }
    if let Some(port) = last(HeaderId::XForwardedPort).and_then(address::port) {
        client.port = port;
    }
    if let Some(prefix) = last(HeaderId::XForwardedPrefix).and_then(prefix) {
        client.prefix = prefix;
    }
}

/// Walks a chain of hops from the client's end and keeps the last one that is not trusted; if all
/// are trusted, the first. An unreadable hop hides all before it.
#[derive(Debug)]
struct NearestUntrusted<T> {
    found: Option<T>,
}

impl<T> Default for NearestUntrusted<T> {
    fn default() -> Self {
        Self { found: None }
    }
}

impl<T> NearestUntrusted<T> {
    fn offer(&mut self, trust: &Trust, addr: Option<IpAddr>, hop: T) {
        match addr {
            None => self.found = None,
            Some(_) if self.found.is_none() => self.found = Some(hop),
            Some(_) if !trust.contains(addr) => self.found = Some(hop),
            Some(_) => {}
        }
    }
}

fn last_value(headers: &Headers, id: HeaderId) -> Option<&[u8]> {
    let line = headers.get_all(id).last()?;
    line.rsplit(|&byte| byte == b',')
        .next()
        .map(<[u8]>::trim_ascii)
}

fn is_https(proto: &[u8]) -> Option<bool> {
    let is = |name: &[u8]| proto.eq_ignore_ascii_case(name);
    match () {
        () if is(b"https") || is(b"wss") => Some(true),
        () if is(b"http") || is(b"ws") => Some(false),
        () => None,
    }
}

/// `host` or `host:port` of harmless characters (a name, an address, an address in brackets).
fn is_host(host: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(b);
    (1..=255).contains(&host.len()) && host.iter().all(allowed)
}

fn port_of(host: &[u8], https: bool) -> u16 {
    let after_colon = host
        .iter()
        .rposition(|&byte| byte == b':')
        .and_then(|at| host.get(at + 1..));
    after_colon
        .and_then(address::port)
        .unwrap_or(if https { 443 } else { 80 })
}

/// A path without trailing slash, of segments that need no decoding; `None` for all others.
fn prefix(value: &[u8]) -> Option<&[u8]> {
    let value = value.strip_suffix(b"/").unwrap_or(value);
    let mut segments = value.split(|&byte| byte == b'/');
    let absolute = segments.next() == Some(b"");
    let plain = |s: &[u8]| {
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(b);
        !s.is_empty() && s != b"." && s != b".." && s.iter().all(allowed)
    };
    (absolute && !value.is_empty() && segments.all(plain)).then_some(value)
}

/// Appends the header lines `X-Forwarded-For`, `-Proto`, `-Host`, `-Port` and `-Prefix`, each with
/// its line end, and continues a trusted `Forwarded`.
///
/// `mount` is the path that this route takes off: empty, or `/x`. Values of a trusted peer are
/// continued, those of another are not looked at.
pub fn append_forwarding(
    out: &mut Vec<u8>,
    headers: &Headers,
    conn: &Connection<'_>,
    client: &Client<'_>,
    mount: &[u8],
) {
    append_x_forwarded_for(out, headers, conn.peer, client.trusted);
    out.extend_from_slice(b"X-Forwarded-Proto: ");
    out.extend_from_slice(client.scheme().as_bytes());
    out.extend_from_slice(b"\r\n");
    if !client.host.is_empty() {
        line(out, b"X-Forwarded-Host: ", client.host);
    }
    if client.port != 0 {
        out.extend_from_slice(b"X-Forwarded-Port: ");
        number::decimal(out, u64::from(client.port));
        out.extend_from_slice(b"\r\n");
    }
    if !client.prefix.is_empty() || !mount.is_empty() {
        out.extend_from_slice(b"X-Forwarded-Prefix: ");
        out.extend_from_slice(client.prefix);
        line(out, b"", mount);
    }
    if client.trusted && headers.contains(HeaderId::Forwarded) {
        continue_forwarded(out, headers, conn);
    }
}

fn append_x_forwarded_for(
    out: &mut Vec<u8>,
    headers: &Headers,
    peer: Option<IpAddr>,
    trusted: bool,
) {
    let start = out.len();
    out.extend_from_slice(b"X-Forwarded-For: ");
    let first = out.len();
    if trusted {
        for value in headers
            .get_all(HeaderId::XForwardedFor)
            .filter(|value| !value.is_empty())
        {
            separate(out, first);
            out.extend_from_slice(value);
        }
    }
    if peer.is_some() {
        separate(out, first);
        number::client(out, peer);
    }
    if out.len() == first {
        out.truncate(start);
    } else {
        out.extend_from_slice(b"\r\n");
    }
}

/// RFC 7239 section 4: each proxy adds an element on the connection that it received.
fn continue_forwarded(out: &mut Vec<u8>, headers: &Headers, conn: &Connection<'_>) {
    out.extend_from_slice(b"Forwarded: ");
    let first = out.len();
    for value in headers
        .get_all(HeaderId::Forwarded)
        .filter(|value| !value.is_empty())
    {
        separate(out, first);
        out.extend_from_slice(value);
    }
    separate(out, first);
    out.extend_from_slice(b"for=");
    match conn.peer.map(|peer| peer.to_canonical()) {
        None => out.extend_from_slice(b"unknown"),
        Some(IpAddr::V4(_)) => number::client(out, conn.peer),
        Some(IpAddr::V6(_)) => {
            out.extend_from_slice(b"\"[");
            number::client(out, conn.peer);
            out.extend_from_slice(b"]\"");
        }
    }
    out.extend_from_slice(if conn.https {
        b";proto=https"
    } else {
        b";proto=http"
    });
    out.extend_from_slice(b"\r\n");
}

fn separate(out: &mut Vec<u8>, first: usize) {
    if out.len() > first {
        out.extend_from_slice(b", ");
    }
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
