//! The limits, a line each. Part of `quaich status`.

use std::fmt::Write;

use serde_json::Value;

use super::{bytes, cell, text};
use crate::cli::table::{self, Align, Cell, plain};

const HEADS: [&str; 8] = [
    "LIMIT", "KEYS", "MEMORY", "RUNNING", "WAITING", "ADMITTED", "DELAYED", "REFUSED",
];

const ALIGNS: [Align; 8] = [
    Align::Left,
    Align::Right,
    Align::Right,
    Align::Right,
    Align::Right,
    Align::Right,
    Align::Right,
    Align::Right,
];

/// Appends their table, if there are any.
pub(super) fn append(out: &mut String, limits: &[Value]) {
    if limits.is_empty() {
        return;
    }
    let rows = limits.iter().map(row).collect();
    // Writing to a String cannot fail.
    let _ = write!(out, "\n{}", table::grid(HEADS, ALIGNS, rows));
}

fn row(limit: &Value) -> [Cell; 8] {
    let name = text(&limit["name"]);
    let name = match limit["dry_run"].as_bool() {
        Some(true) => format!("{name} (dry run)"),
        _ => name.to_owned(),
    };
    let numbers = ["running", "waiting", "admitted", "delayed", "refused"];
    let [running, waiting, admitted, delayed, refused] =
        numbers.map(|number| plain(cell(&limit[number])));
    [
        plain(name),
        plain(cell(&limit["keys"])),
        plain(bytes(&limit["bytes"])),
        running,
        waiting,
        admitted,
        delayed,
        refused,
    ]
}
