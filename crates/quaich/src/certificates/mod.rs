//! Certificates, keys and authorities: named by the configuration or kept in the state directory,
//! read and checked here, each with the last content that was good.
//!
//! Called by `boot` and the supervisor, and by the verbs that only look (`check`, `cert list`).
//! Nothing here talks to a network. Keys must not get into a message.

mod cover;
pub(crate) mod date;
mod file;
mod listing;
mod orders;
mod source;
mod stored;
mod system;
mod warnings;

use std::collections::BTreeMap;

use quaich_config::Config;
use quaich_config::model::HostPattern;
use quaich_server::link::{Identity, Material};
use quaich_server::tls::identity::Facts;

use crate::exit::Failure;
use source::{Content, Look, Source};
use stored::StoredIdentity;
use system::system_roots;
pub(crate) use system::trusts;

/// All that TLS works with.
pub(crate) struct Inventory {
    /// What files hold: certificates, then client authorities, then upstreams, as in `Material`.
    sources: Vec<Source>,
    /// What ACME has brought so far, of the names that are wanted.
    acme: Vec<StoredIdentity>,
    /// Certificates of the local CA.
    local: Vec<StoredIdentity>,
    /// Answers to staple, by the name of their identity.
    ocsp: BTreeMap<String, Staple>,
    /// Orders of the agent that failed, as the state directory tells.
    failed: Vec<quaich_acme::store::Failure>,
    system_roots: String,
}

/// An OCSP answer.
struct Staple {
    der: Vec<u8>,
    until: i64,
}

/// What a look at the files has brought, for the log.
pub(crate) enum Change {
    /// A certificate was replaced by one with these facts.
    Certificate(String, Facts),
    /// Other files were replaced: those of this thing.
    Other(String),
    /// These files cannot be used; what was there before stays.
    Bad(Failure),
}

impl Inventory {
    /// Reads all files that the configuration names. Every problem is found in one run; what is
    /// without one can be used.
    pub(crate) fn read(config: &Config) -> (Inventory, Vec<Failure>) {
        let tls = &config.tls;
        let mut sources: Vec<Source> = tls.certificates.iter().map(Source::certificate).collect();
        sources.push(Source::clients(&tls.client, "`[tls.client]`"));
        for site in &config.sites {
            let place = format!("site `{}`", site.name);
            let auth = site.tls_client.as_ref();
            sources.extend(auth.map(|auth| Source::clients(auth, &place)));
        }
        sources.extend(config.upstreams.iter().map(Source::upstream));
        let mut inventory = Inventory {
            sources,
            acme: Vec::new(),
            local: Vec::new(),
            ocsp: BTreeMap::new(),
            failed: Vec::new(),
            system_roots: String::new(),
        };
        let changes = inventory.look(date::now(), true);
        let failures = changes.into_iter().filter_map(|change| match change {
            Change::Bad(failure) => Some(failure),
            _ => None,
        });
        let failures = failures.collect();
        (inventory, failures)
    }

    /// Looks whether files have changed, and takes what is good. With `forced` all of them are
    /// read, the system's authorities as well.
    pub(crate) fn look(&mut self, now: i64, forced: bool) -> Vec<Change> {
        if forced && self.sources.iter().any(Source::wants_system_roots) {
            self.system_roots = system_roots();
        }
        let mut changes = Vec::new();
        for source in &mut self.sources {
            match source.look(&self.system_roots, now, forced) {
                Look::Same => {}
                Look::Bad(failure) => changes.push(Change::Bad(failure)),
                Look::Replaced => changes.push(match source.checked() {
                    None => Change::Other(source.label().to_owned()),
                    Some(checked) => {
                        // It was of the old one.
                        self.ocsp.remove(&checked.identity.name);
                        Change::Certificate(checked.identity.name.clone(), checked.facts.clone())
                    }
                }),
            }
        }
        changes
    }

    /// Whether there are files to look at.
    pub(crate) fn has_files(&self) -> bool {
        self.sources.iter().any(Source::has_files)
    }

    /// What the front works with.
    pub(crate) fn material(&self, now: i64) -> Material {
        let mut material = Material::default();
        for content in self.sources.iter().filter_map(Source::content) {
            match content {
                Content::Certificate(checked) => material.identities.push(checked.identity.clone()),
                Content::Clients(trust) => material.clients.push(trust.clone()),
                Content::Upstream(upstream) => material.upstreams.push(upstream.clone()),
            }
        }
        let stored = self.acme.iter().chain(&self.local);
        material
            .identities
            .extend(stored.map(|stored| stored.identity.clone()));
        for identity in &mut material.identities {
            let staple = self.ocsp.get(&identity.name);
            let staple = staple.filter(|staple| now < staple.until);
            identity.ocsp = staple.map(|staple| staple.der.clone());
        }
        material
    }

    /// Keeps an OCSP answer; whether that changes what is stapled.
    pub(crate) fn staple(&mut self, name: &str, der: Vec<u8>, until: i64) -> bool {
        let known = self.identities().any(|(identity, _)| identity.name == name);
        let same = self.ocsp.get(name).is_some_and(|staple| staple.der == der);
        if !known || same {
            return false;
        }
        self.ocsp.insert(name.to_owned(), Staple { der, until });
        true
    }

    /// Forgets the OCSP answer of a certificate; whether there was one.
    pub(crate) fn unstaple(&mut self, name: &str) -> bool {
        self.ocsp.remove(name).is_some()
    }

    /// Drops answers whose time is over; whether there were any.
    pub(crate) fn drop_stale_staples(&mut self, now: i64) -> bool {
        let before = self.ocsp.len();
        self.ocsp.retain(|_, staple| now < staple.until);
        self.ocsp.len() != before
    }

    /// Every certificate that serves, the default one first.
    fn identities(&self) -> impl Iterator<Item = (&Identity, &Facts)> {
        let checked = self.sources.iter().filter_map(Source::checked);
        let stored = self.acme.iter().chain(&self.local);
        checked
            .map(|checked| (&checked.identity, &checked.facts))
            .chain(stored.map(|stored| (&stored.identity, &stored.facts)))
    }

    /// Whether a certificate from a file is used for `host` and has its name.
    fn file_covers(&self, host: &str) -> bool {
        let mut checked = self.sources.iter().filter_map(Source::checked);
        checked.any(|checked| cover::any_covers(&checked.identity.hosts, host))
    }

    /// Whether there is a certificate for `host`.
    fn covers(&self, host: &str) -> bool {
        let mut all = self.identities();
        all.any(|(identity, _)| cover::any_covers(&identity.hosts, host))
    }
}

/// The names that stand for `hosts`, for people.
fn shown(hosts: &[HostPattern]) -> Vec<String> {
    let name = |host: &HostPattern| cover::name_of(host).unwrap_or_else(|| "*".to_owned());
    hosts.iter().map(name).collect()
}

#[cfg(test)]
mod tests;
