//! Where the workspace is and how other programs are run. Used by every verb; never by the product.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a verb returns: nothing, or one line for people.
pub(crate) type Outcome = Result<(), String>;

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command to its end with our own output; an error names it.
pub(crate) fn run(command: &mut Command) -> Outcome {
    announce(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|e| failed(command, &e))?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(command, &status))
    }
}

/// Runs a command quietly and returns its standard output; an error carries its standard error.
pub(crate) fn capture(command: &mut Command) -> Result<String, String> {
    let out = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| failed(command, &e))?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&out.stderr);
    Err(format!(
        "{}\n{}",
        failed(command, &out.status),
        said.trim_end()
    ))
}

/// Runs a command, passing each line of its standard output on and also to `see`.
/// True when it ended well.
pub(crate) fn watch(command: &mut Command, mut see: impl FnMut(&str)) -> Result<bool, String> {
    announce(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| failed(command, &e))?;
    let stdout = child.stdout.take().expect("stdout was asked to be a pipe");
    let mut ours = std::io::stdout();
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        // A closed pipe on our side must not stop the tests that are running.
        let _ = writeln!(ours, "{line}");
        see(&line);
    }
    let status = child.wait().map_err(|e| failed(command, &e))?;
    Ok(status.success())
}

fn announce(command: &Command) {
    eprintln!("$ {}", shown(command));
}

fn failed(command: &Command, why: &dyn std::fmt::Display) -> String {
    format!("`{}`: {why}", shown(command))
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy();
    let args = command.get_args().map(|a| a.to_string_lossy());
    std::iter::once(name)
        .chain(args)
        .collect::<Vec<_>>()
        .join(" ")
}
