//! Writes TOML 1.0 text: tables in the order of the calls, every text quoted rightly.

use std::fmt::{Display, Write};
use std::path::Path;

use crate::origin::Origins;

/// An ordered TOML text under construction.
///
/// ```
/// let mut out = quaich_config::print::TomlWriter::new(None);
/// out.table("server");
/// out.texts("listen", &[":8000"]);
/// assert_eq!(out.finish(), "[server]\nlisten = [\":8000\"]\n");
/// ```
#[derive(Debug)]
pub struct TomlWriter<'a> {
    text: String,
    /// Dotted path of the open table, with the index of a list's element.
    path: String,
    /// The list that was last written to, and its next index.
    list: (String, usize),
    /// Inside `{ ... }`: whether an entry stands there already.
    inline: Option<bool>,
    origins: Option<&'a Origins>,
}

impl<'a> TomlWriter<'a> {
    /// An empty text. With `origins` each value is followed by a comment that names its origin.
    #[must_use]
    pub fn new(origins: Option<&'a Origins>) -> Self {
        let list = (String::new(), 0);
        Self {
            text: String::new(),
            path: String::new(),
            list,
            inline: None,
            origins,
        }
    }

    /// Opens `[path]`; its parts are bare words.
    pub fn table(&mut self, path: &str) {
        self.header(format!("[{path}]"));
        path.clone_into(&mut self.path);
    }

    /// Opens the next `[[path]]`.
    pub fn tables(&mut self, path: &str) {
        self.header(format!("[[{path}]]"));
        if self.list.0 == path {
            self.list.1 += 1;
        } else {
            self.list = (path.to_owned(), 0);
        }
        self.path = format!("{path}[{}]", self.list.1);
    }

    /// `key = "value"`
    pub fn text(&mut self, key: &str, value: &str) {
        self.entry(key, &quoted(value));
    }

    /// `key = "value"`, or nothing.
    pub fn maybe_text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// `key = "path"`, or nothing.
    pub fn maybe_path(&mut self, key: &str, path: Option<&Path>) {
        self.maybe_text(key, path.map(Path::to_string_lossy).as_deref());
    }

    /// `key = ["a", "b"]`
    pub fn texts<T: AsRef<str>>(&mut self, key: &str, values: &[T]) {
        let quoted: Vec<String> = values.iter().map(|value| quoted(value.as_ref())).collect();
        self.entry(key, &format!("[{}]", quoted.join(", ")));
    }

    /// `key = 1`
    pub fn number(&mut self, key: &str, value: impl Display) {
        self.entry(key, &value.to_string());
    }

    /// `key = [1, 2]`
    pub fn numbers<T: Display>(&mut self, key: &str, values: &[T]) {
        let shown: Vec<String> = values.iter().map(T::to_string).collect();
        self.entry(key, &format!("[{}]", shown.join(", ")));
    }

    /// `key = true`
    pub fn flag(&mut self, key: &str, value: bool) {
        self.entry(key, &value.to_string());
    }

    /// `key = { "name" = "value" }`, or nothing when there are none.
    pub fn pairs<'p>(&mut self, key: &str, pairs: impl Iterator<Item = (&'p str, &'p str)>) {
        let pair = |(name, value): (&str, &str)| format!("{} = {}", bare(name), quoted(value));
        let pairs: Vec<String> = pairs.map(pair).collect();
        if !pairs.is_empty() {
            self.entry(key, &format!("{{ {} }}", pairs.join(", ")));
        }
    }

    /// `key = { ... }` with what `fill` writes.
    pub fn inline(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        let _ = write!(self.text, "{} = {{", bare(key));
        self.inline = Some(false);
        fill(self);
        self.inline = None;
        self.text.push_str(" }");
        self.line_end(key);
    }

    /// `key = [{ ... }, { ... }]` with what `fill` writes for each item.
    pub fn inline_list<T>(&mut self, key: &str, items: &[T], fill: impl Fn(&mut Self, &T)) {
        let _ = write!(self.text, "{} = [", bare(key));
        for (index, item) in items.iter().enumerate() {
            self.text.push_str(if index == 0 { "{" } else { ", {" });
            self.inline = Some(false);
            fill(self, item);
            self.text.push_str(" }");
        }
        self.inline = None;
        self.text.push(']');
        self.line_end(key);
    }

    /// `key = { ... }` with what `fill` writes, inside of [`inline`](Self::inline).
    pub fn within(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        let outer = self.inline.replace(false);
        self.text
            .push_str(if outer == Some(true) { ", " } else { " " });
        let _ = write!(self.text, "{} = {{", bare(key));
        fill(self);
        self.inline = Some(true);
        self.text.push_str(" }");
    }

    /// `key = [{ ... }, { ... }]`: `fill` writes what stands in each.
    pub fn inlines<T>(&mut self, key: &str, items: &[T], mut fill: impl FnMut(&mut Self, &T)) {
        let _ = write!(self.text, "{} = [", bare(key));
        for (index, item) in items.iter().enumerate() {
            self.text.push_str(if index == 0 { "{" } else { ", {" });
            self.inline = Some(false);
            fill(self, item);
            self.inline = None;
            self.text.push_str(" }");
        }
        self.text.push(']');
        self.line_end(key);
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn header(&mut self, header: String) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&header);
        self.text.push('\n');
    }

    fn entry(&mut self, key: &str, value: &str) {
        if let Some(later) = &mut self.inline {
            self.text.push_str(if *later { ", " } else { " " });
            *later = true;
            let _ = write!(self.text, "{} = {value}", bare(key));
            return;
        }
        let _ = write!(self.text, "{} = {value}", bare(key));
        self.line_end(key);
    }

    fn line_end(&mut self, key: &str) {
        let origin = self
            .origins
            .and_then(|origins| origins.get(&format!("{}.{key}", self.path)));
        if let Some(origin) = origin {
            let start = self.text.rfind('\n').map_or(0, |at| at + 1);
            let length = self
                .text
                .get(start..)
                .map_or(0, |line| line.chars().count());
            let gap = 40_usize.saturating_sub(length).max(1);
            let _ = write!(self.text, "{:gap$}# {origin}", "");
        }
        self.text.push('\n');
    }
}

/// A key: bare where TOML allows it.
fn bare(key: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(fits) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

/// A basic string of TOML 1.0: quotes, backslashes and all controls escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
