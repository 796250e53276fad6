//! `server.listen` and `[[server.listener]]`.

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::document::Data;
use crate::lower::Lower;
use crate::lower::fields::{Fields, Word, is_off};
use crate::model::{ListenAddr, Listener};
use crate::origin::Origin;
use crate::source::Span;

/// All listeners in file order: those of `listen` first.
pub(crate) fn lower(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Vec<Listener> {
    let tables = fields.tables(cx, "listener");
    let mut found: Vec<(Listener, Span)> = Vec::new();
    for word in addresses(cx, fields, !tables.is_empty()) {
        let Some(addr) = read(cx, "listen", &word) else {
            continue;
        };
        refuse_https_port(cx, &addr, &word);
        let listener = Listener {
            name: addr::show_listen(&addr),
            addr,
            mode: 0o660,
            tls: false,
            h1: true,
            h2: false,
        };
        add(cx, &mut found, (listener, word.1));
    }
    for table in tables {
        if let Some(listener) = from_table(cx, &table) {
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
    found.into_iter().map(|(listener, _)| listener).collect()
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

fn from_table(cx: &mut Lower<'_>, table: &Fields<'_>) -> Option<(Listener, Span)> {
    let name = table.text(cx, "name");
    if let Some((name, span)) = &name {
        cx.check_name(name, *span);
    }
    let mode = mode(cx, table);
    let auto_tls = refuse_tls(cx, table);
    refuse_protocols(cx, table);
    let Some(word) = table.text(cx, "addr") else {
        if !table.has("addr") {
            let message = "this listener has no `addr`";
            let diagnostic = Diagnostic::error("missing-key", table.span, message);
            table.missing(cx, diagnostic.help("addr = \":8000\""));
        }
        return None;
    };
    let addr = read(cx, "addr", &word)?;
    if auto_tls {
        refuse_https_port(cx, &addr, &word);
    }
    let name = name.map_or_else(|| addr::show_listen(&addr), |name| name.0);
    Some((
        Listener {
            name,
            addr,
            mode,
            tls: false,
            h1: true,
            h2: false,
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

/// Port 443 means TLS unless somebody says otherwise; plain text there would surprise everybody.
fn refuse_https_port(cx: &mut Lower<'_>, addr: &ListenAddr, word: &Word) {
    if !matches!(addr, ListenAddr::Tcp(addr) if addr.port() == 443) {
        return;
    }
    let message = format!(
        "`{}` means TLS, which is not in this version of quaich",
        word.0
    );
    let help = format!(
        "for plain HTTP on this port: [[server.listener]] addr = \"{}\" tls = \"off\"",
        word.0
    );
    cx.report(Diagnostic::error("not-yet", word.1, message).help(help));
}

/// Refuses `tls = true`; whether the listener has `"auto"`.
fn refuse_tls(cx: &mut Lower<'_>, table: &Fields<'_>) -> bool {
    let Some(entry) = table.entry(cx, "tls") else {
        return true;
    };
    let auto = matches!(&entry.value.data, Data::Text(text) if text == "auto");
    if auto || is_off(&entry.value) {
        return auto;
    }
    if matches!(&entry.value.data, Data::Bool(true)) {
        let message = "TLS is not in this version of quaich";
        let help = "tls = \"off\", and a server in front that speaks TLS";
        cx.report(Diagnostic::error("not-yet", entry.value.span, message).help(help));
    } else {
        cx.bad_value("tls", &entry.value, "expected \"auto\" or \"off\"".into());
    }
    false
}

fn refuse_protocols(cx: &mut Lower<'_>, table: &Fields<'_>) {
    let Some(words) = table.texts(cx, "protocols") else {
        return;
    };
    for word in &words {
        match word.0.as_str() {
            "h1" => {}
            "h2" | "h3" => {
                let message = format!("`{}` is not in this version of quaich", word.0);
                let help = "protocols = [\"h1\"]";
                cx.report(Diagnostic::error("not-yet", word.1, message).help(help));
            }
            _ => cx.bad_word("protocols", word, "expected \"h1\""),
        }
    }
    if !words.iter().any(|word| word.0 == "h1") {
        let message = "`protocols` must hold \"h1\"";
        cx.report(Diagnostic::error(
            "bad-value",
            table.place("protocols"),
            message,
        ));
    }
}
