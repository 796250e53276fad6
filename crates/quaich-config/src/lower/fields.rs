//! Typed reading of one table: takes values by the key table, reports what does not fit.
//!
//! Used by every file of `lower`. A value that was refused reads as its default, so that the rest
//! of the file is still checked.

mod tables;

use std::path::PathBuf;
use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::document::{Data, Entry, Table, Value};
use crate::keys::{Key, Keys, Kind};
use crate::lower::{Lower, unknown};
use crate::nearest::nearest;
use crate::origin::Origin;
use crate::source::Span;
use crate::units;

/// A text and where it stands.
pub(crate) type Word = (String, Span);

/// What stands at a free key of [`Kind::Each`].
pub(crate) enum Each<'d> {
    /// Nothing.
    Off,
    /// A path as it is written.
    Text(Word),
    /// A table.
    Table(Fields<'d>),
}

/// One table of the document with the keys that it may hold.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'d> {
    pub(crate) keys: &'static Keys,
    pub(crate) table: Option<&'d Table>,
    /// Dotted path of the table, for origins.
    pub(crate) path: String,
    /// The header.
    pub(crate) span: Span,
    /// Something in it was refused: what seems to be missing may only be misspelt.
    pub(crate) doubtful: bool,
}

impl<'d> Fields<'d> {
    /// Opens a table and reports the keys that it must not hold.
    pub(crate) fn open(
        cx: &mut Lower<'_>,
        keys: &'static Keys,
        table: Option<&'d Table>,
        (path, span): (String, Span),
    ) -> Self {
        let mut doubtful = false;
        for entry in table.map_or(&[][..], |table| &table.entries) {
            match keys.key(&entry.key) {
                Some(key) if key.later => {
                    doubtful = true;
                    let what = format!("`{}` is not in this version of quaich", entry.key);
                    let help = "remove it: this version cannot do what it asks for";
                    cx.report(Diagnostic::error("not-yet", entry.key_span, what).help(help));
                }
                Some(_) => {}
                None => {
                    doubtful = true;
                    cx.report(unknown::key(keys, entry));
                }
            }
        }
        Self {
            keys,
            table,
            path,
            span,
            doubtful,
        }
    }

    /// A table that the file does not have.
    pub(crate) fn absent(keys: &'static Keys, path: String, span: Span) -> Self {
        Self {
            keys,
            table: None,
            path,
            span,
            doubtful: false,
        }
    }

    /// Reports that something is missing, unless a refused key explains it.
    pub(crate) fn missing(&self, cx: &mut Lower<'_>, diagnostic: Diagnostic) {
        if !self.doubtful {
            cx.report(diagnostic);
        }
    }

    /// The entry of a key, if the file has it. Notes where the value came from.
    pub(crate) fn entry(&self, cx: &mut Lower<'_>, name: &str) -> Option<&'d Entry> {
        let entry = self.table.and_then(|table| table.entry(name));
        let origin = entry.map_or(Origin::Default, |entry| cx.origin(entry.value.span));
        cx.note(format!("{}.{name}", self.path), origin);
        entry
    }

    /// Whether the file has the key with something else than `false` or `"off"`.
    pub(crate) fn flag_is_set(&self, name: &str) -> bool {
        let entry = self.table.and_then(|table| table.entry(name));
        entry.is_some_and(|entry| !is_off(&entry.value))
    }

    /// Whether the file has the key.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.is_some_and(|table| table.entry(name).is_some())
    }

    /// Where the key stands, else the table.
    pub(crate) fn place(&self, name: &str) -> Span {
        let entry = self.table.and_then(|table| table.entry(name));
        entry.map_or(self.span, |entry| entry.key_span)
    }

