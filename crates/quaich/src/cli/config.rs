//! `quaich config show`: the configuration with every default filled in.

use std::path::PathBuf;

use super::serve::OverrideFlags;
use super::source;
use crate::exit::{Code, Failure};

const AFTER_HELP: &str = "\
Examples:
  quaich config show                 ./quaich.toml with all defaults
  quaich config show -c site.toml --origin   and where each value came from";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Print it
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
struct ShowArgs {
    /// Configuration file
    #[arg(short, long, value_name = "FILE", env = "QUAICH_CONFIG")]
    #[arg(default_value = source::DEFAULT_FILE)]
    config: PathBuf,
    /// Say behind each value where it came from
    #[arg(long, env = "QUAICH_ORIGIN")]
    origin: bool,
    /// Print it as JSON
    #[arg(long, env = "QUAICH_JSON")]
    json: bool,
    #[command(flatten)]
    overrides: OverrideFlags,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let Verb::Show(args) = &args.verb;
    let loaded = source::load(&args.config, args.overrides.overrides())?;
    source::show(&loaded);
    let Some(config) = &loaded.config else {
        return Err(Failure::new(Code::Config, ""));
    };
    if args.json {
        let text = serde_json::to_string_pretty(config);
        let text = text.map_err(|error| Failure::new(Code::Config, error.to_string()))?;
        super::print(&format!("{text}\n"));
    } else {
        let origins = args.origin.then_some(&loaded.origins);
        super::print(&quaich_config::print::to_toml(config, origins));
    }
    Ok(())
}
