//! The supervisor: root of the process tree. It opens, spawns, watches, replaces and ends; request
//! bytes never pass through it.
//!
//! Called by `boot` once the configuration is known to be right. One thread, one loop (`serve`):
//! whatever happens is an input, and after each input everything that is due is done.
//!
//! | phase    | ends with                                                        |
//! |----------|------------------------------------------------------------------|
//! | starting | front ready and a worker up in every app; a failed app ends all  |
//! | running  | TERM, `quaich stop`: draining; INT, QUIT: stopping               |
//! | draining | the front has no connection left, or `shutdown_timeout` is over  |
//! | stopping | no process is left                                               |

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quaich_app::backoff::Backoff;
use quaich_app::pool::{Notice, Pool};
use quaich_app::worker::{Event, Launch};
use quaich_server::link::{NamedOrder, ToFront};
use quaich_server::observe::log;
use rustix::process::{Pid, WaitOptions, wait};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use tokio::sync::mpsc;

pub(crate) mod agent;
mod certificates;
mod control;
mod datagrams;
mod ending;
pub(crate) mod files;
pub(crate) mod front;
mod fronts;
mod holder;
mod maintenance;
mod notify;
mod orders;
mod report;
mod signals;
pub(crate) mod sockets;
mod status;
mod sticky;
mod texts;

use crate::banner;
use crate::boot::Plan;
use crate::exit::{Code, Failure};
use agent::{Agent, AgentSaid};
use certificates::Care;
use control::{Command, ControlSocket, Request};
use datagrams::Doors;
use front::{Equipment, Front, Heard};
use maintenance::Closing;
use signals::{Signal, Signals};

/// What a front may take beyond the drain to write its logs and exit.
const EXIT_TIME: Duration = Duration::from_secs(2);
/// What workers get at least when everything is being ended.
const LAST_TIME: Duration = Duration::from_secs(3);
/// Runs the tree until it is told to end.
pub(crate) fn run(plan: Plan) -> Result<(), Failure> {
    prepare_process();
    let config = &plan.config;
    let pid_file = config.server.pid_file.clone();
    let equipment = Equipment {
        sockets: sockets::bind_all(&config.server)?,
        subscribe: config.subscribe.as_ref().map(Doors::open).transpose()?,
        roots: files::open_roots(config)?,
        protected: files::open_protected(config)?,
        sticky_secrets: sticky::secrets(config)?,
        access_log: files::open_log(&config.access_log.output)?,
        log: files::open_log(&config.log.output)?,
        identity: plan.identity,
        config: Arc::new(config.clone()),
    };
    let control = open_control(plan.control.as_deref())?;
    let _pid_file = pid_file.as_deref().map(files::PidFile::write).transpose()?;
    let own_log = equipment.log.as_ref().and_then(|log| log.try_clone().ok());
    log::init(&config.log, own_log);
    let control_path = control.as_ref().map(ControlSocket::path);
    banner::show(&plan, &equipment.sockets, control_path);
    for warning in &plan.warnings {
        log::warn!("{}", warning.line());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::new(Code::Config, error.to_string()))?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let (supervisor, inbox) = Supervisor::new(plan, equipment, control.as_ref())
            .map_err(|error| Failure::new(Code::Config, error.to_string()))?;
        supervisor.serve(inbox).await
    })
}

/// Orphans of the workers come to us to be reaped; room for as many connections as allowed.
fn prepare_process() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    // Without either the program works: orphans go to init, connections are fewer.
    let _ = rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1));
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    let _ = setrlimit(Resource::Nofile, files);
}

fn open_control(path: Option<&std::path::Path>) -> Result<Option<ControlSocket>, Failure> {
    let Some(path) = path else { return Ok(None) };
    match ControlSocket::bind(path) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let message = format!(
                "a quaich is running already: it answers at {}",
                path.display()
            );
            let cure = format!("stop it first: quaich stop --socket {}", path.display());
            Err(Failure::new(Code::Bind, message).cure(cure))
        }
        Err(error) => {
            let path = path.display();
            log::warn!("no control socket at {path}: {error}");
            Ok(None)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    Draining { until: Instant },
    Stopping { until: Instant },
}

/// Everything that can happen, waiting to be taken.
struct Inbox {
    heard: mpsc::Receiver<Heard>,
    events: mpsc::Receiver<Event>,
    requests: mpsc::Receiver<Request>,
    agent: mpsc::Receiver<AgentSaid>,
    signals: Signals,
}

