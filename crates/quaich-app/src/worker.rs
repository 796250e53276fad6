//! One worker process from spawn to reaping: what it was told, what it said, when patience ends.
//!
//! Owned by `pool`, which decides; a worker here only carries out. Must never wait: messages to it
//! that do not fit its socket mean that it is stuck.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use quaich_config::model::{App, AppTarget};
pub use quaich_proto::worker::boot::Failed;
use quaich_proto::worker::boot::{self, FromWorker, Start, Target, ToWorker};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::channel::{Channel, Joint};
use crate::control::Control;
use crate::identity::Identity;
use crate::{output, process};

/// How long a stuck worker may write its stacks before it is killed.
const DUMP_TIME: Duration = Duration::from_secs(1);
/// How long a worker that is told to leave at once, or that says it leaves, may take.
const LEAVE_TIME: Duration = Duration::from_secs(2);

/// What a worker said, for [`crate::pool::Pool::on_event`].
#[derive(Debug)]
pub struct Event {
    /// Index of the app.
    pub app: usize,
    /// Which worker.
    pub worker: u32,
    /// Its message; `None` = its control socket is closed.
    pub message: Option<FromWorker>,
}

/// Receives each line that a worker prints: app name, worker id, line.
pub type OnLine = Rc<dyn Fn(&str, u32, &[u8])>;

/// What all workers of an app are started with.
#[derive(Clone)]
pub struct Launch {
    /// Index of the app in the configuration.
    pub index: usize,
    /// Its settings, the interpreter resolved.
    pub app: Rc<App>,
    /// `libquaich_worker.so`, absolute.
    pub library: PathBuf,
    /// What it runs as; `None` = as the supervisor.
    pub identity: Option<Identity>,
    /// Threads of the front.
    pub front_threads: usize,
    /// Where messages go.
    pub events: mpsc::Sender<Event>,
    /// Where output goes.
    pub on_line: OnLine,
}

/// Where a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Spawned, the app is not loaded.
    Booting,
    /// Serves.
    Up,
    /// Serves, but has had its `max_requests`: leaves when a successor is up.
    Retiring,
    /// Told to leave, or says that it leaves.
    Leaving,
    /// Writes its stacks, is killed next.
    Dumping,
    /// Killed, not reaped.
    Killed,
}

impl Phase {
    /// For `quaich status`.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Booting => "booting",
            Phase::Up => "up",
            Phase::Retiring => "retiring",
            Phase::Leaving => "leaving",
            Phase::Dumping | Phase::Killed => "killed",
        }
    }
}

/// One process.
pub struct Worker {
    /// Unique among the workers of the app that are attached at the same time.
    pub id: u32,
    /// Process id.
    pub pid: Pid,
    /// Where it stands.
    pub phase: Phase,
    /// When patience with the phase ends.
    pub deadline: Option<Instant>,
    /// When it was spawned.
    pub started: Instant,
    /// When its app was loaded.
    pub ready: Option<Instant>,
    /// What it said about an app that cannot be loaded.
    pub failed: Option<Failed>,
    /// Why it leaves or was killed, in words.
    pub reason: Option<String>,
    /// The front knows it.
    pub joined: bool,
    /// Ends when all of its output has been handed on.
    pub output: JoinHandle<()>,
    control: Control,
}

impl Worker {
    /// Starts the process and sends it its first message.
    pub fn spawn(launch: &Launch, id: u32) -> io::Result<Worker> {
        let app = &launch.app;
        let (control, theirs) = Control::pair()?;
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        control.send(&ToWorker::Start(start_message(app)), &[])?;
        let pid = process::spawn(command(launch, writer)?, theirs, launch.identity.as_ref())?;
        let now = Instant::now();
        tokio::task::spawn_local(listen(control.clone(), launch.clone(), id));
        Ok(Worker {
            id,
            pid,
            phase: Phase::Booting,
            deadline: Some(now + app.boot_timeout),
            started: now,
            ready: None,
            failed: None,
            reason: None,
            joined: false,
            output: tokio::task::spawn_local(print(reader, launch.clone(), id)),
            control,
        })
    }

    /// Serves requests, or could.
    pub fn serves(&self) -> bool {
        matches!(self.phase, Phase::Up | Phase::Retiring)
    }

