//! What the tests and examples need beside cargo: Debian packages and a Python environment.
//!
//! Called by `test`, `run` and `bench`. It installs packages only when it is root on Debian, and
//! writes only below `.test/` (or the example's own `.venv`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Outcome, capture, root, run};

/// Installs the Debian packages whose probe path is missing, when root; else says what is missing.
/// A test that needs a missing program says so itself, so this never fails the run.
pub(crate) fn debian_packages(wanted: &[(&str, &str)]) {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(probe, _)| !Path::new(probe).exists())
        .map(|(_, p)| *p)
        .collect();
    if missing.is_empty() {
        return;
    }
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        eprintln!(
            "note: not installed: {} (needs root on Debian)",
            missing.join(" ")
        );
        return;
    }
    let install = || {
        run(apt().args(["update", "-qq"]))?;
        let flags = ["install", "-y", "-qq", "--no-install-recommends"];
        run(apt().args(flags).args(&missing))
    };
    if let Err(why) = install() {
        eprintln!("note: {why}; what needs {} is skipped", missing.join(", "));
    }
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    // Packages must not start the services that they bring.
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1");
    command
}

fn is_root() -> bool {
    capture(Command::new("id").arg("-u")).is_ok_and(|out| out.trim() == "0")
}

/// Makes the environment `venv` from a requirements file unless it is already what the file says;
/// returns its interpreter.
pub(crate) fn venv(venv: &Path, requirements: &Path) -> Result<PathBuf, String> {
    let wanted = fs::read_to_string(requirements)
        .map_err(|e| format!("cannot read {}: {e}", requirements.display()))?;
    let python = venv.join("bin/python");
    let stamp = venv.join("requirements.installed");
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(python);
    }
    make_venv(venv)?;
    let list = requirements.to_string_lossy();
    let flags = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        &list,
    ];
    run(Command::new(&python).args(flags).current_dir(root()))?;
    fs::write(&stamp, wanted).map_err(|e| format!("cannot write {}: {e}", stamp.display()))?;
    Ok(python)
}

fn make_venv(venv: &Path) -> Outcome {
    let made = run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(venv));
    if made.is_ok() || !is_root() {
        return made;
    }
    // Debian splits `venv` off into a package of its own.
    debian_packages(&[("/nonexistent", "python3-venv")]);
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(venv))
}