enum Input {
    Agent(AgentSaid),
    Heard(Heard),
    Event(Event),
    Request(Request),
    Signal(Signal),
    Time,
}

impl Inbox {
    async fn next(&mut self, deadline: Option<Instant>) -> Input {
        let far = Instant::now() + Duration::from_secs(3600);
        let time = tokio::time::sleep_until(deadline.unwrap_or(far).into());
        tokio::select! {
            signal = self.signals.next() => Input::Signal(signal),
            Some(heard) = self.heard.recv() => Input::Heard(heard),
            Some(event) = self.events.recv() => Input::Event(event),
            Some(request) = self.requests.recv() => Input::Request(request),
            Some(said) = self.agent.recv() => Input::Agent(said),
            () = time => Input::Time,
        }
    }
}

struct Supervisor {
    plan: Plan,
    equipment: Equipment,
    pools: Vec<Pool>,
    front: Option<Front>,
    fronts: u64,
    front_backoff: Backoff,
    front_at: Option<Instant>,
    heard: mpsc::Sender<Heard>,
    phase: Phase,
    /// When a signal first told it to end.
    told: Option<Instant>,
    started: Instant,
    asked: status::Asked,
    /// What the operator has said of servers, for fronts to come.
    orders: Vec<NamedOrder>,
    /// Looks after `plan.certificates`.
    care: Care,
    agent: Agent,
    /// Which sites are closed for maintenance.
    closing: Closing,
    /// When to look at `plan.texts` again.
    texts_at: Option<Instant>,
    /// Why everything is being ended, when it is not because somebody said so.
    failure: Option<Failure>,
    /// There was a terminal at the start.
    terminal: bool,
}

impl Supervisor {
    fn new(
        plan: Plan,
        equipment: Equipment,
        control: Option<&ControlSocket>,
    ) -> std::io::Result<(Supervisor, Inbox)> {
        let (heard, heard_inbox) = mpsc::channel(64);
        let (events, event_inbox) = mpsc::channel(64);
        let (requests, request_inbox) = mpsc::channel(4);
        let (agent, agent_inbox) = mpsc::channel(64);
        let signals = Signals::new()?;
        if let Some(control) = control {
            control.serve(requests)?;
        }
        let launch = |(index, app): (usize, &quaich_config::model::App)| {
            Pool::new(Launch {
                index,
                app: Rc::new(app.clone()),
                library: plan.library.clone(),
                identity: plan.app_identities.get(index).copied().flatten(),
                front_threads: equipment.config.server.threads,
                events: events.clone(),
                on_line: Rc::new(|app, worker, line| log::app_output(app, worker as usize, line)),
            })
        };
        let pools = plan.config.apps.iter().enumerate().map(launch).collect();
        let closing = Closing::new(&plan.config);
        let supervisor = Supervisor {
            plan,
            equipment,
            pools,
            front: None,
            fronts: 0,
            front_backoff: Backoff::default(),
            front_at: None,
            heard,
            phase: Phase::Starting,
            told: None,
            started: Instant::now(),
            asked: status::Asked::default(),
            orders: Vec::new(),
            care: Care::default(),
            agent: Agent::new(agent),
            texts_at: None,
            closing,
            failure: None,
            terminal: has_terminal(),
        };
        let inbox = Inbox {
            heard: heard_inbox,
            events: event_inbox,
            requests: request_inbox,
            agent: agent_inbox,
            signals,
        };
        Ok((supervisor, inbox))
    }

    async fn serve(mut self, mut inbox: Inbox) -> Result<(), Failure> {
        loop {
            self.do_what_is_due(Instant::now()).await;
            if matches!(self.phase, Phase::Stopping { .. }) && self.is_alone() {
                return self.failure.map_or(Ok(()), Err);
            }
            let input = inbox.next(self.next_deadline()).await;
            let now = Instant::now();
            match input {
                Input::Heard((incarnation, message)) => self.on_heard(incarnation, message, now),
                Input::Event(event) => {
                    if let Some(pool) = self.pools.get_mut(event.app) {
                        pool.on_event(event, now);
                    }
                }
                Input::Request((command, reply)) => self.on_request(command, reply, now),
                Input::Agent(said) => self.on_agent(said, now),
                Input::Signal(signal) => self.on_signal(signal, now),
                Input::Time => {}
            }
        }
    }

    fn is_alone(&self) -> bool {
        let agent = self.agent.is_running();
        self.front.is_none() && !agent && self.pools.iter().all(Pool::is_empty)
    }

