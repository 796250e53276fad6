//! The front process: everything between the network and the apps, on descriptors it was given.
//!
//! The main thread speaks with the supervisor; each data thread runs an event loop of its own and
//! shares nothing with the others that a request would have to lock.

mod event_loop;
mod orders;
mod status;
mod upkeep;

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use quaich_config::model::Config;
use tokio::sync::mpsc;

use crate::discovery::subscription::{Doors, Subscriptions};
use crate::filter;
use crate::link::{AppFds, FromFront, Link, Material, Setup, ToFront, UpstreamMaterial};
use crate::listener::accept::Admission;
use crate::observe::access_log::AccessLog;
use crate::observe::counters::Counters;
use crate::observe::log;
use crate::route::RouteTable;
use crate::tls::Terminator;
use crate::upstream::group::Group;
use crate::upstream::sites;
use crate::upstream::wire::worker::AppRegion;
use event_loop::{Command, Shared, Wiring};
use upkeep::{Announced, Upkeep};

/// How long the writer of the access log may take for its last lines.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// Runs the front over the socket to the supervisor until it is told to end, or the supervisor is
/// gone.
pub fn main(link: OwnedFd) -> ExitCode {
    let Ok(writer) = link.try_clone().map(Link::new) else {
        return ExitCode::FAILURE;
    };
    let mut reader = Link::new(link);
    match reader.recv() {
        Ok(Some((ToFront::Start(setup), fds))) => match Front::start(*setup, fds, writer) {
            Ok(front) => front.run(&mut reader),
            Err(error) => {
                log::error!("the front cannot start: {error}");
                ExitCode::FAILURE
            }
        },
        _ => ExitCode::FAILURE,
    }
}

/// The way to the supervisor, for every thread.
pub type Supervisor = Arc<Mutex<Link>>;

/// Sends a message to the supervisor. When it is gone, so is the front soon.
pub fn tell(supervisor: &Supervisor, message: &FromFront) {
    let writer = supervisor.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = writer.send(message, &[]);
}

/// The running front, as its main thread sees it.
struct Front {
    supervisor: Supervisor,
    access_log: Option<AccessLog>,
    filters: Arc<filter::Shared>,
    tls: Option<Arc<Terminator>>,
    upstreams: Vec<Arc<Group>>,
    threads: Vec<DataThread>,
    _upkeep: Upkeep,
    upkeep_counters: Arc<Counters>,
    subscriptions: Option<Arc<Subscriptions>>,
}

/// A data thread from outside.
struct DataThread {
    commands: mpsc::UnboundedSender<Command>,
    counters: Arc<Counters>,
    handle: JoinHandle<()>,
}

/// Descriptors that came with a message, each taken once.
struct Fds(Vec<Option<OwnedFd>>);

impl Fds {
    fn new(fds: Vec<OwnedFd>) -> Self {
        Self(fds.into_iter().map(Some).collect())
    }

    fn take(&mut self, index: usize) -> std::io::Result<OwnedFd> {
        self.0.get_mut(index).and_then(Option::take).ok_or_else(|| {
            std::io::Error::other("the supervisor sent fewer descriptors than it said")
        })
    }

    /// A copy of the descriptor for one of several users.
    fn copy(&self, index: usize) -> std::io::Result<OwnedFd> {
        match self.0.get(index) {
            Some(Some(fd)) => fd.try_clone(),
            _ => Err(std::io::Error::other(
                "the supervisor sent fewer descriptors than it said",
            )),
        }
    }
}

impl Front {
    fn start(setup: Setup, fds: Vec<OwnedFd>, writer: Link) -> std::io::Result<Self> {
        let mut fds = Fds::new(fds);
        let own_log = setup.log.map(|index| fds.take(index)).transpose()?;
        log::init(&setup.config.log, own_log);
        let supervisor: Supervisor = Arc::new(Mutex::new(writer));
        let access_log = open_access_log(&setup, &mut fds)?;
        let config = Arc::new(setup.config.clone());
        let threads = config.server.threads.max(1);
        let tls = terminator(&config, &setup.material)?;
        let upstreams = upstreams(&setup, threads);
        let subscriptions;
        let upkeep_counters = Arc::<Counters>::default();
        let upkeep = {
            let announced = announced(&setup, &mut fds)?;
            subscriptions = announced.as_ref().map(|a| a.subscriptions.clone());
            Upkeep::start(&upstreams, &upkeep_counters, announced)?
        };
        let filters = Arc::<filter::Shared>::default();
        filters.texts.replace(setup.texts.clone());
        filters.maintenance.replace(setup.closed.clone());
        let shared = Shared {
            filters: filters.clone(),
            routes: Arc::new(RouteTable::compile(&config).map_err(std::io::Error::other)?),
            upstreams: upstreams.clone(),
            sticky_secrets: setup.sticky_secrets.clone().into(),
            admission: Admission::new(config.server.max_connections, config.server.max_per_ip),
            supervisor: supervisor.clone(),
            access_log: access_log.clone(),
            tls: tls.clone(),
            regions: map_regions(&setup, &fds)?,
            config,
        };
        let wirings = (0..threads).map(|index| wire(index, &setup, &fds));
        let wirings = wirings.collect::<std::io::Result<Vec<_>>>()?;
        let (ready, started) = std::sync::mpsc::channel();
        let threads = wirings
            .into_iter()
            .map(|wiring| spawn(wiring, shared.clone(), ready.clone()))
            .collect::<std::io::Result<Vec<_>>>()?;
        drop(ready);
        for _ in &threads {
            started.recv().map_err(std::io::Error::other)??;
        }
        tell(&supervisor, &FromFront::Ready);
        Ok(Self {
            _upkeep: upkeep,
            upkeep_counters,
            subscriptions,
            supervisor,
            access_log,
            filters,
            tls,
            upstreams,
            threads,
        })
    }

