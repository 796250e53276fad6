//! `[[site.NAME.route]]`: conditions and extras; the rest is in `files` and `action`.

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::lower::fields::{Fields, Word};
use crate::lower::site::Names;
use crate::lower::{Lower, action, conditions, files, filters, variables};

use crate::model::{Action, Filters, HostPattern, Route, SendFile};

/// Reads one route; `None` when its action was refused.
pub(crate) fn lower(
    cx: &mut Lower<'_>,
    names: &mut Names<'_>,
    (fields, site): (&Fields<'_>, &Filters),
) -> Option<Route> {
    let files = fields.has("files").then(|| {
        let table = fields.table(cx, "files");
        files::lower(cx, &table)
    });
    let route = Route {
        origin: cx.place(fields.span),
        host: hosts(cx, fields, "host"),
        path: conditions::paths(cx, fields),
        method: conditions::methods(cx, fields),
        query: conditions::matches(cx, fields, "query"),
        header: conditions::matches(cx, fields, "header"),
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
