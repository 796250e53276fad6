//! Finds the app in a project folder: Django first, then the file names that people use.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Found, Target, is_identifier, name_for};

/// Tried in this order.
const FILES: [&str; 3] = ["app.py", "main.py", "wsgi.py"];

/// What a person who names the folder `dir` most likely means.
pub(super) fn find(dir: &Path) -> Result<Found, String> {
    if let Some(found) = django(dir) {
        return Ok(found);
    }
    if let Some(file) = FILES.into_iter().find(|file| dir.join(file).is_file()) {
        let module = file.trim_end_matches(".py");
        return Ok(found(
            dir,
            module.to_owned(),
            folder_name(dir, module),
            file.to_owned(),
        ));
    }
    match packages_with_wsgi(dir).as_slice() {
        [package] => Ok(one_below(dir, package)),
        [] => Err(format!(
            "no app found in {}: there is no Django project (manage.py), {}; name it: \
             quaich run module:callable",
            dir.display(),
            "app.py, main.py or wsgi.py"
        )),
        several => Err(format!(
            "{} has several wsgi.py ({}); name one: quaich run {}.wsgi",
            dir.display(),
            several.join(", "),
            several[0]
        )),
    }
}

/// The project of a `manage.py`: `PROJECT.settings` in it makes `PROJECT.wsgi`.
fn django(dir: &Path) -> Option<Found> {
    let manage = fs::read_to_string(dir.join("manage.py")).ok()?;
    if let Some(project) = settings_package(&manage) {
        let module = format!("{project}.wsgi");
        let file: PathBuf = module.split('.').collect();
        if dir.join(file).with_extension("py").is_file() {
            let name = name_for(project.split('.').next().unwrap_or_default());
            let note = format!("Django project {project} (manage.py, {module})");
            return Some(found(dir, module, name, note));
        }
    }
    let packages = packages_with_wsgi(dir);
    let [package] = packages.as_slice() else {
        return None;
    };
    Some(one_below(dir, package))
}

fn one_below(dir: &Path, package: &str) -> Found {
    let note = format!("{package}/wsgi.py in {}", dir.display());
    Found {
        note: Some(note),
        ..found(
            dir,
            format!("{package}.wsgi"),
            name_for(package),
            String::new(),
        )
    }
}

fn found(dir: &Path, module: String, name: String, note: String) -> Found {
    let note = match note.ends_with(".py") {
        true => format!("{note} in {}", dir.display()),
        false => note,
    };
    Found {
        target: Target::Module(module),
        dir: dir.to_owned(),
        name,
        note: Some(note),
    }
}

/// `app` and `main` say nothing: the folder's name does.
fn folder_name(dir: &Path, module: &str) -> String {
    let folder = fs::canonicalize(dir).ok();
    let name = folder
        .as_deref()
        .and_then(Path::file_name)
        .and_then(|name| name.to_str());
    name_for(name.unwrap_or(module))
}

/// The text before `.settings` in the value that `manage.py` gives `DJANGO_SETTINGS_MODULE`.
fn settings_package(manage: &str) -> Option<&str> {
    let (_, rest) = manage.split_once("DJANGO_SETTINGS_MODULE")?;
    let line = rest.lines().next()?.trim_start_matches(['"', '\'']);
    let start = line.find(['"', '\''])? + 1;
    let value = line.get(start..)?.split(['"', '\'']).next()?;
    let package = value.split(".settings").next()?;
    package.split('.').all(is_identifier).then_some(package)
}

fn packages_with_wsgi(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join("wsgi.py").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_identifier(name))
        .collect();
    names.sort();
    names
}
