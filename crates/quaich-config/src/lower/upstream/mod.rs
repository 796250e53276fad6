//! `[upstream.NAME]`, and the upstreams that `proxy = URL` stands for.

mod balance;
mod discover;
mod health;
mod retry;
mod sticky;
mod tcp;
mod wires;

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::lower::Lower;
use crate::lower::fields::{Fields, Word};
use crate::lower::tls::pair;
use crate::model::{
    Discover, H2, HostPattern, SendProxy, Upstream, UpstreamAddr, UpstreamProtocol, UpstreamServer,
    UpstreamTls,
};
use crate::source::Span;

pub(crate) use tcp::{is_tcp, takes_requests};
pub(crate) use wires::takes_variables;

pub(crate) fn lower(cx: &mut Lower<'_>, top: &Fields<'_>) -> Vec<Upstream> {
    let tables = top.named(cx, "upstream");
    tables
        .into_iter()
        .map(|(name, fields)| upstream(cx, top, name.0, &fields))
        .collect()
}

/// The index of the upstream that a URL stands for; made on first use.
pub(crate) fn from_url(
    cx: &mut Lower<'_>,
    upstreams: &mut Vec<Upstream>,
    word: &Word,
) -> Option<usize> {
    let mut server = server(cx, "proxy", word, None)?;
    if let UpstreamAddr::Unix(_) = &server.addr {
        // A relative path says nothing outside of its file.
        server.id = addr::show_server(&server);
    }
    let name = server.id.clone();
    if let Some(known) = upstreams.iter().position(|upstream| upstream.name == name) {
        return Some(known);
    }
    let path = format!("upstream.\"{name}\"");
    let fields = Fields::absent(&keys::UPSTREAM, path, word.1);
    let mut made = settings(cx, name, &fields);
    made.servers.push(server);
    wires::settle(&mut made, &fields);
    check(cx, &made, &fields, &[word.1]);
    upstreams.push(made);
    Some(upstreams.len() - 1)
}

fn upstream(cx: &mut Lower<'_>, top: &Fields<'_>, name: String, fields: &Fields<'_>) -> Upstream {
    let mut upstream = settings(cx, name, fields);
    let mut seen: Vec<(String, Span)> = Vec::new();
    let mut wrong = false;
    for word in fields.texts(cx, "servers").unwrap_or_default() {
        wrong |= add(cx, &mut upstream, &mut seen, (&word, None)).is_none();
    }
    for table in fields.tables(cx, "server") {
        let id = table.text(cx, "id");
        match table.text(cx, "url") {
            Some(url) => match add(cx, &mut upstream, &mut seen, (&url, id)) {
                Some(server) => {
                    balance::server(cx, &table, server);
                    wires::modifiers(cx, &table, server);
                    server.cookie = sticky::server_name(cx, &table);
                }
                None => wrong = true,
            },
            None => {
                wrong = true;
                if !table.has("url") {
                    let message = "this server has no `url`";
                    let diagnostic = Diagnostic::error("missing-key", table.span, message);
                    table.missing(cx, diagnostic.help("url = \"http://10.0.0.11:9000\""));
                }
            }
        }
    }
    upstream.discover = discover::lower(cx, top, fields);
    discover::name_of_certificates(&mut upstream);
    let discovers = upstream.discover.is_some() || fields.has("discover");
    if upstream.servers.is_empty() && !wrong && !discovers {
        let message = format!("upstream `{}` has no servers", upstream.name);
        let diagnostic = Diagnostic::error("no-servers", fields.place("servers"), message);
        fields.missing(cx, diagnostic.help("servers = [\"10.0.0.11:9000\"]"));
    }
    tcp::settle(&mut upstream, fields);
    wires::settle(&mut upstream, fields);
    let places: Vec<Span> = seen.into_iter().map(|(_, span)| span).collect();
    tcp::check_alike(cx, &upstream, &places);
    check(cx, &upstream, fields, &places);
    tcp::check(cx, &upstream, fields);
    sticky::check(cx, &upstream, fields);
    upstream
}

/// Adds one server; `None` when it was refused.
fn add<'u>(
    cx: &mut Lower<'_>,
    upstream: &'u mut Upstream,
    seen: &mut Vec<(String, Span)>,
    (url, id): (&Word, Option<Word>),
) -> Option<&'u mut UpstreamServer> {
    let span = id.as_ref().map_or(url.1, |id| id.1);
    let server = server(cx, "servers", url, id)?;
    if let Some((_, first)) = seen.iter().find(|(known, _)| *known == server.id) {
        let message = format!(
            "server `{}` stands twice in upstream `{}`",
            server.id, upstream.name
        );
        let diagnostic = Diagnostic::error("duplicate-server", span, message).label("again here");
        cx.report(diagnostic.also(*first, "first here"));
        return None;
    }
    seen.push((server.id.clone(), span));
    upstream.servers.push(server);
    upstream.servers.last_mut()
}

fn server(cx: &mut Lower<'_>, key: &str, url: &Word, id: Option<Word>) -> Option<UpstreamServer> {
    match addr::server(&url.0, &cx.directory(url.1)) {
        Ok(mut server) => {
            if let Some(id) = id {
                server.id = id.0;
            }
            Some(server)
        }
        Err(reason) => {
            cx.bad_word(key, url, reason);
            None
        }
    }
}

