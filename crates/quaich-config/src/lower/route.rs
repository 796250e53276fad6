//! `[[site.NAME.route]]`: conditions, files, the one action, extras.

use std::time::Duration;

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::document::Data;
use crate::lower::fields::{Fields, Word, is_off};
use crate::lower::server::is_field_value;
use crate::lower::site::Names;
use crate::lower::{Lower, pattern, unknown, upstream};
use crate::model::{Action, FieldMatch, Files, HostPattern, PathPattern, Route, Symlinks};
use crate::units;

/// The keys of which a route has exactly one.
const ACTIONS: [&str; 6] = ["app", "upstream", "proxy", "redirect", "respond", "status"];

/// Reads one route; `None` when its action was refused.
pub(crate) fn lower(
    cx: &mut Lower<'_>,
    names: &mut Names<'_>,
    fields: &Fields<'_>,
) -> Option<Route> {
    let (query, header) = (matches(cx, fields, "query"), matches(cx, fields, "header"));
    let files = fields.has("files").then(|| {
        let table = fields.table(cx, "files");
        files(cx, &table)
    });
    let route = Route {
        origin: cx.place(fields.span),
        host: hosts(cx, fields, "host"),
        path: paths(cx, fields),
        method: methods(cx, fields),
        query,
        header: header
            .into_iter()
            .map(|field| FieldMatch {
                name: field.name.to_ascii_lowercase(),
                ..field
            })
            .collect(),
        prefix: prefix(cx, fields),
        files: files.flatten(),
        action: Action::NotFound,
        max_body: fields.size(cx, "max_body"),
        timeout: fields.duration(cx, "timeout"),
        log: fields.flag(cx, "log"),
    };
    let action = action(cx, names, fields)?;
    Some(Route { action, ..route })
}

/// Host patterns of a key; absent: none.
pub(crate) fn hosts(cx: &mut Lower<'_>, fields: &Fields<'_>, name: &str) -> Vec<HostPattern> {
    let words = fields.texts(cx, name).unwrap_or_default();
    let read = |word: &Word| match addr::host(&word.0) {
        Ok(host) => Some(host),
        Err(reason) => {
            cx.bad_word(name, word, reason);
            None
        }
    };
    words.iter().filter_map(read).collect()
}

