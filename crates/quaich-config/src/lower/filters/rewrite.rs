//! `rewrite = { ... }` and its kin: other paths, other hosts, and the way back of mounted apps.

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::document::Data;
use crate::lower::fields::{Fields, Word};
use crate::lower::server::is_field_value;
use crate::lower::site::Names;
use crate::lower::{Lower, pattern, template};
use crate::model::{HostPattern, PathPattern, Rewrite, RewriteBack, RewriteRule, Slash};
use crate::source::Span;

/// Of a site, or of a route of a site with `site`: each key of the route replaces that of its site.
pub(super) fn lower(
    cx: &mut Lower<'_>,
    _names: &mut Names<'_>,
    (fields, site): (&Fields<'_>, Option<&Rewrite>),
) -> Rewrite {
    let mut rewrite = site.cloned().unwrap_or_default();
    if let Some(tables) = fields.tables_or_off(cx, "rewrite") {
        rewrite.rules = tables.iter().filter_map(|table| rule(cx, table)).collect();
    }
    if site.is_none() || fields.has("canonical_host") {
        rewrite.canonical_host = canonical_host(cx, fields);
    }
    if site.is_none() || fields.has("slash") {
        rewrite.slash = match fields.word(cx, "slash").as_str() {
            "add" => Slash::Add,
            "remove" => Slash::Remove,
            _ => Slash::Off,
        };
    }
    if site.is_none() || fields.has("rewrite_back") {
        rewrite.back = match fields.word(cx, "rewrite_back").as_str() {
            "always" => RewriteBack::Always,
            "off" => RewriteBack::Off,
            _ => RewriteBack::Auto,
        };
    }
    rewrite
}

fn rule(cx: &mut Lower<'_>, table: &Fields<'_>) -> Option<RewriteRule> {
    for name in ["path", "to"] {
        if !table.has(name) && table.table.is_some() {
            let message = format!("`rewrite` has no `{name}`");
            let diagnostic = Diagnostic::error("missing-key", table.span, message);
            let example = "rewrite = { path = \"/old/*\", to = \"/new/{1}\" }";
            table.missing(cx, diagnostic.help(example));
        }
    }
    let reroute = table.word(cx, "then") == "route";
    let (path, to) = (table.text(cx, "path"), table.text(cx, "to"));
    let pattern = path.as_ref().map(|path| pattern::path(&path.0));
    if let (Some(path), Some(Err(reason))) = (&path, &pattern) {
        cx.bad_word("path", path, reason.clone());
    }
    let pattern = pattern?.ok()?;
    let to = to?;
    check(cx, &to, &pattern);
    Some(RewriteRule {
        path: pattern,
        to: to.0,
        reroute,
    })
}

fn check(cx: &mut Lower<'_>, to: &Word, pattern: &PathPattern) {
    if !to.0.starts_with(['/', '{']) || !is_field_value(&to.0) || to.0.contains([' ', '#']) {
        let reason =
            "expected a path such as \"/new/{1}\", of printable ASCII without blank and `#`";
        cx.bad_word("to", to, reason);
        return;
    }
    let groups = pattern::groups(pattern);
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    template::check(cx, "to", to, &groups);
}

/// The `canonical_host` that a table says, if it is one.
pub(crate) fn canonical(fields: &Fields<'_>) -> Option<(String, Span)> {
    let entry = fields.table?.entry("canonical_host")?;
    let Data::Text(text) = &entry.value.data else {
        return None;
    };
    match addr::host(text) {
        Ok(HostPattern::Exact(host)) if text != "off" => Some((host, entry.value.span)),
        _ => None,
    }
}

fn canonical_host(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<String> {
    let word = fields.text_or_off(cx, "canonical_host")?;
    match addr::host(&word.0) {
        Ok(HostPattern::Exact(host)) => return Some(host),
        Ok(_) => {
            let reason = "expected the name of one host, such as \"www.example.org\"";
            cx.bad_word("canonical_host", &word, reason);
        }
        Err(reason) => cx.bad_word("canonical_host", &word, reason),
    }
    None
}