fn settings(cx: &mut Lower<'_>, name: String, fields: &Fields<'_>) -> Upstream {
    let settings = fields.table(cx, "tls");
    Upstream {
        name,
        servers: Vec::new(),
        discover: None,
        resolve: fields.time(cx, "resolve"),
        resolver: discover::resolver(cx, fields),
        balance: balance::balance(cx, fields),
        slow_start: fields.time(cx, "slow_start"),
        sticky: sticky::lower(cx, fields),
        health: health::health(cx, fields),
        passive: health::passive(cx, fields),
        retry_after: fields.time(cx, "retry_after"),
        retry_on: retry::retry_on(cx, fields),
        retry_budget: retry::budget(cx, fields),
        max_queue: fields.usize(cx, "max_queue"),
        queue_timeout: fields.time(cx, "queue_timeout"),
        keepalive_age: fields.time(cx, "keepalive_age"),
        send_proxy: match fields.word(cx, "send_proxy").as_str() {
            "v1" => SendProxy::V1,
            "v2" => SendProxy::V2,
            _ => SendProxy::Off,
        },
        params: wires::params(cx, fields),
        connect_timeout: fields.time(cx, "connect_timeout"),
        timeout: fields.time(cx, "timeout"),
        retries: u32::try_from(fields.usize(cx, "retries")).unwrap_or(u32::MAX),
        keepalive: fields.usize(cx, "keepalive"),
        keepalive_timeout: fields.time(cx, "keepalive_timeout"),
        tls: tls(cx, &settings),
        h2: match fields.auto_flag(cx, "h2") {
            None => H2::Auto,
            Some(true) => H2::On,
            Some(false) => H2::Off,
        },
    }
}

fn tls(cx: &mut Lower<'_>, fields: &Fields<'_>) -> UpstreamTls {
    let (cert, key) = pair(cx, fields);
    let sni = fields
        .text(cx, "sni")
        .and_then(|word| server_name(cx, &word));
    let tls = UpstreamTls {
        ca: fields.path(cx, "ca"),
        sni,
        cert,
        key,
        verify: fields.flag(cx, "verify"),
    };
    if !tls.verify && tls.ca.is_some() {
        let message = "`ca` is not used: `verify = false` believes every server";
        let help = "remove `verify = false`, so that only servers with a certificate of this CA \
                    are believed";
        let diagnostic = Diagnostic::warning("unused-key", fields.place("ca"), message);
        cx.report(diagnostic.help(help));
    }
    tls
}

/// A name that a certificate can be made out to, in lower case.
fn server_name(cx: &mut Lower<'_>, word: &Word) -> Option<String> {
    let name = match addr::host(&word.0) {
        Ok(HostPattern::Exact(name)) if !name.starts_with('[') => return Some(name),
        Ok(_) => "expected one host name such as \"api.internal\"".into(),
        Err(reason) => reason,
    };
    cx.bad_word("sni", word, name);
    None
}

/// What the scheme of the servers and the settings say to each other.
fn check(cx: &mut Lower<'_>, upstream: &Upstream, fields: &Fields<'_>, places: &[Span]) {
    balance::check(cx, upstream, fields);
    health::check(cx, upstream, fields, places);
    wires::check(cx, upstream, fields);
    let servers = || upstream.servers.iter().zip(places);
    let found = upstream.discover.as_ref().is_some_and(Discover::speaks_tls);
    if fields.has("tls") && !found && !upstream.servers.is_empty() && servers().all(|(s, _)| !s.tls)
    {
        let message = format!(
            "`tls` is not used: upstream `{}` has no https servers",
            upstream.name
        );
        let diagnostic = Diagnostic::warning("unused-key", fields.place("tls"), message);
        cx.report(diagnostic.help("servers = [\"https://10.0.0.11\"]"));
    }
    for (server, span) in servers() {
        let shown = &server.id;
        if server.tls {
            let by_path = matches!(server.addr, UpstreamAddr::Unix(_));
            if by_path && upstream.tls.sni.is_none() && upstream.tls.verify {
                let message =
                    format!("`{shown}` has no name that its certificate could be checked for");
                let diagnostic = Diagnostic::error("missing-key", *span, message);
                cx.report(diagnostic.help("tls = { sni = \"api.internal\" }"));
            }
        } else if upstream.h2 == H2::On && !is_h2c(server) {
            let message = format!("`h2 = true` needs TLS or h2c, and `{shown}` has neither");
            let help = "h2c://host:port speaks HTTP/2 without TLS";
            let diagnostic = Diagnostic::error("bad-value", *span, message).help(help);
            cx.report(diagnostic.also(fields.place("h2"), "set here"));
        } else if upstream.h2 == H2::Off && is_h2c(server) {
            let message = format!("`h2 = \"off\"` forbids what `{shown}` asks for");
            let diagnostic = Diagnostic::error("bad-value", *span, message);
            cx.report(diagnostic.also(fields.place("h2"), "set here"));
        }
    }
}

fn is_h2c(server: &UpstreamServer) -> bool {
    server.protocol == UpstreamProtocol::H2c
}
