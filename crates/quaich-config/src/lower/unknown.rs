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
