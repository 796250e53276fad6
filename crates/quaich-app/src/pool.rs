//! The workers of one app: as many as wanted, each replaced when it ends.
//!
//! The supervisor calls in with every event and the time; what it must tell others comes back as
//! [`Notice`]s. Must never wait or sleep. Rules: a worker that was up is replaced at once; one that
//! cannot start is tried again after 0.1 s to 30 s; one that has had its `max_requests` serves on
//! until its successor is up.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use quaich_config::model::App;
use quaich_proto::worker::Layout;
use quaich_proto::worker::boot::{Failed, FromWorker};
use rustix::process::Pid;
use tokio::task::JoinHandle;

use crate::backoff::Backoff;
use crate::channel::{self, Channel};
use crate::worker::{Event, Launch, Phase, Worker};

/// A worker that ends sooner after it was up counts as a failed start.
const TOO_SOON: Duration = Duration::from_secs(1);
/// The wait after such an end.
const SOON_DELAY: Duration = Duration::from_millis(100);

/// What has happened, for the front and the log.
#[derive(Debug)]
pub enum Notice {
    /// The app is loaded. `python` and `callable` as the worker says them.
    Ready {
        /// Which worker.
        worker: u32,
        /// `CPython 3.12.1`.
        python: String,
        /// `module:callable`.
        callable: String,
    },
    /// The worker has joined the channel: for the front, with the descriptors that it needs.
    Up {
        /// Which worker.
        worker: u32,
        /// Its threads.
        threads: usize,
        /// Doorbells, then sockets.
        fds: Vec<OwnedFd>,
    },
    /// A worker that had joined is gone: for the front.
    Down {
        /// Which worker.
        worker: u32,
    },
    /// A worker has had its `max_requests`; its successor is being started.
    Retiring {
        /// Which worker.
        worker: u32,
        /// Requests it has served.
        requests: u64,
    },
    /// A worker that was up has ended without being told to.
    Died {
        /// Which worker.
        worker: u32,
        /// Its process id.
        pid: i32,
        /// How and why, in words.
        how: String,
    },
    /// A worker has ended before its app was loaded.
    BootFailed(BootFailure),
}

/// Why a worker did not start.
#[derive(Debug)]
pub struct BootFailure {
    /// What the worker said itself.
    pub failed: Option<Failed>,
    /// How it ended, in words.
    pub how: String,
    /// Until the next attempt.
    pub wait: Duration,
    /// Ends when all that it printed has been handed on.
    pub output: Option<JoinHandle<()>>,
}

/// A worker as `quaich status` shows it.
#[derive(Clone, Debug)]
pub struct WorkerStatus {
    /// Which worker.
    pub worker: u32,
    /// Its process id.
    pub pid: i32,
    /// [`Phase::name`].
    pub state: &'static str,
    /// Since spawn.
    pub age: Duration,
}

/// The workers of one app.
pub struct Pool {
    launch: Launch,
    layout: Layout,
    channel: Option<Channel>,
    workers: Vec<Worker>,
    last_id: Option<u32>,
    backoff: Backoff,
    not_before: Option<Instant>,
    /// When an attempt last failed that was counted.
    last_failure: Option<Instant>,
    stopping: bool,
    restarts: u64,
    notices: VecDeque<Notice>,
}

impl Pool {
    /// A pool without workers; [`Pool::on_time`] starts them.
    pub fn new(launch: Launch) -> Pool {
        Pool {
            layout: channel::layout(&launch.app, launch.front_threads),
            launch,
            channel: None,
            workers: Vec::new(),
            last_id: None,
            backoff: Backoff::default(),
            not_before: None,
            last_failure: None,
            stopping: false,
            restarts: 0,
            notices: VecDeque::new(),
        }
    }

    /// The app's settings.
    pub fn app(&self) -> &App {
        &self.launch.app
    }

    /// The next thing to tell; ask until there is none after every other call.
    pub fn next_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Workers that serve.
    pub fn up(&self) -> usize {
        self.workers.iter().filter(|worker| worker.serves()).count()
    }

    /// No process is left.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Workers that had to be replaced since the start, those that retired not counted.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Every process, for `quaich status`.
    pub fn status(&self, now: Instant) -> Vec<WorkerStatus> {
        let one = |worker: &Worker| WorkerStatus {
            worker: worker.id,
            pid: worker.pid.as_raw_pid(),
            state: worker.phase.name(),
            age: now.saturating_duration_since(worker.started),
        };
        self.workers.iter().map(one).collect()
    }

