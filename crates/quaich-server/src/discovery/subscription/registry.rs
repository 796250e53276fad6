//! Which instances have announced themselves, under which keys. Knows no sockets and no clock.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use quaich_config::model::{
    Balance, Discover, HashKey, UpstreamAddr, UpstreamProtocol, UpstreamServer,
};
use quaich_proto::subscription::{Algorithm, Announcement, Command};
use serde_json::{Value, json};

/// Keys at most.
const MAX_KEYS: usize = 10_000;
/// Instances of one key at most.
const MAX_NODES: usize = 1_000;

/// All keys and their instances.
#[derive(Debug)]
pub(super) struct Registry {
    keys: HashMap<String, Key>,
    tolerance: Duration,
}

/// The instances of one key.
#[derive(Debug)]
pub(super) struct Key {
    /// As the first one said.
    pub(super) balance: Option<Balance>,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    server: UpstreamServer,
    level: u32,
    heard: Instant,
    cores: u64,
    load: u64,
}

/// What an announcement has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// There is one more instance.
    Joined,
    /// Weight, level or protocol are others.
    Altered,
    /// An instance that is known lives.
    Alive,
    /// There is one instance less.
    Left,
    /// One that nobody knows wants to leave.
    Nothing,
}

impl Registry {
    /// Empty. Instances are gone after `tolerance` of silence.
    pub(super) fn new(tolerance: Duration) -> Self {
        Self {
            keys: HashMap::new(),
            tolerance,
        }
    }

    /// Takes one announcement of an instance that listens at `addr`. The error is for people.
    pub(super) fn take(
        &mut self,
        said: &Announcement<'_>,
        addr: UpstreamAddr,
        now: Instant,
    ) -> Result<Change, &'static str> {
        let name = Discover::normal_key(said.key);
        let id = name_of(&addr);
        if said.command == Command::Unsubscribe {
            return Ok(self.leave(&name, &id));
        }
        if !self.keys.contains_key(&name) && self.keys.len() >= MAX_KEYS {
            return Err("there are 10,000 keys already");
        }
        let key = self.keys.entry(name).or_insert_with(|| Key {
            balance: said.algorithm.map(balance),
            nodes: Vec::new(),
        });
        let full = key.nodes.len() >= MAX_NODES;
        let new = node(said, addr, id, now);
        match key.nodes.iter_mut().find(|n| n.server.id == new.server.id) {
            Some(known) => {
                let same = known.server == new.server && known.level == new.level;
                *known = new;
                Ok(if same { Change::Alive } else { Change::Altered })
            }
            None if full => Err("its key has 1,000 instances already"),
            None => {
                key.nodes.push(new);
                Ok(Change::Joined)
            }
        }
    }

    fn leave(&mut self, name: &str, id: &str) -> Change {
        let Some(key) = self.keys.get_mut(name) else {
            return Change::Nothing;
        };
        let before = key.nodes.len();
        key.nodes.retain(|node| node.server.id != id);
        if key.nodes.len() == before {
            return Change::Nothing;
        }
        if key.nodes.is_empty() {
            self.keys.remove(name);
        }
        Change::Left
    }

    /// Forgets instances that were silent for too long: key and address of each.
    pub(super) fn forget(&mut self, now: Instant) -> Vec<(String, String)> {
        let mut gone = Vec::new();
        let silent = |node: &Node| now.saturating_duration_since(node.heard) > self.tolerance;
        self.keys.retain(|name, key| {
            for node in key.nodes.extract_if(.., |node| silent(node)) {
                gone.push((name.clone(), node.server.id));
            }
            !key.nodes.is_empty()
        });
        gone
    }

    /// The instances of a key.
    pub(super) fn key(&self, name: &str) -> Option<&Key> {
        self.keys.get(name)
    }

    /// For `quaich status`.
    pub(super) fn status(&self, now: Instant) -> Value {
        let mut keys: Vec<_> = self.keys.iter().collect();
        keys.sort_unstable_by_key(|(name, _)| *name);
        let node = |node: &Node| {
            json!({
                "address": node.server.id,
                "weight": node.server.weight,
                "backup": node.level,
                "cores": node.cores,
                "load": node.load,
                "heard_s": now.saturating_duration_since(node.heard).as_secs(),
            })
        };
        let key = |(name, key): (&String, &Key)| json!({ "key": name, "nodes": key.nodes.iter().map(node).collect::<Vec<_>>() });
        keys.into_iter().map(key).collect()
    }
}

