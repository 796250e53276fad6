//! The uWSGI subscription server: instances say by datagrams that they are there, every few seconds,
//! and upstreams get them as servers.
//!
//! The upkeep thread calls [`serve`] once; `quaich status` reads [`Subscriptions`].

mod registry;
mod socket;
mod trust;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quaich_config::model::{self, Discover};
use quaich_proto::subscription::{Announcement, MAX_PACKET, parse};
use serde_json::Value;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

use self::registry::{Change, Registry, name_of, place};
use self::socket::{Datagrams, Sender};
use self::trust::{Entrance, Trust};
use crate::deadline::Deadlines;
use crate::observe::counters::Counters;
use crate::observe::log;
use crate::upstream::group::Group;
use crate::upstream::health;
use crate::upstream::sites::Sites;

/// Packets that are taken before upstreams hear of them.
const BATCH: usize = 256;
/// Between two looks for instances that have fallen silent; less if the tolerance is short.
const LOOK: Duration = Duration::from_secs(1);

/// Who has announced itself, for all threads.
#[derive(Debug)]
pub struct Subscriptions(Mutex<Registry>);

/// What the supervisor has opened for `[subscribe]`.
#[derive(Debug)]
pub struct Doors {
    /// Bound datagram sockets, in the order of `listen`.
    pub sockets: Vec<OwnedFd>,
    /// The folder of public keys.
    pub keys: Option<OwnedFd>,
}

