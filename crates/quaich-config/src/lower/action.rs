//! The action of a route, or of a site's short form. Called by `route` and `site`.

use crate::diagnostic::Diagnostic;
use crate::document::{Data, Table};
use crate::lower::fields::{Fields, Word};
use crate::lower::server::is_field_value;
use crate::lower::site::Names;
use crate::lower::{Lower, pattern, template, unknown, upstream};
use crate::model::{Action, PathPattern, Route};

/// The keys of which a route has exactly one.
const ACTIONS: [&str; 6] = ["app", "upstream", "proxy", "redirect", "respond", "status"];

/// Reads the one action; `None` when it was refused.
pub(crate) fn action(
    cx: &mut Lower<'_>,
    names: &mut Names<'_>,
    fields: &Fields<'_>,
) -> Option<Action> {
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
            let index = find(cx, ("upstream", "undefined-upstream"), &word, &defined)?;
            upstream::takes_requests(cx, names.upstreams, index, &word)
                .then_some(Action::Upstream(index))
        }
        "proxy" => {
            let word = fields.text(cx, name)?;
            let index = upstream::from_url(cx, names.upstreams, &word)?;
            upstream::takes_requests(cx, names.upstreams, index, &word)
                .then_some(Action::Upstream(index))
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
        let message = format!("`code` cannot be {status}");
        let diagnostic = Diagnostic::error("bad-value", table.place("code"), message);
        cx.report(diagnostic.label("expected 301, 302, 303, 307 or 308"));
    }
    let Some(to) = table.text(cx, "to") else {
        if !table.has("to") && table.table.is_some() {
            let diagnostic = Diagnostic::error("missing-key", table.span, "`redirect` has no `to`");
            table.missing(
                cx,
                diagnostic.help("redirect = { to = \"https://{host}{path}{query}\" }"),
            );
        }
        return None;
    };
    if to.0.is_empty() || !is_field_value(&to.0) {
        cx.bad_word("to", &to, "expected a URL or path of printable ASCII");
    }
    Some(Action::Redirect {
        to: to.0,
        code: status,
    })
}

/// Reports a placeholder of `redirect` that nothing fills in: `route` says which patterns there are.
pub(crate) fn check_redirect(cx: &mut Lower<'_>, fields: &Fields<'_>, route: &Route) {
    let entry = |table: &Table, name: &str| table.entry(name).map(|entry| entry.value.clone());
    let redirect = fields.table.and_then(|table| entry(table, "redirect"));
    let Some(Data::Table(table)) = redirect.map(|value| value.data) else {
        return;
    };
    let Some((Data::Text(to), span)) = entry(&table, "to").map(|value| (value.data, value.span))
    else {
        return;
    };
    let rules = route.filters.rewrite.rules.iter().map(|rule| &rule.path);
    // Of its own paths a route keeps only what expressions have caught.
    let caught = |path: &&PathPattern| matches!(path, PathPattern::Regex(_));
    let own = route.path.iter().filter(caught);
    let mut groups: Vec<String> = own.chain(rules).flat_map(pattern::groups).collect();
    if !route.when.is_empty() {
        groups.extend((0..10).map(|number| number.to_string()));
    }
    groups.sort_unstable();
    groups.dedup();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let folder = route.path.iter().find_map(|path| match path {
        PathPattern::Prefix(folder) if !groups.contains(&"1") && to.contains("{1}") => Some(folder),
        _ => None,
    });
    if let Some(folder) = folder {
        let reason = format!(
            "`{{1}}` needs an expression here: `path = \"~^{}(.*)$\"`",
            regex::escape(folder)
        );
        return cx.bad_word("to", &(to, span), reason);
    }
    template::check(cx, "to", &(to, span), &groups);
}

/// The first `{name}` that is none of `known`; the rest of the text when a brace has no partner.
pub(crate) fn unknown_placeholder<'a>(text: &'a str, known: &[&str]) -> Option<&'a str> {
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
