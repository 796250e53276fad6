//! The worker's own lines on stderr, which the supervisor puts into the log.
//!
//! Usable with and without the GIL. Never fails and never panics: a closed stderr loses the line.

use std::io::Write;

/// One line about the worker.
pub(crate) fn line(text: &str) {
    let line = format!("quaich: {text}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
