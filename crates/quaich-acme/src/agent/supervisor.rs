//! The agent's side of the conversation with the supervisor.

use std::io::{self, BufRead, Write};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::protocol::{Ack, Challenge, Event, Level};
use crate::{Error, Result};

/// Time for the front to take over challenges.
const ACK: Duration = Duration::from_secs(30);

/// The supervisor, as the agent sees it.
pub(crate) struct Supervisor {
    out: Box<dyn Write + Send>,
    acks: mpsc::UnboundedReceiver<u64>,
    last_id: u64,
    /// Whether challenges are installed.
    showing: bool,
}

impl Supervisor {
    /// Speaks to `out` and listens to the standard input; the second value resolves when that
    /// ends, that is, when the supervisor is gone or wants the agent to stop.
    pub(crate) fn new(out: Box<dyn Write + Send>) -> (Self, oneshot::Receiver<()>) {
        let (heard, acks) = mpsc::unbounded_channel();
        let (ended, gone) = oneshot::channel();
        // Reading from a pipe blocks. The thread ends with the process.
        thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                if let Ok(Ack { ack }) = serde_json::from_str(&line) {
                    let _ = heard.send(ack);
                }
            }
            let _ = ended.send(());
        });
        let supervisor = Self {
            out,
            acks,
            last_id: 0,
            showing: false,
        };
        (supervisor, gone)
    }

    /// Reports `event`. One that cannot be written is dropped: then the supervisor is gone, which
    /// the end of the standard input tells.
    pub(crate) fn say(&mut self, event: &Event) {
        if let Ok(mut line) = serde_json::to_vec(event) {
            line.push(b'\n');
            let _ = self.out.write_all(&line).and_then(|()| self.out.flush());
        }
    }

    /// Reports a line for the log.
    pub(crate) fn log(&mut self, level: Level, message: impl Into<String>) {
        let message = message.into();
        self.say(&Event::Log { level, message });
    }

    /// Has `challenges` installed in place of all others, and waits until they are in effect.
    pub(crate) async fn show(&mut self, challenges: Vec<Challenge>) -> Result<()> {
        self.last_id += 1;
        let id = self.last_id;
        self.showing = true;
        self.say(&Event::Challenges { id, challenges });
        let acked = async {
            while let Some(ack) = self.acks.recv().await {
                if ack == id {
                    return true;
                }
            }
            false
        };
        match timeout(ACK, acked).await {
            Ok(true) => Ok(()),
            _ => Err(Error::new("the front did not take over the challenges")),
        }
    }

    /// Has all challenges taken away.
    pub(crate) fn show_nothing(&mut self) {
        if self.showing {
            self.showing = false;
            self.last_id += 1;
            self.say(&Event::Challenges {
                id: self.last_id,
                challenges: Vec::new(),
            });
        }
    }
}
