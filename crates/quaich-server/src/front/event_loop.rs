//! One data thread: its runtime, its tasks, its end.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use quaich_config::model::Config;
use serde::Serialize;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{Supervisor, tell};
use crate::clock::Clock;
use crate::deadline::Deadlines;
use crate::filter;
use crate::generation::{Generation, Parts};
use crate::handler::Channel;
use crate::heap;
use crate::link::{FromFront, Secret};
use crate::listener::accept::{self, Acceptor, Admission};
use crate::observe::access_log::AccessLog;
use crate::observe::counters::Counters;
use crate::observe::log;
use crate::route::RouteTable;
use crate::thread::{Thread, ThreadParts};
use crate::tls::Terminator;
use crate::upstream::group::Group;
use crate::upstream::wire::worker::{
    AppChannel, AppChannelSetup, AppRegion, WorkerReport, park_hooks,
};

/// Sweeps between two looks at kept connections and open files.
const REAP_EVERY: u32 = 10;

/// Connections that go to rest before memory is given back: what they held lies between what the
/// others hold.
const MANY_RESTED: usize = 256;

/// What the threads share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) config: Arc<Config>,
    pub(super) routes: Arc<RouteTable>,
    pub(super) filters: Arc<filter::Shared>,
    pub(super) upstreams: Vec<Arc<Group>>,
    pub(super) sticky_secrets: Arc<[Secret]>,
    pub(super) admission: Admission,
    pub(super) supervisor: Supervisor,
    pub(super) access_log: Option<AccessLog>,
    /// TLS towards clients; `None` = no listener speaks it.
    pub(super) tls: Option<Arc<Terminator>>,
    /// One of each app.
    pub(super) regions: Vec<Arc<AppRegion>>,
}

/// The descriptors of one thread.
pub(super) struct Wiring {
    pub(super) index: usize,
    pub(super) listeners: Vec<OwnedFd>,
    pub(super) roots: Vec<OwnedFd>,
    pub(super) protected: Vec<OwnedFd>,
    /// Doorbell of each app.
    pub(super) doorbells: Vec<OwnedFd>,
}

/// What the main thread wants of a data thread.
pub(super) enum Command {
    WorkerUp {
        app: usize,
        worker: u32,
        socket: OwnedFd,
        doorbells: Vec<OwnedFd>,
    },
    WorkerDown {
        app: usize,
        worker: u32,
    },
    Status {
        answer: Sender<Vec<AppStatus>>,
    },
    /// Finish what runs, then say so over `done` and wait for `End`.
    Drain {
        timeout: Duration,
        done: Sender<()>,
    },
    End,
}

/// One app as one thread sees it; sums over the threads.
#[derive(Debug, Default, Serialize)]
pub(super) struct AppStatus {
    queued: u64,
    running: u64,
    workers: u64,
    idle: u64,
    served: u64,
    lost: u64,
}

impl AppStatus {
    pub(super) fn add(&mut self, other: &Self) {
        // What all threads see is not added up.
        self.queued = self.queued.max(other.queued);
        self.workers = self.workers.max(other.workers);
        self.idle = self.idle.max(other.idle);
        self.running += other.running;
        self.served += other.served;
        self.lost += other.lost;
    }
}

