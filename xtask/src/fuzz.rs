//! `cargo xtask fuzz TARGET`: coverage-guided fuzzing on the stable toolchain.
//!
//! The instrumentation comes from compiler flags (see fuzz/README.md); nothing is installed.

use crate::shell::{Outcome, cargo, root, run as run_command};

/// The compiler flags that give libFuzzer its coverage counters.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// Fuzzes one target, 60 seconds unless told otherwise.
pub(crate) fn run(args: &[String]) -> Outcome {
    let Some(target) = args.first().filter(|a| !a.starts_with('-')) else {
        return Err("which target? They are the files of fuzz/fuzz_targets".to_string());
    };
    let seconds = match args.iter().position(|a| a == "--seconds") {
        Some(at) => args
            .get(at + 1)
            .and_then(|n| n.parse().ok())
            .ok_or("--seconds takes a number")?,
        None => 60_u32,
    };
    let corpus = root().join("fuzz/corpus").join(target);
    std::fs::create_dir_all(&corpus).map_err(|e| format!("{}: {e}", corpus.display()))?;
    run_command(
        cargo()
            .args([
                "run",
                "--release",
                "--manifest-path",
                "fuzz/Cargo.toml",
                "--bin",
                target,
            ])
            // A target triple keeps the flags away from build scripts and macros.
            .args(["--target", "x86_64-unknown-linux-gnu", "--"])
            .arg(corpus)
            .arg(format!("-max_total_time={seconds}"))
            .env("RUSTFLAGS", FLAGS),
    )
}
