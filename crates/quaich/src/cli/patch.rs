//! `quaich patch`: rules that refuse requests, put in while quaich runs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quaich_config::model::Network;
use quaich_config::{addr, units};
use quaich_server::filter::patch::check;
use quaich_server::link::Patch;
use serde_json::{Value, json};

use super::control::{Conversation, Which};
use super::status::{list, text};
use super::table::{self, Align, plain};
use crate::exit::{Code, Failure};

const AFTER_HELP: &str = "\
Examples:
  quaich patch add --path '/admin/*' --client 203.0.113.0/24 --for 24h
  quaich patch add --header '*: ~(?i)\\$\\{jndi:' --name log4shell --persist --reason CVE-2021-44228
  quaich patch add --path /api/upload --method POST --body '~(?i)<!ENTITY' --dry-run
  quaich patch list
  quaich patch rm log4shell";

const AFTER_ADD_HELP: &str = "\
Patterns are globs for all of a text (* any run of bytes, ? one byte), or ~ and a regular expression
for any part of it; both know upper from lower case, ~(?i)admin does not. All conditions
must hold; of one that is given several times (path, method, host, client) one. A path is held against
the normal form, what it reads as after further decoding, and what was sent.

Examples:
  quaich patch add --path '/admin/*' --client 203.0.113.0/24 --for 24h
  quaich patch add --query 'q=~(?i)union.+select' --status 404
  quaich patch add --path /xml --body '~<!ENTITY' --body-limit 64KiB --dry-run";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Put a rule in: it holds within a second, and disturbs nobody
    Add(Box<AddArgs>),
    /// Show the rules, and how often each has held
    List(ListArgs),
    /// Take a rule out
    Rm(RemoveArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_ADD_HELP)]
struct AddArgs {
    #[command(flatten)]
    which: Which,
    /// A pattern for the path
    #[arg(long, value_name = "PATTERN", env = "QUAICH_PATH")]
    path: Vec<String>,
    /// A method, such as POST
    #[arg(long, value_name = "METHOD", env = "QUAICH_METHOD")]
    method: Vec<String>,
    /// A pattern for the host
    #[arg(long, value_name = "PATTERN", env = "QUAICH_HOST")]
    host: Vec<String>,
    /// A header field (* = any) and a pattern for its value; all that are given must hold
    #[arg(long, value_name = "NAME: PATTERN", env = "QUAICH_HEADER")]
    header: Vec<String>,
    /// A query parameter (* = any) and a pattern for its value; all that are given must hold
    #[arg(long, value_name = "NAME=PATTERN", env = "QUAICH_QUERY")]
    query: Vec<String>,
    /// The address or network of the client
    #[arg(long, value_name = "NETWORK", env = "QUAICH_CLIENT")]
    client: Vec<String>,
    /// A pattern for the body, as it was sent (not decompressed)
    #[arg(long, value_name = "PATTERN", env = "QUAICH_BODY")]
    body: Option<String>,
    /// How much of the body is looked at, at most 1MiB
    #[arg(
        long,
        value_name = "SIZE",
        env = "QUAICH_BODY_LIMIT",
        default_value = "128KiB"
    )]
    body_limit: String,
    /// Let longer bodies through when the pattern is not in their beginning, not refuse them
    #[arg(long, env = "QUAICH_PASS_LONG_BODIES")]
    pass_long_bodies: bool,
    /// What refused requests are answered with
    #[arg(
        long,
        value_name = "STATUS",
        env = "QUAICH_STATUS",
        default_value_t = 403
    )]
    #[arg(value_parser = clap::value_parser!(u16).range(400..=599))]
    status: u16,
    /// How long it holds, such as 24h [default: until it is taken out, or quaich ends]
    #[arg(long = "for", value_name = "TIME", env = "QUAICH_FOR")]
    for_: Option<String>,
    /// Only count and log what would be refused
    #[arg(long, env = "QUAICH_DRY_RUN")]
    dry_run: bool,
    /// Its name [default: patch-N]
    #[arg(long, value_name = "NAME", env = "QUAICH_NAME", default_value = "")]
    #[arg(hide_default_value = true)]
    name: String,
    /// Keep it over a restart of quaich
    #[arg(long, env = "QUAICH_PERSIST")]
    persist: bool,
    /// Why it is there, for `list` and the log
    #[arg(long, value_name = "TEXT", env = "QUAICH_REASON", default_value = "")]
    #[arg(hide_default_value = true)]
    reason: String,
    /// Print the answer as JSON
    #[arg(long, env = "QUAICH_JSON")]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    which: Which,
    /// Print everything as JSON
    #[arg(long, env = "QUAICH_JSON")]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    #[command(flatten)]
    which: Which,
    /// Its name, or its number
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match &args.action {
        Action::Add(args) => add(args),
        Action::List(args) => show(args),
        Action::Rm(args) => remove(args),
    }
}

