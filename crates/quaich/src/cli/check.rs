//! `quaich check`: every mistake of a file in one run. What the file names and this machine has
//! not is a warning.

use std::path::PathBuf;

use quaich_config::Config;

use super::source;
use crate::boot::Plan;
use crate::exit::{Code, Failure};
use crate::supervisor::files;

const AFTER_HELP: &str = "\
Examples:
  quaich check              ./quaich.toml
  quaich check site.toml --json";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Configuration file
    #[arg(default_value = source::DEFAULT_FILE)]
    file: PathBuf,
    /// Print what was found as one JSON object
    #[arg(long, env = "QUAICH_JSON")]
    json: bool,
    /// Warnings are failures, also those about what is missing on this machine
    #[arg(long, env = "QUAICH_STRICT")]
    strict: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let loaded = source::load(&args.file, quaich_config::Overrides::default())?;
    if args.json {
        super::print(&format!("{:#}\n", quaich_config::to_json(&loaded)));
    } else {
        source::show(&loaded);
    }
    let warned = args.strict && !loaded.diagnostics.is_empty();
    let Some(config) = loaded.config.filter(|_| !warned) else {
        return Err(Failure::new(Code::Config, ""));
    };
    let shown = args.file.display().to_string();
    if let Err(missing) = look_around(config, &shown) {
        // The file may be meant for another machine.
        if args.strict {
            return Err(missing);
        }
        eprint!("{}", missing.as_warning());
    }
    if !args.json {
        super::print(&format!("{shown} is right\n"));
    }
    Ok(())
}

/// Whether what the file names is on this machine.
fn look_around(config: Config, shown: &str) -> Result<(), Failure> {
    files::open_roots(&config)?;
    Plan::new(config, shown.to_owned(), Vec::new(), None).map(drop)
}
