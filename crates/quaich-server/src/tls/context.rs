//! All that TLS towards clients works with: certificates, policies for client certificates, and
//! for each policy a ticket key of its own.
//!
//! A context is replaced as a whole when certificates change; connections keep the one they were
//! opened with. A session that was made under one policy can never be resumed under another
//! (CVE-2025-23419), since no two policies share a ticket key.

use std::fmt;
use std::sync::Arc;

use quaich_config::model::{ClientAuth, ClientAuthMode, Config, Tls, TlsVersion};
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets, ServerConfig, WebPkiClientVerifier};
use rustls::{SupportedProtocolVersion, version};

use super::certificates::Certificates;
use super::connector::roots;
use super::provider::provider;
use crate::link::{ClientTrust, Material};

/// Which protocols a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    /// HTTP/1.1
    pub h1: bool,
    /// HTTP/2
    pub h2: bool,
}

impl Protocols {
    fn index(self) -> usize {
        usize::from(self.h1) | usize::from(self.h2) << 1
    }

    fn alpn(self) -> Vec<Vec<u8>> {
        let names = [(self.h2, &b"h2"[..]), (self.h1, b"http/1.1")];
        let names = names.into_iter().filter(|(spoken, _)| *spoken);
        names.map(|(_, name)| name.to_vec()).collect()
    }
}

/// Why TLS cannot be set up; for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(pub String);

/// The rules for client certificates: those of `[tls.client]` first, then those of sites, each
/// once. Their numbers stay the same as long as the configuration does.
#[derive(Debug)]
pub(super) struct Policies {
    rules: Vec<ClientAuth>,
    of_site: Vec<usize>,
}

impl Policies {
    pub(super) fn new(config: &Config) -> Self {
        let mut rules = vec![config.tls.client.clone()];
        let of_site = config.sites.iter().map(|site| match &site.tls_client {
            None => 0,
            Some(own) => rules
                .iter()
                .position(|rule| rule == own)
                .unwrap_or_else(|| {
                    rules.push(own.clone());
                    rules.len() - 1
                }),
        });
        let of_site = of_site.collect();
        Self { rules, of_site }
    }

    pub(super) fn count(&self) -> usize {
        self.rules.len()
    }

    /// The policy of a site; of a name without site, that of `[tls.client]`.
    pub(super) fn of_site(&self, site: Option<usize>) -> usize {
        site.and_then(|site| self.of_site.get(site))
            .copied()
            .unwrap_or(0)
    }

    /// Whether clients are asked for a certificate.
    pub(super) fn asks(&self, policy: usize) -> bool {
        let rule = self.rules.get(policy);
        rule.is_some_and(|rule| rule.mode != ClientAuthMode::Off)
    }

    /// What each policy believes. `Material::clients` has that of `[tls.client]`, then those of
    /// the sites that have rules of their own.
    fn trusts(&self, config: &Config, material: &Material) -> Vec<ClientTrust> {
        let mut trusts = vec![ClientTrust::default(); self.rules.len()];
        let owners = config.sites.iter().zip(&self.of_site);
        let owners = owners.filter(|(site, _)| site.tls_client.is_some());
        let policies = std::iter::once(0).chain(owners.map(|(_, &policy)| policy));
        for (policy, trust) in policies.zip(&material.clients) {
            if let Some(place) = trusts.get_mut(policy) {
                place.clone_from(trust);
            }
        }
        trusts
    }
}

/// One state of all certificates.
pub(super) struct Context {
    policies: Vec<Policy>,
    certificates: Arc<Certificates>,
}

/// One policy, ready to shake hands.
struct Policy {
    trust: ClientTrust,
    tickets: Option<Arc<dyn ProducesTickets>>,
    /// By [`Protocols::index`].
    configs: [Arc<ServerConfig>; 4],
}

