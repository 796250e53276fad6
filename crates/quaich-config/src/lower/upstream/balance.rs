//! `balance`, `slow_start`, and what a server says about its part: `weight`, `backup`, `max_conns`.

use crate::diagnostic::Diagnostic;
use crate::lower::Lower;
use crate::lower::fields::Fields;
use crate::model::{Balance, HashKey, Upstream, UpstreamServer};
use crate::nearest::nearest;

const WORDS: [&str; 5] = ["round-robin", "least-conn", "p2c", "random", "first"];

pub(super) fn balance(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Balance {
    let word = fields.text_or_default(cx, "balance");
    let known = match word.0.as_str() {
        "round-robin" => Ok(Balance::RoundRobin),
        "least-conn" => Ok(Balance::LeastConn),
        "p2c" => Ok(Balance::P2c),
        "random" => Ok(Balance::Random),
        "first" => Ok(Balance::First),
        other => match other.strip_prefix("hash:") {
            Some(key) => hash_key(key).map(Balance::Hash),
            None => Err(match abroad(other).or_else(|| nearest(other, WORDS)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("expected one of {}, hash:KEY", WORDS.join(", ")),
            }),
        },
    };
    known.unwrap_or_else(|reason| {
        cx.bad_word("balance", &word, reason);
        Balance::RoundRobin
    })
}

/// What other servers call otherwise.
fn abroad(word: &str) -> Option<&'static str> {
    match word {
        "ip_hash" | "ip-hash" | "iphash" | "source" | "hash" => Some("hash:client_ip"),
        "uri" => Some("hash:uri"),
        "leastconn" | "least_conn" | "least_requests" => Some("least-conn"),
        "rr" | "roundrobin" | "wrr" => Some("round-robin"),
        _ => None,
    }
}

fn hash_key(key: &str) -> Result<HashKey, String> {
    let is_token = |name: &str| {
        let is_tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        !name.is_empty() && name.bytes().all(is_tchar)
    };
    match key.split_once('.') {
        None if key == "client_ip" => Ok(HashKey::ClientIp),
        None if key == "uri" => Ok(HashKey::Uri),
        None if key == "path" => Ok(HashKey::Path),
        Some(("header", name)) if is_token(name) => Ok(HashKey::Header(name.to_owned())),
        Some(("cookie", name)) if is_token(name) => Ok(HashKey::Cookie(name.to_owned())),
        _ => {
            let keys = "client_ip, uri, path, header.NAME or cookie.NAME";
            Err(format!("what is hashed must be one of {keys}"))
        }
    }
}

/// The keys of `[[upstream.NAME.server]]` that this file is about.
pub(super) fn server(cx: &mut Lower<'_>, fields: &Fields<'_>, server: &mut UpstreamServer) {
    let weight = fields.count(cx, "weight").unwrap_or(1);
    server.weight = u32::try_from(weight).unwrap_or(u32::MAX);
    server.backup = fields.flag(cx, "backup");
    server.max_conns = fields.usize(cx, "max_conns");
}

/// What was asked for and cannot be.
pub(super) fn check(cx: &mut Lower<'_>, upstream: &Upstream, fields: &Fields<'_>) {
    let servers = &upstream.servers;
    if !servers.is_empty() && servers.iter().all(|server| server.backup) {
        let message = format!("all servers of upstream `{}` are backups", upstream.name);
        let diagnostic = Diagnostic::error("bad-value", fields.place("server"), message);
        cx.report(diagnostic.help("one without `backup = true` is needed"));
    }
    let weighs = !matches!(upstream.balance, Balance::First | Balance::Hash(_));
    if !upstream.slow_start.is_zero() && !weighs {
        let word = &fields.text_or_default(cx, "balance").0;
        let message = format!("`slow_start` means nothing with balance `{word}`");
        let diagnostic = Diagnostic::warning("unused-key", fields.place("slow_start"), message);
        let help = "it changes weights, which round-robin, least-conn, p2c and random use";
        cx.report(diagnostic.help(help));
    }
    let limited = upstream.discover.is_some() || servers.iter().any(|server| server.max_conns > 0);
    for key in ["max_queue", "queue_timeout"] {
        if fields.has(key) && !limited {
            let message = format!("`{key}` is not used: no server has `max_conns`");
            let diagnostic = Diagnostic::warning("unused-key", fields.place(key), message);
            cx.report(diagnostic.help("requests wait only for servers with `max_conns`"));
        }
    }
}
