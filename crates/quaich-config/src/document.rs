//! The text as typed: TOML tables in file order, every key and value with its span.
//!
//! `parse` is called once per source, `merge` joins included files. Knows no key by name.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};

/// A value and where it stands. A table's span is its header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    pub(crate) span: Span,
    pub(crate) data: Data,
}

/// TOML's types; those that no key takes are kept by name only.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Text(String),
    /// Saturated when it does not fit.
    Integer(i128),
    Bool(bool),
    Array(Vec<Value>),
    Table(Table),
    /// A float or a date: its type's name.
    Other(&'static str),
}

/// A table's entries in file order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

/// One key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Value,
}

impl Table {
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Adds the entries of `other`; a key that both hold is an error unless both values are tables.
    pub(crate) fn merge(&mut self, other: Table, report: &mut Vec<Diagnostic>) {
        for entry in other.entries {
            let Some(own) = self.entries.iter_mut().find(|own| own.key == entry.key) else {
                self.entries.push(entry);
                continue;
            };
            match (&mut own.value.data, entry.value.data) {
                (Data::Table(ours), Data::Table(theirs)) => ours.merge(theirs, report),
                _ => report.push(duplicate(&entry.key, entry.key_span, Some(own.key_span))),
            }
        }
    }
}

impl Value {
    /// The type's name with its article, for "expected X, found Y".
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Text(_) => "a text",
            Data::Integer(_) => "a number",
            Data::Bool(_) => "true or false",
            Data::Array(_) => "a list",
            Data::Table(_) => "a table",
            Data::Other(kind) => kind,
        }
    }
}

/// What `parse` found.
pub(crate) struct Parsed {
    /// Everything that could be understood.
    pub(crate) root: Table,
    /// Syntax errors and doubled keys.
    pub(crate) report: Vec<Diagnostic>,
    /// Offset from which on the text may have been misunderstood.
    pub(crate) broken_at: Option<usize>,
}

/// Reads `source`, which has the index `id`.
pub(crate) fn parse(source: &Source, id: usize) -> Parsed {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    let root = convert_table(table.get_ref(), id);
    let mut report: Vec<Diagnostic> = Vec::new();
    let mut broken_at: Option<usize> = None;
    for error in errors {
        let range = error.span().unwrap_or(0..0);
        let span = Span {
            source: id,
            start: range.start,
            end: range.end,
        };
        if error.message().starts_with("duplicate key") {
            let key = source.text.get(range).unwrap_or("").to_owned();
            let first = first_place(source, &root, span, &key);
            report.push(duplicate(&key, span, first));
            continue;
        }
        let line = source.line_range(range.start).0;
        let same_line = broken_at.is_some_and(|at| source.line_range(at).0 == line);
        // The parser reports every token that it skips after a mistake; the first says enough.
        if !same_line {
            report.push(syntax(error.message(), span));
        }
        broken_at = Some(broken_at.map_or(line, |at| at.min(line)));
    }
    Parsed {
        root,
        report,
        broken_at,
    }
}

fn syntax(message: &str, span: Span) -> Diagnostic {
    let help = if message.contains("string") {
        "a text stands between quotes on one line: \"...\""
    } else if message.contains("key with no value") {
        "write `key = value`; a text needs quotes"
    } else if message.contains("table") {
        "a table header is one line: [name] or [[name]]"
    } else {
        "the file is TOML: `key = value` lines below [table] headers"
    };
    Diagnostic::error("syntax", span, format!("this is not TOML: {message}")).help(help)
}

fn duplicate(key: &str, span: Span, first: Option<Span>) -> Diagnostic {
    let diagnostic = Diagnostic::error("duplicate-key", span, format!("`{key}` is defined twice"))
        .label("again here");
    match first {
        Some(first) => diagnostic.also(first, "first here"),
        None => diagnostic,
    }
}

/// Where the earlier `key` stands. The parser does not tell, and forgets a table's first header.
fn first_place(source: &Source, root: &Table, again: Span, key: &str) -> Option<Span> {
    let (start, end) = source.line_range(again.start);
    let header = source.text.get(start..end)?.trim_start();
    if !header.starts_with('[') {
        return last_key_before(root, key, again);
    }
    let bare = |line: &str| -> String {
        let line = line.split('#').next().unwrap_or("");
        line.chars()
            .filter(|c| !c.is_whitespace() && *c != '"')
            .collect()
    };
    let wanted = bare(header);
    let mut offset = 0;
    for line in source.text.get(..start)?.split_inclusive('\n') {
        if bare(line) == wanted {
            let indent = line.len() - line.trim_start().len();
            let end = offset + line.trim_end().len();
            return Some(Span {
                source: again.source,
                start: offset + indent,
                end,
            });
        }
        offset += line.len();
    }
    last_key_before(root, key, again)
}

fn last_key_before(table: &Table, key: &str, before: Span) -> Option<Span> {
    let mut best: Option<Span> = None;
    for entry in &table.entries {
        let below = match &entry.value.data {
            Data::Table(inner) => last_key_before(inner, key, before),
            Data::Array(items) => items
                .iter()
                .filter_map(|item| match &item.data {
                    Data::Table(inner) => last_key_before(inner, key, before),
                    _ => None,
                })
                .max(),
            _ => None,
        };
        let own = (entry.key == key && entry.key_span < before).then_some(entry.key_span);
        best = best.max(below).max(own);
    }
    best
}

fn convert_table(table: &DeTable<'_>, id: usize) -> Table {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_span: place(key.span(), id),
            value: convert(value, id),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span);
    Table { entries }
}

fn convert(value: &Spanned<DeValue<'_>>, id: usize) -> Value {
    let data = match value.get_ref() {
        DeValue::String(text) => Data::Text(text.to_string()),
        DeValue::Integer(number) => {
            let parsed = i128::from_str_radix(number.as_str(), number.radix());
            Data::Integer(parsed.unwrap_or(i128::MAX))
        }
        DeValue::Boolean(flag) => Data::Bool(*flag),
        DeValue::Array(items) => Data::Array(items.iter().map(|item| convert(item, id)).collect()),
        DeValue::Table(table) => Data::Table(convert_table(table, id)),
        DeValue::Float(_) => Data::Other("a number with a fraction"),
        DeValue::Datetime(_) => Data::Other("a date"),
    };
    Value {
        span: place(value.span(), id),
        data,
    }
}

fn place(range: Range<usize>, id: usize) -> Span {
    Span {
        source: id,
        start: range.start,
        end: range.end,
    }
}
