//! `server.listen` and `[[server.listener]]`.

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::lower::Lower;
use crate::lower::fields::{Fields, Word};
use crate::model::{ListenAddr, Listener};
use crate::origin::Origin;
use crate::source::Span;

/// All listeners in file order with where they stand: those of `listen` first.
pub(crate) fn lower(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Vec<(Listener, Span)> {
    let tables = fields.tables(cx, "listener");
    let tls = fields.auto_flag(cx, "tls");
    let mut found: Vec<(Listener, Span)> = Vec::new();
    for word in addresses(cx, fields, !tables.is_empty()) {
        let Some(addr) = read(cx, "listen", &word) else {
            continue;
        };
        let (h1, h2) = PROTOCOLS;
        let listener = Listener {
            name: addr::show_listen(&addr),
            tls: tls.unwrap_or_else(|| addr::is_https_port(&addr)),
            addr,
            mode: 0o660,
            h1,
            h2,
        };
        add(cx, &mut found, (listener, word.1));
    }
    for table in tables {
        if let Some(listener) = from_table(cx, &table, tls) {
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

fn add(cx: &mut Lower<'_>, found: &mut Vec<(Listener, Span)>, (new, span): (Listener, Span)) {
    let port_zero = matches!(&new.addr, ListenAddr::Tcp(addr) if addr.port() == 0);
    let same =
        |old: &&(Listener, Span)| old.0.name == new.name || (old.0.addr == new.addr && !port_zero);
    if let Some((old, first)) = found.iter().find(same) {
        let what = if old.addr == new.addr {
            addr::show_listen(&new.addr)
        } else {
            new.name
        };
        let message = format!("`{what}` is listened on twice");
        let diagnostic = Diagnostic::error("duplicate-listener", span, message);
        cx.report(diagnostic.label("again here").also(*first, "first here"));
        return;
    }
    found.push((new, span));
}

/// `tls` is what the server says for listeners that say nothing.
fn from_table(
    cx: &mut Lower<'_>,
    table: &Fields<'_>,
    tls: Option<bool>,
) -> Option<(Listener, Span)> {
    let name = table.text(cx, "name");
    if let Some((name, span)) = &name {
        cx.check_name(name, *span);
    }
    let mode = mode(cx, table);
    let tls = table.auto_flag(cx, "tls").or(tls);
    let (h1, h2) = protocols(cx, table);
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
    Some((
        Listener {
            name,
            tls: tls.unwrap_or_else(|| addr::is_https_port(&addr)),
            addr,
            mode,
            h1,
            h2,
        },
        word.1,
    ))
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

/// What a listener without `protocols` speaks: HTTP/1.1, HTTP/2.
const PROTOCOLS: (bool, bool) = (true, true);

/// Whether HTTP/1.1 and HTTP/2 are spoken.
fn protocols(cx: &mut Lower<'_>, table: &Fields<'_>) -> (bool, bool) {
    let Some(words) = table.texts(cx, "protocols") else {
        return PROTOCOLS;
    };
    let before = cx.diagnostics.len();
    for word in &words {
        match word.0.as_str() {
            "h1" | "h2" => {}
            "h3" => {
                let message = "`h3` is not in this version of quaich";
                let help = "protocols = [\"h1\", \"h2\"]";
                cx.report(Diagnostic::error("not-yet", word.1, message).help(help));
            }
            _ => cx.bad_word("protocols", word, "expected \"h1\" or \"h2\""),
        }
    }
    let has = |name| words.iter().any(|word| word.0 == name);
    let spoken = (has("h1"), has("h2"));
    if spoken == (false, false) && cx.diagnostics.len() == before {
        let message = "`protocols` must hold \"h1\" or \"h2\"";
        let place = table.place("protocols");
        cx.report(Diagnostic::error("bad-value", place, message));
    }
    spoken
}
