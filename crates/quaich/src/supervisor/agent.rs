//! The agent as the supervisor sees it: a process that makes one pass, is told what to look after,
//! reports, and ends. It is the only part of the tree that talks to certificate authorities.
//!
//! Called by `certificates`, which acts on what it reports. A pass that crashes, hangs or says
//! nonsense costs nothing but a log line and a wait.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use quaich_acme::{Ack, Event, Job};
use quaich_app::process;
use quaich_server::observe::log;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

/// The hidden first argument of an agent.
pub(crate) const ARGUMENT: &str = "__agent";

/// An authority may take minutes to look at a name; one pass has its own time limits for that.
const SILENCE: Duration = Duration::from_secs(10 * 60);
/// No event is nearly as long.
const MAX_LINE: u64 = 1 << 20;
/// After a pass that did not end well: the first wait, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// The longest time without a pass: clocks are set, and the state directory is edited by hand.
const AT_LEAST: Duration = Duration::from_secs(12 * 3600);

/// An event of a pass; `None` = it has closed its end.
pub(super) type AgentSaid = (u64, Option<Event>);

/// At most one pass at a time.
pub(super) struct Agent {
    running: Option<Pass>,
    passes: u64,
    /// Passes that did not end well, in a row.
    failures: u32,
    /// When the next one is due.
    at: Option<Instant>,
    said: mpsc::Sender<AgentSaid>,
}

struct Pass {
    number: u64,
    pid: Pid,
    lines: mpsc::UnboundedSender<String>,
    /// When it is killed unless it says something.
    patience: Instant,
    /// When it wants to be started again, in seconds since 1970.
    next: Option<u64>,
    closed: bool,
    exit: Option<ExitStatus>,
}

impl Agent {
    pub(super) fn new(said: mpsc::Sender<AgentSaid>) -> Agent {
        Agent {
            running: None,
            passes: 0,
            failures: 0,
            at: None,
            said,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Something is to be done by then, or earlier.
    pub(super) fn wake(&mut self, at: Instant) {
        self.at = Some(self.at.map_or(at, |before| before.min(at)));
    }

    /// Whether a pass is to be started.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.running.is_none() && self.at.is_some_and(|at| at <= now)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match &self.running {
            Some(pass) => Some(pass.patience),
            None => self.at,
        }
    }

    /// Starts a pass; `None` = there is nothing to look after.
    pub(super) fn start(&mut self, job: Option<&Job>, now: Instant) {
        self.at = None;
        let Some(job) = job else { return };
        self.passes += 1;
        match launch(job, self.passes, self.said.clone()) {
            Ok((pid, lines)) => {
                self.running = Some(Pass {
                    number: self.passes,
                    pid,
                    lines,
                    patience: now + SILENCE,
                    next: None,
                    closed: false,
                    exit: None,
                });
            }
            Err(error) => {
                let wait = self.failed();
                self.at = Some(now + wait);
                log::error!("the agent for certificates cannot start: {error}");
            }
        }
    }

    /// Takes an event of the pass that runs; those of others are late.
    pub(super) fn hear(&mut self, (number, event): AgentSaid, now: Instant) -> Option<Event> {
        let pass = self.running.as_mut().filter(|pass| pass.number == number)?;
        pass.patience = now + SILENCE;
        match event {
            Some(Event::Next { at }) => pass.next = Some(at),
            Some(event) => return Some(event),
            None => pass.closed = true,
        }
        None
    }

    /// Tells it that what it asked for is in effect.
    pub(super) fn acknowledge(&self, id: u64) {
        let line = serde_json::to_string(&Ack { ack: id });
        if let (Some(pass), Ok(line)) = (&self.running, line) {
            let _ = pass.lines.send(line);
        }
    }

    /// Whether `pid` was the agent.
    pub(super) fn on_exit(&mut self, pid: Pid, status: ExitStatus) -> bool {
        let pass = self.running.as_mut().filter(|pass| pass.pid == pid);
        let Some(pass) = pass else {
            return false;
        };
        pass.exit = Some(status);
        true
    }

    /// Once a pass has ended and all that it said was heard: when the next one is due. `true` = one
    /// has just ended.
    pub(super) fn finish(&mut self, unix_now: i64, now: Instant) -> bool {
        let ended = |pass: &mut Pass| pass.closed && pass.exit.is_some();
        let Some(pass) = self.running.take_if(ended) else {
            return false;
        };
        let wait = match pass.exit {
            Some(status) if !status.success() => {
                let wait = self.failed();
                log::error!("the agent for certificates failed"; how = status,
                    next_attempt_in = super::seconds(wait));
                wait
            }
            _ => {
                self.failures = 0;
                let next = pass.next.and_then(|at| i64::try_from(at).ok());
                let left = next.map_or(i64::MAX, |at| at.saturating_sub(unix_now));
                Duration::from_secs(u64::try_from(left).unwrap_or(0).max(1)).min(AT_LEAST)
            }
        };
        self.wake(now + wait);
        true
    }

    /// Kills one that has said nothing for too long.
    pub(super) fn check_patience(&mut self, now: Instant) {
        if let Some(pass) = self.running.as_mut().filter(|pass| pass.patience <= now) {
            log::error!("the agent for certificates hangs and is killed");
            pass.patience = now + SILENCE;
            self.kill();
        }
    }

    /// SIGKILL; it will be reaped. What lies in the state directory is whole at any moment.
    pub(super) fn kill(&self) {
        if let Some(pass) = self.running.as_ref().filter(|pass| pass.exit.is_none()) {
            let _ = kill_process(pass.pid, Signal::KILL);
        }
    }

    pub(super) fn status(&self, now: Instant) -> Value {
        let next = self.at.filter(|_| self.running.is_none());
        json!({
            "running": self.is_running(),
            "passes": self.passes,
            "next_pass_in_s": next.map(|at| at.saturating_duration_since(now).as_secs()),
        })
    }

    fn failed(&mut self) -> Duration {
        let wait = RETRY.0.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        wait.min(RETRY.1)
    }
}

fn launch(
    job: &Job,
    number: u64,
    said: mpsc::Sender<AgentSaid>,
) -> io::Result<(Pid, mpsc::UnboundedSender<String>)> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let first = serde_json::to_string(job)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("quaich").arg(ARGUMENT);
    command.env_remove("NOTIFY_SOCKET").env_remove("LISTEN_FDS");
    let (reader, writer) = halves(ours)?;
    let pid = process::spawn(command, theirs, None)?;
    let (lines, outbox) = mpsc::unbounded_channel();
    let _ = lines.send(first);
    tokio::task::spawn_local(write(writer, outbox));
    tokio::task::spawn_local(read(reader, number, said));
    Ok((pid, lines))
}

fn halves(socket: OwnedFd) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(UnixStream::from_std(socket.into())?.into_split())
}

async fn write(mut writer: OwnedWriteHalf, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(mut line) = lines.recv().await {
        line.push('\n');
        // The reading task sees its end.
        if writer.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(reader: OwnedReadHalf, number: u64, said: mpsc::Sender<AgentSaid>) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .await;
        let whole = read.is_ok() && line.ends_with(b"\n");
        let event = whole.then(|| serde_json::from_slice(&line));
        let event = match event {
            None => None,
            Some(Ok(event)) => Some(event),
            Some(Err(error)) => {
                log::error!("the agent for certificates said what it must not: {error}");
                None
            }
        };
        let last = event.is_none();
        if said.send((number, event)).await.is_err() || last {
            return;
        }
    }
}
