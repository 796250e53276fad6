//! The front's side of TLS towards clients: one for all threads, asked once per connection.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use quaich_config::model::Config;

use super::challenges::Challenges;
use super::context::{Context, Policies, Unusable};
use super::session::Session;
use crate::link::{Challenge, Material};

/// Certificates, policies and challenges as they are now.
pub struct Terminator {
    config: Arc<Config>,
    pub(super) policies: Policies,
    context: RwLock<Arc<Context>>,
    challenges: RwLock<Arc<Challenges>>,
    /// So that a request need not lock to learn that there are none.
    has_http_challenges: AtomicBool,
}

/// Why a request must not be answered over the connection that it came on (RFC 9110 section
/// 15.5.20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misdirected;

impl Terminator {
    /// TLS with the certificates of `material`. Without any, nobody can shake hands.
    pub fn new(config: Arc<Config>, material: &Material) -> Result<Self, Unusable> {
        let policies = Policies::new(&config);
        let context = Context::new(&config, &policies, material, None)?;
        Ok(Self {
            config,
            policies,
            context: RwLock::new(Arc::new(context)),
            challenges: RwLock::default(),
            has_http_challenges: AtomicBool::new(false),
        })
    }

    /// Other certificates for new connections. When they cannot be used, all stays as it is.
    pub fn replace(&self, material: &Material) -> Result<(), Unusable> {
        let before = self.context();
        let context = Context::new(&self.config, &self.policies, material, Some(&before))?;
        *self.context.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(context);
        Ok(())
    }

    /// Other challenges in place of all there were.
    pub fn challenge(&self, challenges: Vec<Challenge>) -> Result<(), Unusable> {
        let challenges = Challenges::new(challenges)?;
        self.has_http_challenges
            .store(challenges.has_http(), Ordering::Release);
        *self
            .challenges
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(challenges);
        Ok(())
    }

    /// The answer to an http-01 challenge.
    pub fn http_challenge(&self, token: &str) -> Option<String> {
        if !self.has_http_challenges.load(Ordering::Acquire) {
            return None;
        }
        self.challenges().http(token).map(str::to_owned)
    }

    /// Whether a request for `host` (lower case, without port) of `site` may be answered over a
    /// connection with `session`: the rules for client certificates must be those of the
    /// connection, and the certificate that was shown must speak for the host, so that one who
    /// reads along cannot turn a request for one site into one for another (RFC 9113 section
    /// 9.1.1). `behind_proxy` says that a trusted proxy sent it, which may use one connection for
    /// many hosts.
    pub fn admits(
        &self,
        session: &Session,
        site: usize,
        host: &[u8],
        behind_proxy: bool,
    ) -> Result<(), Misdirected> {
        let same_rules = self.policies.of_site(Some(site)) == session.policy;
        let spoken_for = behind_proxy || session.speaks_for(host);
        match same_rules && spoken_for {
            true => Ok(()),
            false => Err(Misdirected),
        }
    }

    /// Whether one who asks for `host` (lower case, without port) over TLS is shown a certificate,
    /// be it the default one.
    pub fn has_certificate(&self, host: &[u8]) -> bool {
        let host = std::str::from_utf8(host);
        host.is_ok_and(|host| self.context().has_certificate(host))
    }

    pub(super) fn context(&self) -> Arc<Context> {
        self.context
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn challenges(&self) -> Arc<Challenges> {
        self.challenges
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl fmt::Debug for Terminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminator").finish_non_exhaustive()
    }
}
