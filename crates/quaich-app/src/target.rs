//! What `quaich run APP` means: `module:callable`, a module, a `.py` file or a folder.
//!
//! Called by the command line. Looks at files and folders only and imports nothing: whether the
//! app can be loaded shows in the first worker.

mod folder;

use std::path::{Path, PathBuf};

/// An app to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is imported.
    pub target: Target,
    /// First on the import path, and working directory; absolute when the given one was.
    pub dir: PathBuf,
    /// A name for the app: letters, digits, `-` and `_`.
    pub name: String,
    /// What was taken and why, when it was not spelt out: `app.py in shop`.
    pub note: Option<String>,
}

/// As in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The value of `module`: `shop.wsgi:application`.
    Module(String),
    /// The value of `file`: a path, also with `:callable`.
    File(String),
}

/// Finds what `app` stands for, seen from `dir`. The error is one message with its cure.
pub fn find(app: Option<&str>, dir: &Path) -> Result<Found, String> {
    let Some(app) = app else {
        return folder::find(dir);
    };
    let (place, callable) = match app.split_once(':') {
        Some((place, callable)) => (place, Some(callable)),
        None => (app, None),
    };
    let path = dir.join(place);
    if callable.is_none() && path.is_dir() && !is_package(dir, place) {
        return folder::find(&path);
    }
    if place.ends_with(".py") {
        return file(&path, place, callable);
    }
    if !place.split('.').all(is_identifier) {
        return Err(format!(
            "`{app}` is no app: give `module:callable`, a module, a .py file or a folder{}",
            if place.contains('/') {
                " that exists"
            } else {
                ""
            }
        ));
    }
    Ok(Found {
        target: Target::Module(app.to_owned()),
        dir: dir.to_owned(),
        name: name_for(place.split('.').next().unwrap_or(place)),
        note: None,
    })
}

/// `quaich run shop` in the folder above a package that is a module itself, not a project folder.
fn is_package(dir: &Path, place: &str) -> bool {
    is_identifier(place) && dir.join(place).join("__init__.py").is_file()
}

fn file(path: &Path, shown: &str, callable: Option<&str>) -> Result<Found, String> {
    if !path.is_file() {
        return Err(format!("there is no file `{shown}`"));
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let suffix = callable
        .map(|callable| format!(":{callable}"))
        .unwrap_or_default();
    let (dir, packages) = out_of_packages(folder);
    if packages.is_empty() || !is_identifier(stem) {
        return Ok(Found {
            target: Target::File(format!("{}{suffix}", path.display())),
            dir: folder.to_owned(),
            name: name_for(stem),
            note: None,
        });
    }
    let module = format!("{}.{stem}", packages.join("."));
    Ok(Found {
        note: Some(format!(
            "module {module}, because {shown} is part of a package"
        )),
        target: Target::Module(format!("{module}{suffix}")),
        name: name_for(&packages[0]),
        dir,
    })
}

/// The folder above the outermost package that `folder` is in, and the packages' names.
fn out_of_packages(folder: &Path) -> (PathBuf, Vec<String>) {
    let mut names = Vec::new();
    let mut at = folder;
    while at.join("__init__.py").is_file() {
        let name = at
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some(above) = at.parent().filter(|_| is_identifier(name)) else {
            break;
        };
        names.insert(0, name.to_owned());
        at = above;
    }
    (at.to_owned(), names)
}

fn is_identifier(word: &str) -> bool {
    let mut letters = word.chars();
    letters
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

fn name_for(word: &str) -> String {
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let letters = word.chars().map(|letter| letter.to_ascii_lowercase());
    let name: String = letters
        .map(|letter| if fits(letter) { letter } else { '-' })
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() {
        "app".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
pub(crate) mod tests;
