//! The signals that the supervisor acts on, as a stream of what they mean.

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What is asked of the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// TERM: finish what runs, then end.
    Stop,
    /// INT, QUIT: end at once.
    Quit,
    /// USR1: the log files were moved away.
    ReopenLogs,
    /// HUP.
    Hangup,
    /// CHLD: somebody is to be reaped.
    Child,
}

/// All of them, from now on.
pub(super) struct Signals {
    terminate: Stream,
    interrupt: Stream,
    quit: Stream,
    user1: Stream,
    hangup: Stream,
    child: Stream,
}

impl Signals {
    /// Takes the signals over from their default actions. Inside a runtime only.
    pub(super) fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            user1: signal(SignalKind::user_defined1())?,
            hangup: signal(SignalKind::hangup())?,
            child: signal(SignalKind::child())?,
        })
    }

    /// The next one. Cancel-safe.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.child.recv() => Signal::Child,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Quit,
            _ = self.quit.recv() => Signal::Quit,
            _ = self.user1.recv() => Signal::ReopenLogs,
            _ = self.hangup.recv() => Signal::Hangup,
        }
    }
}
