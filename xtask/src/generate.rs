//! `cargo xtask gen`: the pages and the schema that are made from the program itself.
//!
//! Each is printed by the crate that owns the facts; this verb only writes or compares the files.

use std::fs;

use crate::shell::{Outcome, capture, cargo, root};

/// File, and the arguments of cargo that print its text.
const GENERATED: &[(&str, &[&str])] = &[
    (
        "docs/reference/configuration.md",
        &[
            "run",
            "--quiet",
            "-p",
            "quaich-config",
            "--example",
            "reference",
            "--",
            "markdown",
        ],
    ),
    (
        "docs/reference/quaich.schema.json",
        &[
            "run",
            "--quiet",
            "-p",
            "quaich-config",
            "--example",
            "reference",
            "--",
            "schema",
        ],
    ),
];

/// Writes every generated file; with `--check` fails when one is out of date.
pub(crate) fn run(args: &[String]) -> Outcome {
    let only_compare = args.iter().any(|a| a == "--check");
    for (file, command) in GENERATED {
        let text = capture(cargo().args(*command))?;
        let path = root().join(file);
        if fs::read_to_string(&path).is_ok_and(|had| had == text) {
            continue;
        }
        if only_compare {
            return Err(format!("{file} is out of date: run `cargo xtask gen`"));
        }
        fs::write(&path, text).map_err(|e| format!("cannot write {file}: {e}"))?;
        println!("wrote {file}");
    }
    Ok(())
}
