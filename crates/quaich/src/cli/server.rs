//! `quaich server` and `quaich drain`: what a single server of an upstream is to do from now on.

use std::time::Duration;

use serde_json::{Value, json};

use super::control::{Conversation, Which};
use super::status::{list, text};
use crate::exit::{Code, Failure};

/// Between two looks at what still runs.
const LOOK_EVERY: Duration = Duration::from_millis(200);

const AFTER_HELP: &str = "\
Actions:
  ready       requests go to it while it is up, with its weight of the configuration
  drain       only requests of clients that belong to it already
  maint       nothing goes to it, and it is not checked
  weight N    its share of new clients, compared with the others'

Examples:
  quaich server api/10.0.0.11:9000 drain
  quaich server 10.0.0.11:9000 ready         where no other upstream has it
  quaich server api/10.0.0.11:9000 weight 3

It holds until quaich is stopped, also when its front process is replaced.";

const AFTER_DRAIN_HELP: &str = "\
Examples:
  quaich drain api/10.0.0.11:9000            the same as: quaich server ... drain
  quaich drain api/10.0.0.11:9000 --wait     returns when nothing runs there any more
  quaich server api/10.0.0.11:9000 ready     takes it back";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// UPSTREAM/SERVER, as `quaich status` shows them
    #[arg(value_name = "SERVER")]
    server: String,
    /// What it is to do
    #[arg(value_enum)]
    action: Action,
    /// The weight, 0 to 65535; 0 = no new clients
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(0..=65_535))]
    #[arg(required_if_eq("action", "weight"))]
    weight: Option<u32>,
    /// Print the answer as JSON
    #[arg(long, env = "QUAICH_JSON")]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Action {
    Ready,
    Drain,
    Maint,
    Weight,
}

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_DRAIN_HELP)]
pub(super) struct DrainArgs {
    #[command(flatten)]
    which: Which,
    /// UPSTREAM/SERVER, as `quaich status` shows them
    #[arg(value_name = "SERVER")]
    server: String,
    /// Wait until nothing runs there any more
    #[arg(long, env = "QUAICH_WAIT")]
    wait: bool,
    /// Print the answer as JSON
    #[arg(long, env = "QUAICH_JSON")]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mode = match (args.action, args.weight) {
        (Action::Ready, None) => "ready",
        (Action::Drain, None) => "drain",
        (Action::Maint, None) => "maint",
        (Action::Weight, weight) => {
            let order = json!({ "command": "server", "server": args.server, "weight": weight });
            return order_it(&args.which, &order, args.json);
        }
        (_, Some(number)) => {
            let message = format!("only `weight` takes a number, not {number}");
            return Err(Failure::new(Code::Usage, message));
        }
    };
    let order = json!({ "command": "server", "server": args.server, "mode": mode });
    order_it(&args.which, &order, args.json)
}

pub(super) fn drain(args: &DrainArgs) -> Result<(), Failure> {
    let order = json!({ "command": "server", "server": args.server, "mode": "drain" });
    let mut answer = Conversation::open(&args.which)?.ask(&order)?;
    while args.wait && answer["running"] != 0 {
        std::thread::sleep(LOOK_EVERY);
        let status = Conversation::open(&args.which)?.ask(&json!({ "command": "status" }))?;
        // A server that is gone has nothing to do.
        let running = running(&status, &answer).unwrap_or(0);
        answer["running"] = json!(running);
    }
    show(&answer, args.json);
    Ok(())
}

/// Requests that run at the server of `answer`, by `status`.
fn running(status: &Value, answer: &Value) -> Option<u64> {
    let named = |values: &Value, name: &Value| {
        let found = list(values).iter().find(|one| one["name"] == *name);
        found.cloned()
    };
    let upstream = named(&status["upstreams"], &answer["upstream"])?;
    named(&upstream["servers"], &answer["server"])?["running"].as_u64()
}

fn order_it(which: &Which, order: &Value, as_json: bool) -> Result<(), Failure> {
    let answer = Conversation::open(which)?.ask(order)?;
    show(&answer, as_json);
    Ok(())
}

fn show(answer: &Value, as_json: bool) {
    match as_json {
        true => super::print(&format!("{answer:#}\n")),
        false => super::print(&format!("{}\n", shown(answer))),
    }
}

fn shown(answer: &Value) -> String {
    let name = format!("{}/{}", text(&answer["upstream"]), text(&answer["server"]));
    let running = match answer["running"].as_u64() {
        Some(0) => "nothing runs there".to_owned(),
        Some(1) => "1 request still runs there".to_owned(),
        count => format!("{} requests still run there", count.unwrap_or_default()),
    };
    let already = if answer["changed"] == json!(false) {
        " already"
    } else {
        ""
    };
    let mode = match text(&answer["mode"]) {
        "drain" => "drain (existing sessions only)",
        mode => mode,
    };
    let state = match text(&answer["state"]) {
        // Said already.
        state if answer["mode"] == state => String::new(),
        state => format!(", {state}"),
    };
    let weight = &answer["weight"];
    format!("{name} is{already} {mode}, weight {weight}{state}; {running}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_says_what_is_and_what_still_runs() {
        let answer = json!({
            "upstream": "api", "server": "a:80", "changed": true, "mode": "drain",
            "weight": 1, "state": "drain", "running": 3,
        });
        assert_eq!(
            shown(&answer),
            "api/a:80 is drain (existing sessions only), weight 1; 3 requests still run there"
        );
        let answer = json!({
            "upstream": "api", "server": "a:80", "changed": false, "mode": "ready",
            "weight": 2, "state": "down", "running": 0,
        });
        assert_eq!(
            shown(&answer),
            "api/a:80 is already ready, weight 2, down; nothing runs there"
        );
    }
}
