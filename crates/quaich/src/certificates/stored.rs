//! Certificates in the state directory: which of those that ACME brought serve which names, and
//! those of the local CA, which are made here.

use std::path::PathBuf;

use quaich_acme::local_ca;
use quaich_acme::store::{self, Stored};
use quaich_config::Config;
use quaich_config::model::HostPattern;
use quaich_server::link::Identity;
use quaich_server::tls::identity::{self, Facts};

use super::Inventory;
use super::cover::{any_covers, local_names, pattern, sites_with_tls};
use crate::exit::{Code, Failure};

/// A certificate from the state directory, as it is used.
#[derive(Clone, PartialEq)]
pub(super) struct StoredIdentity {
    pub(super) identity: Identity,
    pub(super) facts: Facts,
    pub(super) file: PathBuf,
    /// When it is due to be renewed.
    pub(super) renew_at: i64,
}

impl StoredIdentity {
    /// `None` = it is not what it should be; the store has checked it, so that is rare.
    fn new(stored: &Stored, source: &str, hosts: Vec<HostPattern>) -> Option<StoredIdentity> {
        let (chain, key) = (&stored.chain_pem, &stored.key_pem);
        let facts = identity::check(chain.as_bytes(), key.as_bytes()).ok()?;
        let first = stored.names.first()?;
        let identity = Identity {
            name: format!("{source}:{first}"),
            chain: chain.clone(),
            key: key.clone(),
            hosts,
            ocsp: None,
        };
        Some(StoredIdentity {
            identity,
            facts,
            file: stored.file.clone(),
            renew_at: seconds(stored.renew_at),
        })
    }

    /// The same, for these hosts.
    fn serving(&self, hosts: Vec<HostPattern>) -> StoredIdentity {
        let mut serving = self.clone();
        serving.identity.hosts = hosts;
        serving
    }

    /// Whether it has not expired.
    fn is_valid(&self, now: i64) -> bool {
        self.facts.not_after > now
    }

    /// Whether it has `name`, be it by a wildcard.
    fn has(&self, name: &str) -> bool {
        let names = self.facts.names.iter();
        let patterns: Vec<HostPattern> = names.map(|name| pattern(name)).collect();
        any_covers(&patterns, name)
    }
}

impl Inventory {
    /// Takes what ACME has brought from the state directory: for each wanted name the certificate
    /// that covers its whole order, else the one that is valid longest. One that is held and valid
    /// but cannot be read any more goes on being used until there is something better. Gives what
    /// cannot be used, each with the reason.
    pub(crate) fn take_stored(&mut self, config: &Config) -> Vec<String> {
        let Some(acme) = &config.tls.acme else {
            return Vec::new();
        };
        let found = store::load(&config.server.state_dir);
        let directory = store::directory_name(&acme.directory);
        let ours = found.certificates.iter();
        let ours = ours.filter(|stored| stored.directory == directory);
        let read: Vec<StoredIdentity> = ours
            .filter_map(|stored| StoredIdentity::new(stored, "acme", Vec::new()))
            .collect();
        let old = std::mem::take(&mut self.acme);
        let candidates: Vec<&StoredIdentity> = lost(&old, &read).chain(&read).collect();
        let mut chosen: Vec<(&StoredIdentity, Vec<HostPattern>)> = Vec::new();
        for names in self.orders(config) {
            for name in &names {
                let Some(best) = best(&candidates, name, &names) else {
                    continue;
                };
                let host = HostPattern::Exact(name.clone());
                match chosen.iter_mut().find(|(one, _)| std::ptr::eq(*one, best)) {
                    Some((_, hosts)) => hosts.push(host),
                    None => chosen.push((best, vec![host])),
                }
            }
        }
        self.acme = chosen
            .into_iter()
            .map(|(stored, hosts)| stored.serving(hosts))
            .collect();
        self.forget_staples(&old);
        let ours = |failure: &store::Failure| failure.directory == directory;
        self.failed = found.failures.into_iter().filter(ours).collect();
        found.unusable
    }