impl Key {
    /// As servers of an upstream. Those of the lowest level come first, the others are backups.
    pub(super) fn servers(&self) -> Vec<UpstreamServer> {
        let first = self.nodes.iter().map(|node| node.level).min();
        let server = |node: &Node| UpstreamServer {
            backup: Some(node.level) != first,
            ..node.server.clone()
        };
        self.nodes.iter().map(server).collect()
    }
}

fn node(said: &Announcement<'_>, addr: UpstreamAddr, id: String, now: Instant) -> Node {
    let protocol = match said.http {
        true => UpstreamProtocol::Http,
        false => UpstreamProtocol::Uwsgi,
    };
    Node {
        server: UpstreamServer {
            id,
            addr,
            tls: false,
            protocol,
            weight: said.weight,
            backup: false,
            max_conns: 0,
            cookie: None,
            modifiers: said.modifiers,
        },
        level: said.backup,
        heard: now,
        cores: said.cores,
        load: said.load,
    }
}

fn balance(algorithm: Algorithm) -> Balance {
    match algorithm {
        Algorithm::RoundRobin => Balance::RoundRobin,
        Algorithm::LeastBusy => Balance::LeastConn,
        Algorithm::ClientIp => Balance::Hash(HashKey::ClientIp),
    }
}

/// The name of the instance there: not what it has said, which may stand for a place on any machine.
pub(super) fn name_of(addr: &UpstreamAddr) -> String {
    match addr {
        UpstreamAddr::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        UpstreamAddr::Tcp { host, port } => format!("{host}:{port}"),
        UpstreamAddr::Unix(path) => path.display().to_string(),
    }
}

/// Where an announced instance listens: `ip:port`, of any port but 0, or an absolute path or `@name`
/// of a socket. One that listens at all addresses is at the one that it sends from.
pub(super) fn place(address: &str, from: Option<SocketAddr>) -> Option<UpstreamAddr> {
    if address.starts_with(['/', '@']) {
        // sun_path holds 108 bytes including the final NUL (unix(7)).
        let fits = (2..=107).contains(&address.len());
        return fits.then(|| UpstreamAddr::Unix(address.into()));
    }
    let everywhere = address
        .strip_prefix(':')
        .map(|port| format!("0.0.0.0:{port}"));
    let addr: SocketAddr = everywhere.as_deref().unwrap_or(address).parse().ok()?;
    let ip = match addr.ip() {
        ip if ip.is_unspecified() => from?.ip().to_canonical(),
        ip => ip,
    };
    (addr.port() != 0).then(|| UpstreamAddr::Tcp {
        host: ip.to_string(),
        port: addr.port(),
    })
}

#[cfg(test)]
mod tests {
    use quaich_proto::subscription::{PacketBuilder, parse};

    use super::*;

    const TOLERANCE: Duration = Duration::from_secs(17);

    fn say(
        registry: &mut Registry,
        command: Command,
        pairs: &[(&str, &str)],
        now: Instant,
    ) -> Change {
        let mut packet = PacketBuilder::new(command);
        for (key, value) in pairs {
            packet.pair(key, value.as_bytes());
        }
        let bytes = packet.finish();
        let said = parse(&bytes).expect("well formed");
        let place = place(said.address, None).expect("an address");
        registry.take(&said, place, now).expect("room")
    }

    const ONE: &[(&str, &str)] = &[("key", "A.example"), ("address", "10.0.0.1:3031")];

    #[test]
    fn instances_join_live_and_leave() {
        let (mut registry, now) = (Registry::new(TOLERANCE), Instant::now());
        let registry = &mut registry;
        assert_eq!(say(registry, Command::Subscribe, ONE, now), Change::Joined);
        assert_eq!(say(registry, Command::Subscribe, ONE, now), Change::Alive);
        let heavy = [ONE, &[("weight", "3")]].concat();
        assert_eq!(
            say(registry, Command::Subscribe, &heavy, now),
            Change::Altered
        );
        let weights = |registry: &Registry| {
            let key = registry.key("a.example").expect("a key");
            key.servers().iter().map(|s| s.weight).collect::<Vec<_>>()
        };
        assert_eq!(weights(registry), [3]);
        assert_eq!(say(registry, Command::Unsubscribe, ONE, now), Change::Left);
        assert_eq!(
            say(registry, Command::Unsubscribe, ONE, now),
            Change::Nothing
        );
        assert!(registry.key("a.example").is_none());
    }

