//! `cargo xtask run [EXAMPLE]`: builds the program and starts an example in the foreground.
//!
//! Also finds and starts the bench. It becomes the program that it starts, so that signals and the
//! exit code are the program's own.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment;
use crate::shell::{self, Outcome, cargo, root, target_dir};

/// Starts `examples/hello` or the one named; arguments after `--` go to quaich.
pub(crate) fn run(args: &[String]) -> Outcome {
    let (ours, more) = match args.iter().position(|a| a == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[][..]),
    };
    let example = example_dir(ours.first().map_or("examples/hello", String::as_str))?;
    // The tests' profile: a first look must not wait for link-time optimisation.
    let program = build("fast")?;
    let mut command = Command::new(program);
    command.current_dir(&example);
    let requirements = example.join("requirements.txt");
    if requirements.exists() {
        environment::venv(&example.join(".venv"), &requirements)?;
    }
    if example.join("quaich.toml").exists() {
        command.args(["serve", "-c", "quaich.toml"]);
    } else {
        command.arg("run");
    }
    Err(format!(
        "cannot start quaich: {}",
        command.args(more).exec()
    ))
}

/// Builds the program and the worker library that must lie beside it; returns the program's path.
fn build(profile: &str) -> Result<PathBuf, String> {
    let packages = ["-p", "quaich", "-p", "quaich-worker"];
    shell::run(cargo().args(["build", "--profile", profile]).args(packages))?;
    Ok(target_dir().join(profile).join("quaich"))
}

/// Builds the release program and hands over to the bench, which is a Python script of its own.
pub(crate) fn bench(args: &[String]) -> Outcome {
    let mut command = Command::new("python3");
    command
        .arg(root().join("bench/run.py"))
        .args(args)
        .current_dir(root());
    let asks_for_help = args.iter().any(|a| a == "--help" || a == "-h");
    if !asks_for_help {
        command.env("QUAICH", build("release")?);
    }
    Err(format!("cannot start python3: {}", command.exec()))
}

/// `hello`, `examples/hello` or a path.
fn example_dir(name: &str) -> Result<PathBuf, String> {
    let root = root();
    let tried = [
        root.join(name),
        root.join("examples").join(name),
        Path::new(name).to_path_buf(),
    ];
    let found = tried.iter().find(|dir| dir.is_dir());
    found
        .cloned()
        .ok_or_else(|| format!("no example `{name}`; they are the folders of examples/"))
}
