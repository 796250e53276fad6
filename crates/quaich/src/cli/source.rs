//! Reads configurations for all verbs, and shows what is wrong with them.

use std::env;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use quaich_config::{Disk, Environment, Loaded, Overrides, Severity, Surroundings};

use crate::exit::{Code, Failure};
use crate::style;

/// The file that is meant when none is named.
pub(super) const DEFAULT_FILE: &str = "quaich.toml";

/// Reads a file.
pub(super) fn load(path: &Path, overrides: Overrides) -> Result<Loaded, Failure> {
    Ok(quaich_config::load(path, &Disk, &surroundings(overrides)?))
}

/// Reads the text that a one-liner stands for.
pub(super) fn parse(name: &str, text: &str) -> Result<Loaded, Failure> {
    let around = surroundings(Overrides::default())?;
    let dir = around.current_dir.clone();
    Ok(quaich_config::parse(name, text, &dir, &around))
}

/// Shows all diagnostics; the configuration, unless there is an error among them.
pub(super) fn accept(loaded: Loaded) -> Result<quaich_config::Config, Failure> {
    show(&loaded);
    loaded.config.ok_or_else(|| Failure::new(Code::Config, ""))
}

/// Prints diagnostics to standard error.
pub(super) fn show(loaded: &Loaded) {
    let colour = style::colour_on(&std::io::stderr());
    eprint!("{}", quaich_config::render(loaded, colour, width()));
}

/// Whether there is anything worse than a warning.
pub(super) fn has_errors(loaded: &Loaded) -> bool {
    loaded
        .diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// The current directory, absolute.
pub(super) fn current_dir() -> Result<PathBuf, Failure> {
    env::current_dir().map_err(|error| {
        Failure::new(
            Code::Config,
            format!("the current folder cannot be used: {error}"),
        )
    })
}

fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|width| *width >= 40)
        .unwrap_or(100)
}

fn surroundings(overrides: Overrides) -> Result<Surroundings, Failure> {
    let environment = Environment {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        web_concurrency: number("WEB_CONCURRENCY")?,
        port: number("PORT")?,
        forwarded_allow_ips: text("FORWARDED_ALLOW_IPS"),
        stdout_is_terminal: std::io::stdout().is_terminal(),
    };
    Ok(Surroundings {
        environment,
        overrides,
        current_dir: current_dir()?,
    })
}

/// A number from the environment; unset and empty are the same.
pub(super) fn number<T: std::str::FromStr>(name: &str) -> Result<Option<T>, Failure> {
    let Some(value) = text(name) else {
        return Ok(None);
    };
    value.trim().parse().map(Some).map_err(|_| {
        Failure::new(
            Code::Usage,
            format!("the variable {name} holds `{value}`, not a number"),
        )
    })
}

fn text(name: &str) -> Option<String> {
    env::var_os(name)
        .map(OsString::into_string)?
        .ok()
        .filter(|value| !value.is_empty())
}
