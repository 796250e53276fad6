//! The agent as a process of its own, for the tests of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    quaich_acme::agent_main()
}