    /// A front has been started with this channel: all workers that are up join it.
    pub fn attach(&mut self, channel: Channel) {
        self.channel = Some(channel);
        for index in 0..self.workers.len() {
            self.workers[index].joined = false;
            self.join(index);
        }
    }

    /// The front is gone; workers wait for the next one.
    pub fn detach(&mut self) {
        self.channel = None;
        for worker in &mut self.workers {
            worker.joined = false;
        }
    }

    /// When [`Pool::on_time`] has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let restart = self.not_before.filter(|_| self.missing() > 0);
        self.workers
            .iter()
            .filter_map(|worker| worker.deadline)
            .chain(restart)
            .min()
    }

    /// Does what is due: starts missing workers, ends patience.
    pub fn on_time(&mut self, now: Instant) {
        for worker in &mut self.workers {
            if worker.deadline.is_none_or(|deadline| deadline > now) {
                continue;
            }
            match worker.phase {
                Phase::Booting => {
                    let limit = self.launch.app.boot_timeout;
                    worker.dump_and_kill(format!("the app was not loaded in {limit:?}"), now);
                }
                Phase::Leaving if worker.reason.is_none() => {
                    worker.dump_and_kill("it did not end in time".into(), now);
                }
                _ => worker.kill(),
            }
        }
        self.start_missing(now);
    }

    /// A worker said something.
    pub fn on_event(&mut self, event: Event, now: Instant) {
        let found = self
            .workers
            .iter()
            .position(|worker| worker.id == event.worker);
        let Some(index) = found else { return };
        let worker = &mut self.workers[index];
        match event.message {
            Some(FromWorker::Ready { python, callable }) => {
                self.on_ready(index, python, callable, now);
            }
            Some(FromWorker::Failed(failed)) => {
                worker.failed = Some(failed);
                worker.leaves(now);
            }
            Some(FromWorker::Retiring { requests }) if worker.phase == Phase::Up => {
                worker.phase = Phase::Retiring;
                self.notices.push_back(Notice::Retiring {
                    worker: event.worker,
                    requests,
                });
            }
            Some(FromWorker::Retiring { .. }) => {}
            Some(FromWorker::Bye { reason, .. }) => {
                if !reason.is_empty() {
                    worker.reason.get_or_insert(reason);
                }
                worker.leaves(now);
            }
            None => worker.leaves(now),
        }
        self.start_missing(now);
    }

    /// A process has been reaped; false when it is none of these.
    pub fn on_exit(&mut self, pid: Pid, status: ExitStatus, now: Instant) -> bool {
        let found = self.workers.iter().position(|worker| worker.pid == pid);
        let Some(index) = found else { return false };
        let worker = self.workers.swap_remove(index);
        if worker.joined {
            self.notices.push_back(Notice::Down { worker: worker.id });
        }
        if !self.stopping {
            self.on_end(worker, status, now);
            self.start_missing(now);
        }
        true
    }

    /// The front found the worker stuck or lying: it shows its stacks, is killed and replaced.
    pub fn condemn(&mut self, worker: u32, reason: String, now: Instant) {
        let found = self
            .workers
            .iter_mut()
            .find(|candidate| candidate.id == worker);
        if let Some(worker) = found {
            worker.dump_and_kill(reason, now);
        }
        self.start_missing(now);
    }

    /// Ends all workers; graceful ones may finish their requests, for `patience` at most.
    pub fn stop(&mut self, graceful: bool, patience: Duration, now: Instant) {
        self.stopping = true;
        for worker in &mut self.workers {
            if !matches!(worker.phase, Phase::Dumping | Phase::Killed) {
                worker.leave(graceful, patience, now);
            }
        }
    }

    /// SIGKILL for all.
    pub fn kill(&mut self) {
        self.stopping = true;
        self.workers.iter_mut().for_each(Worker::kill);
    }

    /// Workers to be started: retiring ones do not count, so that their successors come first.
    fn missing(&self) -> usize {
        if self.stopping {
            return 0;
        }
        // One that never came up counts until it is reaped: only then is its failure judged, and
        // without that its successor would not wait.
        let counted = |worker: &&Worker| worker.ready.is_none() || worker.phase == Phase::Up;
        self.launch
            .app
            .workers
            .saturating_sub(self.workers.iter().filter(counted).count())
    }

    fn start_missing(&mut self, now: Instant) {
        if self.not_before.is_some_and(|time| time > now) {
            return;
        }
        self.not_before = None;
        for _ in 0..self.missing() {
            let live: Vec<u32> = self.workers.iter().map(|worker| worker.id).collect();
            // Every seat is taken only while many are being killed; each exit comes back here.
            let Some(id) = self.layout.next_worker_id(self.last_id, &live) else {
                return;
            };
            self.last_id = Some(id);
            match Worker::spawn(&self.launch, id) {
                Ok(worker) => self.workers.push(worker),
                Err(error) => return self.spawn_failed(&error, now),
            }
        }
    }

    fn spawn_failed(&mut self, error: &io::Error, now: Instant) {
        let python = self.launch.app.python.display();
        let how = format!("{python} cannot be started: {error}");
        let wait = self.wait_after_failure(false, now, now);
        self.boot_failed(None, how, None, wait);
    }

    /// How long to wait for the next attempt after one that began at `started`. Attempts that ran
    /// side by side count as one, and a worker that somebody killed says nothing about the app.
    fn wait_after_failure(&mut self, killed: bool, started: Instant, now: Instant) -> Duration {
        if self.last_failure.is_some_and(|failure| started < failure) {
            let due = self.not_before.unwrap_or(now);
            return due.saturating_duration_since(now);
        }
        self.last_failure = Some(now);
        let wait = if killed {
            SOON_DELAY
        } else {
            self.backoff.failed()
        };
        self.not_before = Some(now + wait);
        wait
    }

    fn boot_failed(
        &mut self,
        failed: Option<Failed>,
        how: String,
        output: Option<JoinHandle<()>>,
        wait: Duration,
    ) {
        let failure = BootFailure {
            failed,
            how,
            wait,
            output,
        };
        self.notices.push_back(Notice::BootFailed(failure));
    }

    fn on_ready(&mut self, index: usize, python: String, callable: String, now: Instant) {
        let worker = &mut self.workers[index];
        if worker.phase != Phase::Booting {
            return;
        }
        worker.phase = Phase::Up;
        worker.deadline = None;
        worker.ready = Some(now);
        self.backoff.reset();
        self.notices.push_back(Notice::Ready {
            worker: worker.id,
            python,
            callable,
        });
        self.join(index);
        let patience = self.launch.app.graceful_timeout;
        let retiring = |worker: &&mut Worker| worker.phase == Phase::Retiring;
        if let Some(old) = self.workers.iter_mut().find(retiring) {
            old.leave(true, patience, now);
        }
    }

    fn join(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        let Some(channel) = self.channel.as_ref().filter(|_| worker.serves()) else {
            return;
        };
        match worker.join(channel, &self.launch) {
            Ok(fds) => {
                let threads = self.launch.app.threads;
                self.notices.push_back(Notice::Up {
                    worker: worker.id,
                    threads,
                    fds,
                });
            }
            Err(error) => {
                worker.reason = Some(format!("it could not join the front: {error}"));
                worker.kill();
            }
        }
    }

    /// A worker has ended that was not told to by [`Pool::stop`].
    fn on_end(&mut self, worker: Worker, status: ExitStatus, now: Instant) {
        let how = match &worker.reason {
            Some(reason) => format!("{reason} ({status})"),
            None => status.to_string(),
        };
        let killed = status.signal() == Some(rustix::process::Signal::KILL.as_raw());
        let Some(ready) = worker.ready else {
            let killed = killed && worker.reason.is_none();
            let wait = self.wait_after_failure(killed, worker.started, now);
            return self.boot_failed(worker.failed, how, Some(worker.output), wait);
        };
        let told = worker.phase == Phase::Leaving && worker.reason.is_none() && status.success();
        if told {
            return;
        }
        self.restarts += 1;
        let soon = now.saturating_duration_since(ready) < TOO_SOON;
        if soon && !killed {
            self.not_before = Some(now + SOON_DELAY);
        }
        let pid = worker.pid.as_raw_pid();
        self.notices.push_back(Notice::Died {
            worker: worker.id,
            pid,
            how,
        });
    }
}

#[cfg(test)]
mod tests;