    /// Makes, or takes from the state directory, a certificate of the local CA for each site that
    /// has none, when the configuration says so. Whether that changed anything.
    pub(crate) fn take_local(&mut self, config: &Config) -> Result<bool, Failure> {
        if !config.tls.local_ca {
            return Ok(false);
        }
        let groups = self.local_groups(config);
        let dir = &config.server.state_dir;
        let failed = |error: quaich_acme::Error| {
            let message = format!("the local CA in {}: {error}", dir.display());
            Failure::new(Code::Config, message)
        };
        let mut local = Vec::new();
        if !groups.is_empty() {
            let ca = local_ca::ensure(dir).map_err(failed)?;
            for names in &groups {
                let stored = local_ca::certificate(&ca, dir, names).map_err(failed)?;
                let hosts = names.iter().map(|name| pattern(name)).collect();
                local.extend(StoredIdentity::new(&stored, "local", hosts));
            }
        }
        let changed = self.local != local;
        self.local = local;
        Ok(changed)
    }

    /// Those that are there already, for a look that changes nothing.
    pub(crate) fn find_local(&mut self, config: &Config) {
        if !config.tls.local_ca {
            return;
        }
        let found = store::load(&config.server.state_dir).certificates;
        for names in self.local_groups(config) {
            let ours = |stored: &&Stored| stored.directory == "local" && stored.names == names;
            let stored = found.iter().find(ours);
            let hosts = names.iter().map(|name| pattern(name)).collect();
            self.local
                .extend(stored.and_then(|stored| StoredIdentity::new(stored, "local", hosts)));
        }
    }

    /// The names of each certificate of the local CA.
    fn local_groups(&self, config: &Config) -> Vec<Vec<String>> {
        let mut groups = Vec::new();
        for site in sites_with_tls(config) {
            let elsewhere = |name: &str| self.file_covers(name) || is_ordered(config, name);
            let names = local_names(config, site, elsewhere);
            if !names.is_empty() && !groups.contains(&names) {
                groups.push(names);
            }
        }
        groups
    }

    /// When the first certificate of the local CA is due to be made anew.
    pub(crate) fn local_due(&self) -> Option<i64> {
        self.local.iter().map(|stored| stored.renew_at).min()
    }

    /// Answers to staple belong to one certificate, not to its name.
    fn forget_staples(&mut self, old: &[StoredIdentity]) {
        let still = |old: &StoredIdentity| {
            let mut new = self.acme.iter();
            new.any(|new| new.identity.chain == old.identity.chain)
        };
        let gone: Vec<&StoredIdentity> = old.iter().filter(|old| !still(old)).collect();
        for gone in gone {
            self.ocsp.remove(&gone.identity.name);
        }
    }
}

fn is_ordered(config: &Config, name: &str) -> bool {
    let orders = config.tls.acme.iter().flat_map(|acme| &acme.names);
    orders.flatten().any(|ordered| ordered == name)
}

/// Certificates that are valid and that `read` has nothing good in place of: their files are gone,
/// garbled, or behind a folder that cannot be read at the moment.
fn lost<'a>(
    old: &'a [StoredIdentity],
    read: &'a [StoredIdentity],
) -> impl Iterator<Item = &'a StoredIdentity> {
    let now = super::date::now();
    let replaced = move |old: &StoredIdentity| {
        let mut read = read.iter();
        read.any(|read| read.file == old.file && read.is_valid(now))
    };
    old.iter()
        .filter(move |old| old.is_valid(now) && !replaced(old))
}

fn best<'a>(
    candidates: &[&'a StoredIdentity],
    name: &str,
    order: &[String],
) -> Option<&'a StoredIdentity> {
    let now = super::date::now();
    let all = candidates.iter().copied();
    let candidates = all.filter(|stored| stored.has(name));
    candidates.max_by_key(|stored| {
        let whole = order.iter().all(|name| stored.has(name));
        (stored.is_valid(now), whole, stored.facts.not_after)
    })
}

fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}
