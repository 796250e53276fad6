//! The front process as the supervisor sees it: started, told things, heard, ended.
//!
//! `Front::start` makes the process and its first message; two small tasks carry the messages, so
//! that the supervisor never waits for a front that does not read.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use quaich_app::channel::Channel;
use quaich_app::identity::Identity;
use quaich_app::process;
use quaich_config::model::Config;
use quaich_server::link::{
    AppFds, Closed, FromFront, Link, LinkReader, LinkWriter, LoadedText, Material, NamedOrder,
    Secret, Setup, SubscribeFds, ToFront,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;

use super::datagrams::Doors;
use super::sockets::Bound;

/// The hidden first argument of a front process.
pub(crate) const ARGUMENT: &str = "__front";

/// A message of the front of one incarnation; `None` = it has closed its end.
pub(super) type Heard = (u64, Option<FromFront>);

/// What every front is started with, made once. The descriptors stay open in the supervisor.
pub(super) struct Equipment {
    pub(super) config: Arc<Config>,
    pub(super) sockets: Vec<Bound>,
    pub(super) subscribe: Option<Doors>,
    pub(super) roots: Vec<OwnedFd>,
    pub(super) protected: Vec<OwnedFd>,
    pub(super) sticky_secrets: Vec<Secret>,
    pub(super) access_log: Option<OwnedFd>,
    pub(super) log: Option<OwnedFd>,
    pub(super) identity: Option<Identity>,
}

/// What changes from one front to the next.
pub(super) struct State {
    pub(super) material: Material,
    pub(super) texts: Vec<LoadedText>,
    /// What the operator has said of servers.
    pub(super) orders: Vec<NamedOrder>,
    pub(super) closed: Closed,
}

/// A running front.
pub(super) struct Front {
    /// Counts fronts, so that a late message of a dead one is known as such.
    pub(super) incarnation: u64,
    pub(super) pid: Pid,
    /// Since when it accepts.
    pub(super) ready: Option<Instant>,
    outbox: mpsc::UnboundedSender<(ToFront, Vec<OwnedFd>)>,
}

impl Front {
    /// Starts a process and sends it everything. `channels` in the order of the apps.
    pub(super) fn start(
        equipment: &Equipment,
        state: State,
        channels: &[Channel],
        incarnation: u64,
        heard: mpsc::Sender<Heard>,
    ) -> io::Result<Front> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let (start, fds) = equipment.pack(state, channels)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("quaich");
        command
            .arg(ARGUMENT)
            .env_remove("NOTIFY_SOCKET")
            .env_remove("LISTEN_FDS");
        let pid = process::spawn(command, theirs, equipment.identity.as_ref())?;
        let (reader, writer) = Link::new(ours).into_async()?;
        let (outbox, parcels) = mpsc::unbounded_channel();
        tokio::task::spawn_local(write(writer, parcels));
        tokio::task::spawn_local(read(reader, incarnation, heard));
        let front = Front {
            incarnation,
            pid,
            ready: None,
            outbox,
        };
        front.tell(start, fds);
        Ok(front)
    }

    /// Sends a message; one to a front that is gone is lost with it.
    pub(super) fn tell(&self, message: ToFront, fds: Vec<OwnedFd>) {
        let _ = self.outbox.send((message, fds));
    }

    /// SIGKILL.
    pub(super) fn kill(&self) {
        // It may be gone already; then it will be reaped.
        let _ = kill_process(self.pid, Signal::KILL);
    }
}

impl Equipment {
    fn pack(&self, state: State, channels: &[Channel]) -> io::Result<(ToFront, Vec<OwnedFd>)> {
        let mut parcel = Parcel::default();
        let mut listeners = Vec::new();
        for bound in &self.sockets {
            listeners.push(parcel.add_all(&bound.sockets)?);
        }
        let roots = parcel.add_all(&self.roots)?;
        let protected = parcel.add_all(&self.protected)?;
        let access_log = parcel.add_all(self.access_log.as_slice())?.first().copied();
        let log = parcel.add_all(self.log.as_slice())?.first().copied();
        let mut apps = Vec::new();
        for channel in channels {
            let region = parcel.add(&channel.region)?;
            apps.push(AppFds {
                region,
                front_eventfds: parcel.add_all(&channel.front_bells)?,
            });
        }
        let subscribe = match &self.subscribe {
            Some(doors) => Some(SubscribeFds {
                sockets: parcel.add_all(&doors.sockets)?,
                keys: parcel.add_all(doors.keys.as_slice())?.first().copied(),
            }),
            None => None,
        };
        let config = Config::clone(&self.config);
        let setup = Setup {
            config,
            material: state.material,
            texts: state.texts,
            listeners,
            sticky_secrets: self.sticky_secrets.clone(),
            roots,
            protected,
            access_log,
            log,
            apps,
            subscribe,
            orders: state.orders,
            closed: state.closed,
        };
        Ok((ToFront::Start(Box::new(setup)), parcel.fds))
    }
}

/// Copies of descriptors, and their indices.
#[derive(Default)]
struct Parcel {
    fds: Vec<OwnedFd>,
}

impl Parcel {
    fn add(&mut self, fd: &OwnedFd) -> io::Result<usize> {
        self.fds.push(fd.try_clone()?);
        Ok(self.fds.len() - 1)
    }

    fn add_all(&mut self, fds: &[OwnedFd]) -> io::Result<Vec<usize>> {
        fds.iter().map(|fd| self.add(fd)).collect()
    }
}

async fn write(
    mut writer: LinkWriter,
    mut parcels: mpsc::UnboundedReceiver<(ToFront, Vec<OwnedFd>)>,
) {
    while let Some((message, fds)) = parcels.recv().await {
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        // The reading task and the reaper see its end; there is nobody left to write to.
        if writer.send(&message, &borrowed).await.is_err() {
            return;
        }
    }
}

async fn read(mut reader: LinkReader, incarnation: u64, heard: mpsc::Sender<Heard>) {
    loop {
        let message = reader
            .recv()
            .await
            .unwrap_or(None)
            .map(|(message, _)| message);
        let last = message.is_none();
        if heard.send((incarnation, message)).await.is_err() || last {
            return;
        }
    }
}
