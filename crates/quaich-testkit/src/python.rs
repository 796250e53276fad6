//! The interpreter that test apps run in.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The test environment's python: `$QUAICH_TEST_PYTHON`, else `.test/venv` of the workspace, else
/// the `python3` on the path.
#[must_use]
pub fn python() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(find).clone()
}

fn find() -> PathBuf {
    if let Some(given) = std::env::var_os("QUAICH_TEST_PYTHON") {
        return given.into();
    }
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.test/venv/bin/python");
    let made = PathBuf::from(workspace);
    if made.exists() {
        made
    } else {
        PathBuf::from("python3")
    }
}

/// Whether the interpreter has these modules; says on standard error what is skipped when not.
///
/// Use as `if !requires_python(&["django"]) { return; }`. `cargo xtask test` always provides them,
/// and sets `QUAICH_TEST_PYTHON`, under which a missing module is a failure.
///
/// # Panics
/// When a module is missing although the environment was made for the tests.
#[must_use]
pub fn requires_python(modules: &[&str]) -> bool {
    let import = format!("import {}", modules.join(", "));
    let tried = Command::new(python()).args(["-c", &import]).output();
    let has_all = tried.as_ref().is_ok_and(|out| out.status.success());
    if !has_all {
        let prepared = std::env::var_os("QUAICH_TEST_PYTHON").is_some();
        assert!(
            !prepared,
            "the test environment lacks one of {modules:?}: {tried:?}"
        );
        eprintln!("skipped: {} lacks one of {modules:?}", python().display());
    }
    has_all
}
