//! `quaich proxy`: a reverse proxy in front of servers that run elsewhere.

use quaich_config::print::TomlWriter;

use super::one_liner::{self, OneLiner, ServerFlags};
use crate::exit::Failure;

const AFTER_HELP: &str = "\
Examples:
  quaich proxy --to http://127.0.0.1:9000
  quaich proxy -b :8080 --to 10.0.0.11:9000 10.0.0.12:9000
  quaich proxy --to unix:/run/app.sock
  quaich proxy --to uwsgi+unix:/run/app.sock";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Servers to forward to: http://HOST:PORT, HOST:PORT, https://HOST, h2c://HOST:PORT,
    /// uwsgi://HOST:PORT, fastcgi://HOST:PORT, scgi://HOST:PORT, unix:PATH, uwsgi+unix:PATH ...
    #[arg(long, value_name = "URL", env = "QUAICH_TO", value_delimiter = ',')]
    #[arg(required = true, num_args = 1..)]
    to: Vec<String>,
    #[command(flatten)]
    server: ServerFlags,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let mut out = TomlWriter::new(None);
    one_liner::write_server(&mut out, &args.server)?;
    out.table("upstream.servers");
    out.texts("servers", &args.to);
    out.table("site.proxy");
    out.text("upstream", "servers");
    let text = out.finish();
    OneLiner {
        command: "quaich proxy",
        notes: Vec::new(),
        text,
    }
    .serve(&args.server)
}
