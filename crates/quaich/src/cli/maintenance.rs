//! `quaich maintenance`: closes a site for a while, and opens it again.

use serde_json::{Value, json};

use super::control::{Conversation, Which};
use super::status::text;
use crate::exit::Failure;

const AFTER_HELP: &str = "\
Modes:
  on      every request of the site is answered with 503, but for those that `allow` lets in
  off     the site is open, whatever its configuration and its file say
  auto    as its configuration and its file say

Examples:
  quaich maintenance on shop
  quaich maintenance auto shop

It holds until quaich is stopped, also when its front process is replaced. Routes with
maintenance = \"off\" stay open.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// What is to be
    #[arg(value_enum)]
    mode: Mode,
    /// Name of the site
    #[arg(value_name = "SITE")]
    site: String,
    /// Print the answer as JSON
    #[arg(long, env = "QUAICH_JSON")]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    On,
    Off,
    Auto,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mode = match args.mode {
        Mode::On => "on",
        Mode::Off => "off",
        Mode::Auto => "auto",
    };
    let order = json!({ "command": "maintenance", "site": args.site, "mode": mode });
    let answer = Conversation::open(&args.which)?.ask(&order)?;
    match args.json {
        true => super::print(&format!("{answer:#}\n")),
        false => super::print(&format!("{}\n", shown(&answer))),
    }
    Ok(())
}

/// One line about a site, for people.
pub(super) fn shown(site: &Value) -> String {
    let state = match site["closed"].as_bool() {
        Some(true) => "closed for maintenance",
        _ => "open",
    };
    let (name, by) = (text(&site["site"]), text(&site["by"]));
    let already = match site["changed"].as_bool() {
        Some(false) => " already",
        _ => "",
    };
    format!("site {name} is{already} {state}, by {by}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_says_what_is_and_why() {
        let answer = json!({ "site": "shop", "closed": true, "by": "command", "changed": true });
        assert_eq!(
            shown(&answer),
            "site shop is closed for maintenance, by command"
        );
        let answer = json!({ "site": "shop", "closed": false, "by": "file", "changed": false });
        assert_eq!(shown(&answer), "site shop is already open, by file");
    }
}