    /// Serves the supervisor until it ends the front.
    fn run(self, reader: &mut Link) -> ExitCode {
        loop {
            match reader.recv() {
                Ok(Some((ToFront::Drain { timeout_ms }, _))) => {
                    return self.drain(Duration::from_millis(timeout_ms));
                }
                Ok(Some((message, fds))) => {
                    if let Err(error) = self.obey(message, Fds::new(fds)) {
                        log::error!("a message of the supervisor cannot be obeyed: {error}");
                    }
                }
                // Nobody watches over this process any more.
                Ok(None) | Err(_) => return ExitCode::FAILURE,
            }
        }
    }

    fn obey(&self, message: ToFront, mut fds: Fds) -> std::io::Result<()> {
        match message {
            ToFront::WorkerUp {
                app,
                worker,
                threads,
            } => {
                for (index, thread) in self.threads.iter().enumerate() {
                    let doorbells = (0..threads)
                        .map(|i| fds.copy(i))
                        .collect::<std::io::Result<_>>()?;
                    let socket = fds.take(threads + index)?;
                    thread.command(Command::WorkerUp {
                        app,
                        worker,
                        socket,
                        doorbells,
                    });
                }
            }
            ToFront::WorkerDown { app, worker } => {
                for thread in &self.threads {
                    thread.command(Command::WorkerDown { app, worker });
                }
            }
            ToFront::ReopenLogs {
                access_log,
                log: own,
            } => {
                if let (Some(index), Some(log)) = (access_log, &self.access_log) {
                    log.reopen(fds.take(index)?);
                }
                if let Some(index) = own {
                    log::reopen(fds.take(index)?);
                }
            }
            ToFront::Status { id } => {
                let body = status::gather(
                    &self.threads,
                    &self.upkeep_counters,
                    &sites::with_groups(&self.upstreams),
                    self.subscriptions.as_deref(),
                    &self.filters.limits,
                );
                tell(&self.supervisor, &FromFront::Status { id, body });
            }
            ToFront::Order { id, server, order } => {
                let answer =
                    orders::carry_out(&sites::with_groups(&self.upstreams), id, &server, order);
                tell(&self.supervisor, &answer);
            }
            ToFront::Material(material) => {
                for (upstream, material) in self.upstreams.iter().zip(&material.upstreams) {
                    upstream.secure().renew(material);
                }
                if let Some(tls) = &self.tls {
                    tls.replace(&material).map_err(std::io::Error::other)?;
                }
            }
            ToFront::Texts(texts) => self.filters.texts.replace(texts),
            ToFront::Closed { id, closed } => {
                self.filters.maintenance.replace(closed);
                let body = serde_json::Value::Null;
                tell(&self.supervisor, &FromFront::Done { id, body });
            }
            ToFront::Challenges { id, challenges } => {
                if let Some(tls) = &self.tls {
                    tls.challenge(challenges).map_err(std::io::Error::other)?;
                }
                tell(&self.supervisor, &FromFront::Challenges { id });
            }
            ToFront::Start(_) | ToFront::Drain { .. } => {}
        }
        Ok(())
    }

    fn drain(self, timeout: Duration) -> ExitCode {
        let (done, drained) = std::sync::mpsc::channel();
        for thread in &self.threads {
            thread.command(Command::Drain {
                timeout,
                done: done.clone(),
            });
        }
        drop(done);
        // Ends when every thread has said so, or is gone.
        drained.iter().take(self.threads.len()).for_each(drop);
        for thread in &self.threads {
            thread.command(Command::End);
        }
        for thread in self.threads {
            // A thread that has panicked has nothing left to wait for.
            let _ = thread.handle.join();
        }
        if let Some(log) = &self.access_log {
            log.finish(LOG_PATIENCE);
        }
        tell(&self.supervisor, &FromFront::Drained);
        ExitCode::SUCCESS
    }
}

