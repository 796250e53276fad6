//! `cargo xtask VERB`: the developer commands, in plain Rust with nothing to install.
//!
//! Called through the alias in `.cargo/config.toml`. It never edits a file that it was not asked
//! to write (`gen`, `bench --write`), and it never needs a terminal.

mod check;
mod environment;
mod fuzz;
mod generate;
mod run;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask VERB

  check                    formatting, clippy, tidy and unit tests: before every commit
  test [NAME]              everything: builds the program, its worker library and the Python
                           environment that the tests need, then runs all tests (with NAME in them)
  tidy                     sizes, arrows, names and links of the source tree
  gen [--check]            writes (or compares) the generated reference pages
  run [EXAMPLE] [-- ARGS]  builds the program and starts an example (examples/hello)
  bench [SCENARIO...]      measures the release program beside its peers (`bench --help`)
  fuzz TARGET [--seconds N]
                           fuzzes one parser on the stable toolchain
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let verb = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let outcome = match verb.as_str() {
        "check" => check::run_all(),
        "test" => test::run(&rest),
        "tidy" => tidy::run(),
        "gen" => generate::run(&rest),
        "run" => run::run(&rest),
        "bench" => run::bench(&rest),
        "fuzz" => fuzz::run(&rest),
        "" | "help" | "-h" | "--help" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprintln!("error: no verb `{other}`\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
