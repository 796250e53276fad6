//! Asks name servers. Whoever calls decides what a failure means.
//!
//! Each question reads `/etc/resolv.conf` and `/etc/hosts` anew, so that a change there is followed
//! as one in the DNS is.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ProtocolConfig, ResolveHosts,
    ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, Record};

/// What is asked more often than this costs more than it gives.
const SHORTEST: Duration = Duration::from_secs(1);
/// Named name servers are near: what has not come by then is asked for again, or given up.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whom to ask, and how long an answer holds at most.
pub(super) struct NameServers {
    /// Empty = those of the system.
    pub(super) addrs: Vec<SocketAddr>,
    pub(super) longest: Duration,
}

/// What was found, and when to ask again.
pub(super) struct Answer<T> {
    pub(super) found: Vec<T>,
    pub(super) again: Duration,
}

/// A target of an SRV record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Service {
    pub(super) priority: u16,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) weight: u16,
}

impl NameServers {
    /// The addresses of a name, IPv4 before IPv6. None at all is an error.
    pub(super) async fn addresses(&self, name: &str) -> Result<Answer<IpAddr>, String> {
        let (resolver, flaw) = self.resolver()?;
        let looked_up = resolver.lookup_ip(name).await;
        let looked_up = looked_up.map_err(|error| in_words(&error) + &flaw)?;
        let records = looked_up.as_lookup().answers();
        let mut found: Vec<IpAddr> = Vec::new();
        for ip in looked_up.iter() {
            // A server that is listed twice gets no double share.
            if !found.contains(&ip) {
                found.push(ip);
            }
        }
        self.answer(found, records)
    }

    /// The SRV records of a name. None at all is an error, and so is the one that says that there
    /// is no such service (RFC 2782: the target is the root).
    pub(super) async fn services(&self, name: &str) -> Result<Answer<Service>, String> {
        let (resolver, flaw) = self.resolver()?;
        let looked_up = resolver.srv_lookup(name).await;
        let looked_up = looked_up.map_err(|error| in_words(&error) + &flaw)?;
        let service = |record: &Record| match &record.data {
            RData::SRV(srv) if !srv.target.is_root() && srv.port != 0 => {
                let host = srv.target.to_lowercase().to_ascii();
                Some(Service {
                    priority: srv.priority,
                    host: host.trim_end_matches('.').to_owned(),
                    port: srv.port,
                    weight: srv.weight,
                })
            }
            _ => None,
        };
        let found = looked_up.answers().iter().filter_map(service).collect();
        self.answer(each_once(found), looked_up.answers())
    }

    fn answer<T>(&self, found: Vec<T>, records: &[Record]) -> Result<Answer<T>, String> {
        if found.is_empty() {
            return Err("the answer has no records of use".into());
        }
        let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
        let longest = self.longest.max(SHORTEST);
        let again = Duration::from_secs(ttl.into()).clamp(SHORTEST, longest);
        Ok(Answer { found, again })
    }

    /// With what is wrong with the system's settings, for people; empty = nothing.
    fn resolver(&self) -> Result<(TokioResolver, String), String> {
        let mut flaw = String::new();
        let provider = TokioRuntimeProvider::default();
        let of = |config| TokioResolver::builder_with_config(config, provider.clone());
        let mut builder = match self.addrs.is_empty() {
            // As the C library does: without settings it is a name server of this machine.
            true => TokioResolver::builder_tokio().unwrap_or_else(|error| {
                flaw = format!(" (/etc/resolv.conf cannot be used: {error})");
                of(config(&[(Ipv4Addr::LOCALHOST, 53).into()]))
            }),
            false => {
                let mut builder = of(config(&self.addrs));
                builder.options_mut().timeout = PATIENCE;
                builder
            }
        };
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Always;
        options.cache_size = 0;
        let resolver = builder.build().map_err(|error| error.to_string())?;
        Ok((resolver, flaw))
    }
}

/// In ascending order, each place once: where it has the lowest priority.
fn each_once(mut found: Vec<Service>) -> Vec<Service> {
    found.sort();
    let mut seen = HashSet::new();
    found.retain(|service| seen.insert((service.host.clone(), service.port)));
    found
}

fn config(addrs: &[SocketAddr]) -> ResolverConfig {
    let server = |addr: &SocketAddr| {
        let connection = |protocol| {
            let mut connection = ConnectionConfig::new(protocol);
            connection.port = addr.port();
            connection
        };
        let both = vec![
            connection(ProtocolConfig::Udp),
            connection(ProtocolConfig::Tcp),
        ];
        NameServerConfig::new(addr.ip(), true, both)
    };
    ResolverConfig::from_name_servers(addrs.iter().map(server).collect())
}

/// One line for the log.
fn in_words(error: &NetError) -> String {
    if error.is_nx_domain() {
        "there is no such name".into()
    } else if error.is_no_records_found() {
        "the name has no such records".into()
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_two_priorities_is_one_server() {
        let service = |priority, host: &str| Service {
            priority,
            host: host.to_owned(),
            port: 80,
            weight: 1,
        };
        let found = vec![service(2, "a"), service(1, "b"), service(1, "a")];
        assert_eq!(each_once(found), [service(1, "a"), service(1, "b")]);
    }
}
