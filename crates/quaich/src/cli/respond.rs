//! `quaich respond`: the same answer to everything, for tests and holding pages.

use quaich_config::print::TomlWriter;

use super::one_liner::{self, OneLiner, ServerFlags};
use crate::exit::Failure;

const AFTER_HELP: &str = "\
Examples:
  quaich respond --body hello
  quaich respond -b :8080 --status 503 --body 'back soon'
  quaich respond --type application/json --body '{\"ok\": true}'";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Status code
    #[arg(long, value_name = "N", default_value_t = 200, env = "QUAICH_STATUS")]
    status: u16,
    /// Body
    #[arg(long, value_name = "TEXT", default_value = "", env = "QUAICH_BODY")]
    body: String,
    /// Content-Type [default: text/plain; charset=utf-8]
    #[arg(long = "type", value_name = "MIME", env = "QUAICH_TYPE")]
    content_type: Option<String>,
    #[command(flatten)]
    server: ServerFlags,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let mut out = TomlWriter::new(None);
    one_liner::write_server(&mut out, &args.server)?;
    out.tables("site.respond.route");
    out.inline("respond", |out| {
        out.number("status", args.status);
        out.text("body", &args.body);
        out.maybe_text("type", args.content_type.as_deref());
    });
    let text = out.finish();
    OneLiner {
        command: "quaich respond",
        notes: Vec::new(),
        text,
    }
    .serve(&args.server)
}
