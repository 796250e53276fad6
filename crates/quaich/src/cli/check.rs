//! `quaich check`: every mistake of a file in one run. What the file names and this machine has
//! not is a warning.

use std::path::PathBuf;

use super::source;
use crate::boot;
use crate::certificates::{Inventory, date};
use crate::exit::{Code, Failure};
use crate::supervisor::files;

const AFTER_HELP: &str = "\
Examples:
  quaich check              ./quaich.toml
  quaich check site.toml --json
  quaich check --strict     also fails if a folder, an interpreter or a user is not here";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Configuration file [default: quaich.toml]
    file: Option<PathBuf>,
    /// The same, as the other commands take it
    #[arg(short, long, value_name = "FILE", env = "QUAICH_CONFIG")]
    #[arg(default_value = source::DEFAULT_FILE, hide_default_value = true)]
    config: PathBuf,
    /// Print what was found as one JSON object
    #[arg(long, env = "QUAICH_JSON")]
    json: bool,
    /// Warnings are failures, also those about what is missing on this machine
    #[arg(long, env = "QUAICH_STRICT")]
    strict: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let file = args.file.as_ref().unwrap_or(&args.config);
    let loaded = source::load(file, quaich_config::Overrides::default())?;
    if args.json {
        super::print(&format!("{:#}\n", quaich_config::to_json(&loaded)));
    } else {
        source::show(&loaded);
    }
    let warned = args.strict && !loaded.diagnostics.is_empty();
    let Some(mut config) = loaded.config.filter(|_| !warned) else {
        return Err(Failure::new(Code::Config, ""));
    };
    // Only warnings: the file may be meant for another machine.
    let mut missing = files::missing(&config);
    missing.extend(boot::missing(&mut config));
    let (certificates, failures) = Inventory::read(&config);
    // A key that does not fit does so nowhere.
    let (absent, wrong): (Vec<_>, Vec<_>) = failures.into_iter().partition(Failure::is_here_only);
    missing.extend(absent);
    missing.extend(certificates.warnings(&config, date::now()));
    for failure in &wrong {
        eprint!("{failure}");
    }
    for failure in &missing {
        match args.strict {
            true => eprint!("{failure}"),
            false => eprint!("{}", failure.as_warning()),
        }
    }
    if args.strict && !missing.is_empty() || !wrong.is_empty() {
        return Err(Failure::new(Code::Config, ""));
    }
    if !args.json {
        let but = match missing.is_empty() {
            true => "",
            false => ", but this machine has not all that it names",
        };
        super::print(&format!("{} is right{but}\n", file.display()));
    }
    Ok(())
}
