//! `quaich files`: a static file server.

use std::path::PathBuf;

use quaich_config::print::TomlWriter;

use super::one_liner::{self, OneLiner, ServerFlags};
use super::source;
use crate::exit::{Code, Failure};

const AFTER_HELP: &str = "\
Examples:
  quaich files                       this folder
  quaich files ./public -b :8080
  quaich files ./downloads --list    with listings of folders";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Folder to serve
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// List folders that have no index file
    #[arg(long, env = "QUAICH_LIST")]
    list: bool,
    #[command(flatten)]
    server: ServerFlags,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let dir = source::current_dir()?.join(&args.dir);
    let dir = dir.canonicalize().map_err(|error| {
        let message = format!(
            "the folder {} cannot be served: {error}",
            args.dir.display()
        );
        Failure::new(Code::Config, message)
    })?;
    let mut out = TomlWriter::new(None);
    one_liner::write_server(&mut out, &args.server)?;
    out.tables("site.files.route");
    out.inline("files", |out| {
        out.text("root", &dir.display().to_string());
        if args.list {
            out.flag("list", true);
        }
    });
    let text = out.finish();
    OneLiner {
        command: "quaich files",
        notes: Vec::new(),
        text,
    }
    .serve(&args.server)
}
