//! How long files and lines may be. Functions are clippy's (`too_many_lines`).

use super::{Finding, Source};

/// Lines of a source file without its tests.
const FILE: usize = 500;

/// Lines of a named exception: a table or the state machine of a protocol.
const LARGE_FILE: usize = 800;

/// Files that may be `LARGE_FILE` long, and why.
const LARGE: &[&str] = &[
    // Grammar tables and the single pass over a request head.
    "crates/quaich-proto/src/h1/request.rs",
    // Lock-free states of one shared slot belong together.
    "crates/quaich-proto/src/worker/region.rs",
    // The table of every key: name, type, default, meaning.
    "crates/quaich-config/src/keys.rs",
];

/// `lib.rs` and `mod.rs` hold documentation, modules and re-exports.
const INDEX: usize = 150;

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let rust = sources
        .iter()
        .filter(|s| s.is_rust() && !s.path.contains("/tests/"));
    rust.filter_map(too_long).collect()
}

fn too_long(source: &Source) -> Option<Finding> {
    let lines = source.without_tests().lines().count();
    let limit = if source.path.ends_with("/lib.rs") {
        INDEX
    } else if LARGE.contains(&source.path.as_str()) {
        LARGE_FILE
    } else {
        FILE
    };
    let what = || format!("{lines} lines without tests, at most {limit}: find the second purpose");
    (lines > limit).then(|| source.finding(lines, what()))
}
