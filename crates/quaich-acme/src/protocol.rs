//! What supervisor and agent say to each other: one JSON value a line.
//!
//! Supervisor to agent (its standard input): one [`Job`], then an [`Ack`] for each
//! [`Event::Challenges`]. The end of the input tells the agent to stop. Agent to supervisor (its
//! standard output): [`Event`]s. All times are seconds since 1970.

use std::fmt;
use std::path::PathBuf;

use quaich_config::model::Acme;
use serde::{Deserialize, Serialize};

/// What the agent is to look after in one pass. It decides itself what of it is due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The state directory. The agent writes below `acme/` and `ocsp/` in it.
    pub state_dir: PathBuf,
    /// The certificate authority; `None` = only OCSP. Its `names` are not used.
    pub acme: Option<Acme>,
    /// One certificate for each entry, exact names; the first one names it in the store.
    pub names: Vec<Vec<String>>,
    /// Certificates whose entry holds one of these names are ordered now, due or not.
    pub force: Vec<String>,
    /// Whether a listener can answer http-01 (plain HTTP, port 80 of the names reaches it).
    pub http_01: bool,
    /// Whether a listener can answer tls-alpn-01 (TLS, port 443 of the names reaches it).
    pub tls_alpn_01: bool,
    /// Certificates that want an OCSP answer.
    pub ocsp: Vec<OcspJob>,
}

/// A certificate that wants an OCSP answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OcspJob {
    /// Copied to the event.
    pub certificate: String,
    /// PEM: the certificate, then at least its issuer.
    pub chain: String,
}

/// Answer to [`Event::Challenges`]: they are in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Of the event.
    pub ack: u64,
}

/// What the agent reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// All that the authority may ask for now, in place of what was said before. The agent waits
    /// for the [`Ack`] of the same `id`, unless the list is empty.
    Challenges {
        /// Copied to the [`Ack`].
        id: u64,
        /// All of them.
        challenges: Vec<Challenge>,
    },
    /// A new certificate lies in the store.
    Issued {
        /// As in [`Job::names`].
        names: Vec<String>,
        /// As [`store::Stored::directory`](crate::store::Stored::directory).
        directory: String,
        /// When it expires.
        not_after: u64,
    },
    /// There is no new certificate. What lies in the store is as it was.
    Failed {
        /// As in [`Job::names`].
        names: Vec<String>,
        /// What failed, what the authority said, what to do.
        reason: String,
        /// When it is tried again.
        retry_at: u64,
    },
    /// An OCSP answer that is good to staple. Reported on every pass, fetched only when due.
    Ocsp {
        /// Of the [`OcspJob`].
        certificate: String,
        /// The answer.
        der: Vec<u8>,
        /// Until when it may be stapled.
        next_update: u64,
    },
    /// Its authority has revoked it: what was stapled before must not be any more.
    Revoked {
        /// Of the [`OcspJob`].
        certificate: String,
    },
    /// When there is something to do again. Last event of a pass; without it (nothing will ever be
    /// due, or the agent crashed) the supervisor chooses.
    Next {
        /// The time of the next pass.
        at: u64,
    },
    /// For the supervisor's log.
    Log {
        /// How loud.
        level: Level,
        /// The line.
        message: String,
    },
}

/// How loud a line of the agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Something does not work, and somebody must act.
    Error,
    /// Something is not as it should be; quaich goes on.
    Warn,
    /// What an operator wants to have seen afterwards.
    Info,
    /// For finding out why.
    Debug,
}

/// What a certificate authority asks to be shown while it checks a name.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Challenge {
    /// `GET /.well-known/acme-challenge/TOKEN` over HTTP is answered with `answer`.
    Http01 {
        /// Last segment of the path.
        token: String,
        /// Body.
        answer: String,
    },
    /// A TLS handshake for `host` with ALPN `acme-tls/1` gets this certificate (RFC 8737).
    TlsAlpn01 {
        /// Name in the SNI.
        host: String,
        /// PEM.
        chain: String,
        /// PEM.
        key: String,
    },
}

// Keys must not get into a log by way of `{:?}`.
impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http01 { token, .. } => f.debug_tuple("Http01").field(token).finish(),
            Self::TlsAlpn01 { host, .. } => f.debug_tuple("TlsAlpn01").field(host).finish(),
        }
    }
}