impl DataThread {
    fn command(&self, command: Command) {
        // A thread that has ended needs no commands.
        let _ = self.commands.send(command);
    }
}

/// TLS, if a listener speaks it.
fn terminator(
    config: &Arc<Config>,
    material: &Material,
) -> std::io::Result<Option<Arc<Terminator>>> {
    if !config.server.listeners.iter().any(|listener| listener.tls) {
        return Ok(None);
    }
    let terminator = Terminator::new(config.clone(), material).map_err(std::io::Error::other)?;
    Ok(Some(Arc::new(terminator)))
}

fn open_access_log(setup: &Setup, fds: &mut Fds) -> std::io::Result<Option<AccessLog>> {
    use quaich_config::model::LogOutput;
    use std::os::fd::AsFd;
    let file = match (&setup.config.access_log.output, setup.access_log) {
        (LogOutput::Off, _) => return Ok(None),
        (LogOutput::File(_), Some(index)) => fds.take(index)?,
        (LogOutput::Stderr, _) => std::io::stderr().as_fd().try_clone_to_owned()?,
        _ => std::io::stdout().as_fd().try_clone_to_owned()?,
    };
    let log = AccessLog::new(&setup.config.access_log, file).map_err(std::io::Error::other)?;
    Ok(Some(log))
}

/// What the threads share of each upstream.
fn upstreams(setup: &Setup, threads: usize) -> Vec<Arc<Group>> {
    let nothing = UpstreamMaterial::default();
    let settings = setup.config.upstreams.iter().enumerate();
    settings
        .map(|(index, settings)| {
            let material = setup.material.upstreams.get(index).unwrap_or(&nothing);
            let group = Group::new(settings, material, threads);
            let orders = setup.orders.iter();
            for named in orders.filter(|named| named.upstream == settings.name) {
                group.order(&named.server, named.order);
            }
            Arc::new(group)
        })
        .collect()
}

/// What takes announcements, if there is `[subscribe]`.
fn announced(setup: &Setup, fds: &mut Fds) -> std::io::Result<Option<Announced>> {
    let (Some(settings), Some(ours)) = (&setup.config.subscribe, &setup.subscribe) else {
        return Ok(None);
    };
    let sockets = ours.sockets.iter().map(|index| fds.take(*index));
    let sockets = sockets.collect::<std::io::Result<_>>()?;
    let keys = ours.keys.map(|index| fds.take(index)).transpose()?;
    Ok(Some(Announced {
        subscriptions: Subscriptions::new(settings),
        settings: settings.clone(),
        doors: Doors { sockets, keys },
    }))
}

fn map_regions(setup: &Setup, fds: &Fds) -> std::io::Result<Vec<Arc<AppRegion>>> {
    let map = |app: &AppFds| Ok(Arc::new(AppRegion::map(fds.copy(app.region)?)?));
    setup.apps.iter().map(map).collect()
}

/// The descriptors of one thread.
fn wire(index: usize, setup: &Setup, fds: &Fds) -> std::io::Result<Wiring> {
    let listeners = setup.listeners.iter().map(|sockets| {
        // One socket each, or one for all.
        let place = sockets.get(index).or(sockets.first()).copied();
        fds.copy(place.unwrap_or(usize::MAX))
    });
    let doorbell =
        |app: &AppFds| fds.copy(app.front_eventfds.get(index).copied().unwrap_or(usize::MAX));
    let copy_all = |places: &[usize]| {
        let copies = places.iter().map(|&place| fds.copy(place));
        copies.collect::<std::io::Result<Vec<_>>>()
    };
    Ok(Wiring {
        index,
        listeners: listeners.collect::<std::io::Result<_>>()?,
        roots: copy_all(&setup.roots)?,
        protected: copy_all(&setup.protected)?,
        doorbells: setup
            .apps
            .iter()
            .map(doorbell)
            .collect::<std::io::Result<_>>()?,
    })
}

fn spawn(
    wiring: Wiring,
    shared: Shared,
    ready: std::sync::mpsc::Sender<std::io::Result<()>>,
) -> std::io::Result<DataThread> {
    let (commands, inbox) = mpsc::unbounded_channel();
    let counters = Arc::<Counters>::default();
    let counted = counters.clone();
    let handle = std::thread::Builder::new()
        .name(format!("front-{}", wiring.index))
        .spawn(move || event_loop::run(wiring, shared, counted, inbox, &ready))?;
    Ok(DataThread {
        commands,
        counters,
        handle,
    })
}
