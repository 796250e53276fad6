//! `quaich schema`: what editors check and complete quaich.toml with.

use crate::exit::Failure;

const AFTER_HELP: &str = "\
Example:
  quaich schema > quaich.schema.json
and as the first line of quaich.toml:
  #:schema ./quaich.schema.json";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> Result<(), Failure> {
    super::print(&format!("{:#}\n", quaich_config::schema::json_schema()));
    Ok(())
}
