//! The way in: a path or a text becomes a `Loaded`, with every mistake of all its files.
//!
//! Called by every command that takes a configuration. Touches files only through `FileSystem`.

mod reading;
mod splice;

use std::io;
use std::path::{Path, PathBuf};

use crate::diagnostic::{self, Diagnostic, Severity};
use crate::load::reading::Reading;
use crate::lower::{self, Lower};
use crate::model::Config;
use crate::origin::{Environment, Origins, Overrides};
use crate::source::Source;

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
        splice::apply(&mut root, over, &mut sources, &around.current_dir);
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
