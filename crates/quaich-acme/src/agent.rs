//! One pass of the agent.

use std::process::ExitCode;

/// The whole life of the process `quaich __agent`: see [`Job`](crate::Job) and
/// [`Event`](crate::Event). Exit code 0 = the pass was made, whatever came of it; 2 = no job.
pub fn agent_main() -> ExitCode {
    eprintln!("the agent is not built yet");
    ExitCode::from(2)
}