    #[test]
    fn instances_that_listen_at_all_addresses_of_their_machines_are_told_apart() {
        let (mut registry, now) = (Registry::new(TOLERANCE), Instant::now());
        let mut say = |command, address: &str, host: u8| {
            let mut packet = PacketBuilder::new(command);
            packet
                .pair("key", b"a/Shop")
                .pair("address", address.as_bytes());
            let bytes = packet.finish();
            let said = parse(&bytes).expect("well formed");
            let addr = place(said.address, Some(([10, 0, 0, host], 9).into()));
            registry.take(&said, addr.expect("an address"), now)
        };
        assert_eq!(say(Command::Subscribe, ":3031", 1), Ok(Change::Joined));
        assert_eq!(say(Command::Subscribe, ":3031", 2), Ok(Change::Joined));
        let same = say(Command::Subscribe, "0.0.0.0:3031", 1);
        assert_eq!(same, Ok(Change::Alive));
        assert_eq!(say(Command::Unsubscribe, ":3031", 1), Ok(Change::Left));
        let servers = registry.key("a/Shop").expect("a key").servers();
        let names: Vec<&str> = servers.iter().map(|server| server.id.as_str()).collect();
        assert_eq!(names, ["10.0.0.2:3031"]);
    }

    #[test]
    fn silence_beyond_the_tolerance_is_the_end() {
        let (mut registry, now) = (Registry::new(TOLERANCE), Instant::now());
        say(&mut registry, Command::Subscribe, ONE, now);
        assert!(registry.forget(now + TOLERANCE).is_empty());
        let gone = registry.forget(now + TOLERANCE + Duration::from_millis(1));
        assert_eq!(gone, [("a.example".to_owned(), "10.0.0.1:3031".to_owned())]);
        assert!(registry.key("a.example").is_none());
    }

    #[test]
    fn only_the_lowest_level_is_no_backup() {
        let (mut registry, now) = (Registry::new(TOLERANCE), Instant::now());
        for (address, level) in [
            ("10.0.0.1:1", "2"),
            ("10.0.0.2:1", "1"),
            ("10.0.0.3:1", "1"),
        ] {
            let pairs = [("key", "a"), ("address", address), ("backup", level)];
            say(&mut registry, Command::Subscribe, &pairs, now);
        }
        let backup = registry.key("a").expect("a key").servers();
        let backup: Vec<bool> = backup.iter().map(|server| server.backup).collect();
        assert_eq!(backup, [true, false, false]);
    }

    #[test]
    fn keys_and_instances_are_bounded() {
        let (mut registry, now) = (Registry::new(TOLERANCE), Instant::now());
        let mut take = |key: &str, address: &str| {
            let mut packet = PacketBuilder::new(Command::Subscribe);
            packet
                .pair("key", key.as_bytes())
                .pair("address", address.as_bytes());
            let bytes = packet.finish();
            let said = parse(&bytes).expect("well formed");
            let place = place(said.address, None).expect("an address");
            registry.take(&said, place, now).is_ok()
        };
        assert!((1..=MAX_NODES).all(|port| take("a", &format!("10.0.0.1:{port}"))));
        assert!(!take("a", "10.0.0.2:1") && take("a", "10.0.0.1:1"));
        assert!((1..MAX_KEYS).all(|n| take(&format!("k{n}"), "10.0.0.1:1")));
        assert!(!take("one-more", "10.0.0.1:1"));
    }

    #[test]
    fn an_address_is_an_ip_and_a_port_or_a_socket() {
        let from = Some(([10, 0, 0, 7], 9).into());
        let shown = |address: &str| match place(address, from) {
            Some(UpstreamAddr::Tcp { host, port }) => format!("{host}:{port}"),
            Some(UpstreamAddr::Unix(path)) => path.display().to_string(),
            None => String::new(),
        };
        assert_eq!(shown("10.0.0.1:3031"), "10.0.0.1:3031");
        assert_eq!(shown("[::1]:3031"), "::1:3031");
        assert_eq!(shown("0.0.0.0:3031"), "10.0.0.7:3031");
        assert_eq!(shown(":3031"), "10.0.0.7:3031");
        assert_eq!(
            (shown("/run/a.sock"), shown("@a")),
            ("/run/a.sock".into(), "@a".into())
        );
        for wrong in ["10.0.0.1", "10.0.0.1:0", "localhost:80", "a.sock", "/", ":"] {
            assert_eq!(shown(wrong), "", "{wrong}");
        }
        assert!(place(":3031", None).is_none());
    }
}