impl Context {
    /// Builds everything. What stays as it is in `before` keeps its ticket key.
    pub(super) fn new(
        config: &Config,
        rules: &Policies,
        material: &Material,
        before: Option<&Self>,
    ) -> Result<Self, Unusable> {
        let certificates = Certificates::new(&material.identities, config.tls.unknown_sni);
        let certificates = Arc::new(
            certificates
                .map_err(|(name, problem)| Unusable(format!("certificate `{name}`: {problem}")))?,
        );
        let trusts = rules.trusts(config, material);
        let policies = trusts.into_iter().zip(&rules.rules).enumerate();
        let policies = policies.map(|(index, (trust, rule))| {
            let before = before.and_then(|context| context.policies.get(index));
            let tickets = match before.filter(|before| before.trust == trust) {
                _ if !config.tls.session_tickets => None,
                Some(before) => before.tickets.clone(),
                None => Some(new_tickets()?),
            };
            let base = server_config(&config.tls, rule, &trust, certificates.clone(), &tickets)?;
            Ok(Policy {
                trust,
                tickets,
                configs: variants(&base),
            })
        });
        Ok(Self {
            policies: policies.collect::<Result<_, _>>()?,
            certificates,
        })
    }

    /// Whether one who asks for `host` is shown a certificate.
    pub(super) fn has_certificate(&self, host: &str) -> bool {
        self.certificates.has(host)
    }

    /// What a connection under `policy` is served with.
    pub(super) fn config(&self, policy: usize, protocols: Protocols) -> Option<Arc<ServerConfig>> {
        let policy = self.policies.get(policy)?;
        policy.configs.get(protocols.index()).cloned()
    }
}

fn new_tickets() -> Result<Arc<dyn ProducesTickets>, Unusable> {
    rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|error| Unusable(error.to_string()))
}

/// The same for each set of protocols.
fn variants(base: &ServerConfig) -> [Arc<ServerConfig>; 4] {
    std::array::from_fn(|index| {
        let protocols = Protocols {
            h1: index & 1 != 0,
            h2: index & 2 != 0,
        };
        let mut config = base.clone();
        config.alpn_protocols = protocols.alpn();
        Arc::new(config)
    })
}

fn server_config(
    tls: &Tls,
    rule: &ClientAuth,
    trust: &ClientTrust,
    certificates: Arc<Certificates>,
    tickets: &Option<Arc<dyn ProducesTickets>>,
) -> Result<ServerConfig, Unusable> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(tls.min))
        .map_err(|error| Unusable(error.to_string()))?;
    let builder = match verifier(rule.mode, trust)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(certificates);
    // Sessions live in tickets alone; the default would keep some of them in memory as well.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    match tickets {
        Some(tickets) => config.ticketer = tickets.clone(),
        None => config.send_tls13_tickets = 0,
    }
    Ok(config)
}

pub(super) fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    match min {
        TlsVersion::V12 => &BOTH,
        TlsVersion::V13 => &BOTH[..1],
    }
}

/// Whether certificates of clients could be checked with `trust`. The supervisor asks before it
/// hands it to the front.
pub fn check_clients(mode: ClientAuthMode, trust: &ClientTrust) -> Result<(), Unusable> {
    verifier(mode, trust).map(drop)
}

/// Certificates of clients are checked up to their authority, with the revocation lists if there
/// are some: then for every one of the chain, and a list that has run out makes it fail.
fn verifier(
    mode: ClientAuthMode,
    trust: &ClientTrust,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, Unusable> {
    if mode == ClientAuthMode::Off {
        return Ok(None);
    }
    let unusable = |error: &dyn fmt::Display| Unusable(format!("client certificates: {error}"));
    let roots = roots(&trust.ca).map_err(|error| unusable(&error))?;
    let lists = CertificateRevocationListDer::pem_slice_iter(trust.crl.as_bytes());
    let lists = lists
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(&format!("the revocation list cannot be read ({error})")))?;
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    if !lists.is_empty() {
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    if mode == ClientAuthMode::Request {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map(Some).map_err(|error| unusable(&error))
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}
