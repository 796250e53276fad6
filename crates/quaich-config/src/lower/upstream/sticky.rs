//! `sticky` of an upstream. Called by `upstream`.

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::document::Data;
use crate::keys::Kind;
use crate::lower::Lower;
use crate::lower::conditions::is_token;
use crate::lower::fields::{Fields, Word, is_off};
use crate::model::{HostPattern, Sticky, StickyBy, StickyCookie, Upstream};

/// The keys of which there is exactly one.
const WAYS: [&str; 4] = ["cookie", "app_cookie", "header", "client_ip"];

/// Keys that mean something only beside another.
const ONLY_WITH: [(&str, &str); 9] = [
    ("prefix", "app_cookie"),
    ("plain", "cookie"),
    ("secret_file", "cookie"),
    ("ttl", "cookie"),
    ("path", "cookie"),
    ("domain", "cookie"),
    ("secure", "cookie"),
    ("http_only", "cookie"),
    ("same_site", "cookie"),
];

/// Reads `sticky`; `None` when it is off, or was refused.
pub(super) fn lower(cx: &mut Lower<'_>, upstream: &Fields<'_>) -> Option<Sticky> {
    let entry = upstream.table.and_then(|table| table.entry("sticky"))?;
    if is_off(&entry.value) {
        upstream.entry(cx, "sticky");
        return None;
    }
    if !matches!(entry.value.data, Data::Table(_)) {
        upstream.entry(cx, "sticky");
        let message = "`sticky` takes a table that says how a client is recognised, or \"off\"";
        let diagnostic = Diagnostic::error("wrong-type", entry.value.span, message);
        cx.report(diagnostic.help("sticky = { cookie = \"SRV\" }"));
        return None;
    }
    let fields = upstream.table(cx, "sticky");
    fields.table?;
    let given = |name: &&str| match fields.keys.key(name).map(|key| key.kind) {
        Some(Kind::Bool) => fields.flag_is_set(name),
        _ => fields.has(name),
    };
    let ways: Vec<&str> = WAYS.into_iter().filter(given).collect();
    let way = match ways[..] {
        [way] => way,
        [] => {
            let message = "`sticky` does not say how a client is recognised";
            let diagnostic = Diagnostic::error("missing-key", fields.span, message);
            fields.missing(cx, diagnostic.help("sticky = { cookie = \"SRV\" }"));
            return None;
        }
        [first, second, ..] => {
            let message = format!("`{first}` and `{second}` are two ways to recognise a client");
            let place = fields.place(second);
            let diagnostic = Diagnostic::error("bad-value", place, message);
            cx.report(
                diagnostic
                    .also(fields.place(first), "the other")
                    .help("keep one"),
            );
            return None;
        }
    };
    for (name, needed) in ONLY_WITH {
        if fields.has(name) && needed != way {
            let message = format!("`{name}` goes with `{needed}`, not with `{way}`");
            cx.report(Diagnostic::error("bad-value", fields.place(name), message));
        }
    }
    Some(Sticky {
        by: by(cx, &fields, way)?,
        fallback: fields.word(cx, "fallback") == "rebalance",
        secret_file: fields.path(cx, "secret_file"),
    })
}

fn by(cx: &mut Lower<'_>, fields: &Fields<'_>, way: &str) -> Option<StickyBy> {
    if way == "client_ip" {
        fields.flag(cx, way);
        return Some(StickyBy::ClientIp);
    }
    let name = fields.text(cx, way)?;
    if !is_token(&name.0) {
        cx.bad_word(
            way,
            &name,
            "a name is letters, digits and some of !#$%&'*+-.^_`|~",
        );
        return None;
    }
    Some(match way {
        "header" => StickyBy::Header(name.0.to_ascii_lowercase()),
        "app_cookie" => StickyBy::App {
            cookie: name.0,
            prefix: fields.flag(cx, "prefix"),
        },
        _ => StickyBy::Cookie(cookie(cx, fields, name.0)),
    })
}

fn cookie(cx: &mut Lower<'_>, fields: &Fields<'_>, name: String) -> StickyCookie {
    let plain = fields.flag(cx, "plain");
    if plain && fields.has("secret_file") {
        let message = "`secret_file` is not used: `plain` signs nothing";
        let place = fields.place("secret_file");
        cx.report(Diagnostic::error("bad-value", place, message));
    }
    let secure = fields.auto_flag(cx, "secure");
    let same_site = match fields.word(cx, "same_site").as_str() {
        "lax" => Some("Lax"),
        "strict" => Some("Strict"),
        "none" => Some("None"),
        _ => None,
    };
    if same_site == Some("None") && secure != Some(true) {
        let message = "browsers refuse `same_site = \"none\"` without `Secure`";
        let diagnostic = Diagnostic::error("bad-value", fields.place("same_site"), message);
        cx.report(diagnostic.help("secure = true"));
    }
    StickyCookie {
        name,
        ttl: fields.duration(cx, "ttl"),
        secure,
        http_only: fields.flag(cx, "http_only"),
        same_site: same_site.map(str::to_owned),
        path: path(cx, fields),
        domain: domain(cx, fields),
        plain,
    }
}

fn path(cx: &mut Lower<'_>, fields: &Fields<'_>) -> String {
    let path = fields.text_or_default(cx, "path");
    if !path.0.starts_with('/') || !path.0.bytes().all(|b| b.is_ascii_graphic() && b != b';') {
        cx.bad_word("path", &path, "expected a path such as \"/shop\"");
    }
    path.0
}

fn domain(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<String> {
    let domain = fields.text(cx, "domain")?;
    match addr::host(&domain.0) {
        Ok(HostPattern::Exact(name)) if !name.starts_with('[') => return Some(name),
        _ => cx.bad_word(
            "domain",
            &domain,
            "expected one host name such as \"example.org\"",
        ),
    }
    None
}

/// Names of servers that appear in cookies as they are: each once, and fit for one.
pub(super) fn check(cx: &mut Lower<'_>, upstream: &Upstream, fields: &Fields<'_>) {
    let Some(sticky) = &upstream.sticky else {
        return;
    };
    let prefix = match &sticky.by {
        StickyBy::Cookie(cookie) if cookie.plain => false,
        StickyBy::App { prefix, .. } => *prefix,
        _ => return,
    };
    let place = fields.place("sticky");
    let mut seen: Vec<&str> = Vec::new();
    for server in &upstream.servers {
        let name = server.cookie_name();
        let wrong = if !is_cookie_value(name) || prefix && name.contains('~') {
            Some("cannot stand in a cookie")
        } else if seen.contains(&name) {
            Some("is the name of two servers")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            let message = format!("`{}` {wrong}", name.escape_debug());
            let help = format!(
                "[[upstream.{}.server]] with `url` and `cookie = \"one\"`",
                upstream.name
            );
            cx.report(Diagnostic::error("bad-value", place, message).help(help));
        }
        seen.push(name);
    }
}

/// Whether a browser takes it and sends it back as it is (RFC 6265 section 4.1.1).
fn is_cookie_value(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_graphic() && !b"\",;\\".contains(&b);
    !text.is_empty() && text.bytes().all(fits)
}

/// `cookie` of a server.
pub(super) fn server_name(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<String> {
    let word: Word = fields.text(cx, "cookie")?;
    if is_cookie_value(&word.0) {
        return Some(word.0);
    }
    cx.bad_word(
        "cookie",
        &word,
        "expected visible ASCII without `\"`, `,`, `;` and `\\`",
    );
    None
}
