//! `[upstream.NAME]`, and the upstreams that `proxy = URL` stands for.

use crate::addr::{self, AddrError};
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::lower::Lower;
use crate::lower::fields::{Fields, Word};
use crate::model::{H2, Upstream, UpstreamAddr, UpstreamServer, UpstreamTls};
use crate::source::Span;

pub(crate) fn lower(cx: &mut Lower<'_>, top: &Fields<'_>) -> Vec<Upstream> {
    let tables = top.named(cx, "upstream");
    tables
        .into_iter()
        .map(|(name, fields)| upstream(cx, name.0, &fields))
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
        server.id = addr::show_server(&server.addr);
    }
    let name = server.id.clone();
    if let Some(known) = upstreams.iter().position(|upstream| upstream.name == name) {
        return Some(known);
    }
    let path = format!("upstream.\"{name}\"");
    let mut made = settings(cx, name, &Fields::absent(&keys::UPSTREAM, path, word.1));
    made.servers.push(server);
    upstreams.push(made);
    Some(upstreams.len() - 1)
}

fn upstream(cx: &mut Lower<'_>, name: String, fields: &Fields<'_>) -> Upstream {
    let mut upstream = settings(cx, name, fields);
    let mut seen: Vec<(String, Span)> = Vec::new();
    let mut wrong = false;
    for word in fields.texts(cx, "servers").unwrap_or_default() {
        wrong |= !add(cx, &mut upstream, &mut seen, (&word, None));
    }
    for table in fields.tables(cx, "server") {
        let id = table.text(cx, "id");
        match table.text(cx, "url") {
            Some(url) => wrong |= !add(cx, &mut upstream, &mut seen, (&url, id)),
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
    if upstream.servers.is_empty() && !wrong {
        let message = format!("upstream `{}` has no servers", upstream.name);
        let diagnostic = Diagnostic::error("no-servers", fields.place("servers"), message);
        fields.missing(cx, diagnostic.help("servers = [\"10.0.0.11:9000\"]"));
    }
    upstream
}

/// Adds one server; false when its URL was refused.
fn add(
    cx: &mut Lower<'_>,
    upstream: &mut Upstream,
    seen: &mut Vec<(String, Span)>,
    (url, id): (&Word, Option<Word>),
) -> bool {
    let span = id.as_ref().map_or(url.1, |id| id.1);
    let Some(server) = server(cx, "servers", url, id) else {
        return false;
    };
    if let Some((_, first)) = seen.iter().find(|(known, _)| *known == server.id) {
        let message = format!(
            "server `{}` stands twice in upstream `{}`",
            server.id, upstream.name
        );
        let diagnostic = Diagnostic::error("duplicate-server", span, message).label("again here");
        cx.report(diagnostic.also(*first, "first here"));
        return true;
    }
    seen.push((server.id.clone(), span));
    upstream.servers.push(server);
    true
}

fn server(cx: &mut Lower<'_>, key: &str, url: &Word, id: Option<Word>) -> Option<UpstreamServer> {
    match addr::server(&url.0, &cx.directory(url.1)) {
        Ok(addr) => {
            let id = id.map_or_else(|| url.0.clone(), |id| id.0);
            Some(UpstreamServer {
                id,
                addr,
                tls: false,
                h2c: false,
            })
        }
        Err(AddrError::Wrong(reason)) => {
            cx.bad_word(key, url, reason);
            None
        }
        Err(AddrError::Later(what)) => {
            let message = format!("{what} are not in this version of quaich");
            let help = "servers of this version are http://host:port and http+unix:/path";
            cx.report(Diagnostic::error("not-yet", url.1, message).help(help));
            None
        }
    }
}

fn settings(cx: &mut Lower<'_>, name: String, fields: &Fields<'_>) -> Upstream {
    refuse_balance(cx, fields);
    Upstream {
        name,
        servers: Vec::new(),
        connect_timeout: fields.time(cx, "connect_timeout"),
        timeout: fields.time(cx, "timeout"),
        retries: u32::try_from(fields.usize(cx, "retries")).unwrap_or(u32::MAX),
        keepalive: fields.usize(cx, "keepalive"),
        keepalive_timeout: fields.time(cx, "keepalive_timeout"),
        tls: UpstreamTls::default(),
        h2: H2::default(),
    }
}

fn refuse_balance(cx: &mut Lower<'_>, fields: &Fields<'_>) {
    let word = fields.text_or_default(cx, "balance");
    match word.0.as_str() {
        "round-robin" => {}
        "least-conn" | "p2c" | "random" | "first" => refuse_later_balance(cx, &word),
        other if other.starts_with("hash:") => refuse_later_balance(cx, &word),
        _ => cx.bad_word("balance", &word, "expected \"round-robin\""),
    }
}

fn refuse_later_balance(cx: &mut Lower<'_>, word: &Word) {
    let message = format!("balance `{}` is not in this version of quaich", word.0);
    let help = "balance = \"round-robin\"";
    cx.report(Diagnostic::error("not-yet", word.1, message).help(help));
}