    /// Joins it to the front's channel; the result is for the front.
    pub fn join(&mut self, channel: &Channel, launch: &Launch) -> io::Result<Vec<OwnedFd>> {
        let joint = Joint::new(launch.app.threads, launch.front_threads)?;
        let message = ToWorker::Attach {
            worker: self.id,
            fronts: launch.front_threads as u32,
        };
        self.control.send(&message, &joint.worker_fds(channel))?;
        self.joined = true;
        Ok(joint.into_front_fds())
    }

    /// Tells it to leave; it is killed when it has not within `patience`.
    pub fn leave(&mut self, graceful: bool, patience: Duration, now: Instant) {
        if self.phase == Phase::Booting {
            return self.kill();
        }
        if self
            .control
            .send(&ToWorker::Stop { graceful }, &[])
            .is_err()
        {
            return self.kill();
        }
        let patience = if graceful {
            patience
        } else {
            LEAVE_TIME.min(patience)
        };
        self.phase = Phase::Leaving;
        self.deadline = Some(now + patience);
    }

    /// It has said, or its socket shows, that it is on its way out.
    pub fn leaves(&mut self, now: Instant) {
        if self.serves() || self.phase == Phase::Booting {
            self.phase = Phase::Leaving;
            self.deadline = Some(now + LEAVE_TIME);
        }
    }

    /// Has it write its stacks to its output, and kills it soon after.
    pub fn dump_and_kill(&mut self, reason: String, now: Instant) {
        if matches!(self.phase, Phase::Dumping | Phase::Killed) {
            return;
        }
        self.reason.get_or_insert(reason);
        if self.control.send(&ToWorker::DumpStacks, &[]).is_err() {
            return self.kill();
        }
        self.phase = Phase::Dumping;
        self.deadline = Some(now + DUMP_TIME);
    }

    /// SIGKILL, at once.
    pub fn kill(&mut self) {
        // It may be gone already; then it will be reaped.
        let _ = kill_process(self.pid, Signal::KILL);
        self.phase = Phase::Killed;
        self.deadline = None;
    }
}

fn command(launch: &Launch, output: OwnedFd) -> io::Result<Command> {
    let mut command = Command::new(&launch.app.python);
    command
        .args(["-c", boot::BOOTSTRAP])
        .current_dir(&launch.app.dir)
        .stdout(output.as_fd().try_clone_to_owned()?)
        .stderr(output);
    if std::env::var_os("PYTHONUNBUFFERED").is_none() {
        // Standard output is a pipe: Python would keep what an app prints for minutes.
        command.env("PYTHONUNBUFFERED", "1");
    }
    for name in [
        "NOTIFY_SOCKET",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
        "LISTEN_PID",
    ] {
        command.env_remove(name);
    }
    command
        .envs(&launch.app.env)
        .env(boot::LIBRARY_VARIABLE, &launch.library);
    Ok(command)
}

fn start_message(app: &App) -> Start {
    let target = match &app.target {
        AppTarget::Module { module, callable } => Target::Module {
            name: module.clone(),
            callable: callable.clone(),
        },
        AppTarget::File { path, callable } => Target::File {
            path: path.clone(),
            callable: callable.clone(),
        },
    };
    let jitter = match app.max_requests_jitter {
        0 => 0,
        most => random() % most.saturating_add(1),
    };
    Start {
        app: app.name.clone(),
        target,
        factory: app.factory,
        dir: app.dir.clone(),
        threads: u32::try_from(app.threads).unwrap_or(u32::MAX),
        multiprocess: app.workers > 1,
        max_requests: if app.max_requests == 0 {
            0
        } else {
            app.max_requests + jitter
        },
    }
}

/// Good enough to spread restarts.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

async fn listen(control: Control, launch: Launch, worker: u32) {
    let app = launch.index;
    loop {
        let message = control.receive().await.unwrap_or(None);
        let last = message.is_none();
        if launch
            .events
            .send(Event {
                app,
                worker,
                message,
            })
            .await
            .is_err()
            || last
        {
            return;
        }
    }
}

async fn print(pipe: OwnedFd, launch: Launch, worker: u32) {
    let line = |line: &[u8]| (launch.on_line)(&launch.app.name, worker, line);
    // A pipe that cannot be read any more ends like one that was closed.
    let _ = output::read_lines(pipe, line).await;
}
