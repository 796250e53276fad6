//! `server.listen` and `[[server.listener]]`.

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::lower::fields::{Fields, Word};
use crate::lower::{Lower, unknown, upstream};
use crate::model::{ListenAddr, Listener, OtherProtocol, ProxyProtocol, Upstream};
use crate::origin::Origin;
use crate::source::Span;

/// Where a listener stands, and what is still to be done for it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) span: Span,
    /// Its key `upstream`.
    upstream: Option<Word>,
    /// Where it asks for `tcp`.
    tcp: Option<Span>,
}

impl Place {
    fn plain(span: Span) -> Self {
        Self {
            span,
            upstream: None,
            tcp: None,
        }
    }
}

/// What the server says for listeners that say nothing.
#[derive(Clone, Copy)]
struct Usual {
    tls: Option<bool>,
    proxy_protocol: ProxyProtocol,
}

/// All listeners in file order with where they stand: those of `listen` first.
pub(crate) fn lower(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Vec<(Listener, Place)> {
    let tables = fields.tables(cx, "listener");
    let usual = Usual {
        tls: fields.auto_flag(cx, "tls"),
        proxy_protocol: proxy_protocol(&fields.word(cx, "proxy_protocol")),
    };
    let mut found: Vec<(Listener, Place)> = Vec::new();
    for word in addresses(cx, fields, !tables.is_empty()) {
        let Some(addr) = read(cx, "listen", &word) else {
            continue;
        };
        let listener = Listener {
            name: addr::show_listen(&addr),
            tls: usual.tls.unwrap_or_else(|| addr::is_https_port(&addr)),
            addr,
            mode: 0o660,
            h1: true,
            h2: true,
            other: None,
            proxy_protocol: usual.proxy_protocol,
        };
        add(cx, &mut found, (listener, Place::plain(word.1)));
    }
    for table in tables {
        if let Some(listener) = from_table(cx, &table, usual) {
            add(cx, &mut found, listener);
        }
    }
    let mistakes = cx.diagnostics.iter().any(|d| d.code == "bad-value");
    if found.is_empty() && !mistakes {
        let span = fields.place("listen");
        let message = "there is no address to listen on";
        let diagnostic = Diagnostic::error("missing-key", span, message);
        fields.missing(cx, diagnostic.help("listen = [\":8000\"]"));
    }
    found
}

/// The words of `listen`; without any, and without tables, `$PORT` or the default.
fn addresses(cx: &mut Lower<'_>, fields: &Fields<'_>, tables: bool) -> Vec<Word> {
    if let Some(words) = fields.texts(cx, "listen") {
        return words;
    }
    if tables {
        return Vec::new();
    }
    match cx.env.port {
        Some(port) => {
            cx.note("server.listen".into(), Origin::Given("$PORT".into()));
            vec![(format!(":{port}"), fields.span)]
        }
        None => vec![fields.text_or_default(cx, "listen")],
    }
}

fn read(cx: &mut Lower<'_>, key: &str, word: &Word) -> Option<ListenAddr> {
    match addr::listen(&word.0, &cx.directory(word.1)) {
        Ok(addr) => Some(addr),
        Err(reason) => {
            cx.bad_word(key, word, reason);
            None
        }
    }
}

fn add(cx: &mut Lower<'_>, found: &mut Vec<(Listener, Place)>, (new, place): (Listener, Place)) {
    let port_zero = matches!(&new.addr, ListenAddr::Tcp(addr) if addr.port() == 0);
    let same =
        |old: &&(Listener, Place)| old.0.name == new.name || (old.0.addr == new.addr && !port_zero);
    if let Some((old, first)) = found.iter().find(same) {
        let what = if old.addr == new.addr {
            addr::show_listen(&new.addr)
        } else {
            new.name
        };
        let message = format!("`{what}` is listened on twice");
        let diagnostic = Diagnostic::error("duplicate-listener", place.span, message);
        let first = first.span;
        cx.report(diagnostic.label("again here").also(first, "first here"));
        return;
    }
    found.push((new, place));
}

fn from_table(cx: &mut Lower<'_>, table: &Fields<'_>, usual: Usual) -> Option<(Listener, Place)> {
    let name = table.text(cx, "name");
    if let Some((name, span)) = &name {
        cx.check_name(name, *span);
    }
    let mode = mode(cx, table);
    let tls = table.auto_flag(cx, "tls").or(usual.tls);
    let spoken = protocols(cx, table);
    let proxy_protocol = match table.has("proxy_protocol") {
        true => proxy_protocol(&table.word(cx, "proxy_protocol")),
        false => usual.proxy_protocol,
    };
    let upstream = upstream_of(cx, table, spoken.other);
    let Some(word) = table.text(cx, "addr") else {
        if !table.has("addr") {
            let message = "this listener has no `addr`";
            let diagnostic = Diagnostic::error("missing-key", table.span, message);
            table.missing(cx, diagnostic.help("addr = \":8000\""));
        }
        return None;
    };
    let addr = read(cx, "addr", &word)?;
    let name = name.map_or_else(|| addr::show_listen(&addr), |name| name.0);
    let listener = Listener {
        name,
        tls: tls.unwrap_or_else(|| spoken.other.is_none() && addr::is_https_port(&addr)),
        addr,
        mode,
        h1: spoken.h1,
        h2: spoken.h2,
        other: spoken.other,
        proxy_protocol,
    };
    let is_tcp = matches!(spoken.other, Some(OtherProtocol::Tcp { .. }));
    let place = Place {
        span: word.1,
        upstream,
        tcp: is_tcp.then(|| table.place("protocols")),
    };
    Some((listener, place))
}

/// The key `upstream`, which belongs to `tcp`.
fn upstream_of(
    cx: &mut Lower<'_>,
    table: &Fields<'_>,
    spoken: Option<OtherProtocol>,
) -> Option<Word> {
    let word = table.text(cx, "upstream")?;
    if matches!(spoken, Some(OtherProtocol::Tcp { .. })) {
        return Some(word);
    }
    let message = "`upstream` of a listener needs `protocols = [\"tcp\"]`";
    let help = "requests are passed on by a site: [site.NAME] with `upstream`";
    let place = table.place("upstream");
    cx.report(Diagnostic::error("bad-value", place, message).help(help));
    None
}

fn proxy_protocol(word: &str) -> ProxyProtocol {
    match word {
        "accept" => ProxyProtocol::Accept,
        "require" => ProxyProtocol::Require,
        _ => ProxyProtocol::Off,
    }
}

/// Finds the upstream of each listener with `tcp`.
pub(crate) fn connect(
    cx: &mut Lower<'_>,
    listeners: &mut [Listener],
    places: &[Place],
    upstreams: &[Upstream],
) {
    for (listener, place) in listeners.iter_mut().zip(places) {
        let Some(tcp) = place.tcp else { continue };
        let Some(word) = &place.upstream else {
            let message = "a listener with `tcp` has no `upstream` to connect its clients to";
            let help = "upstream = \"NAME\", and [upstream.NAME] with servers of tcp://host:port";
            cx.report(Diagnostic::error("missing-key", tcp, message).help(help));
            continue;
        };
        let found = upstreams.iter().position(|known| known.name == word.0);
        match found.and_then(|index| Some((index, upstreams.get(index)?))) {
            // Of one without either, something else was said already.
            Some((_, known))
                if (!known.servers.is_empty() || known.discover.is_some())
                    && !upstream::is_tcp(known) =>
            {
                let message = format!("the servers of upstream `{}` are no tcp servers", word.0);
                let help = "servers = [\"tcp://host:port\"]; or leave `protocols` away and give a \
                            site this upstream";
                cx.report(Diagnostic::error("not-tcp", word.1, message).help(help));
            }
            Some((index, _)) => listener.other = Some(OtherProtocol::Tcp { upstream: index }),
            None => {
                let names: Vec<&str> = upstreams.iter().map(|u| u.name.as_str()).collect();
                let what = ("upstream", word.0.as_str());
                let error = "undefined-upstream";
                cx.report(unknown::reference(error, what, word.1, &names));
            }
        }
    }
}

fn mode(cx: &mut Lower<'_>, table: &Fields<'_>) -> u32 {
    let word = table.text_or_default(cx, "mode");
    match u32::from_str_radix(&word.0, 8) {
        Ok(mode) if mode <= 0o777 => mode,
        _ => {
            cx.bad_word(
                "mode",
                &word,
                "expected octal permission bits such as \"0660\"",
            );
            0o660
        }
    }
}

/// What `protocols` says.
#[derive(Clone, Copy)]
struct Spoken {
    h1: bool,
    h2: bool,
    other: Option<OtherProtocol>,
}

const KNOWN: &str =
    "expected \"h1\" and \"h2\", or one of \"uwsgi\", \"fastcgi\", \"scgi\", \"tcp\"";

fn protocols(cx: &mut Lower<'_>, table: &Fields<'_>) -> Spoken {
    let mut spoken = Spoken {
        h1: false,
        h2: false,
        other: None,
    };
    let Some(words) = table.texts(cx, "protocols") else {
        spoken.h1 = true;
        spoken.h2 = true;
        return spoken;
    };
    let before = cx.diagnostics.len();
    for word in &words {
        match word.0.as_str() {
            "h1" => spoken.h1 = true,
            "h2" => spoken.h2 = true,
            "uwsgi" => spoken.other = Some(OtherProtocol::Uwsgi),
            "fastcgi" => spoken.other = Some(OtherProtocol::FastCgi),
            "scgi" => spoken.other = Some(OtherProtocol::Scgi),
            // Which one is found when all are known.
            "tcp" => spoken.other = Some(OtherProtocol::Tcp { upstream: 0 }),
            "h3" => {
                let message = "`h3` is not in this version of quaich";
                let help = "protocols = [\"h1\", \"h2\"]";
                cx.report(Diagnostic::error("not-yet", word.1, message).help(help));
            }
            _ => cx.bad_word("protocols", word, KNOWN),
        }
    }
    if cx.diagnostics.len() > before {
        return spoken;
    }
    let place = table.place("protocols");
    if words.is_empty() {
        let message = "`protocols` must hold \"h1\" or \"h2\"";
        cx.report(Diagnostic::error("bad-value", place, message));
    } else if spoken.other.is_some() && words.len() > 1 {
        let message = "a listener speaks HTTP, or one other protocol";
        cx.report(Diagnostic::error("bad-value", place, message).label(KNOWN));
    }
    spoken
}
