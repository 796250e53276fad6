//! `quaich status`: what a running quaich does, as a table or as JSON.

mod limits;
mod upstreams;

use std::fmt::Write;

use serde_json::{Value, json};

use super::cert;
use super::control::{Conversation, Which};
use super::maintenance;
use super::table::{self, Align, plain};
use crate::exit::Failure;
use crate::style;

const AFTER_HELP: &str = "\
Examples:
  quaich status                  the only one that runs, or ./quaich.sock
  quaich status -c site.toml     the one that serves this file
  quaich status --json | jq .front.requests";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Print everything as one JSON object
    #[arg(long, env = "QUAICH_JSON")]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let status = Conversation::open(&args.which)?.ask(&json!({ "command": "status" }))?;
    if args.json {
        super::print(&format!("{status:#}\n"));
    } else {
        super::print(&shown(&status));
    }
    Ok(())
}

fn shown(status: &Value) -> String {
    let bold = style::on_stdout("1");
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{} {} · {} for {} · process {} · {}",
        bold.paint("quaich"),
        text(&status["version"]),
        text(&status["state"]),
        span(&status["uptime_s"]),
        status["pid"],
        text(&status["source"]),
    );
    for listener in list(&status["listeners"]) {
        let _ = writeln!(out, "  {}", text(&listener["shown"]));
    }
    let front = &status["front"];
    let rows = vec![[
        "front".to_owned(),
        cell(&front["pid"]),
        cell(&front["connections"]),
        cell(&front["requests"]),
        cell(&front["restarts"]),
        bytes(&front["rss_bytes"]),
    ]];
    let heads = ["", "PID", "CONNECTIONS", "REQUESTS", "RESTARTS", "MEMORY"];
    out.push('\n');
    out.push_str(&grid(heads, rows));
    for site in list(&status["maintenance"]) {
        let _ = writeln!(out, "\n{}", maintenance::shown(site));
    }
    let certificates = list(&status["certificates"]);
    if !certificates.is_empty() {
        let counted = &front["counters"];
        let _ = writeln!(
            out,
            "\ntls · {}, {} resumed · {} failed",
            count(&counted["tls_handshakes"], "handshake"),
            cell(&counted["tls_resumed"]),
            cell(&counted["tls_handshake_failures"]),
        );
        out.push_str(&cert::table(certificates));
    }
    for app in list(&status["apps"]) {
        app_table(&mut out, app);
    }
    for upstream in list(&status["upstreams"]) {
        upstreams::append(&mut out, upstream);
    }
    limits::append(&mut out, list(&front["limits"]));
    out
}

fn app_table(out: &mut String, app: &Value) {
    let bold = style::on_stdout("1");
    let _ = writeln!(
        out,
        "\napp {} · {} waiting · {} running · {} · {} · {}",
        bold.paint(text(&app["name"])),
        cell(&app["queued"]),
        cell(&app["running"]),
        count(&app["served"], "request"),
        count(&app["restarts"], "restart"),
        text(&app["python"]),
    );
    let one = |worker: &Value| {
        [
            format!("worker {}", worker["worker"]),
            cell(&worker["pid"]),
            text(&worker["state"]).to_owned(),
            span(&worker["age_s"]),
            bytes(&worker["rss_bytes"]),
        ]
    };
    let rows = list(&app["workers"]).iter().map(one).collect();
    out.push_str(&grid(["", "PID", "STATE", "AGE", "MEMORY"], rows));
}

/// The first column to the left, the others to the right.
fn grid<const N: usize>(heads: [&str; N], rows: Vec<[String; N]>) -> String {
    let align = |index| {
        if index == 0 {
            Align::Left
        } else {
            Align::Right
        }
    };
    let rows = rows.into_iter().map(|row| row.map(plain)).collect();
    table::grid(heads, std::array::from_fn(align), rows)
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn cell(value: &Value) -> String {
    if value.is_null() {
        "-".to_owned()
    } else {
        value.to_string()
    }
}

/// `1 restart`, `2 restarts`.
fn count(value: &Value, word: &str) -> String {
    let ending = if value.as_u64() == Some(1) { "" } else { "s" };
    format!("{} {word}{ending}", cell(value))
}

fn span(seconds: &Value) -> String {
    let Some(seconds) = seconds.as_u64() else {
        return "-".to_owned();
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

fn bytes(value: &Value) -> String {
    match value.as_u64() {
        Some(bytes) => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up_and_shows_what_is_unknown_as_a_dash() {
        let status = json!({
            "version": "0.1.0", "state": "running", "uptime_s": 75, "pid": 1, "source": "quaich run",
            "listeners": [{ "name": "a", "shown": "http://127.0.0.1:8000" }],
            "front": { "pid": 2, "connections": 3, "requests": 4567, "restarts": 0,
                       "rss_bytes": 1_572_864 },
            "apps": [{ "name": "shop", "python": "/usr/bin/python3", "restarts": 1, "served": 41, "workers": [
                { "worker": 10, "pid": 3, "state": "up", "age_s": 3700, "rss_bytes": null },
            ] }],
        });
        assert_eq!(
            shown(&status),
            "quaich 0.1.0 · running for 1 min · process 1 · quaich run
  http://127.0.0.1:8000

         PID  CONNECTIONS  REQUESTS  RESTARTS   MEMORY
  front    2            3      4567         0  1.5 MiB

app shop · - waiting · - running · 41 requests · 1 restart · /usr/bin/python3
             PID  STATE        AGE  MEMORY
  worker 10    3     up  1 h 1 min       -
"
        );
    }
}
