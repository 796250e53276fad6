//! `[server]`: limits, and what is not a listener of it.

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::lower::Lower;
use crate::lower::fields::{Fields, Word};
use crate::lower::listeners::{self, Place};
use crate::model::{Listener, Network, ProxyProtocol, Server};
use crate::origin::Origin;

/// The table, and where each listener of it stands.
pub(crate) fn lower(cx: &mut Lower<'_>, fields: &Fields<'_>) -> (Server, Vec<Place>) {
    let (listeners, places): (_, Vec<Place>) = listeners::lower(cx, fields).into_iter().unzip();
    let server = Server {
        listeners,
        threads: threads(cx, fields),
        backlog: u32::try_from(fields.usize(cx, "backlog")).unwrap_or(u32::MAX),
        reuse_port: fields.flag(cx, "reuse_port"),
        user: fields.text(cx, "user").map(|word| word.0),
        group: fields.text(cx, "group").map(|word| word.0),
        max_connections: fields.usize(cx, "max_connections"),
        max_per_ip: fields.usize(cx, "max_per_ip"),
        header_timeout: fields.time(cx, "header_timeout"),
        body_timeout: fields.time(cx, "body_timeout"),
        keepalive: fields.time(cx, "keepalive"),
        keepalive_requests: fields.count(cx, "keepalive_requests").unwrap_or_default(),
        write_timeout: fields.time(cx, "write_timeout"),
        min_rate: fields.rate(cx, "min_rate"),
        max_header: buffer(cx, fields, "max_header"),
        max_headers: fields.usize(cx, "max_headers"),
        max_uri: buffer(cx, fields, "max_uri"),
        max_body: fields.size(cx, "max_body").unwrap_or_default(),
        shutdown_timeout: fields.time(cx, "shutdown_timeout"),
        state_dir: fields.path(cx, "state_dir").unwrap_or_default(),
        pid_file: fields.path(cx, "pid_file"),
        trust: trust(cx, fields),
        server_header: server_header(cx, fields),
        date_header: fields.flag(cx, "date_header"),
    };
    check_proxies(cx, &server, &places);
    (server, places)
}

/// Who may say who the client is must be known: an address that listens to nobody, or with
/// `require` serves nobody, is a mistake.
fn check_proxies(cx: &mut Lower<'_>, server: &Server, places: &[Place]) {
    let asks = |l: &Listener| l.proxy_protocol != ProxyProtocol::Off;
    let mut listeners = server.listeners.iter().zip(places);
    if !server.trust.is_empty() {
        return;
    }
    if let Some((_, place)) = listeners.find(|(listener, _)| asks(listener)) {
        let message = "`proxy_protocol` believes the peers in `trust`, and there are none";
        let help = "[server]\ntrust = [\"10.0.0.0/8\"]     # the addresses of your load balancers";
        cx.report(Diagnostic::error("missing-key", place.span, message).help(help));
    }
}

fn threads(cx: &mut Lower<'_>, fields: &Fields<'_>) -> usize {
    match fields.count(cx, "threads") {
        Some(threads) => usize::try_from(threads).unwrap_or(usize::MAX),
        None => cx.env.cores.max(1),
    }
}

/// A limit that a buffer of each connection grows to: never off, at most 16 MiB.
fn buffer(cx: &mut Lower<'_>, fields: &Fields<'_>, name: &str) -> usize {
    let bytes = fields.size(cx, name).unwrap_or_default();
    if !(256..=16 << 20).contains(&bytes)
        && let Some(entry) = fields.table.and_then(|table| table.entry(name))
    {
        cx.bad_value(
            name,
            &entry.value,
            "expected a size from \"256B\" to \"16MiB\"".into(),
        );
    }
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn trust(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Vec<Network> {
    if let Some(words) = fields.texts(cx, "trust") {
        return words.iter().filter_map(|word| network(cx, word)).collect();
    }
    let Some(allowed) = cx.env.forwarded_allow_ips.clone() else {
        return Vec::new();
    };
    cx.note(
        "server.trust".into(),
        Origin::Given("$FORWARDED_ALLOW_IPS".into()),
    );
    let everybody = ["0.0.0.0/0", "::/0"];
    let words = allowed
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let words = words.flat_map(|word| {
        if word == "*" {
            everybody.to_vec()
        } else {
            vec![word]
        }
    });
    let mut networks = Vec::new();
    for word in words {
        let word = (word.to_owned(), fields.span);
        // Other servers take host names here and ignore what they cannot read; so do we.
        networks.extend(addr::network(&word.0).ok());
    }
    networks
}

fn network(cx: &mut Lower<'_>, word: &Word) -> Option<Network> {
    match addr::network(&word.0) {
        Ok(network) => Some(network),
        Err(reason) => {
            cx.bad_word("trust", word, reason);
            None
        }
    }
}

fn server_header(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<String> {
    let word = fields.text_or_off(cx, "server_header")?;
    if word.0.is_empty() || !is_field_value(&word.0) {
        cx.bad_word(
            "server_header",
            &word,
            "expected printable ASCII, or \"off\"",
        );
    }
    Some(word.0)
}

/// Whether the text can stand in a header field: printable ASCII and inner spaces.
pub(crate) fn is_field_value(text: &str) -> bool {
    text.bytes().all(|b| (0x20..0x7f).contains(&b)) && text.trim() == text
}
