//! Names and words: no vague file names, no leftovers, no machine's own paths, a `//!` in each file.

use super::{Finding, Source};

/// File and folder names that say nothing about what is inside.
const VAGUE: &[&str] = &["util", "utils", "common", "misc", "helpers", "helper"];

/// What unfinished work looks like. Split, so that this file is no finding of its own.
const LEFTOVERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("allow(", "dead_code)"),
];

/// Absolute paths of one machine.
const MACHINE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ho", "me/"),
    concat!("../sha", "red"),
];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().flat_map(check_one).collect()
}

fn check_one(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    if source.is_rust() && !opens_with_purpose(&source.text) {
        found.push(source.finding(
            1,
            "opens without `//!`: purpose, who calls it, what it never does",
        ));
    }
    let stems = source
        .path
        .split('/')
        .map(|part| part.split('.').next().unwrap_or(part));
    for stem in stems.filter(|stem| VAGUE.contains(stem)) {
        found.push(source.finding(1, format!("`{stem}` says nothing: name what is in it")));
    }
    if is_source(&source.path) {
        for (number, line) in source.text.lines().enumerate() {
            let words = LEFTOVERS
                .iter()
                .chain(MACHINE)
                .filter(|word| line.contains(**word));
            found.extend(words.map(|word| source.finding(number + 1, format!("`{word}`"))));
        }
    }
    found
}

/// The first line that is neither an attribute nor blank is a module comment.
fn opens_with_purpose(text: &str) -> bool {
    let first = text
        .lines()
        .find(|l| !l.trim().is_empty() && !l.starts_with("#!["));
    first.is_some_and(|line| line.starts_with("//!"))
}

fn is_source(path: &str) -> bool {
    [".rs", ".py", ".toml", ".md", ".sh", ".html"]
        .iter()
        .any(|end| path.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        check_one(&Source {
            path: path.into(),
            text: text.into(),
        })
        .len()
    }

    #[test]
    fn finds_vague_names_missing_purposes_and_leftovers() {
        assert_eq!(findings("a/src/pool.rs", "//! Pools.\nfn f() {}\n"), 0);
        assert_eq!(findings("a/src/util.rs", "//! Pools.\n"), 1);
        assert_eq!(findings("a/src/pool.rs", "fn f() {}\n"), 1);
        let leftover = ["//! Pools.\nfn f() { todo", "!() }\n"].concat();
        assert_eq!(findings("a/src/pool.rs", &leftover), 1);
    }
}
