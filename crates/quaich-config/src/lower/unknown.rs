//! Words about names that do not exist. Called where keys, tables and references are looked up.

use crate::diagnostic::Diagnostic;
use crate::document::{Data, Entry};
use crate::keys::{self, Keys};
use crate::nearest::nearest;
use crate::source::Span;

/// A key that its table does not have.
pub(crate) fn key(keys: &'static Keys, entry: &Entry) -> Diagnostic {
    let top = std::ptr::eq(keys, &keys::TOP);
    let message = match &entry.value.data {
        _ if !top => format!("`{}` is not a key of `{}`", entry.key, keys.name),
        Data::Table(_) | Data::Array(_) => format!("`[{}]` is not a table of quaich", entry.key),
        _ => format!("`{}` is not a key of the file", entry.key),
    };
    let known: Vec<&str> = keys.names().collect();
    let list = format!(
        "{} of `{}`: {}",
        if top { "tables" } else { "keys" },
        keys.name,
        known.join(", ")
    );
    let list = if top {
        list.replace("`the file`", "the file")
    } else {
        list
    };
    let diagnostic = Diagnostic::error("unknown-key", entry.key_span, message);
    if let Some(hint) = of_nginx(&entry.key) {
        return diagnostic.label(hint).help(list);
    }
    if is_field(keys, &entry.key) {
        let text = match &entry.value.data {
            Data::Text(text) => format!("{text:?}"),
            _ => "\"text\"".to_owned(),
        };
        let help = format!("{} = {{ set = {{ {} = {text} }} }}", keys.name, entry.key);
        return diagnostic.label("fields stand in `set`").help(help);
    }
    if let Some(word) = nearest(&entry.key, keys.names()) {
        return diagnostic
            .label(format!("did you mean `{word}`?"))
            .help(list);
    }
    match elsewhere(&keys::TOP, &entry.key) {
        Some(header) => diagnostic
            .label(format!("`{}` is a key of `{header}`", entry.key))
            .help(list),
        None => diagnostic.help(list),
    }
}

/// Words of nginx and what they are here.
const OF_NGINX: [(&str, &str); 34] = [
    ("access_log", "`[log.access]` is what it is here"),
    (
        "add_header",
        "`response_headers = { set = { ... } }` is what it is here",
    ),
    (
        "alias",
        "`root` of a site, or `files = { root = ... }` of a route, is what it is here",
    ),
    (
        "auth_basic",
        "`[auth.NAME]` with `basic`, and `auth = \"NAME\"`, are what it is here",
    ),
    (
        "auth_basic_user_file",
        "`users` of `basic` in `[auth.NAME]` is what it is here",
    ),
    (
        "auth_request",
        "`[auth.NAME]` with `forward`, and `auth = \"NAME\"`, are what it is here",
    ),
    ("client_max_body_size", "`max_body` is what it is here"),
    (
        "error_page",
        "`error_pages = { 404 = \"404.html\" }` is what it is here",
    ),
    ("fastcgi_param", "`variables` is what it is here"),
    (
        "fastcgi_pass",
        "`proxy = \"fastcgi://...\"` is what it is here",
    ),
    ("gzip", "`compress` is what it is here, and on by default"),
    ("gzip_types", "`types` of `compress` is what it is here"),
    (
        "http",
        "there is none here: what stands in it stands in the file",
    ),
    ("index", "`files = { index = [...] }` is what it is here"),
    (
        "keepalive_timeout",
        "`keepalive` of `[server]` is what it is here",
    ),
    (
        "limit_conn",
        "`[limit.NAME]` with `concurrency`, and `limit = \"NAME\"`, are what it is here",
    ),
    (
        "limit_rate",
        "`[limit.NAME]` with `bandwidth`, and `limit = \"NAME\"`, are what it is here",
    ),
    (
        "limit_req",
        "`[limit.NAME]` with `rate`, and `limit = \"NAME\"`, are what it is here",
    ),
    (
        "limit_req_zone",
        "`[limit.NAME]` with `rate` is what it is here",
    ),
    (
        "location",
        "`[[site.NAME.route]]` with `path` is what it is here",
    ),
    ("proxy_pass", "`proxy` is what it is here"),
    ("proxy_read_timeout", "`timeout` is what it is here"),
    (
        "proxy_set_header",
        "`request_headers = { set = { ... } }` is what it is here",
    ),
    (
        "rate_limit",
        "`[limit.NAME]` with `rate`, and `limit = \"NAME\"`, are what it is here",
    ),
    (
        "return",
        "`redirect`, `respond` and `status` are what it is here",
    ),
    (
        "satisfy",
        "`auth = [\"a\", \"b\"]` and `or_from` are what it is here",
    ),
    ("server_name", "`hosts` is what it is here"),
    (
        "ssl_certificate",
        "`cert` of `[tls.cert.NAME]` is what it is here",
    ),
    (
        "ssl_certificate_key",
        "`key` of `[tls.cert.NAME]` is what it is here",
    ),
    ("sub_filter", "bodies stay as they are here"),
    (
        "try_files",
        "`files = { root = ... }` before `app` or `upstream` is what it is here",
    ),
    ("uwsgi_pass", "`proxy = \"uwsgi://...\"` is what it is here"),
    (
        "worker_connections",
        "`max_connections` of `[server]` is what it is here",
    ),
    (
        "worker_processes",
        "`threads` of `[server]` is what it is here",
    ),
];

fn of_nginx(word: &str) -> Option<&'static str> {
    let found = OF_NGINX.iter().find(|(known, _)| *known == word);
    found.map(|(_, hint)| *hint)
}

/// Whether this may be the name of a field that was written beside `set`.
fn is_field(keys: &Keys, name: &str) -> bool {
    let has_fields = matches!(keys.name, "response_headers" | "request_headers");
    has_fields && (name.contains('-') || name.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// A value where a table with a name of the user's choice must stand, such as `[site] hosts = ...`.
pub(crate) fn not_named(keys: &'static Keys, entry: &Entry) -> Diagnostic {
    let message = format!("`{}` stands in `[{}]` without a name", entry.key, keys.name);
    let help = format!(
        "tables of this kind have a name of your choice: {}",
        keys.header
    );
    Diagnostic::error("unknown-key", entry.key_span, message).help(help)
}

/// A reference to an app, upstream or listener that is not there.
pub(crate) fn reference(
    code: &'static str,
    (kind, name): (&str, &str),
    span: Span,
    defined: &[&str],
) -> Diagnostic {
    let message = format!("{kind} `{name}` is not defined");
    let help = if defined.is_empty() {
        match kind {
            "listener" => "there are no listeners".into(),
            _ => format!("there are no {kind}s; define it with [{kind}.{name}]"),
        }
    } else {
        format!("defined {kind}s: {}", defined.join(", "))
    };
    let diagnostic = Diagnostic::error(code, span, message).help(help);
    match nearest(name, defined.iter().copied()) {
        Some(word) => diagnostic.label(format!("did you mean `{word}`?")),
        None => diagnostic,
    }
}

/// The header of the first table below `table` that has this key.
fn elsewhere(table: &'static Keys, name: &str) -> Option<&'static str> {
    for key in table.keys {
        let Some(inner) = key.kind.inner() else {
            continue;
        };
        if inner.names().any(|known| known == name) {
            return Some(inner.header);
        }
        if let Some(header) = elsewhere(inner, name) {
            return Some(header);
        }
    }
    None
}