fn paths(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Vec<PathPattern> {
    let words = fields.texts(cx, "path").unwrap_or_default();
    let read = |word: &Word| match pattern::path(&word.0) {
        Ok(path) => Some(path),
        Err(reason) => {
            cx.bad_word("path", word, reason);
            None
        }
    };
    words.iter().filter_map(read).collect()
}

fn methods(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Vec<String> {
    let words = fields.texts(cx, "method").unwrap_or_default();
    for word in &words {
        if !is_token(&word.0) {
            cx.bad_word("method", word, "expected a method such as \"GET\"");
        } else if word.0.chars().any(|c| c.is_ascii_lowercase()) {
            let reason = format!(
                "methods are case-sensitive: write \"{}\"",
                word.0.to_uppercase()
            );
            cx.bad_word("method", word, reason);
        }
    }
    words.into_iter().map(|word| word.0).collect()
}

/// A token of RFC 9110 5.6.2.
fn is_token(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(fits)
}

fn matches(cx: &mut Lower<'_>, fields: &Fields<'_>, key: &str) -> Vec<FieldMatch> {
    let mut found = Vec::new();
    for (name, glob) in fields.pairs(cx, key) {
        let known = found.iter().any(|field: &FieldMatch| field.name == name.0);
        if name.0.is_empty() || (key == "header" && !is_token(&name.0)) {
            cx.bad_word(key, &name, "expected the name of a field");
        } else if !known {
            found.push(FieldMatch {
                name: name.0,
                glob: glob.0,
            });
        }
    }
    found
}

fn prefix(cx: &mut Lower<'_>, fields: &Fields<'_>) -> String {
    let Some(word) = fields.text(cx, "prefix") else {
        return String::new();
    };
    let bare = word.0.trim_end_matches('/');
    let reason = if word.0 == "/" {
        Some("the root needs no prefix: remove the line".to_owned())
    } else if !word.0.starts_with('/') {
        Some(format!("a prefix begins with a slash: write \"/{bare}\""))
    } else if word.0.ends_with('/') {
        Some(format!("a prefix ends without a slash: write \"{bare}\""))
    } else if word.0.contains(['*', '?', '#', '\0']) || word.0.contains("//") {
        Some("a prefix is a plain path such as \"/shop\"".to_owned())
    } else {
        None
    };
    if let Some(reason) = reason {
        cx.bad_word("prefix", &word, reason);
    }
    word.0
}

/// Reads `files = { ... }`; `None` when it has no usable root.
fn files(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<Files> {
    let root = fields.path(cx, "root");
    if !fields.has("root") && fields.table.is_some() {
        let diagnostic = Diagnostic::error("missing-key", fields.span, "`files` has no `root`");
        fields.missing(cx, diagnostic.help("files = { root = \"public\" }"));
    }
    let names = |cx: &mut Lower<'_>, key: &str, default: &str| {
        let words = fields.texts(cx, key);
        words.map_or_else(
            || vec![default.to_owned()],
            |words| words.into_iter().map(|word| word.0).collect(),
        )
    };
    let index = names(cx, "index", "index.html");
    let try_ = names(cx, "try", "{path}");
    for name in index
        .iter()
        .filter(|name| name.is_empty() || name.contains('/'))
    {
        cx.bad_word(
            "index",
            &(name.clone(), fields.place("index")),
            "expected a file name",
        );
    }
    for name in &try_ {
        if let Some(bad) = unknown_placeholder(name, &["path"]) {
            let reason = format!("`{{{bad}}}` is not filled in here; {{path}} is");
            cx.bad_word("try", &(name.clone(), fields.place("try")), reason);
        }
    }
    let files = Files {
        root: root.unwrap_or_default(),
        index,
        try_,
        expires: expires(cx, fields),
        list: fields.flag(cx, "list"),
        precompressed: fields.flag(cx, "precompressed"),
        hidden: fields.flag(cx, "hidden"),
        symlinks: symlinks(cx, fields),
    };
    (!files.root.as_os_str().is_empty()).then_some(files)
}

/// `files` of a site's `root`: everything else by default.
pub(crate) fn plain_files(cx: &mut Lower<'_>, site: &Fields<'_>) -> Option<Files> {
    let root = site.path(cx, "root")?;
    Some(Files {
        root,
        index: vec!["index.html".into()],
        try_: vec!["{path}".into()],
        expires: None,
        list: false,
        precompressed: true,
        hidden: false,
        symlinks: Symlinks::Inside,
    })
}

fn expires(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<Duration> {
    let entry = fields.entry(cx, "expires")?;
    match &entry.value.data {
        _ if is_off(&entry.value) => None,
        Data::Text(text) => match units::duration(text) {
            Ok(time) => Some(time),
            Err(reason) if reason.starts_with("a bare number") => {
                cx.no_unit("expires", &entry.value, reason);
                None
            }
            Err(reason) => {
                cx.bad_value("expires", &entry.value, reason);
                None
            }
        },
        Data::Integer(number) => {
            let reason = format!("a bare number has no unit: write \"{number}s\"");
            cx.no_unit("expires", &entry.value, reason);
            None
        }
        _ => {
            cx.wrong_type("expires", &entry.value, "a text such as \"30d\"");
            None
        }
    }
}

fn symlinks(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Symlinks {
    let Some(entry) = fields.entry(cx, "symlinks") else {
        return Symlinks::Inside;
    };
    match &entry.value.data {
        _ if is_off(&entry.value) => Symlinks::Off,
        Data::Text(text) if text == "inside" => Symlinks::Inside,
        Data::Text(text) if text == "follow" => Symlinks::Follow,
        _ => {
            let reason = "expected \"inside\", \"follow\" or \"off\"".into();
            cx.bad_value("symlinks", &entry.value, reason);
            Symlinks::Inside
        }
    }
}

fn action(cx: &mut Lower<'_>, names: &mut Names<'_>, fields: &Fields<'_>) -> Option<Action> {
    let given: Vec<&str> = ACTIONS
        .into_iter()
        .filter(|name| fields.has(name))
        .collect();
    match given[..] {
        [] if fields.has("files") => Some(Action::NotFound),
        [] => {
            let message = "this route has no action";
            let help = format!("give it one of {} or files", ACTIONS.join(", "));
            let diagnostic = Diagnostic::error("no-action", fields.span, message);
            fields.missing(cx, diagnostic.help(help));
            None
        }
        [name] => one_action(cx, names, fields, name),
        _ => {
            two_actions(cx, fields, &given);
            for name in given {
                one_action(cx, names, fields, name);
            }
            None
        }
    }
}

/// Reports a table with more than one action, with every place.
pub(crate) fn two_actions(cx: &mut Lower<'_>, fields: &Fields<'_>, given: &[&str]) {
    let mut places: Vec<_> = given
        .iter()
        .map(|name| (fields.place(name), *name))
        .collect();
    places.sort_unstable();
    let listed: Vec<String> = places.iter().map(|(_, name)| format!("`{name}`")).collect();
    let message = format!(
        "a {} has one action, this has {}",
        fields.keys.name,
        listed.join(" and ")
    );
    let mut places = places.into_iter().map(|(span, _)| span);
    let (Some(first), Some(second)) = (places.next(), places.next()) else {
        return;
    };
    let mut diagnostic = Diagnostic::error("two-actions", second, message).label("and this");
    diagnostic = diagnostic.also(first, "this");
    for span in places {
        diagnostic = diagnostic.also(span, "and this");
    }
    cx.report(diagnostic.help("keep one; `files` alone may stand before `app` or `upstream`"));
}

/// Reads the action of one key; `None` when it was refused.
pub(crate) fn one_action(
    cx: &mut Lower<'_>,
    names: &mut Names<'_>,
    fields: &Fields<'_>,
    name: &str,
) -> Option<Action> {
    match name {
        "app" => {
            let word = fields.text(cx, name)?;
            let defined: Vec<&str> = names.apps.iter().map(|app| app.name.as_str()).collect();
            find(cx, ("app", "undefined-app"), &word, &defined).map(Action::App)
        }
        "upstream" => {
            let word = fields.text(cx, name)?;
            let named = names
                .upstreams
                .iter()
                .filter(|upstream| !upstream.name.contains(':'));
            let defined: Vec<&str> = named.map(|upstream| upstream.name.as_str()).collect();
            find(cx, ("upstream", "undefined-upstream"), &word, &defined).map(Action::Upstream)
        }
        "proxy" => {
            let word = fields.text(cx, name)?;
            upstream::from_url(cx, names.upstreams, &word).map(Action::Upstream)
        }
        "redirect" => redirect(cx, fields),
        "respond" => respond(cx, fields),
        _ => {
            let status = code(fields.count(cx, "status")?);
            Some(match status {
                400.. => Action::Status(status),
                _ => Action::Respond {
                    status,
                    body: String::new(),
                    content_type: String::new(),
                },
            })
        }
    }
}

/// The index of a name among the defined ones.
fn find(
    cx: &mut Lower<'_>,
    (kind, error): (&str, &'static str),
    word: &Word,
    defined: &[&str],
) -> Option<usize> {
    let index = defined.iter().position(|name| *name == word.0);
    if index.is_none() {
        cx.report(unknown::reference(error, (kind, &word.0), word.1, defined));
    }
    index
}

fn code(status: u64) -> u16 {
    u16::try_from(status).unwrap_or(500)
}

fn redirect(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<Action> {
    let table = fields.table(cx, "redirect");
    let status = code(table.count(cx, "code").unwrap_or(308));
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        let word = (status.to_string(), table.place("code"));
        cx.bad_word("code", &word, "expected 301, 302, 303, 307 or 308");
    }
    let Some(to) = table.text(cx, "to") else {
        if !table.has("to") && table.table.is_some() {
            let diagnostic = Diagnostic::error("missing-key", table.span, "`redirect` has no `to`");
            table.missing(
                cx,
                diagnostic.help("redirect = { to = \"https://{host}{path}\" }"),
            );
        }
        return None;
    };
    if to.0.is_empty() || !is_field_value(&to.0) {
        cx.bad_word("to", &to, "expected a URL or path of printable ASCII");
    }
    if let Some(bad) = unknown_placeholder(&to.0, &["host", "path", "query", "scheme"]) {
        let reason = format!(
            "`{{{bad}}}` is not filled in here; {{host}} {{path}} {{query}} {{scheme}} are"
        );
        cx.bad_word("to", &to, reason);
    }
    Some(Action::Redirect {
        to: to.0,
        code: status,
    })
}

/// The first `{name}` that is none of `known`; the rest of the text when a brace has no partner.
fn unknown_placeholder<'a>(text: &'a str, known: &[&str]) -> Option<&'a str> {
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let inner = rest.get(at + 1..)?;
        let Some((name, behind)) = inner.split_once('}') else {
            return Some(inner);
        };
        if !known.contains(&name) {
            return Some(name);
        }
        rest = behind;
    }
    None
}

fn respond(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<Action> {
    let table = fields.table(cx, "respond");
    table.table?;
    let status = code(table.count(cx, "status").unwrap_or(200));
    let body = table
        .text(cx, "body")
        .map(|word| word.0)
        .unwrap_or_default();
    let content_type = table.text_or_default(cx, "type");
    if !is_field_value(&content_type.0) {
        cx.bad_word(
            "type",
            &content_type,
            "expected a media type of printable ASCII",
        );
    }
    // RFC 9110 15.3.5, 15.4.5: these end with the header section.
    if matches!(status, 204 | 304) && !body.is_empty() {
        let word = (status.to_string(), table.place("status"));
        cx.bad_word("status", &word, "an answer of this status has no body");
    }
    Some(Action::Respond {
        status,
        body,
        content_type: content_type.0,
    })
}
