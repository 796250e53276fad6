//! `expires`: how long answers may be kept.

use crate::diagnostic::Diagnostic;
use crate::document::{Data, Value};
use crate::keys::filters::expires::RULE;
use crate::lower::fields::{Fields, Word, is_off};
use crate::lower::server::is_field_value;
use crate::lower::site::Names;
use crate::lower::{Lower, pattern};
use crate::model::{Age, Expires, ExpiresRule, PathPattern};
use crate::units;

/// Of a site, or of a route of a site with `site`.
pub(super) fn lower(
    cx: &mut Lower<'_>,
    _names: &mut Names<'_>,
    (fields, site): (&Fields<'_>, Option<&Expires>),
) -> Expires {
    let Some(entry) = fields.entry(cx, "expires") else {
        return site.cloned().unwrap_or_default();
    };
    let value = &entry.value;
    let path = format!("{}.expires", fields.path);
    let mut rules = Vec::new();
    match &value.data {
        _ if is_off(value) => {}
        Data::Text(_) | Data::Integer(_) => rules.extend(plain(cx, value)),
        Data::Table(table) => {
            let table = Fields::open(cx, &RULE, Some(table), (path, value.span));
            rules.extend(rule(cx, &table));
        }
        Data::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let Data::Table(table) = &item.data else {
                    cx.wrong_type(
                        "expires",
                        item,
                        "rules such as { path = \"*.html\", age = \"1h\" }",
                    );
                    continue;
                };
                let place = (format!("{path}[{index}]"), item.span);
                let table = Fields::open(cx, &RULE, Some(table), place);
                rules.extend(rule(cx, &table));
            }
        }
        _ => cx.wrong_type("expires", value, "a text such as \"30d\", or rules"),
    }
    Expires { rules }
}

/// `expires = "30d"`
fn plain(cx: &mut Lower<'_>, value: &Value) -> Option<ExpiresRule> {
    Some(ExpiresRule {
        types: Vec::new(),
        paths: Vec::new(),
        statuses: Vec::new(),
        age: age(cx, ("expires", value))?,
        immutable: None,
        cache_control: String::new(),
        force: false,
    })
}

fn rule(cx: &mut Lower<'_>, table: &Fields<'_>) -> Option<ExpiresRule> {
    let types = types(cx, table);
    let paths = paths(cx, table);
    let statuses = table.counts(cx, "status").into_iter();
    let statuses = statuses.filter_map(|status| u16::try_from(status).ok());
    let statuses = statuses.collect();
    let immutable = table.auto_flag(cx, "immutable");
    let cache_control = directives(cx, table);
    let force = table.flag(cx, "force");
    let Some(entry) = table.entry(cx, "age") else {
        let diagnostic = Diagnostic::error("missing-key", table.span, "this rule has no `age`");
        table.missing(cx, diagnostic.help("{ path = \"*.html\", age = \"1h\" }"));
        return None;
    };
    Some(ExpiresRule {
        types,
        paths,
        statuses,
        age: age(cx, ("age", &entry.value))?,
        immutable,
        cache_control,
        force,
    })
}

fn types(cx: &mut Lower<'_>, table: &Fields<'_>) -> Vec<String> {
    let words = table.texts(cx, "type").unwrap_or_default();
    for word in &words {
        let fits = |c: char| c.is_ascii_graphic() && !";,\"".contains(c);
        let parts: Vec<&str> = word.0.split('/').collect();
        if parts.len() != 2 || !word.0.chars().all(fits) || parts.contains(&"") {
            let reason = "expected a media type such as \"text/css\" or \"image/*\"";
            cx.bad_word("type", word, reason);
        }
    }
    let lower = |word: Word| word.0.to_ascii_lowercase();
    words.into_iter().map(lower).collect()
}

fn paths(cx: &mut Lower<'_>, table: &Fields<'_>) -> Vec<PathPattern> {
    let words = table.texts(cx, "path").unwrap_or_default();
    let read = |word: &Word| match pattern::path(&word.0) {
        Ok(path) => Some(path),
        Err(reason) => {
            cx.bad_word("path", word, reason);
            None
        }
    };
    words.iter().filter_map(read).collect()
}

fn directives(cx: &mut Lower<'_>, table: &Fields<'_>) -> String {
    let Some(word) = table.text(cx, "cache_control") else {
        return String::new();
    };
    let lower = word.0.to_ascii_lowercase();
    let names = lower.split(',').map(|part| part.trim());
    let ours = ["max-age", "immutable"];
    let twice = |name: &str| ours.iter().any(|own| name.split('=').next() == Some(own));
    if word.0.is_empty() || !is_field_value(&word.0) {
        cx.bad_word(
            "cache_control",
            &word,
            "expected directives such as \"public\"",
        );
    } else if names.clone().any(twice) {
        let reason = "`age` and `immutable` say this: expected others such as \"public\"";
        cx.bad_word("cache_control", &word, reason);
    }
    word.0
}

fn age(cx: &mut Lower<'_>, (key, value): (&str, &Value)) -> Option<Age> {
    if is_off(value) {
        return Some(Age::Off);
    }
    let text = match &value.data {
        Data::Text(text) => text,
        Data::Integer(number) => {
            let reason = format!("a bare number has no unit: write \"{number}s\"");
            cx.no_unit(key, value, reason);
            return None;
        }
        _ => {
            cx.wrong_type(key, value, "a text such as \"30d\"");
            return None;
        }
    };
    let read = match text.as_str() {
        "max" => return Some(Age::Max),
        "no-cache" | "epoch" => return Some(Age::NoCache),
        "no-store" => return Some(Age::NoStore),
        text => match text.strip_prefix("modified") {
            Some(time) => {
                let time = time.trim_start();
                units::duration(time.strip_prefix('+').unwrap_or(time)).map(Age::Modified)
            }
            None => units::duration(text).map(Age::For),
        },
    };
    match read {
        Ok(age) => return Some(age),
        Err(reason) if reason.starts_with("a bare number") => cx.no_unit(key, value, reason),
        Err(_) => {
            let reason = "expected \"30d\", \"modified +24h\", \"max\", \"no-cache\", \"no-store\" or \"off\"";
            cx.bad_value(key, value, reason.into());
        }
    }
    None
}
