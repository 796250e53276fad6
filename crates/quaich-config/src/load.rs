//! The way in: a path or a text becomes a `Loaded`, with every mistake of all its files.
//!
//! Called by every command that takes a configuration. Touches files only through `FileSystem`.

use std::io;
use std::path::{Path, PathBuf};

use crate::diagnostic::{self, Diagnostic, Severity};
use crate::document::{self, Data, Entry, Table, Value};
use crate::keys::{self, Key, Keys, Kind};
use crate::lower::{self, Lower};
use crate::model::Config;
use crate::origin::{Environment, Origins, Override, Overrides};
use crate::source::{Source, Span};

/// How configuration files are read. Tests pass texts, the binary the real file system.
pub trait FileSystem {
    /// The whole text of a file.
    ///
    /// # Errors
    /// As the file system says; `InvalidData` when it is not UTF-8.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// The names in a directory, in any order. Called for `include` globs.
    ///
    /// # Errors
    /// As the file system says.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl FileSystem for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(directory)?;
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }
}

/// What came of reading a configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// `None` if there is any error.
    pub config: Option<Config>,
    /// In the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// What spans refer to. The first is the main file.
    pub sources: Vec<Source>,
    /// Where every value came from.
    pub origins: Origins,
}

impl Loaded {
    /// How many errors and how many warnings there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let errors = self
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count();
        (errors, self.diagnostics.len() - errors)
    }
}

/// What is read besides the file.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The machine and the well-known environment variables.
    pub environment: Environment,
    /// Flags and `QUAICH_*`.
    pub overrides: Overrides,
    /// Where relative paths of overrides start: the current directory.
    pub current_dir: PathBuf,
}

/// Reads a configuration file and what it includes.
pub fn load(path: &Path, fs: &dyn FileSystem, around: &Surroundings) -> Loaded {
    let name = path.display().to_string();
    match fs.read(path) {
        Ok(text) => {
            let dir = around
                .current_dir
                .join(path.parent().unwrap_or(Path::new("")));
            finish(Source::file(&name, &text, &clean(&dir)), fs, around)
        }
        Err(error) => {
            let message = format!("cannot read `{name}`: {}", reason(&error));
            Loaded {
                config: None,
                diagnostics: vec![Diagnostic::nowhere("cannot-read", message)],
                sources: vec![Source::file(&name, "", Path::new(""))],
                origins: Origins::new(),
            }
        }
    }
}

/// Reads a configuration from a text; relative paths start at `base_dir`. Nothing is included.
pub fn parse(name: &str, text: &str, base_dir: &Path, around: &Surroundings) -> Loaded {
    finish(Source::file(name, text, base_dir), &NoFiles, around)
}

/// A text alone: there is nothing to include.
struct NoFiles;

impl FileSystem for NoFiles {
    fn read(&self, _path: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn list(&self, _directory: &Path) -> io::Result<Vec<String>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Codes that do not depend on what a broken part of the file would have said.
const LOCAL: [&str; 6] = [
    "unknown-key",
    "not-yet",
    "wrong-type",
    "missing-unit",
    "bad-value",
    "duplicate-key",
];

fn finish(main: Source, fs: &dyn FileSystem, around: &Surroundings) -> Loaded {
    let mut reading = Reading {
        fs,
        sources: vec![main],
        diagnostics: Vec::new(),
        broken: None,
    };
    let mut root = reading.source(0);
    reading.include(&mut root);
    let Reading {
        mut sources,
        mut diagnostics,
        broken,
        ..
    } = reading;
    for over in &around.overrides.list {
        apply(&mut root, over, &mut sources, &around.current_dir);
    }
    let environment = &around.environment;
    let mut cx = Lower {
        sources: &sources,
        env: environment,
        diagnostics: Vec::new(),
        origins: Origins::new(),
    };
    let config = lower::lower(&mut cx, &root);
    let Lower {
        diagnostics: found,
        origins,
        ..
    } = cx;
    let trusted = |d: &Diagnostic| match (broken, d.span()) {
        (None, _) => true,
        (Some((source, at)), Some(span)) => {
            LOCAL.contains(&d.code) && (span.source != source || span.end <= at)
        }
        (Some(_), None) => false,
    };
    diagnostics.extend(found.into_iter().filter(trusted));
    diagnostic::sort(&mut diagnostics);
    let usable = diagnostics.iter().all(|d| d.severity == Severity::Warning);
    Loaded {
        config: usable.then_some(config),
        diagnostics,
        sources,
        origins,
    }
}

struct Reading<'a> {
    fs: &'a dyn FileSystem,
    sources: Vec<Source>,
    diagnostics: Vec<Diagnostic>,
    /// First place (source, offset) from which on a text may have been misunderstood.
    broken: Option<(usize, usize)>,
}

impl Reading<'_> {
    /// Parses the source with this index.
    fn source(&mut self, id: usize) -> Table {
        let parsed = document::parse(&self.sources[id], id);
        self.diagnostics.extend(parsed.report);
        if let (None, Some(at)) = (self.broken, parsed.broken_at) {
            self.broken = Some((id, at));
        }
        parsed.root
    }

    /// Merges the files that `include` of the main file names.
    fn include(&mut self, root: &mut Table) {
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

    /// The files that a pattern stands for, in the order of their names. Globs only in the last part.
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

/// Puts a value from outside the file in the place of the file's.
fn apply(root: &mut Table, over: &Override, sources: &mut Vec<Source>, dir: &Path) {
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
        Kind::Bool | Kind::Switch(_) => match text {
            "true" | "1" | "yes" | "on" => Data::Bool(true),
            "false" | "0" | "no" => Data::Bool(false),
            _ => Data::Text(text.into()),
        },
        Kind::Count(..) | Kind::AutoCount(..) => match text.trim().parse() {
            Ok(number) => Data::Integer(number),
            Err(_) => Data::Text(text.into()),
        },
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

/// Removes `.` parts, so that paths in messages are short.
fn clean(path: &Path) -> PathBuf {
    path.components().collect()
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".into(),
        _ => error.to_string(),
    }
}
