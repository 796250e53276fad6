//! `[[site.NAME.route]]`: conditions and extras; the rest is in `files` and `action`.

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::lower::fields::{Fields, Word};
use crate::lower::site::Names;
use crate::lower::{Lower, action, files, filters, pattern, variables};
use crate::model::{Action, FieldMatch, Filters, HostPattern, PathPattern, Route, SendFile};

/// Reads one route; `None` when its action was refused.
pub(crate) fn lower(
    cx: &mut Lower<'_>,
    names: &mut Names<'_>,
    (fields, site): (&Fields<'_>, &Filters),
) -> Option<Route> {
    let (query, header) = (matches(cx, fields, "query"), matches(cx, fields, "header"));
    let files = fields.has("files").then(|| {
        let table = fields.table(cx, "files");
        files::lower(cx, &table)
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
        when: filters::acl::when(cx, names, fields),
        prefix: prefix(cx, fields),
        files: files.flatten(),
        sendfile: fields
            .has("sendfile")
            .then(|| sendfile(cx, fields))
            .flatten(),
        action: Action::NotFound,
        max_body: fields.size(cx, "max_body"),
        timeout: fields.duration(cx, "timeout"),
        variables: variables::lower(cx, fields),
        filters: filters::lower(cx, names, (fields, Some(site))),
        log: fields.flag(cx, "log"),
    };
    let action = action::action(cx, names, fields)?;
    if route.sendfile.is_some() && !matches!(action, Action::App(_) | Action::Upstream(_)) {
        let message = "`sendfile` is for answers of an app or upstream, and this route has none";
        cx.report(Diagnostic::error(
            "bad-value",
            fields.place("sendfile"),
            message,
        ));
    }
    action::check_redirect(cx, fields, &route);
    variables::check(cx, fields, &action, names.upstreams);
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
pub(crate) fn is_token(text: &str) -> bool {
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

fn sendfile(cx: &mut Lower<'_>, route: &Fields<'_>) -> Option<SendFile> {
    let fields = route.table(cx, "sendfile");
    let root = fields.path(cx, "root");
    if !fields.has("root") && fields.table.is_some() {
        let diagnostic = Diagnostic::error("missing-key", fields.span, "`sendfile` has no `root`");
        fields.missing(cx, diagnostic.help("sendfile = { root = \"protected\" }"));
    }
    let prefix = prefix(cx, &fields);
    Some(SendFile {
        root: root?,
        prefix,
    })
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
