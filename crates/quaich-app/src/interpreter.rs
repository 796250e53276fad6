//! Which Python runs an app, and whether it can.
//!
//! Called once per app at start, before any worker: order of the search, and one question to the
//! interpreter that was found. Environment and `PATH` are passed in.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Oldest version that can load the worker library.
pub const OLDEST: (u32, u32) = (3, 10);

/// A Python and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The program.
    pub path: PathBuf,
    /// In words for people: `.venv beside the app`, `$VIRTUAL_ENV`.
    pub origin: String,
}

/// The variables that matter to the search.
#[derive(Clone, Copy, Debug, Default)]
pub struct Environment<'a> {
    /// `$VIRTUAL_ENV`
    pub virtual_env: Option<&'a OsStr>,
    /// `$PATH`
    pub path: Option<&'a OsStr>,
}

/// The interpreter for an app in `dir`: the active environment, else `.venv` or `venv` in `dir` or
/// above it, else `python3` or `python` on `PATH`.
pub fn find(dir: &Path, environment: Environment<'_>) -> Option<Found> {
    active(environment.virtual_env)
        .or_else(|| nearby(dir))
        .or_else(|| on_path(environment.path))
}

/// The interpreter of a virtual environment folder, if it has one.
pub fn in_venv(folder: &Path) -> Option<PathBuf> {
    let python = folder.join("bin/python");
    python.is_file().then_some(python)
}

fn active(variable: Option<&OsStr>) -> Option<Found> {
    let folder = variable.filter(|value| !value.is_empty())?;
    Some(Found {
        path: in_venv(Path::new(folder))?,
        origin: "$VIRTUAL_ENV".into(),
    })
}

fn nearby(dir: &Path) -> Option<Found> {
    dir.ancestors().enumerate().find_map(|(level, folder)| {
        [".venv", "venv"].into_iter().find_map(|name| {
            let path = in_venv(&folder.join(name))?;
            let origin = match level {
                0 => format!("{name} beside the app"),
                _ => format!("{name} in {}", folder.display()),
            };
            Some(Found { path, origin })
        })
    })
}

/// The program `name` in the folders of `variable`, which has the shape of `$PATH`.
pub fn program(name: &OsStr, variable: Option<&OsStr>) -> Option<PathBuf> {
    std::env::split_paths(variable?)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

fn on_path(variable: Option<&OsStr>) -> Option<Found> {
    ["python3", "python"].into_iter().find_map(|name| {
        let path = program(OsStr::new(name), variable)?;
        Some(Found {
            path,
            origin: format!("{name} on PATH"),
        })
    })
}

/// What an interpreter says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// `CPython`
    pub implementation: String,
    /// `3.12.1`
    pub version: String,
    /// The program itself, where `path` is only a launcher of it.
    pub executable: PathBuf,
}

/// Why an interpreter cannot run an app. Displayed as one sentence.
#[derive(Debug)]
pub enum Unfit {
    /// It cannot be started.
    NotStarted(PathBuf, io::Error),
    /// It ran and gave no answer; the text is what it printed instead.
    NoAnswer(PathBuf, String),
    /// It is older than [`OLDEST`], or no CPython.
    TooOld(PathBuf, String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = OLDEST;
        match self {
            Unfit::NotStarted(path, error) => {
                write!(
                    f,
                    "the interpreter {} cannot be started: {error}",
                    path.display()
                )
            }
            Unfit::NoAnswer(path, said) => {
                write!(
                    f,
                    "{} does not work as a Python interpreter: {said}",
                    path.display()
                )
            }
            Unfit::TooOld(path, version) => {
                let path = path.display();
                write!(
                    f,
                    "{path} is {version}, quaich needs CPython {major}.{minor} or newer"
                )
            }
        }
    }
}

impl std::error::Error for Unfit {}

/// Works in any Python ever made, so that an old one can say how old it is.
const QUESTION: &str = "import sys, platform
print('\\n'.join(['quaich', platform.python_implementation(), platform.python_version(),
sys.executable or '', '%d %d' % sys.version_info[:2]]))";

/// Runs the interpreter to learn its version; waits for it.
pub fn ask(path: &Path) -> Result<Version, Unfit> {
    let answer = Command::new(path)
        .args(["-S", "-E", "-c", QUESTION])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Unfit::NotStarted(path.into(), error))?;
    let said = String::from_utf8_lossy(&answer.stdout);
    read_answer(path, &said).unwrap_or_else(|| {
        let complaint = String::from_utf8_lossy(&answer.stderr);
        let last = complaint.lines().rfind(|line| !line.trim().is_empty());
        let said = last.map_or_else(|| answer.status.to_string(), str::to_owned);
        Err(Unfit::NoAnswer(path.into(), said))
    })
}

