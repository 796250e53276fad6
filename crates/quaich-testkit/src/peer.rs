//! Another server as a real process: gunicorn, nginx, a Python script.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::LogLines;

/// A running server; killed with its process group when dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    log: LogLines,
}

impl Peer {
    /// Starts a command in a process group of its own.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self::with_input(command, Stdio::null())
    }

    /// The same, with a listening socket as descriptor 0, for programs that can be told so.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start_on(listener: TcpListener, command: &mut Command) -> Self {
        Self::with_input(command, OwnedFd::from(listener).into())
    }

    #[track_caller]
    fn with_input(command: &mut Command, input: Stdio) -> Self {
        command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().expect("the peer can be started");
        let log = LogLines::default();
        log.collect(child.stdout.take().expect("stdout is a pipe"));
        log.collect(child.stderr.take().expect("stderr is a pipe"));
        Self { child, log }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> &LogLines {
        &self.log
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- output of the peer ----\n{}\n----", self.log.text());
        }
    }
}
