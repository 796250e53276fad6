//! `quaich check`: every mistake of a file in one run. Also looks at what the file names.

use std::path::PathBuf;

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
    /// Warnings are failures, too
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
    let shown = args.file.display().to_string();
    match loaded.config {
        Some(config) if !warned => {
            files::open_roots(&config)?;
            Plan::new(config, shown.clone(), Vec::new(), None)?;
        }
        _ => return Err(Failure::new(Code::Config, "")),
    }
    if !args.json {
        super::print(&format!("{shown} is right\n"));
    }
    Ok(())
}
