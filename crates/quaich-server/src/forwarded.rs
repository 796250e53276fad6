//! Who the client is behind trusted proxies, and what upstreams and apps are told about it.
//!
//! The data path calls [`Trust::apply`] once per request, skips the fields for which
//! [`is_dropped`] holds when it copies the request's header, and tells an upstream or app what
//! [`Trust::public`] found. A field of a peer that is not trusted must have no effect at all.

mod address;
mod append;
mod dropped;
mod elements;

use std::net::{IpAddr, SocketAddr};

use quaich_config::model::Network;
use quaich_proto::headers::{HeaderId, Headers};

pub use address::{canonical, is_within};
pub use append::append;
pub use dropped::{is_certificate, is_dropped};

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

/// Who sends a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The other end of the connection; `None` = a unix socket.
    pub peer: Option<SocketAddr>,
    /// Whether that end speaks TLS.
    pub peer_https: bool,
    /// Whether it is trusted.
    pub trusted: bool,
    /// The address that the request came from; `None` = a unix socket.
    pub addr: Option<IpAddr>,
    /// Port at that address; 0 = unknown, e.g. behind a proxy.
    pub port: u16,
    /// Whether the client spoke TLS to the outermost trusted proxy.
    pub https: bool,
}

/// The place at which a client addressed a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Public<'a> {
    /// Host and port as the client wrote them; may be empty.
    pub host: &'a [u8],
    /// Port that the client connected to; 0 = unknown.
    pub port: u16,
    /// Path that an outer proxy has taken off: empty, or `/x` without trailing slash.
    pub prefix: &'a [u8],
}

impl Client {
    /// The peer of a new connection, before any request.
    pub fn new(peer: Option<SocketAddr>, https: bool) -> Self {
        let mut client = Self {
            peer,
            peer_https: https,
            ..Self::default()
        };
        client.reset();
        client
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    fn reset(&mut self) {
        self.trusted = false;
        self.addr = self.peer.map(|peer| peer.ip().to_canonical());
        self.port = self.peer.map_or(0, |peer| peer.port());
        self.https = self.peer_https;
    }

    fn move_behind_proxy(&mut self, addr: IpAddr) {
        self.addr = Some(addr);
        self.port = 0;
    }
}

impl Trust {
    /// Finds out who sent a request, anew for each request of a connection. Of a peer that is not
    /// trusted nothing but the connection counts.
    ///
    /// `X-Forwarded-For` is read from the right: the first address that is not trusted is the
    /// client. `Forwarded` (RFC 7239) counts only where there is no `X-Forwarded-For`: proxies
    /// that write the latter often let the former of a client pass. Of other `X-Forwarded-*`
    /// fields the last value counts, for the nearest proxy wrote it. A value that is malformed is
    /// as good as absent.
    pub fn apply(&self, client: &mut Client, headers: &Headers) {
        client.reset();
        if self.networks.is_empty() || !self.contains(client.addr) {
            return;
        }
        client.trusted = true;
        if headers.contains(HeaderId::XForwardedFor) {
            if let Some(addr) = self.nearest_x_forwarded_for(headers) {
                client.move_behind_proxy(addr);
            }
        } else if let Some(element) = self.nearest_forwarded(headers) {
            if let Some(addr) = element.client.and_then(address::parse) {
                client.move_behind_proxy(addr);
            }
            client.https = element.proto.and_then(is_https).unwrap_or(client.https);
        }
        let proto = last_value(headers, HeaderId::XForwardedProto);
        client.https = proto.and_then(is_https).unwrap_or(client.https);
    }

    /// Where `client`, to which this trust was applied, addressed the site. `host` is `Host` or
    /// the authority as sent, `local_port` the port that the peer connected to, 0 = none.
    pub fn public<'a>(
        &self,
        client: &Client,
        headers: &'a Headers,
        host: &'a [u8],
        local_port: u16,
    ) -> Public<'a> {
        let mut public = Public {
            host,
            port: local_port,
            prefix: b"",
        };
        if !client.trusted {
            return public;
        }
        let told_host = last_value(headers, HeaderId::XForwardedHost).or_else(|| {
            let no_chain = !headers.contains(HeaderId::XForwardedFor);
            no_chain
                .then(|| self.nearest_forwarded(headers)?.host)
                .flatten()
        });
        if let Some(told) = told_host.filter(|host| is_host(host)) {
            public.host = told;
        }
        if public.host != host || client.https != client.peer_https {
            public.port = port_of(public.host, client.https);
        }
        if let Some(port) = last_value(headers, HeaderId::XForwardedPort).and_then(address::port) {
            public.port = port;
        }
        let told_prefix = last_value(headers, HeaderId::XForwardedPrefix).and_then(prefix);
        public.prefix = told_prefix.unwrap_or_default();
        public
    }

    fn nearest_x_forwarded_for(&self, headers: &Headers) -> Option<IpAddr> {
        let mut nearest = NearestUntrusted::default();
        for line in headers.get_all(HeaderId::XForwardedFor) {
            for entry in line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                if !entry.is_empty() {
                    let addr = address::parse(entry);
                    nearest.offer(self, addr, addr);
                }
            }
        }
        nearest.found.flatten()
    }

    fn nearest_forwarded<'a>(&self, headers: &'a Headers) -> Option<elements::Element<'a>> {
        let mut nearest = NearestUntrusted::default();
        for line in headers.get_all(HeaderId::Forwarded) {
            for element in elements::elements(line) {
                // What stands behind a malformed element cannot be told apart from its inside.
                let element = element.ok()?;
                nearest.offer(self, element.client.and_then(address::parse), element);
            }
        }
        nearest.found
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
pub fn is_host(host: &[u8]) -> bool {
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

#[cfg(test)]
mod tests;
