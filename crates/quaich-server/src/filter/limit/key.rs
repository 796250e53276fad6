//! What requests are told apart by: 64 bits of it, and its text for the log.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;

use quaich_config::model::LimitKey;

use crate::exchange::Exchange;
use crate::route::cookie;
use crate::route::template::Template;

/// The key of one limit, on one thread.
pub(super) struct Key {
    parts: Vec<Part>,
    secret: RandomState,
    /// Texts of templates, to be used again.
    scratch: Cell<Vec<u8>>,
}

enum Part {
    ClientIp,
    User,
    Host,
    Route,
    All,
    Header(Vec<u8>),
    Cookie(Vec<u8>),
    Template(Template),
}

/// What is hashed of a client: a network for IPv6, since each of its hosts has as many addresses as it
/// likes.
fn network(addr: IpAddr) -> ([u8; 8], usize) {
    let mut bytes = [0; 8];
    match addr.to_canonical() {
        IpAddr::V4(v4) => {
            bytes[..4].copy_from_slice(&v4.octets());
            (bytes, 4)
        }
        IpAddr::V6(v6) => {
            bytes.copy_from_slice(&v6.octets()[..8]);
            (bytes, 8)
        }
    }
}

impl Key {
    /// All threads hash with the same `secret`.
    pub(super) fn new(parts: &[LimitKey], secret: RandomState) -> Self {
        let part = |part: &LimitKey| match part {
            LimitKey::ClientIp => Part::ClientIp,
            LimitKey::User => Part::User,
            LimitKey::Host => Part::Host,
            LimitKey::Route => Part::Route,
            LimitKey::All => Part::All,
            LimitKey::Header(name) => Part::Header(name.clone().into_bytes()),
            LimitKey::Cookie(name) => Part::Cookie(name.clone().into_bytes()),
            LimitKey::Template(text) => Part::Template(Template::compile(text)),
        };
        Self {
            parts: parts.iter().map(part).collect(),
            secret,
            scratch: Cell::default(),
        }
    }

    /// The key of a request; `None` when all parts are empty.
    pub(super) fn of(&self, exchange: &Exchange) -> Option<u64> {
        let mut hasher = self.secret.build_hasher();
        let mut found = false;
        for part in &self.parts {
            self.feed(part, exchange, |bytes| {
                // So that `a`, `bc` is not `ab`, `c`.
                hasher.write_usize(bytes.len());
                hasher.write(bytes);
                found |= !bytes.is_empty();
            });
        }
        found.then(|| hasher.finish())
    }

    fn feed(&self, part: &Part, exchange: &Exchange, mut take: impl FnMut(&[u8])) {
        let headers = &exchange.request.headers;
        match part {
            Part::ClientIp => {
                if let Some(addr) = exchange.client.addr {
                    let (bytes, length) = network(addr);
                    take(&bytes[..length]);
                }
            }
            Part::User => take(&exchange.identity.user),
            Part::Host => take(exchange.request.host()),
            Part::Route => {
                let notes = &exchange.notes;
                take(&notes.site.unwrap_or(usize::MAX).to_le_bytes());
                take(&notes.route.unwrap_or(usize::MAX).to_le_bytes());
            }
            Part::All => take(b"*"),
            Part::Header(name) => take(headers.by_name(name).unwrap_or_default()),
            Part::Cookie(name) => take(cookie::first(headers, name).unwrap_or_default()),
            Part::Template(template) => {
                let mut text = self.scratch.take();
                text.clear();
                template.write(&mut text, exchange);
                take(&text);
                self.scratch.set(text);
            }
        }
    }

    /// The key of a request for people.
    pub(super) fn shown(&self, exchange: &Exchange) -> String {
        let mut shown = String::new();
        for part in &self.parts {
            if !shown.is_empty() {
                shown.push(' ');
            }
            match (part, exchange.client.addr) {
                (Part::ClientIp, Some(addr)) => shown.push_str(&addr.to_canonical().to_string()),
                (Part::Route, _) => shown.push_str("this route"),
                _ => self.feed(part, exchange, |bytes| {
                    let head = bytes.get(..SHOWN).unwrap_or(bytes);
                    shown.push_str(&String::from_utf8_lossy(head));
                }),
            }
        }
        shown
    }
}

/// Bytes of a part that a log line has.
const SHOWN: usize = 64;
