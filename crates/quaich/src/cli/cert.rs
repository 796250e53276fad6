//! `quaich cert`: which certificates there are, and having them got anew.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::control::{Conversation, Which};
use super::source;
use super::status::{list, text};
use super::table::{self, Align, Row, painted, plain};
use crate::certificates::{Inventory, date};
use crate::exit::Failure;
use crate::style;

const AFTER_HELP: &str = "\
Examples:
  quaich cert list                  those of ./quaich.toml
  quaich cert list -c site.toml --json
  quaich cert renew                 those that come from ACME, due or not
  quaich cert renew shop.example.org";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show all certificates of a configuration: names, issuer, when they expire, what is wrong
    List(ListArgs),
    /// Have a running quaich get certificates from ACME now, due or not
    Renew(RenewArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Configuration file
    #[arg(short, long, value_name = "FILE", env = "QUAICH_CONFIG")]
    #[arg(default_value = source::DEFAULT_FILE)]
    config: PathBuf,
    /// Print it as JSON
    #[arg(long, env = "QUAICH_JSON")]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct RenewArgs {
    /// One of its names [default: all]
    name: Option<String>,
    #[command(flatten)]
    which: Which,
    /// Print the answer as JSON
    #[arg(long, env = "QUAICH_JSON")]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match &args.verb {
        Verb::List(args) => show(args),
        Verb::Renew(args) => renew(args),
    }
}

/// Reads files and the state directory, and changes nothing.
fn show(args: &ListArgs) -> Result<(), Failure> {
    let loaded = source::load(&args.config, quaich_config::Overrides::default())?;
    let config = source::accept(loaded)?;
    // What is wrong with them stands in the table.
    let (mut inventory, _) = Inventory::read(&config);
    let unusable = inventory.take_stored(&config);
    inventory.find_local(&config);
    let now = date::now();
    let entries = inventory.entries(&config, now);
    let rows: Vec<Value> = entries.iter().map(|entry| entry.to_json(now)).collect();
    if args.json {
        super::print(&format!(
            "{:#}\n",
            json!({ "certificates": rows, "unusable": unusable })
        ));
        return Ok(());
    }
    if rows.is_empty() {
        super::print(&format!(
            "{} names no certificates\n",
            args.config.display()
        ));
    } else {
        super::print(&table(&rows));
    }
    for why in unusable {
        eprintln!("{}: {why}", style::on_stderr("1;33").paint("warning"));
    }
    Ok(())
}

fn renew(args: &RenewArgs) -> Result<(), Failure> {
    let question = json!({ "command": "renew", "name": args.name });
    let answer = Conversation::open(&args.which)?.ask(&question)?;
    if args.json {
        super::print(&format!("{answer}\n"));
        return Ok(());
    }
    let names: Vec<&str> = list(&answer["renewing"]).iter().map(text).collect();
    let names = names.join(", ");
    super::print(&format!(
        "a new certificate is being ordered for {names}; the log and `quaich status` tell how it \
         goes\n"
    ));
    Ok(())
}

/// Certificates as `Entry::to_json` gives them.
pub(super) fn table(certificates: &[Value]) -> String {
    let heads = [
        "NAME", "HOSTS", "SOURCE", "ISSUER", "EXPIRES", "DAYS", "PROBLEM",
    ];
    let mut aligns = [Align::Left; 7];
    aligns[5] = Align::Right;
    table::grid(heads, aligns, certificates.iter().map(row).collect())
}

fn row(one: &Value) -> Row<7> {
    let hosts: Vec<&str> = list(&one["hosts"]).iter().map(text).collect();
    let days = one["days_left"].as_i64();
    let colour = style::on_stdout(match days {
        Some(..0) => "1;31",
        Some(0..14) => "33",
        _ => "32",
    });
    let expires = one["not_after"].as_i64().map(date::day);
    let problem = one["problem"].as_str().unwrap_or_default();
    [
        painted(text(&one["name"]), style::on_stdout("1")),
        plain(few(&hosts)),
        plain(text(&one["source"])),
        plain(common_name(text(&one["issuer"]))),
        painted(expires.unwrap_or_else(|| "-".to_owned()), colour),
        painted(
            days.map_or_else(|| "-".to_owned(), |days| days.to_string()),
            colour,
        ),
        painted(problem, style::on_stdout("31")),
    ]
}

/// The first three names, and how many more.
fn few(names: &[&str]) -> String {
    let (first, more) = names.split_at(names.len().min(3));
    let mut text = first.join(", ");
    if !more.is_empty() {
        text.push_str(&format!(" and {} more", more.len()));
    }
    text
}

/// The common name, or the organisation, out of a whole distinguished name.
pub(super) fn common_name(whole: &str) -> String {
    let part = |key: &str| {
        let mut parts = whole.split(", ");
        parts.find_map(|part| part.strip_prefix(key)?.strip_prefix('='))
    };
    part("CN").or_else(|| part("O")).unwrap_or(whole).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_short_name_of_the_issuer_and_few_hosts() {
        let rows = [
            json!({ "name": "shop", "hosts": ["a.org", "b.org", "c.org", "d.org"],
                    "source": "file", "issuer": "C=US, O=Let's Encrypt, CN=R11",
                    "not_after": 1_798_761_599, "days_left": 35, "problem": null }),
            json!({ "name": "acme:x.org", "hosts": ["x.org"], "source": "acme", "issuer": null,
                    "not_after": null, "days_left": null, "problem": "not issued yet" }),
        ];
        assert_eq!(
            table(&rows),
            "  \
  NAME        HOSTS                           SOURCE  ISSUER  EXPIRES     DAYS  PROBLEM
  shop        a.org, b.org, c.org and 1 more  file    R11     2026-12-31    35
  acme:x.org  x.org                           acme    -       -              -  not issued yet
"
        );
    }
}
