//! Names of servers: looked up when the time of the last answer is over, kept when nobody answers.

mod lookup;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Weak};
use std::time::Duration;

use quaich_config::model::{Discover, UpstreamAddr, UpstreamProtocol, UpstreamServer};
use tokio::task::spawn_local;
use tokio::time::sleep;

use self::lookup::{NameServers, Service};
use crate::observe::counters::Counters;
use crate::observe::log;
use crate::upstream::group::Group;
use crate::upstream::server::Server;

/// The first wait after a failure; it doubles up to `resolve`.
const SOON: Duration = Duration::from_secs(1);

/// Held until the first look-up of a name is over, however it ends.
pub type Starting = Sender<()>;

/// Follows all names of one upstream, in tasks of their own.
pub fn follow(group: &Arc<Group>, counters: &Arc<Counters>, starting: &Starting) {
    let settings = group.settings();
    let names = Rc::new(Names {
        group: group.clone(),
        servers: NameServers {
            addrs: settings.resolver.clone(),
            longest: settings.resolve,
        },
        counters: counters.clone(),
        followed: RefCell::default(),
    });
    names.follow_servers(Some(starting));
    match &settings.discover {
        Some(Discover::Dns { server }) => {
            let (server, starting) = (server.clone(), starting.clone());
            spawn_local(async move { names.find_addresses(&server, starting).await });
        }
        Some(Discover::Srv {
            name,
            protocol,
            tls,
        }) => {
            let (name, kind, starting) = (name.clone(), (*protocol, *tls), starting.clone());
            spawn_local(async move { names.find_services(&name, kind, starting).await });
        }
        Some(Discover::Subscribe { .. }) | None => {}
    }
}

/// The names of one upstream.
struct Names {
    group: Arc<Group>,
    servers: NameServers,
    counters: Arc<Counters>,
    /// Servers whose name has a task.
    followed: RefCell<Vec<Weak<Server>>>,
}

impl Names {
    /// Follows the names of servers that are not followed yet.
    fn follow_servers(self: &Rc<Self>, starting: Option<&Starting>) {
        let mut followed = self.followed.borrow_mut();
        followed.retain(|server| server.strong_count() > 0);
        for server in self.group.servers().iter() {
            let known = followed.iter().any(|f| f.as_ptr() == Arc::as_ptr(server));
            if server.addresses().name().is_some() && !known {
                followed.push(Arc::downgrade(server));
                let (names, server) = (self.clone(), server.clone());
                let starting = starting.cloned();
                spawn_local(async move { names.follow_server(server, starting).await });
            }
        }
    }

    /// Keeps the addresses of one server, as long as the upstream has it.
    async fn follow_server(&self, server: Arc<Server>, mut starting: Option<Starting>) {
        let addresses = server.addresses();
        let Some((name, port)) = addresses.name() else {
            return;
        };
        let mut trouble = Trouble::default();
        while self.has(&server) {
            self.counters.dns_lookups.add();
            let again = match self.servers.addresses(name).await {
                Ok(answer) => {
                    trouble.end(name);
                    let found = answer.found.iter().map(|ip| (*ip, port).into());
                    let count = answer.found.len();
                    if addresses.set(found.collect()) && addresses.version() > 1 {
                        self.counters.dns_changes.add();
                        log::info!("a name has new addresses"; name = name, addresses = count);
                    }
                    answer.again
                }
                Err(why) => {
                    let kept = addresses.keep();
                    trouble.note(self, name, &why, kept)
                }
            };
            drop(starting.take());
            sleep(again).await;
        }
    }

    fn has(&self, server: &Arc<Server>) -> bool {
        self.group.servers().iter().any(|s| Arc::ptr_eq(s, server))
    }

    /// Keeps one server for each address of a name.
    async fn find_addresses(&self, like: &UpstreamServer, starting: Starting) {
        let UpstreamAddr::Tcp { host, port } = &like.addr else {
            return;
        };
        let mut starting = Some(starting);
        let mut known = Vec::new();
        let mut trouble = Trouble::default();
        loop {
            self.counters.dns_lookups.add();
            let again = match self.servers.addresses(host).await {
                Ok(mut answer) => {
                    trouble.end(host);
                    answer.found.sort();
                    if answer.found != known {
                        let servers = answer.found.iter();
                        let at = |ip: &_| at_address(like, (*ip, *port).into());
                        self.found(host, servers.map(at).collect());
                        known = answer.found;
                    }
                    answer.again
                }
                Err(why) => trouble.note(self, host, &why, known.len()),
            };
            drop(starting.take());
            sleep(again).await;
        }
    }

