//! The quaich program: command line in, exit code out.
//!
//! `main` is the only place that prints a failure and ends the process.

mod account;
mod banner;
mod boot;
mod certificates;
mod cli;
mod exit;
mod inherited;
mod named_file;
mod style;
mod supervisor;
mod texts;
mod trust_store;
mod user_files;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(word) if word == supervisor::front::ARGUMENT => return front(),
        Some(word) if word == supervisor::agent::ARGUMENT => return agent(),
        _ => {}
    }
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!("{failure}");
            ExitCode::from(&failure)
        }
    }
}

/// The front process, started by a supervisor, which holds the other end of descriptor 3.
fn front() -> ExitCode {
    keep_to_itself();
    // It was started as /proc/self/exe, and would be called `exe` in process lists.
    let _ = rustix::thread::set_name(c"quaich-front");
    match inherited::take(quaich_app::process::CONTROL_FD) {
        Ok(link) => quaich_server::front::main(link),
        Err(_) => ExitCode::from(exit::Code::Usage as u8),
    }
}

/// Keys lie in the memory of this process: others of the same user must not read it, and no core of it
/// is written.
fn keep_to_itself() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    // Fails on no kernel that quaich runs on.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// The agent, started by a supervisor, which is to be its standard input and output.
fn agent() -> ExitCode {
    keep_to_itself();
    let _ = rustix::thread::set_name(c"quaich-agent");
    let joined = inherited::take(quaich_app::process::CONTROL_FD).and_then(|link| {
        rustix::stdio::dup2_stdin(&link)?;
        Ok(rustix::stdio::dup2_stdout(&link)?)
    });
    match joined {
        Ok(()) => quaich_acme::agent_main(),
        Err(_) => ExitCode::from(exit::Code::Usage as u8),
    }
}
