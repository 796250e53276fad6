//! Which certificate a client is shown: by the name it asks for, then by the kinds of key that it
//! can check.
//!
//! rustls asks in the middle of a handshake, on the thread that drives it; what it does not pass
//! along in either direction stands in [`Encounter`] meanwhile.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use quaich_config::model::{HostPattern, UnknownSni};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::identity::{self, Problem};
use super::provider::provider;
use crate::link::Identity;

/// A certificate with its key and the names that it is used for.
#[derive(Debug)]
pub struct Shown {
    key: Arc<CertifiedKey>,
    /// Of the configuration and of the certificate itself.
    names: Vec<HostPattern>,
}

impl Shown {
    pub(super) fn new(identity: &Identity) -> Result<Self, Problem> {
        let (chain, key) = identity::parse(identity.chain.as_bytes(), identity.key.as_bytes())?;
        let mut names = identity.hosts.clone();
        if let Some((_, certificate)) = chain
            .first()
            .and_then(|c| X509Certificate::from_der(c).ok())
        {
            names.extend(
                identity::names(&certificate)
                    .iter()
                    .map(|name| pattern(name)),
            );
        }
        let mut key = identity::certified(&provider(), chain, key)?;
        key.ocsp = identity.ocsp.clone();
        Ok(Self {
            key: Arc::new(key),
            names,
        })
    }

    /// Whether it speaks for `host`: lower case, without port.
    pub(super) fn covers(&self, host: &str) -> bool {
        self.names.iter().any(|name| match name {
            HostPattern::Exact(name) => name == host,
            HostPattern::Suffix(suffix) => parent(host) == Some(suffix),
            // The configuration allows it for no certificate, and none says it of itself.
            HostPattern::Any => false,
        })
    }

    fn is_rsa(&self) -> bool {
        self.key.key.algorithm() == SignatureAlgorithm::RSA
    }
}

/// A name of a certificate as a pattern.
fn pattern(name: &str) -> HostPattern {
    match name.strip_prefix('*') {
        Some(suffix) if suffix.starts_with('.') => HostPattern::Suffix(suffix.to_owned()),
        _ => HostPattern::Exact(name.to_owned()),
    }
}

/// What stands behind the first label, with its dot: a wildcard covers one label and no more.
fn parent(host: &str) -> Option<&str> {
    host.find('.').filter(|&at| at > 0).map(|at| &host[at..])
}

/// What the two sides of a handshake tell each other past rustls.
#[derive(Debug, Default)]
pub(super) struct Encounter {
    /// Where the client has connected to.
    pub(super) local: Option<IpAddr>,
    /// The name it asked for.
    pub(super) name: Option<String>,
    /// What it is shown; none for a name without certificate.
    pub(super) shown: Option<Arc<Shown>>,
    /// Somebody has looked for a certificate.
    pub(super) sought: bool,
}

thread_local! {
    static ENCOUNTER: RefCell<Encounter> = RefCell::default();
}

/// Runs `turn`, a turn of a handshake over a connection to `local`. What was found in it is added
/// to `encounter`.
pub(super) fn meet<T>(encounter: &mut Encounter, turn: impl FnOnce() -> T) -> T {
    ENCOUNTER.set(std::mem::take(encounter));
    let value = turn();
    *encounter = ENCOUNTER.take();
    value
}

/// All certificates by name.
pub(super) struct Certificates {
    by_name: HashMap<String, Vec<Arc<Shown>>>,
    /// Keys begin with a dot.
    by_parent: HashMap<String, Vec<Arc<Shown>>>,
    default: Vec<Arc<Shown>>,
    unknown: UnknownSni,
}

impl Certificates {
    /// Fails with the name of the identity that cannot be used.
    pub(super) fn new(
        identities: &[Identity],
        unknown: UnknownSni,
    ) -> Result<Self, (String, Problem)> {
        let mut all = Self {
            by_name: HashMap::new(),
            by_parent: HashMap::new(),
            default: Vec::new(),
            unknown,
        };
        for identity in identities {
            let shown = Shown::new(identity).map_err(|problem| (identity.name.clone(), problem))?;
            let shown = Arc::new(shown);
            for host in &identity.hosts {
                let list = match host {
                    HostPattern::Exact(name) => all.by_name.entry(name.clone()).or_default(),
                    HostPattern::Suffix(name) => all.by_parent.entry(name.clone()).or_default(),
                    HostPattern::Any => continue,
                };
                list.push(shown.clone());
            }
            // The default may have a twin with another kind of key.
            if identities
                .first()
                .is_some_and(|first| first.hosts == identity.hosts)
            {
                all.default.push(shown);
            }
        }
        let lists = all.by_name.values_mut().chain(all.by_parent.values_mut());
        for list in lists.chain([&mut all.default]) {
            list.sort_by_key(|shown| shown.is_rsa());
        }
        Ok(all)
    }

    /// Certificates for a name, best first; none when the client is to be refused.
    fn find(&self, name: Option<&str>, local: Option<IpAddr>) -> Option<&[Arc<Shown>]> {
        let Some(name) = name else {
            let local = local.map(|addr| addr.to_canonical().to_string());
            let by_addr = local.and_then(|addr| self.by_name.get(&addr));
            return Some(by_addr.unwrap_or(&self.default));
        };
        let name = name.to_ascii_lowercase();
        let found = self.by_name.get(&name);
        let found = found.or_else(|| self.by_parent.get(parent(&name)?));
        match found {
            Some(found) => Some(found),
            None if self.unknown == UnknownSni::Default => Some(&self.default),
            None => None,
        }
    }

    /// Whether there is one for `host`, a name or an address. Who connects to an address asks for
    /// no name.
    pub(super) fn has(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addr = bare.parse().ok();
        let found = self.find(addr.is_none().then_some(host), addr);
        found.is_some_and(|found| !found.is_empty())
    }

    fn choose(
        &self,
        name: Option<&str>,
        local: Option<IpAddr>,
        schemes: &[SignatureScheme],
    ) -> Option<Arc<Shown>> {
        let found = self.find(name, local)?;
        let usable = |shown: &&Arc<Shown>| shown.key.key.choose_scheme(schemes).is_some();
        found.iter().find(usable).or(found.first()).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        ENCOUNTER.with_borrow_mut(|encounter| {
            encounter.name = hello.server_name().map(str::to_ascii_lowercase);
            encounter.sought = true;
            let name = encounter.name.as_deref();
            encounter.shown = self.choose(name, encounter.local, hello.signature_schemes());
            encounter.shown.as_ref().map(|shown| shown.key.clone())
        })
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}
