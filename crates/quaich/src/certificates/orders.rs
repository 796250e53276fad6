//! What the agent is to look after: certificates from ACME, and OCSP answers.

use quaich_acme::{Job, OcspJob};
use quaich_config::Config;
use quaich_config::model::{AcmeChallenge, ListenAddr, Listener};

use super::Inventory;

impl Inventory {
    /// The names for which certificates are to be got, one entry for each certificate: those of
    /// the configuration without what certificates from files cover.
    pub(crate) fn orders(&self, config: &Config) -> Vec<Vec<String>> {
        let all = config.tls.acme.iter().flat_map(|acme| &acme.names);
        let left = all.map(|names| {
            let names = names.iter().filter(|name| !self.file_covers(name));
            names.cloned().collect::<Vec<String>>()
        });
        left.filter(|names| !names.is_empty()).collect()
    }

    /// Names that are ordered and have no certificate yet.
    pub(crate) fn waiting(&self, config: &Config) -> Vec<String> {
        let names = self.orders(config).into_iter().flatten();
        names.filter(|name| !self.covers(name)).collect()
    }

    /// A pass of the agent; `None` = it has nothing to look after.
    pub(crate) fn job(&self, config: &Config, force: Vec<String>) -> Option<Job> {
        let names = self.orders(config);
        let ocsp = self.ocsp_jobs(config);
        if names.is_empty() && ocsp.is_empty() {
            return None;
        }
        let (http_01, tls_alpn_01) = ways(config);
        Some(Job {
            state_dir: config.server.state_dir.clone(),
            acme: config.tls.acme.clone().filter(|_| !names.is_empty()),
            names,
            force,
            http_01,
            tls_alpn_01,
            ocsp,
        })
    }

    fn ocsp_jobs(&self, config: &Config) -> Vec<OcspJob> {
        if !config.tls.ocsp {
            return Vec::new();
        }
        // Without the issuer nothing can be asked.
        let has_issuer = |chain: &str| chain.matches("-----BEGIN CERTIFICATE-----").count() > 1;
        let wants = self.identities().filter(|(identity, facts)| {
            facts.ocsp_responder.is_some() && !facts.self_signed && has_issuer(&identity.chain)
        });
        let job = |(identity, _): (&quaich_server::link::Identity, _)| OcspJob {
            certificate: identity.name.clone(),
            chain: identity.chain.clone(),
        };
        wants.map(job).collect()
    }
}

/// Whether http-01 and tls-alpn-01 can be answered. The authority comes to port 80 or 443; a
/// listener elsewhere is believed to be what a forwarded port leads to when there is none there.
fn ways(config: &Config) -> (bool, bool) {
    let listeners = &config.server.listeners;
    let any = |tls: bool, at: Option<u16>| {
        let fits = |listener: &&Listener| {
            listener.tls == tls && listener.h1 | tls && at.is_none_or(|at| is_at(listener, at))
        };
        listeners.iter().any(|listener| fits(&listener))
    };
    let (at_80, at_443) = (any(false, Some(80)), any(true, Some(443)));
    let (plain, tls) = (any(false, None), any(true, None));
    match config.tls.acme.as_ref().map(|acme| acme.challenge) {
        Some(AcmeChallenge::Http01) => (plain, false),
        Some(AcmeChallenge::TlsAlpn01) => (false, tls),
        _ if at_80 || at_443 => (at_80, at_443),
        _ => (plain, tls),
    }
}

/// Whether it may listen at this port: of an inherited socket the port is not known.
fn is_at(listener: &Listener, port: u16) -> bool {
    match &listener.addr {
        ListenAddr::Tcp(addr) => addr.port() == port,
        ListenAddr::Fd(_) | ListenAddr::Systemd(_) => true,
        ListenAddr::Unix(_) => false,
    }
}
