//! Puts values of flags and environment into the document. Called by `load` before lowering.
//!
//! Each value is a source of its own, so that a mistake in it is shown like one in the file.

use std::path::Path;

use crate::document::{Data, Entry, Table, Value};
use crate::keys::{self, Key, Keys, Kind};
use crate::origin::Override;
use crate::source::{Source, Span};

/// Puts a value from outside the file in the place of the file's.
pub(super) fn apply(root: &mut Table, over: &Override, sources: &mut Vec<Source>, dir: &Path) {
    let parts: Vec<&str> = over.path.split('.').collect();
    let Some((name, tables)) = parts.split_last() else {
        return;
    };
    let Some(key) = find_key(&keys::TOP, &parts) else {
        unreachable!("`{}` is a key that flags may set", over.path);
    };
    let source = sources.len();
    let text = over.values.join(", ");
    let mut value = typed(key, over, source);
    value.span = Span {
        source,
        start: 0,
        end: text.len(),
    };
    sources.push(Source::value(&over.origin, &text, dir));
    for table in reach(root, tables, value.span) {
        // `listen` from outside replaces all addresses of the file, also those in tables.
        table
            .entries
            .retain(|e| e.key != *name && !(*name == "listen" && e.key == "listener"));
        let entry = Entry {
            key: (*name).into(),
            key_span: value.span,
            value: value.clone(),
        };
        table.entries.push(entry);
    }
}

fn find_key(keys: &'static Keys, path: &[&str]) -> Option<&'static Key> {
    let (first, rest) = path.split_first()?;
    let key = keys.key(first)?;
    match key.kind {
        _ if rest.is_empty() => Some(key),
        Kind::Table(inner) => find_key(inner, rest),
        Kind::Named(inner) => find_key(inner, rest.get(1..)?),
        _ => None,
    }
}

/// The tables at a path; `*` means all that there are. A missing one is made.
fn reach<'t>(table: &'t mut Table, path: &[&str], span: Span) -> Vec<&'t mut Table> {
    let Some((first, rest)) = path.split_first() else {
        return vec![table];
    };
    let all = *first == "*";
    if !all && table.entry(first).is_none() {
        let value = Value {
            span,
            data: Data::Table(Table::default()),
        };
        table.entries.push(Entry {
            key: (*first).into(),
            key_span: span,
            value,
        });
    }
    let wanted = table
        .entries
        .iter_mut()
        .filter(|entry| all || entry.key == *first);
    let inner = wanted.filter_map(|entry| match &mut entry.value.data {
        Data::Table(inner) => Some(inner),
        _ => None,
    });
    inner.flat_map(|inner| reach(inner, rest, span)).collect()
}

/// The words of an override as the key's type; what does not fit stays text and is refused later.
fn typed(key: &Key, over: &Override, source: usize) -> Value {
    let mut start = 0;
    let mut words = Vec::new();
    for text in &over.values {
        let span = Span {
            source,
            start,
            end: start + text.len(),
        };
        start += text.len() + ", ".len();
        words.push(Value {
            span,
            data: Data::Text(text.clone()),
        });
    }
    let text = over.values.first().map_or("", String::as_str);
    let data = match key.kind {
        Kind::Texts => Data::Array(words),
        Kind::Bool | Kind::AutoBool | Kind::Switch(_) => match text {
            "true" | "1" | "yes" | "on" => Data::Bool(true),
            "false" | "0" | "no" => Data::Bool(false),
            _ => Data::Text(text.into()),
        },
        Kind::Count(..) | Kind::AutoCount(..) | Kind::CountOrTrue(..) => {
            match text.trim().parse() {
                Ok(number) => Data::Integer(number),
                Err(_) => Data::Text(text.into()),
            }
        }
        _ => Data::Text(text.into()),
    };
    Value {
        span: Span {
            source,
            start: 0,
            end: 0,
        },
        data,
    }
}
