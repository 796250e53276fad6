//! Parsing the main file and what it includes, merged into one document. Called by `load`.

use std::path::{Path, PathBuf};

use super::{FileSystem, clean, reason};
use crate::diagnostic::Diagnostic;
use crate::document::{self, Data, Table};
use crate::lower;
use crate::source::{Source, Span};

/// The texts of one configuration while they are read.
pub(super) struct Reading<'a> {
    pub(super) fs: &'a dyn FileSystem,
    pub(super) sources: Vec<Source>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// First place (source, offset) from which on a text may have been misunderstood.
    pub(super) broken: Option<(usize, usize)>,
}

impl Reading<'_> {
    /// Parses the source with this index.
    pub(super) fn source(&mut self, id: usize) -> Table {
        let parsed = document::parse(&self.sources[id], id);
        self.diagnostics.extend(parsed.report);
        if let (None, Some(at)) = (self.broken, parsed.broken_at) {
            self.broken = Some((id, at));
        }
        parsed.root
    }

    /// Merges the files that `include` of the main file names.
    pub(super) fn include(&mut self, root: &mut Table) {
        let Some(entry) = root.entry("include").cloned() else {
            return;
        };
        let patterns = match &entry.value.data {
            Data::Text(_) => std::slice::from_ref(&entry.value),
            Data::Array(items) => items.as_slice(),
            _ => return,
        };
        for pattern in patterns {
            let Data::Text(text) = &pattern.data else {
                continue;
            };
            match self.files(text) {
                Ok(files) => {
                    for file in files {
                        self.include_file(root, &file, pattern.span);
                    }
                }
                Err(message) => {
                    self.diagnostics
                        .push(Diagnostic::error("cannot-read", pattern.span, message));
                }
            }
        }
    }

    /// The files that a pattern stands for, by name. Globs stand only in the last part.
    fn files(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let main = &self.sources[0];
        let shown = Path::new(&main.name).parent().unwrap_or(Path::new(""));
        let path = shown.join(pattern);
        if !pattern.contains(['*', '?']) {
            return Ok(vec![path]);
        }
        let parent = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let last = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let last = last.unwrap_or_default();
        if parent.to_string_lossy().contains(['*', '?']) {
            return Err(format!(
                "`{pattern}`: `*` and `?` stand only in the file name"
            ));
        }
        let names = self.fs.list(if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &parent
        });
        let names =
            names.map_err(|error| format!("cannot list `{pattern}`: {}", reason(&error)))?;
        let mut names: Vec<String> = names
            .into_iter()
            .filter(|name| !name.starts_with('.') && lower::glob(&last, name))
            .collect();
        names.sort_unstable();
        let files = names.into_iter().map(|name| parent.join(name));
        // `include = ["*.toml"]` beside the main file would include the file itself.
        Ok(files
            .filter(|file| *file != Path::new(&main.name))
            .collect())
    }

    fn include_file(&mut self, root: &mut Table, path: &Path, span: Span) {
        let name = path.display().to_string();
        if self.sources.iter().any(|source| source.name == name) {
            let message = format!("`{name}` is included twice");
            self.diagnostics
                .push(Diagnostic::error("duplicate-key", span, message));
            return;
        }
        let text = match self.fs.read(path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read `{name}`: {}", reason(&error));
                self.diagnostics
                    .push(Diagnostic::error("cannot-read", span, message));
                return;
            }
        };
        let shown = Path::new(&self.sources[0].name)
            .parent()
            .unwrap_or(Path::new(""));
        let own = path.parent().unwrap_or(Path::new(""));
        let dir = self.sources[0]
            .dir
            .join(own.strip_prefix(shown).unwrap_or(own));
        let id = self.sources.len();
        self.sources.push(Source::file(&name, &text, &clean(&dir)));
        let table = self.source(id);
        if let Some(entry) = table.entry("include") {
            let message = "an included file includes nothing itself";
            self.diagnostics
                .push(Diagnostic::error("bad-value", entry.key_span, message));
        }
        let entries = table
            .entries
            .into_iter()
            .filter(|entry| entry.key != "include")
            .collect();
        root.merge(Table { entries }, &mut self.diagnostics);
    }
}