    fn next_deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Draining { until } | Phase::Stopping { until } => Some(until),
            _ => None,
        };
        let pools = self.pools.iter().filter_map(Pool::next_deadline);
        let certificates = self.certificates_deadline();
        let others = [
            phase,
            self.front_at,
            self.asked.next_deadline(),
            certificates,
            self.texts_deadline(),
            self.maintenance_deadline(),
        ];
        pools.chain(others.into_iter().flatten()).min()
    }

    async fn do_what_is_due(&mut self, now: Instant) {
        if self.front.is_none() && self.front_at.is_none_or(|time| time <= now) {
            self.start_front(now);
        }
        for index in 0..self.pools.len() {
            self.pools[index].on_time(now);
            self.pass_on(index, now).await;
        }
        self.asked.answer_overdue(now);
        self.care_for_certificates(now);
        self.care_for_texts(now);
        self.care_for_maintenance(now);
        match self.phase {
            Phase::Starting => self.finish_start(),
            Phase::Draining { .. } if self.front.is_none() => self.stop(true, now),
            Phase::Draining { until } if until <= now => self.kill_front(),
            Phase::Stopping { until } if until <= now => self.kill_all(now),
            _ => {}
        }
    }

    /// Hands what an app's workers did on to the front and to the log.
    async fn pass_on(&mut self, app: usize, now: Instant) {
        while let Some(notice) = self.pools[app].next_notice() {
            match notice {
                Notice::Up {
                    worker,
                    threads,
                    fds,
                } => {
                    self.tell(
                        ToFront::WorkerUp {
                            app,
                            worker,
                            threads,
                        },
                        fds,
                    );
                }
                Notice::Down { worker } => {
                    self.tell(ToFront::WorkerDown { app, worker }, Vec::new());
                }
                Notice::BootFailed(failure)
                    if self.phase == Phase::Starting && self.pools[app].up() == 0 =>
                {
                    let failure = report::unloadable(&self.plan, app, failure).await;
                    self.failure = Some(failure);
                    self.stop(false, now);
                }
                notice => report::notice(self.pools[app].app(), &notice),
            }
        }
    }

    fn tell(&self, message: ToFront, fds: Vec<std::os::fd::OwnedFd>) {
        if let Some(front) = &self.front {
            front.tell(message, fds);
        }
    }

    fn finish_start(&mut self) {
        let ready = self
            .front
            .as_ref()
            .is_some_and(|front| front.ready.is_some());
        if ready && self.pools.iter().all(|pool| pool.up() > 0) {
            self.phase = Phase::Running;
            banner::ready(&self.plan, self.started.elapsed());
            self.begin_certificates(Instant::now());
            self.begin_texts(Instant::now());
            notify::send("READY=1");
        }
    }

    fn on_request(
        &mut self,
        command: Command,
        reply: tokio::sync::oneshot::Sender<serde_json::Value>,
        now: Instant,
    ) {
        match command {
            Command::Status => self.ask_status(reply, now),
            Command::Server { name, order } => self.ask_order(name, order, reply, now),
            Command::Maintenance { site, wanted } => {
                self.switch_maintenance((&site, wanted), reply, now);
            }
            Command::Renew { name } => {
                let _ = reply.send(self.renew(name.as_deref(), now));
            }
            Command::Stop { graceful } => {
                // A client that has left does not need the answer.
                let _ = reply.send(serde_json::json!({ "stopping": std::process::id() }));
                if graceful {
                    self.drain(now)
                } else {
                    self.stop(false, now)
                }
            }
        }
    }

    /// Takes every ended child: ours, and orphans that came to us.
    fn reap(&mut self, now: Instant) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let status = ExitStatus::from_raw(status.as_raw());
            self.on_exit(pid, status, now);
        }
    }

    fn on_exit(&mut self, pid: Pid, status: ExitStatus, now: Instant) {
        if let Some(front) = self.front.take_if(|front| front.pid == pid) {
            return self.on_front_exit(&front, status, now);
        }
        if self.agent.on_exit(pid, status) {
            return;
        }
        for pool in &mut self.pools {
            if pool.on_exit(pid, status, now) {
                return;
            }
        }
    }
}

fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// To the millisecond, without zeros at the end: `20 s`, `0.1 s`.
fn seconds(time: Duration) -> String {
    let text = format!("{:.3}", time.as_secs_f64());
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}
