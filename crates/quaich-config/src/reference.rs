//! The reference of the configuration file as Markdown, made from the key table.

use std::fmt::Write;

use crate::keys::{Key, Keys, Kind, TOP};

/// One section per table, one row per key that this version takes.
#[must_use]
pub fn reference_markdown() -> String {
    let mut out = String::from("# Reference of quaich.toml\n");
    section(&mut out, &TOP);
    out
}

fn section(out: &mut String, table: &'static Keys) {
    let title = if table.header.is_empty() {
        "Top of the file".to_owned()
    } else {
        format!("`{}`", table.header)
    };
    let _ = write!(out, "\n## {title}\n\n{}\n\n", table.doc);
    out.push_str("| key | takes | default | meaning |\n|---|---|---|---|\n");
    for key in table.keys.iter().filter(|key| !key.later) {
        let default = shown_default(key);
        let doc = key.doc.replace('|', "\\|");
        let _ = writeln!(
            out,
            "| `{}` | {} | {default} | {doc} |",
            key.name,
            takes(key.kind)
        );
    }
    for key in table.keys.iter().filter(|key| !key.later) {
        if let Some(inner) = key.kind.inner() {
            section(out, inner);
        }
    }
}

fn shown_default(key: &Key) -> String {
    if key.default.is_empty() {
        return String::new();
    }
    match key.kind {
        Kind::Bool | Kind::Count(..) => format!("`{}`", key.default),
        Kind::Texts | Kind::TextsOrOff => {
            let quoted: Vec<String> = words(key).map(|word| format!("\"{word}\"")).collect();
            format!("`[{}]`", quoted.join(", "))
        }
        _ => format!("`\"{}\"`", key.default),
    }
}

/// The words of a default list.
pub(crate) fn words(key: &Key) -> impl Iterator<Item = &'static str> {
    key.default.split(", ")
}

fn takes(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".into(),
        Kind::TextOrOff => "text or `false`".into(),
        Kind::TextOrTrue => "text or `true`".into(),
        Kind::Path => "path".into(),
        Kind::Bool => "`true`, `false`".into(),
        Kind::AutoBool => "`\"auto\"`, `true`, `\"off\"`".into(),
        Kind::Count(low, high) if high > 1 << 32 => format!("number from {low}"),
        Kind::Count(low, high) => format!("number {low} to {high}"),
        Kind::AutoCount(low, high) => format!("`\"auto\"` or {low} to {high}"),
        Kind::Duration | Kind::DurationOrZero => "duration".into(),
        Kind::Size => "size".into(),
        Kind::Rate => "bytes per time".into(),
        Kind::Word(words) | Kind::Switch(words) => {
            let quoted: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            quoted.join(", ")
        }
        Kind::Texts => "text or list".into(),
        Kind::TextsOrOff => "text or list, or `false`".into(),
        Kind::Counts(low, high) => format!("number {low} to {high} or list"),
        Kind::Pairs => "table of texts".into(),
        Kind::Table(inner) => format!("`{}`", inner.header),
        Kind::BoolOrTable(inner) => format!("`true`, `false` or `{}`", inner.header),
        Kind::PathOrTable(inner) => format!("path, `true`, `false` or `{}`", inner.header),
        Kind::Each(inner) => format!("table of paths or `{}`, or `false`", inner.header),
        Kind::Statuses => "`true`, `false`, status or list".into(),
        Kind::TableOrOff(inner) => format!("`false` or `{}`", inner.header),
        Kind::DurationOrTable(inner) => format!("duration, `true`, `false` or `{}`", inner.header),
        Kind::TextOrTables(inner) => {
            format!("text, `false`, `{}` or a table of it", inner.header)
        }
        Kind::TablesOrOff(inner) => format!("`{}`, a list of them, or `false`", inner.header),
        Kind::Tables(inner) => format!("list of `{}`", inner.header),
        Kind::Named(inner) => format!("`{}`", inner.header),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_this_version_has_a_row() {
        let text = reference_markdown();
        for row in [
            "| `listen` | text or list | `[\"127.0.0.1:8000\"]`",
            "| `max_requests_jitter`",
        ] {
            assert!(text.contains(row), "{row}");
        }
        assert!(!text.contains("`sandbox`"));
    }
}
