//! Texts that a configuration is read from, and places in them.
//!
//! Diagnostics, origins and relative paths all refer to a `Span`. Never reads a file itself.

use std::path::{Path, PathBuf};

/// One text: a file, or the value of a flag or environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Shown to people: the path as given, or the flag's name.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Relative paths that stand in the text start here.
    pub dir: PathBuf,
    /// Whether `name` is a file, so that a line number means something.
    pub is_file: bool,
}

/// A byte range of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Index into the list of sources.
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Source {
    /// A text of a file, or of something shown like one.
    #[must_use]
    pub fn file(name: &str, text: &str, dir: &Path) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
            dir: dir.into(),
            is_file: true,
        }
    }

    /// A value that came from outside any file; `name` is its flag or variable.
    #[must_use]
    pub fn value(name: &str, text: &str, dir: &Path) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
            dir: dir.into(),
            is_file: false,
        }
    }

    /// Line and column of a byte offset, both from 1; the column counts characters.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before.get(start..).unwrap_or("").chars().count() + 1)
    }

    /// The byte range of the line that holds `offset`, without its line break.
    #[must_use]
    pub fn line_range(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let start = self.text.as_bytes()[..offset]
            .iter()
            .rposition(|b| *b == b'\n');
        let start = start.map_or(0, |at| at + 1);
        let rest = &self.text.as_bytes()[offset..];
        let end = rest
            .iter()
            .position(|b| *b == b'\n')
            .map_or(self.text.len(), |at| offset + at);
        (start, end)
    }

    /// `name:line`, or the name alone when it is no file.
    #[must_use]
    pub fn place(&self, offset: usize) -> String {
        if self.is_file {
            format!("{}:{}", self.name, self.position(offset).0)
        } else {
            self.name.clone()
        }
    }
}
