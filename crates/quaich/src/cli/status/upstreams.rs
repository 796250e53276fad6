//! The servers of the upstreams, a table for each upstream. Part of `quaich status`.

use std::fmt::Write;

use serde_json::Value;

use super::{cell, list, text};
use crate::cli::table::{self, Align, Cell, painted, plain};
use crate::style;

const HEADS: [&str; 7] = [
    "SERVER",
    "STATE",
    "WEIGHT",
    "RUNNING",
    "REQUESTS",
    "FAILED",
    "LAST CHECK",
];

const ALIGNS: [Align; 7] = [
    Align::Left,
    Align::Left,
    Align::Right,
    Align::Right,
    Align::Right,
    Align::Right,
    Align::Left,
];

/// Appends the table of one upstream.
pub(super) fn append(out: &mut String, upstream: &Value) {
    let bold = style::on_stdout("1");
    let servers = list(&upstream["servers"]);
    let up = servers
        .iter()
        .filter(|server| server["takes_new"] == true)
        .count();
    let waiting = match upstream["queued"].as_u64() {
        None | Some(0) => String::new(),
        Some(count) => format!(" · {count} in the queue"),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "\nupstream {} · {up} of {} servers take requests{waiting}",
        bold.paint(text(&upstream["name"])),
        servers.len(),
    );
    let rows = servers.iter().map(row).collect();
    out.push_str(&table::grid(HEADS, ALIGNS, rows));
}

fn row(server: &Value) -> [Cell; 7] {
    [
        plain(text(&server["name"])),
        state(server),
        plain(cell(&server["weight"])),
        plain(cell(&server["running"])),
        plain(cell(&server["served"])),
        plain(cell(&server["failed"])),
        check(&server["last_check"]),
    ]
}

fn state(server: &Value) -> Cell {
    let word = text(&server["state"]);
    let colour = match word {
        "up" => "32",
        "down" => "1;31",
        _ => "33",
    };
    // Nobody is left there: it can be taken away.
    let empty = matches!(word, "drain" | "maint") && server["running"] == 0;
    let shown = if empty {
        format!("{word} (empty)")
    } else {
        word.to_owned()
    };
    painted(shown, style::on_stdout(colour))
}

fn check(last: &Value) -> Cell {
    let Some(age) = last["age_ms"].as_u64() else {
        return plain("-");
    };
    let took = last["took_ms"].as_f64().unwrap_or_default();
    let shown = format!(
        "{}, {took:.1} ms, {} s ago",
        text(&last["what"]),
        age / 1000
    );
    match last["well"] == true {
        true => plain(shown),
        false => painted(shown, style::on_stdout("31")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_server_is_a_line() {
        let upstream = json!({ "name": "api", "servers": [
            { "name": "a:80", "state": "up", "takes_new": true, "weight": 1, "running": 2, "served": 30,
              "failed": 0, "last_check": { "well": true, "what": "status 200", "took_ms": 1.25,
              "age_ms": 1400 } },
            { "name": "b:80", "state": "drain", "takes_new": false, "weight": 1, "running": 0,
              "served": 4, "failed": 1, "last_check": null },
        ] });
        let mut out = String::new();
        append(&mut out, &upstream);
        assert_eq!(
            out,
            "
upstream api · 1 of 2 servers take requests
  SERVER  STATE          WEIGHT  RUNNING  REQUESTS  FAILED  LAST CHECK
  a:80    up                  1        2        30       0  status 200, 1.2 ms, 1 s ago
  b:80    drain (empty)       1        0         4       1  -
"
        );
    }
}