/// Runs the thread until it has drained. Says over `ready` whether it could start.
pub(super) fn run(
    wiring: Wiring,
    shared: Shared,
    counters: Arc<Counters>,
    inbox: UnboundedReceiver<Command>,
    ready: &Sender<std::io::Result<()>>,
) {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    runtime.block_on(async {
        match start(wiring, &shared, counters) {
            Ok(thread) => {
                let _ = ready.send(Ok(()));
                obey(&thread, inbox).await;
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    });
    // Whatever still runs has had its time.
    runtime.shutdown_background();
}

fn runtime() -> std::io::Result<LocalRuntime> {
    let mut builder = Builder::new_current_thread();
    builder
        .enable_io()
        .enable_time()
        .max_blocking_threads(8)
        .thread_keep_alive(BLOCKING_IDLE);
    park_hooks(&mut builder);
    builder.build_local(LocalOptions::default())
}

/// How long connections may take to end that are told to.
const CUT: Duration = Duration::from_millis(100);

/// Threads for blocking work end when there was none for a while.
const BLOCKING_IDLE: Duration = Duration::from_secs(10);

fn start(wiring: Wiring, shared: &Shared, counters: Arc<Counters>) -> std::io::Result<Rc<Thread>> {
    let clock = Clock::of_thread();
    let deadlines = Deadlines::new(clock.clone());
    let channels = channels(wiring.doorbells, wiring.index, shared)?;
    let parts = Parts {
        routes: shared.routes.clone(),
        filters: shared.filters.clone(),
        upstreams: shared.upstreams.clone(),
        sticky_secrets: shared.sticky_secrets.clone(),
        roots: wiring.roots,
        protected: wiring.protected,
        channels,
        deadlines: deadlines.clone(),
        counters: counters.clone(),
    };
    let thread = Thread::new(ThreadParts {
        settings: Arc::new(shared.config.server.clone()),
        ports: wiring.listeners.iter().map(accept::port).collect(),
        clock,
        deadlines,
        generation: Rc::new(Generation::new(&shared.config, parts)),
        tls: shared.tls.clone(),
        access_log: shared.access_log.as_ref().map(|log| log.logger()),
        counters,
    });
    tokio::task::spawn_local(sweep(thread.clone()));
    for (index, fd) in wiring.listeners.into_iter().enumerate() {
        let acceptor = Acceptor::new(fd, index, shared.admission.clone(), thread.clone())?;
        tokio::task::spawn_local(acceptor.run());
    }
    Ok(thread)
}

fn channels(
    doorbells: Vec<OwnedFd>,
    thread_index: usize,
    shared: &Shared,
) -> std::io::Result<Vec<Channel>> {
    let apps = shared
        .config
        .apps
        .iter()
        .zip(&shared.regions)
        .zip(doorbells)
        .enumerate();
    apps.map(|(app, ((settings, region), doorbell))| {
        let (reports, inbox) = unbounded_channel();
        tokio::task::spawn_local(pass_on(app, inbox, shared.supervisor.clone()));
        AppChannel::new(AppChannelSetup {
            region: region.clone(),
            thread_index,
            doorbell,
            queue: settings.queue,
            reports,
        })
    })
    .collect()
}

/// Deadlines, and everything that is looked at now and then.
async fn sweep(thread: Rc<Thread>) {
    let mut turn = 0_u32;
    let deadlines = thread.deadlines.clone();
    deadlines
        .run(move |resting| {
            if let Some(log) = &thread.access_log {
                match resting {
                    true => log.flush(),
                    false => log.flush_if_due(thread.clock.now()),
                }
            }
            turn = turn.wrapping_add(1);
            thread.generation.filters.tend();
            if resting || turn.is_multiple_of(REAP_EVERY) {
                thread
                    .generation
                    .upstreams
                    .iter()
                    .for_each(|upstream| upstream.reap());
                thread.generation.files.sweep(thread.clock.unix_second());
                if thread.rested.get() >= MANY_RESTED {
                    thread.rested.set(0);
                    heap::trim();
                }
            }
        })
        .await;
}

/// Tells the supervisor about workers that misbehave.
async fn pass_on(app: usize, mut inbox: UnboundedReceiver<WorkerReport>, supervisor: Supervisor) {
    while let Some(report) = inbox.recv().await {
        let message = match report {
            WorkerReport::Lied { id, why } => FromFront::Lied {
                app,
                worker: id,
                why: why.to_owned(),
            },
            WorkerReport::Stuck {
                id,
                method,
                path,
                elapsed,
            } => {
                let detail = format!("{method} {path} after {:.1} s", elapsed.as_secs_f64());
                FromFront::Stuck {
                    app,
                    worker: id,
                    detail,
                }
            }
        };
        tell(&supervisor, &message);
    }
}

async fn obey(thread: &Rc<Thread>, mut inbox: UnboundedReceiver<Command>) {
    while let Some(command) = inbox.recv().await {
        match command {
            Command::WorkerUp {
                app,
                worker,
                socket,
                doorbells,
            } => {
                if let Some(channel) = thread.generation.channels.get(app)
                    && let Err(error) = channel.worker_up(worker, socket, doorbells)
                {
                    log::error!("a worker cannot be attached: {error}"; worker = worker);
                }
            }
            Command::WorkerDown { app, worker } => {
                if let Some(channel) = thread.generation.channels.get(app) {
                    channel.worker_down(worker);
                }
            }
            Command::Status { answer } => drop(answer.send(app_status(thread))),
            Command::Drain { timeout, done } => {
                drain(thread, timeout).await;
                // The channels of this thread stay open till the others have drained: a worker
                // that loses one takes the whole front for gone.
                let _ = done.send(());
            }
            Command::End => return,
        }
    }
}

fn app_status(thread: &Thread) -> Vec<AppStatus> {
    let channels = thread.generation.channels.iter();
    channels
        .map(|channel| {
            let stats = channel.stats();
            AppStatus {
                queued: stats.queued,
                running: stats.in_flight,
                workers: stats.workers,
                idle: stats.idle,
                served: stats.served,
                lost: stats.lost,
            }
        })
        .collect()
}

/// Lets running exchanges finish, at most for `timeout`.
async fn drain(thread: &Rc<Thread>, timeout: Duration) {
    thread.start_drain();
    // The acceptors end in their next turn; a connection in the backlog may be accepted before.
    tokio::task::yield_now().await;
    if tokio::time::timeout(timeout, thread.emptied())
        .await
        .is_err()
    {
        thread.start_cut();
        // They note how they ended.
        let _ = tokio::time::timeout(CUT, thread.emptied()).await;
    }
    if let Some(log) = &thread.access_log {
        log.flush();
    }
}