    /// Keeps one server for each SRV record of a name.
    async fn find_services(
        self: &Rc<Self>,
        name: &str,
        (protocol, tls): (UpstreamProtocol, bool),
        starting: Starting,
    ) {
        let mut starting = Some(starting);
        let mut known = Vec::new();
        let mut trouble = Trouble::default();
        loop {
            self.counters.dns_lookups.add();
            let again = match self.servers.services(name).await {
                Ok(answer) => {
                    trouble.end(name);
                    if answer.found != known {
                        let servers = targets(&answer.found, protocol, tls);
                        self.found(name, servers);
                        self.follow_servers(starting.as_ref());
                        known = answer.found;
                    }
                    answer.again
                }
                Err(why) => trouble.note(self, name, &why, known.len()),
            };
            drop(starting.take());
            sleep(again).await;
        }
    }

    fn found(&self, name: &str, servers: Vec<UpstreamServer>) {
        self.counters.dns_changes.add();
        log::info!(
            "an upstream has other servers";
            upstream = self.group.settings().name, name = name, servers = servers.len()
        );
        self.group.found(servers);
    }
}

fn at_address(like: &UpstreamServer, addr: SocketAddr) -> UpstreamServer {
    UpstreamServer {
        id: addr.to_string(),
        addr: UpstreamAddr::Tcp {
            host: addr.ip().to_string(),
            port: addr.port(),
        },
        ..like.clone()
    }
}

/// The servers of SRV records: those of the lowest priority first, the others as backup.
fn targets(services: &[Service], protocol: UpstreamProtocol, tls: bool) -> Vec<UpstreamServer> {
    let first = services.iter().map(|service| service.priority).min();
    // Weights are shares: small numbers say the same.
    let divisor = services
        .iter()
        .map(|service| service.weight)
        .fold(0, greatest_common_divisor)
        .max(1);
    let server = |service: &Service| UpstreamServer {
        id: format!("{}:{}", service.host, service.port),
        addr: UpstreamAddr::Tcp {
            host: service.host.clone(),
            port: service.port,
        },
        tls,
        protocol,
        // RFC 2782: a server of weight 0 has a very small chance, not none.
        weight: u32::from((service.weight / divisor).max(1)),
        backup: Some(service.priority) != first,
        max_conns: 0,
        cookie: None,
        modifiers: (0, 0),
    };
    services.iter().map(server).collect()
}

fn greatest_common_divisor(a: u16, b: u16) -> u16 {
    match b {
        0 => a,
        _ => greatest_common_divisor(b, a % b),
    }
}

/// Failures in a row.
#[derive(Default)]
struct Trouble {
    failures: u32,
}

impl Trouble {
    /// Counts a failure and says so if it is the first; how long to wait.
    fn note(&mut self, names: &Names, name: &str, why: &str, kept: usize) -> Duration {
        names.counters.dns_failures.add();
        if self.failures == 0 {
            log::warn!(
                "a name cannot be looked up: {why}";
                name = name, upstream = names.group.settings().name, addresses_kept = kept
            );
        }
        let wait = SOON.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        wait.min(names.servers.longest.max(SOON))
    }

    /// A look-up has succeeded.
    fn end(&mut self, name: &str) {
        if self.failures > 0 {
            log::info!("a name can be looked up again"; name = name);
        }
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(priority: u16, host: &str, weight: u16) -> Service {
        Service {
            priority,
            host: host.into(),
            port: 80,
            weight,
        }
    }

    #[test]
    fn weights_are_the_shares_of_the_records_and_other_priorities_are_backups() {
        let records = [
            service(5, "a", 30),
            service(5, "b", 10),
            service(5, "c", 0),
            service(9, "d", 10),
        ];
        let found = targets(&records, UpstreamProtocol::Http, false);
        let shares: Vec<_> = found.iter().map(|s| (s.weight, s.backup)).collect();
        assert_eq!(shares, [(3, false), (1, false), (1, false), (1, true)]);
        assert_eq!(found[0].id, "a:80");
    }
}