fn add(args: &AddArgs) -> Result<(), Failure> {
    let patch = args.patch().map_err(|why| Failure::new(Code::Usage, why))?;
    let order = json!({ "command": "patch", "mode": "add", "patch": patch });
    let answer = Conversation::open(&args.which)?.ask(&order)?;
    if args.json {
        super::print(&format!("{answer:#}\n"));
        return Ok(());
    }
    let state = match patch.dry_run {
        true => "counts what it would refuse",
        false => "is in effect",
    };
    let time = match &args.for_ {
        Some(time) => format!("for {time}"),
        None if patch.persist => "until it is taken out".to_owned(),
        None => "until it is taken out or quaich ends".to_owned(),
    };
    let name = text(&answer["patch"]["name"]);
    super::print(&format!("patch {name} {state}, {time}\n"));
    Ok(())
}

fn remove(args: &RemoveArgs) -> Result<(), Failure> {
    let order = json!({ "command": "patch", "mode": "rm", "which": args.name });
    let answer = Conversation::open(&args.which)?.ask(&order)?;
    let name = text(&answer["patch"]["name"]);
    super::print(&format!("patch {name} was taken out\n"));
    Ok(())
}

fn show(args: &ListArgs) -> Result<(), Failure> {
    let order = json!({ "command": "patch", "mode": "list" });
    let answer = Conversation::open(&args.which)?.ask(&order)?;
    match args.json {
        true => super::print(&format!("{:#}\n", answer["patches"])),
        false => super::print(&listed(&answer)),
    }
    Ok(())
}

impl AddArgs {
    fn patch(&self) -> Result<Patch, String> {
        let time = self.for_.as_deref().map(units::duration).transpose();
        let time = time.map_err(|why| format!("--for: {why}"))?;
        let limit = units::size(&self.body_limit).map_err(|why| format!("--body-limit: {why}"))?;
        let network = |text: &String| -> Result<Network, String> {
            addr::network(text).map_err(|why| format!("--client {text}: {why}"))
        };
        let patch = Patch {
            id: 0,
            name: self.name.clone(),
            path: self.path.clone(),
            method: self.method.clone(),
            host: self
                .host
                .iter()
                .map(|host| host.to_ascii_lowercase())
                .collect(),
            header: pairs("--header", &self.header, ':')?,
            query: pairs("--query", &self.query, '=')?,
            client: self.client.iter().map(network).collect::<Result<_, _>>()?,
            body: self.body.clone(),
            body_limit: usize::try_from(limit).unwrap_or(usize::MAX),
            passes_long: self.pass_long_bodies,
            status: self.status,
            dry_run: self.dry_run,
            until: time.map(until),
            persist: self.persist,
            reason: self.reason.clone(),
        };
        check(&patch)?;
        Ok(patch)
    }
}

/// The end of a time that begins now, in milliseconds since 1970.
fn until(time: Duration) -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let end = since.unwrap_or_default().saturating_add(time);
    end.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Names and patterns; a name alone is there with any value.
fn pairs(flag: &str, given: &[String], between: char) -> Result<Vec<(String, String)>, String> {
    let pair = |text: &String| {
        let (name, pattern) = text.split_once(between).unwrap_or((text, "*"));
        let (name, pattern) = (name.trim(), pattern.trim());
        if name.is_empty() {
            return Err(format!(
                "{flag} {text:?} names nothing before the `{between}`"
            ));
        }
        Ok((name.to_owned(), pattern.to_owned()))
    };
    given.iter().map(pair).collect()
}

