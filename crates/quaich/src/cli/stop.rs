//! `quaich stop`: ends a running quaich and waits until it is gone.

use serde_json::json;

use super::control::{Conversation, Which};
use crate::exit::{Code, Failure};

const AFTER_HELP: &str = "\
Examples:
  quaich stop                    the only one that runs, or ./quaich.sock
  quaich stop -c site.toml       the one that serves this file
  quaich stop --quick            without letting running requests finish";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Break running requests off
    #[arg(long, env = "QUAICH_QUICK")]
    quick: bool,
    /// Print the answer as JSON
    #[arg(long, env = "QUAICH_JSON")]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut conversation = Conversation::open(&args.which)?;
    let mode = if args.quick { "quick" } else { "graceful" };
    let answer = conversation.ask(&json!({ "command": "stop", "mode": mode }))?;
    conversation
        .wait_for_end()
        .map_err(|error| Failure::new(Code::NotRunning, format!("lost sight of it: {error}")))?;
    if args.json {
        super::print(&format!("{}\n", json!({ "stopped": answer["stopping"] })));
    } else {
        super::print(&format!("stopped (process {})\n", answer["stopping"]));
    }
    Ok(())
}