impl Subscriptions {
    /// Nobody yet.
    pub fn new(settings: &model::Subscribe) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Registry::new(settings.tolerance))))
    }

    /// Keys and instances, for `quaich status`.
    pub fn status(&self) -> Value {
        self.registry().status(Instant::now())
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes announcements at `doors` from now on, in tasks of their own, for those of `upstreams` that
/// discover servers so.
pub fn serve(
    subscriptions: &Arc<Subscriptions>,
    settings: &model::Subscribe,
    doors: Doors,
    upstreams: &[Arc<Group>],
    counters: &Arc<Counters>,
    deadlines: &Rc<Deadlines>,
) -> std::io::Result<()> {
    let wants =
        |group: &&Arc<Group>| matches!(group.settings().discover, Some(Discover::Subscribe { .. }));
    let hub = Rc::new(Hub {
        subscriptions: subscriptions.clone(),
        trust: RefCell::new(Trust::new(settings, doors.keys)),
        upstreams: upstreams.iter().filter(wants).cloned().collect(),
        counters: counters.clone(),
        changed: RefCell::default(),
        news: RefCell::default(),
        deadlines: deadlines.clone(),
        watches: RefCell::default(),
    });
    for (fd, addr) in doors.sockets.into_iter().zip(&settings.listen) {
        let socket = Datagrams::new(fd)?;
        let local = model::Subscribe::is_local(addr);
        let hub = hub.clone();
        spawn_local(async move { hub.listen(&socket, local).await });
    }
    let every = LOOK.min(settings.tolerance / 4);
    spawn_local(async move { hub.forget_silent(every).await });
    Ok(())
}

/// What the sockets share.
struct Hub {
    subscriptions: Arc<Subscriptions>,
    trust: RefCell<Trust>,
    upstreams: Vec<Arc<Group>>,
    counters: Arc<Counters>,
    /// Keys whose instances are others than upstreams know.
    changed: RefCell<BTreeSet<String>>,
    /// What is to be logged once upstreams know it: whoever reads it may rely on it.
    news: RefCell<Vec<News>>,
    deadlines: Rc<Deadlines>,
    /// What looks after the groups of keys, by name of the group.
    watches: RefCell<HashMap<String, JoinHandle<()>>>,
}

/// What has become of an instance.
struct News {
    what: &'static str,
    key: String,
    address: String,
}

impl Hub {
    async fn listen(&self, socket: &Datagrams, local: bool) {
        let mut packet = vec![0; MAX_PACKET + 1];
        loop {
            match socket.receive(&mut packet).await {
                Ok((length, from)) => {
                    self.take(
                        packet.get(..length).unwrap_or_default(),
                        from,
                        local,
                        socket,
                    );
                    for _ in 1..BATCH {
                        let Ok((length, from)) = socket.try_receive(&mut packet) else {
                            break;
                        };
                        self.take(
                            packet.get(..length).unwrap_or_default(),
                            from,
                            local,
                            socket,
                        );
                    }
                    self.publish();
                }
                Err(error) => {
                    log::warn_limited!("announcements cannot be received: {error}");
                    sleep(LOOK).await;
                }
            }
        }
    }

    /// Takes one datagram, or says why not.
    fn take(&self, packet: &[u8], from: Sender, local: bool, socket: &Datagrams) {
        let said = match parse(packet) {
            Ok(said) => said,
            Err(malformed) => {
                self.counters.subscriptions_refused.add();
                let why = malformed.0;
                return log::warn_limited!("an announcement is refused: {why}"; from = from);
            }
        };
        match self.admit(&said, from, local) {
            Ok((change, name)) => {
                self.counters.subscriptions.add();
                self.note(&said, (change, name), from, socket);
            }
            Err(why) => {
                self.counters.subscriptions_refused.add();
                log::warn_limited!(
                    "an announcement is refused: {why}";
                    key = said.key, address = said.address, from = from
                );
            }
        }
    }

    /// What the announcement changes, and the name of the instance.
    fn admit(
        &self,
        said: &Announcement<'_>,
        from: Sender,
        local: bool,
    ) -> Result<(Change, String), String> {
        let addr = place(said.address, from.addr())
            .ok_or("its address is neither ip:port nor the path of a socket")?;
        let entrance = Entrance {
            local,
            from: from.addr().map(|addr| addr.ip().to_canonical()),
        };
        self.trust.borrow_mut().check(said, &addr, entrance)?;
        let mut registry = self.subscriptions.registry();
        let name = name_of(&addr);
        Ok((registry.take(said, addr, Instant::now())?, name))
    }

    /// Does what a change asks for.
    fn note(
        &self,
        said: &Announcement<'_>,
        (change, name): (Change, String),
        from: Sender,
        socket: &Datagrams,
    ) {
        let key = Discover::normal_key(said.key);
        match change {
            Change::Nothing => return,
            Change::Alive => return self.revive(&key, &name),
            Change::Joined => {
                self.tell_later("an instance has joined", &key, &name);
                if said.names_files {
                    log::warn!(
                        "certificates that an instance names are not read: set [tls] or [cert.NAME]";
                        key = key, address = name
                    );
                }
                if let Some(to) = said.notify.filter(|_| from.is_near()) {
                    let (key, address) = (said.key, said.address);
                    let text = format!("[subscription ack] {key} => new node: {address}");
                    socket.acknowledge(to, text.as_bytes());
                }
            }
            Change::Altered => {
                // An instance may say so with each announcement.
                log::info_limited!(
                    "an instance announces itself otherwise";
                    key = key, address = name, weight = said.weight
                );
                self.revive(&key, &name);
            }
            Change::Left => self.tell_later("an instance has left", &key, &name),
        }
        self.changed.borrow_mut().insert(key);
    }

    fn tell_later(&self, what: &'static str, key: &str, name: &str) {
        self.news.borrow_mut().push(News {
            what,
            key: key.to_owned(),
            address: name.to_owned(),
        });
    }

    /// An instance that could not be connected to says that it is there.
    fn revive(&self, key: &str, name: &str) {
        for group in self.groups_of(key) {
            let servers = group.servers();
            let server = servers.iter().find(|server| server.name() == name);
            if let Some(server) = server {
                health::announced(&group, server);
            }
        }
    }

    /// What gets the instances of a key, as far as it is there.
    fn groups_of(&self, key: &str) -> impl Iterator<Item = Arc<Group>> {
        self.upstreams.iter().filter_map(move |group| {
            match (&group.settings().discover, group.sites()) {
                (_, Some(sites)) => sites.groups().get(key.as_bytes()).cloned(),
                (Some(Discover::Subscribe { key: Some(fixed) }), None) => {
                    (fixed == key).then(|| group.clone())
                }
                _ => None,
            }
        })
    }

    /// Tells upstreams what has changed, then the log.
    fn publish(&self) {
        self.publish_changes();
        for News { what, key, address } in self.news.take() {
            log::info!("{what}"; key = key, address = address);
        }
    }

    fn publish_changes(&self) {
        let changed = self.changed.take();
        if changed.is_empty() {
            return;
        }
        let registry = self.subscriptions.registry();
        for upstream in &self.upstreams {
            if let Some(sites) = upstream.sites() {
                self.publish_sites(upstream, sites, &registry, &changed);
            } else if let Some(Discover::Subscribe { key: Some(key) }) =
                &upstream.settings().discover
                && changed.contains(key)
            {
                let key = registry.key(key);
                upstream.found(key.map(registry::Key::servers).unwrap_or_default());
            }
        }
    }

    async fn forget_silent(&self, every: Duration) {
        loop {
            sleep(every).await;
            let gone = self.subscriptions.registry().forget(Instant::now());
            let keys = gone.iter().map(|(key, _)| key.clone());
            self.changed.borrow_mut().extend(keys);
            self.publish();
            for (key, address) in gone {
                log::warn!("an instance has fallen silent"; key = key, address = address);
            }
        }
    }

    /// Each key has a group of its own while it has instances.
    fn publish_sites(
        &self,
        upstream: &Group,
        sites: &Sites,
        registry: &Registry,
        changed: &BTreeSet<String>,
    ) {
        let known = sites.groups();
        let mut new: Vec<(Box<[u8]>, Arc<Group>)> = Vec::new();
        let mut gone = Vec::new();
        for name in changed {
            match (registry.key(name), known.get(name.as_bytes())) {
                (Some(key), Some(group)) => group.found(key.servers()),
                (Some(key), None) => {
                    let group = Arc::new(upstream.for_key(name, key.balance.clone()));
                    group.found(key.servers());
                    self.watch(&group);
                    new.push((name.as_bytes().into(), group));
                }
                (None, Some(group)) => {
                    let watch = self.watches.borrow_mut().remove(&group.settings().name);
                    if let Some(watch) = watch {
                        watch.abort();
                    }
                    gone.push(name.as_bytes());
                }
                (None, None) => {}
            }
        }
        drop(known);
        if !(new.is_empty() && gone.is_empty()) {
            sites.change(|groups| {
                groups.extend(new);
                for name in gone {
                    groups.remove(name);
                }
            });
        }
    }

    fn watch(&self, group: &Arc<Group>) {
        let (group, name) = (group.clone(), group.settings().name.clone());
        let health = health::watch(group.clone(), self.deadlines.clone());
        let watch = spawn_local(async move {
            tokio::join!(health, group.grow_shares());
        });
        self.watches.borrow_mut().insert(name, watch);
    }
}