    fn key(&self, name: &str) -> &'static Key {
        let key = self.keys.key(name).filter(|key| !key.later);
        key.expect("every key that lowering reads stands in the key table")
    }

    pub(crate) fn text(&self, cx: &mut Lower<'_>, name: &str) -> Option<Word> {
        let value = &self.entry(cx, name)?.value;
        cx.text(name, value)
    }

    pub(crate) fn text_or_default(&self, cx: &mut Lower<'_>, name: &str) -> Word {
        let default = || (self.key(name).default.to_owned(), self.place(name));
        self.text(cx, name).unwrap_or_else(default)
    }

    /// A text; `None` for `false` and `"off"`. Absent: the default of the key table.
    pub(crate) fn text_or_off(&self, cx: &mut Lower<'_>, name: &str) -> Option<Word> {
        let default = self.key(name).default;
        let Some(entry) = self.entry(cx, name) else {
            return (!default.is_empty()).then(|| (default.to_owned(), self.span));
        };
        if is_off(&entry.value) {
            None
        } else {
            cx.text(name, &entry.value)
        }
    }

    /// Words of a list or a single one. Absent: `None`.
    pub(crate) fn texts(&self, cx: &mut Lower<'_>, name: &str) -> Option<Vec<Word>> {
        let value = &self.entry(cx, name)?.value;
        match &value.data {
            Data::Array(items) => Some(
                items
                    .iter()
                    .filter_map(|item| cx.text(name, item))
                    .collect(),
            ),
            Data::Text(text) => Some(vec![(text.clone(), value.span)]),
            _ => {
                cx.wrong_type(name, value, "a text or a list of texts");
                None
            }
        }
    }

    /// As [`texts`](Self::texts); none for `false` and `"off"`.
    pub(crate) fn texts_or_off(&self, cx: &mut Lower<'_>, name: &str) -> Option<Vec<Word>> {
        let entry = self.table.and_then(|table| table.entry(name))?;
        if is_off(&entry.value) {
            self.entry(cx, name);
            return Some(Vec::new());
        }
        self.texts(cx, name)
    }

    pub(crate) fn flag(&self, cx: &mut Lower<'_>, name: &str) -> bool {
        let default = self.key(name).default == "true";
        let Some(entry) = self.entry(cx, name) else {
            return default;
        };
        match entry.value.data {
            Data::Bool(flag) => return flag,
            _ if is_off(&entry.value) => return false,
            _ => {}
        }
        cx.wrong_type(name, &entry.value, "true or false");
        default
    }

    /// `None` for `"auto"`, `false` for `"off"`.
    pub(crate) fn auto_flag(&self, cx: &mut Lower<'_>, name: &str) -> Option<bool> {
        let entry = self.entry(cx, name)?;
        match &entry.value.data {
            Data::Bool(flag) => return Some(*flag),
            Data::Text(word) if word == "auto" => return None,
            _ if is_off(&entry.value) => return Some(false),
            Data::Text(_) => {
                let reason = "expected \"auto\", true or \"off\"".into();
                cx.bad_value(name, &entry.value, reason);
            }
            _ => cx.wrong_type(name, &entry.value, "\"auto\", true or \"off\""),
        }
        None
    }

    /// One of the words that the key table names; `false` is `"off"` where that is one.
    pub(crate) fn word(&self, cx: &mut Lower<'_>, name: &str) -> String {
        let default = || self.key(name).default.to_owned();
        let (Kind::Word(known) | Kind::Switch(known)) = self.key(name).kind else {
            return default();
        };
        let off = |entry: &&Entry| known.contains(&"off") && is_off(&entry.value);
        if self
            .table
            .and_then(|table| table.entry(name))
            .filter(off)
            .is_some()
        {
            self.entry(cx, name);
            return "off".into();
        }
        let Some(entry) = self.entry(cx, name) else {
            return default();
        };
        let Data::Text(text) = &entry.value.data else {
            cx.wrong_type(
                name,
                &entry.value,
                &format!("\"{}\"", known.join("\" or \"")),
            );
            return default();
        };
        let word = (text.clone(), entry.value.span);
        if known.contains(&word.0.as_str()) {
            return word.0;
        }
        let reason = match nearest(&word.0, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("expected one of {}", known.join(", ")),
        };
        cx.bad_word(name, &word, reason);
        default()
    }

    /// A number, within the bounds of the key table. Absent without default: `None`.
    pub(crate) fn count(&self, cx: &mut Lower<'_>, name: &str) -> Option<u64> {
        let key = self.key(name);
        let (Kind::Count(low, high) | Kind::AutoCount(low, high)) = key.kind else {
            return None;
        };
        let default = key.default.parse().ok();
        let Some(entry) = self.entry(cx, name) else {
            return default;
        };
        let number = match &entry.value.data {
            Data::Integer(number) => u64::try_from(*number).ok(),
            _ if low == 0 && is_off(&entry.value) => Some(0),
            Data::Text(word) if word == "auto" && matches!(key.kind, Kind::AutoCount(..)) => {
                return None;
            }
            _ => {
                cx.wrong_type(name, &entry.value, "a whole number");
                return default;
            }
        };
        let number = number.filter(|number| (low..=high).contains(number));
        if number.is_none() {
            let reason = format!("expected a number from {low} to {high}");
            cx.bad_value(name, &entry.value, reason);
        }
        number.or(default)
    }

    /// Numbers of a list or a single one, within the bounds of the key table. Absent: none.
    pub(crate) fn counts(&self, cx: &mut Lower<'_>, name: &str) -> Vec<u64> {
        let Kind::Counts(low, high) = self.key(name).kind else {
            return Vec::new();
        };
        let Some(entry) = self.entry(cx, name) else {
            return Vec::new();
        };
        let items = match &entry.value.data {
            Data::Array(items) => &items[..],
            _ => std::slice::from_ref(&entry.value),
        };
        let mut found = Vec::new();
        for item in items {
            let Data::Integer(number) = &item.data else {
                cx.wrong_type(name, item, "a whole number");
                continue;
            };
            let number = u64::try_from(*number).ok();
            match number.filter(|number| (low..=high).contains(number)) {
                Some(number) => found.push(number),
                None => {
                    let reason = format!("expected a number from {low} to {high}");
                    cx.bad_value(name, item, reason);
                }
            }
        }
        found
    }

    pub(crate) fn usize(&self, cx: &mut Lower<'_>, name: &str) -> usize {
        let count = self.count(cx, name).unwrap_or(0);
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// A time. Absent without default: `None`.
    pub(crate) fn duration(&self, cx: &mut Lower<'_>, name: &str) -> Option<Duration> {
        let key = self.key(name);
        let time = self.quantity(cx, name, units::duration, "30s");
        if time == Some(Duration::ZERO)
            && matches!(key.kind, Kind::Duration)
            && let Some(entry) = self.table.and_then(|table| table.entry(name))
        {
            cx.bad_value(name, &entry.value, "expected more than no time".into());
        }
        time
    }

    pub(crate) fn time(&self, cx: &mut Lower<'_>, name: &str) -> Duration {
        self.duration(cx, name).unwrap_or_default()
    }

    /// Bytes. Absent without default: `None`; off: 0.
    pub(crate) fn size(&self, cx: &mut Lower<'_>, name: &str) -> Option<u64> {
        self.quantity_or_off(cx, name, units::size, "10MiB")
    }

    /// Bytes per second; off: 0.
    pub(crate) fn rate(&self, cx: &mut Lower<'_>, name: &str) -> u64 {
        self.quantity_or_off(cx, name, units::rate, "240B/s")
            .unwrap_or(0)
    }

    fn quantity_or_off(
        &self,
        cx: &mut Lower<'_>,
        name: &str,
        read: fn(&str) -> Result<u64, String>,
        example: &str,
    ) -> Option<u64> {
        match self.table.and_then(|table| table.entry(name)) {
            Some(entry) if is_off(&entry.value) => {
                self.entry(cx, name);
                Some(0)
            }
            _ => self.quantity(cx, name, read, example),
        }
    }

    fn quantity<T>(
        &self,
        cx: &mut Lower<'_>,
        name: &str,
        read: fn(&str) -> Result<T, String>,
        example: &str,
    ) -> Option<T> {
        let default = read(self.key(name).default).ok();
        let Some(entry) = self.entry(cx, name) else {
            return default;
        };
        match &entry.value.data {
            Data::Text(text) => match read(text) {
                Ok(value) => return Some(value),
                Err(reason) if reason.starts_with("a bare number") => {
                    cx.no_unit(name, &entry.value, reason);
                }
                Err(reason) => cx.bad_value(name, &entry.value, reason),
            },
            Data::Integer(number) => {
                let unit = example.trim_start_matches(|c: char| c.is_ascii_digit());
                let reason = format!("a bare number has no unit: write \"{number}{unit}\"");
                cx.no_unit(name, &entry.value, reason);
            }
            _ => cx.wrong_type(name, &entry.value, &format!("a text such as \"{example}\"")),
        }
        default
    }

    /// A path, absolute when the file's directory is.
    pub(crate) fn path(&self, cx: &mut Lower<'_>, name: &str) -> Option<PathBuf> {
        let default = self.key(name).default;
        if !self.has(name) {
            self.entry(cx, name);
            return (!default.is_empty()).then(|| cx.absolute(default, self.base()));
        }
        let (text, span) = self.text(cx, name)?;
        if text.is_empty() {
            cx.report(Diagnostic::error(
                "bad-value",
                span,
                format!("`{name}` is empty"),
            ));
            return None;
        }
        Some(cx.absolute(&text, span))
    }

    /// What relative defaults are relative to: the file of the table, or the main one.
    fn base(&self) -> Span {
        self.span
    }

    /// A table of texts.
    pub(crate) fn pairs(&self, cx: &mut Lower<'_>, name: &str) -> Vec<(Word, Word)> {
        let Some(entry) = self.entry(cx, name) else {
            return Vec::new();
        };
        let Data::Table(table) = &entry.value.data else {
            cx.wrong_type(
                name,
                &entry.value,
                "a table of texts such as { name = \"text\" }",
            );
            return Vec::new();
        };
        let pair = |entry: &Entry| {
            let value = cx.text(&entry.key, &entry.value)?;
            Some(((entry.key.clone(), entry.key_span), value))
        };
        table.entries.iter().filter_map(pair).collect()
    }
}

/// `false` and `"off"`.
pub(crate) fn is_off(value: &Value) -> bool {
    matches!(&value.data, Data::Bool(false)) || matches!(&value.data, Data::Text(t) if t == "off")
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
