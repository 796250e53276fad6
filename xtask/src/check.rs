//! `cargo xtask check`: what must pass before every commit. Stops at the first thing that fails.

use crate::shell::{Outcome, cargo, run};
use crate::tidy;

/// Formatting, lints, tidy, unit tests.
pub(crate) fn run_all() -> Outcome {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    tidy::run()?;
    run(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))?;
    run(cargo().args(["test", "--workspace", "--lib", "--bins", "--quiet"]))
}
