//! `prefix`: answers of apps that know nothing of where they are mounted. Paths in their fields get the
//! prefix, and their own address becomes the one that the client asked for.
//!
//! | field | what changes |
//! |---|---|
//! | Location, Content-Location, URI | a path, or a URL of the app |
//! | Refresh, Link | each URL in it |
//! | Set-Cookie | Path; Domain goes when it is the app's own host |
//!
//! What has the prefix already, what is relative or leads to another host stays, and so does everything
//! that cannot be read. Bodies are never looked at.

mod cookie;
mod place;

use quaich_config::model::{self, Action, Config, RewriteBack, UpstreamAddr, UpstreamProtocol};
use quaich_proto::headers::{HeaderId, Headers};
use quaich_proto::target::{Part, append_encoded};

use crate::exchange::{Exchange, Origin};
use crate::thread::Thread;
use place::Place;

/// Of one route.
pub(super) struct Mount {
    /// Percent-encoded as in paths, no slash at its end.
    prefix: Vec<u8>,
    /// Paths get it also if they have it.
    always: bool,
    own: Own,
}

/// Addresses by which servers call themselves who do not know what the client asked for.
#[derive(Debug, Default)]
struct Own {
    servers: Vec<(String, u16)>,
    /// One of them is on this machine.
    is_local: bool,
}

impl Mount {
    /// `None` when there is nothing to do.
    pub(super) fn new(route: &model::Route, parts: &super::Parts<'_>) -> Option<Self> {
        let back = route.filters.rewrite.back;
        let has_app = matches!(route.action, Action::App(_) | Action::Upstream(_));
        if route.prefix.is_empty() || back == RewriteBack::Off || !has_app {
            return None;
        }
        let mut prefix = Vec::new();
        append_encoded(&mut prefix, route.prefix.as_bytes(), Part::Path);
        Some(Self {
            prefix,
            always: back == RewriteBack::Always,
            own: Own::new(&route.action, parts.config),
        })
    }

    /// Changes the fields of `exchange.response`.
    pub(super) fn response(&self, thread: &Thread, exchange: &mut Exchange) {
        let mut headers = std::mem::take(&mut exchange.response.headers);
        // A file that an app has named is sent with the cookies of the app.
        let only_cookies = exchange.notes.origin == Origin::File;
        self.fields(thread, exchange, &mut headers, only_cookies);
        exchange.response.headers = headers;
    }

    fn fields(
        &self,
        thread: &Thread,
        exchange: &Exchange,
        headers: &mut Headers,
        only_cookies: bool,
    ) {
        let place = || Place::new(self, thread, exchange);
        let changed = headers.change(|id, name, value| match (id, name.len()) {
            (HeaderId::SetCookie, _) => cookie::set_cookie(&place(), value),
            _ if only_cookies => None,
            (HeaderId::Location, _) => place().url(value),
            (HeaderId::Other, 16) if is(name, b"content-location") => place().url(value),
            (HeaderId::Other, 7) if is(name, b"refresh") => place().refresh(value),
            (HeaderId::Other, 4) if is(name, b"link") => place().link(value),
            (HeaderId::Other, 3) if is(name, b"uri") => {
                let place = place();
                place.link(value).or_else(|| place.url(value))
            }
            _ => None,
        });
        if changed {
            thread.counters.mount_rewrites.add();
        }
    }
}

fn is(name: &[u8], known: &[u8]) -> bool {
    name.eq_ignore_ascii_case(known)
}

impl Own {
    fn new(action: &Action, config: &Config) -> Self {
        let Action::Upstream(index) = action else {
            return Self::default();
        };
        let servers = config.upstreams.get(*index).map(|u| &u.servers[..]);
        let mut own = Self::default();
        for server in servers.unwrap_or_default() {
            let UpstreamAddr::Tcp { host, port } = &server.addr else {
                continue;
            };
            own.is_local |= is_local(host);
            let speaks_http = matches!(
                server.protocol,
                UpstreamProtocol::Http | UpstreamProtocol::H2c
            );
            // Over other protocols the app never hears of this port, but may know the host.
            own.servers
                .push((host.clone(), if speaks_http { *port } else { 0 }));
        }
        own
    }

    /// Whether a server calls itself so.
    fn has_host(&self, host: &[u8]) -> bool {
        let mut servers = self.servers.iter();
        self.is_local && std::str::from_utf8(host).is_ok_and(is_local)
            || servers.any(|(own, _)| same_host(own, host))
    }

    /// Whether a server calls itself so. `answered` is the name of the one that did, for those that
    /// were found at run time.
    fn has(&self, host: &[u8], port: u16, answered: &str) -> bool {
        let local = self.is_local && std::str::from_utf8(host).is_ok_and(is_local);
        let mut servers = self.servers.iter();
        servers.any(|(own, own_port)| {
            *own_port == port && (same_host(own, host) || local && is_local(own))
        }) || place::is_authority(answered, host, port)
    }
}

/// Whether a host as configured, IPv6 without brackets, is `host` of a URL.
fn same_host(own: &str, host: &[u8]) -> bool {
    let inside = |host: &'_ [u8]| {
        host.strip_prefix(b"[")
            .and_then(|h| h.strip_suffix(b"]"))
            .map(<[u8]>::to_vec)
    };
    match own.contains(':') {
        true => inside(host).is_some_and(|host| host.eq_ignore_ascii_case(own.as_bytes())),
        false => own.as_bytes().eq_ignore_ascii_case(host),
    }
}

fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|addr| addr.is_loopback())
}

#[cfg(test)]
mod tests;