fn listed(answer: &Value) -> String {
    let patches = list(&answer["patches"]);
    if patches.is_empty() {
        return "there are no patches\n".to_owned();
    }
    let now = answer["now"].as_u64().unwrap_or(0);
    let row = |patch: &Value| {
        let hits = patch["hits"]
            .as_u64()
            .map_or("-".to_owned(), |hits| hits.to_string());
        let does = match patch["dry_run"].as_bool() {
            Some(true) => "dry run".to_owned(),
            _ => patch["status"].to_string(),
        };
        let left = patch["until"]
            .as_u64()
            .map(|until| until.saturating_sub(now));
        let ends = left.map_or("-".to_owned(), |left| {
            units::show_duration(Duration::from_secs(left.div_ceil(1000)))
        });
        let kept = match patch["persist"].as_bool() {
            Some(true) => "yes",
            _ => "-",
        };
        let last = patch["last"]
            .as_u64()
            .map(|last| now.saturating_sub(last) / 1000);
        let last = last.map_or("-".to_owned(), |ago| format!("{ago} s ago"));
        let row = [
            text(&patch["name"]).to_owned(),
            does,
            hits,
            last,
            ends,
            kept.to_owned(),
            conditions(patch),
        ];
        row.map(plain)
    };
    let rows = patches.iter().map(row).collect();
    let heads = ["NAME", "DOES", "HITS", "LAST", "ENDS IN", "KEPT", "FOR"];
    let align = [
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Right,
        Align::Left,
        Align::Left,
    ];
    table::grid(heads, align, rows)
}

/// What a patch holds for, and why it is there.
fn conditions(patch: &Value) -> String {
    let mut words = Vec::new();
    for name in ["method", "host", "path"] {
        let texts = list(&patch[name]).iter().map(text);
        words.extend(texts.map(|text| format!("{name} {text}")));
    }
    for (name, between) in [("header", ": "), ("query", "=")] {
        let pairs = list(&patch[name]).iter();
        words.extend(pairs.map(|pair| {
            let (own, pattern) = (text(&pair[0]), text(&pair[1]));
            format!("{name} {own}{between}{pattern}")
        }));
    }
    for network in list(&patch["client"]) {
        let network = serde_json::from_value::<Network>(network.clone());
        words.extend(network.map(|network| format!("client {}", addr::show_network(&network))));
    }
    if let Some(body) = patch["body"].as_str() {
        words.push(format!("body {body}"));
    }
    let mut words = words.join(", ");
    if let Some(reason) = patch["reason"].as_str().filter(|reason| !reason.is_empty()) {
        words.push_str(&format!(" ({reason})"));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_split_once_and_a_name_alone_is_enough() {
        let given = ["X-A: b:c".to_owned(), "X-B".to_owned()];
        let read = pairs("--header", &given, ':').unwrap();
        let owned = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(read, [owned("X-A", "b:c"), owned("X-B", "*")]);
        assert!(pairs("--query", &["=x".to_owned()], '=').is_err());
    }

    #[test]
    fn the_list_says_what_each_is_for() {
        let patch = Patch {
            name: "a".to_owned(),
            path: vec!["/x".to_owned()],
            header: vec![("*".to_owned(), "*y*".to_owned())],
            client: vec![addr::network("10.0.0.0/8").unwrap()],
            status: 403,
            until: Some(61_000),
            persist: true,
            reason: "why".to_owned(),
            ..Patch::default()
        };
        let mut value = serde_json::to_value(&patch).unwrap();
        value["hits"] = json!(7);
        let shown = listed(&json!({ "patches": [value], "now": 1000 }));
        let line = shown.lines().nth(1).unwrap_or_default();
        assert!(
            line.contains(" yes   path /x, header *: *y*, client 10.0.0.0/8 (why)"),
            "{shown}"
        );
        assert!(line.contains(" 7 ") && line.contains(" 1m "), "{shown}");
        assert_eq!(listed(&json!({ "patches": [] })), "there are no patches\n");
    }
}