fn read_answer(path: &Path, said: &str) -> Option<Result<Version, Unfit>> {
    let mut lines = said.lines().skip_while(|line| *line != "quaich").skip(1);
    let [implementation, version, executable, numbers] =
        [lines.next()?, lines.next()?, lines.next()?, lines.next()?];
    let (major, minor) = numbers.split_once(' ')?;
    let numbers: (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    if numbers < OLDEST || implementation != "CPython" {
        return Some(Err(Unfit::TooOld(
            path.into(),
            format!("{implementation} {version}"),
        )));
    }
    let executable = if executable.is_empty() {
        path.into()
    } else {
        executable.into()
    };
    let [implementation, version] = [implementation.to_owned(), version.to_owned()];
    Some(Ok(Version {
        implementation,
        version,
        executable,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::tests::Tree;
    use std::os::unix::fs::PermissionsExt;

    fn found(tree: &Tree, dir: &str, venv: Option<&str>) -> Option<(PathBuf, String)> {
        let venv = venv.map(|name| tree.path(name));
        let path = tree.path("bin");
        let environment = Environment {
            virtual_env: venv.as_deref().map(Path::as_os_str),
            path: Some(path.as_os_str()),
        };
        let found = find(&tree.path(dir), environment)?;
        Some((
            found.path.strip_prefix(tree.path("")).unwrap().into(),
            found.origin,
        ))
    }

    #[test]
    fn the_active_environment_wins_then_the_nearest_then_path() {
        let tree = Tree::new(&[
            ("active/bin/python", ""),
            ("work/.venv/bin/python", ""),
            ("work/app/venv/bin/python", ""),
            ("work/other/x.py", ""),
            ("far/x.py", ""),
            ("bin/python3", ""),
        ]);
        let expect = |path: &str, origin: &str| Some((path.into(), origin.to_owned()));
        assert_eq!(
            found(&tree, "work/app", Some("active")),
            expect("active/bin/python", "$VIRTUAL_ENV")
        );
        assert_eq!(
            found(&tree, "work/app", None),
            expect("work/app/venv/bin/python", "venv beside the app")
        );
        let above = format!(".venv in {}", tree.path("work").display());
        assert_eq!(
            found(&tree, "work/other", None),
            expect("work/.venv/bin/python", &above)
        );
        assert_eq!(
            found(&tree, "far", Some("gone")),
            expect("bin/python3", "python3 on PATH")
        );
    }

    #[test]
    fn a_real_python_names_itself() {
        let path = std::env::var_os("PATH").unwrap();
        let environment = Environment {
            virtual_env: None,
            path: Some(&path),
        };
        let python = find(Path::new("/"), environment).expect("these tests need python3");
        let version = ask(&python.path).unwrap();
        assert_eq!(version.implementation, "CPython");
        assert!(version.version.starts_with("3."), "{version:?}");
        assert!(version.executable.is_file(), "{version:?}");
    }

    fn program(tree: &Tree, text: &str) -> PathBuf {
        let path = tree.path("python");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Why it is refused. A fork of another test may hold the file open for writing for a moment.
    fn refused(path: &Path) -> String {
        loop {
            let text = ask(path).unwrap_err().to_string();
            if !text.contains("Text file busy") {
                return text;
            }
        }
    }

    #[test]
    fn an_old_python_is_refused_with_its_version() {
        let tree = Tree::new(&[]);
        let path = program(
            &tree,
            "#!/bin/sh\nprintf 'quaich\\nCPython\\n3.9.2\\n\\n3 9\\n'\n",
        );
        let text = refused(&path);
        assert!(
            text.ends_with("is CPython 3.9.2, quaich needs CPython 3.10 or newer"),
            "{text}"
        );
    }

    #[test]
    fn what_is_no_python_is_refused_with_what_it_said() {
        let tree = Tree::new(&[]);
        let path = program(&tree, "#!/bin/sh\necho 'no such option' >&2; exit 2\n");
        let text = refused(&path);
        assert!(
            text.ends_with("does not work as a Python interpreter: no such option"),
            "{text}"
        );
        assert!(matches!(
            ask(&tree.path("none")),
            Err(Unfit::NotStarted(..))
        ));
    }
}
