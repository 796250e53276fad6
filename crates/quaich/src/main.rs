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
mod style;
mod supervisor;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == supervisor::front::ARGUMENT)
    {
        return front();
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
    // It was started as /proc/self/exe, and would be called `exe` in process lists.
    let _ = rustix::thread::set_name(c"quaich-front");
    match inherited::take(quaich_app::process::CONTROL_FD) {
        Ok(link) => quaich_server::front::main(link),
        Err(_) => ExitCode::from(exit::Code::Usage as u8),
    }
}
