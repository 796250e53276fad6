//! Certificates and keys as the supervisor hands them to the front: read and checked, as PEM.
//!
//! The front opens none of these files: it may not be allowed to, and they may be half-written.

use std::fmt;

use quaich_config::model::HostPattern;
use serde::{Deserialize, Serialize};

/// All that TLS works with beside the configuration. A new one replaces the old one as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Material {
    /// For clients. The first is the default.
    pub identities: Vec<Identity>,
    /// CAs and revocation lists for client certificates: first those of `[tls.client]`, then one
    /// for each site, in order, that has `tls_client`. Empty texts where the mode is `Off`.
    pub clients: Vec<ClientTrust>,
    /// For each upstream, in order.
    pub upstreams: Vec<UpstreamMaterial>,
}

/// A certificate chain and its key, which are known to fit.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Where it comes from, for logs: table name, or `acme:shop.example.org`.
    pub name: String,
    /// PEM, the certificate first.
    pub chain: String,
    /// PEM.
    pub key: String,
    /// For which names it is used.
    pub hosts: Vec<HostPattern>,
    /// An OCSP answer (DER) to staple.
    pub ocsp: Option<Vec<u8>>,
}

/// Which client certificates are believed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientTrust {
    /// PEM of the CAs.
    pub ca: String,
    /// PEM of revocation lists.
    pub crl: String,
}

/// TLS to the servers of one upstream.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UpstreamMaterial {
    /// PEM of the CAs: of the upstream's `ca`, else the system's, which the supervisor puts here.
    /// Empty is an error unless nothing is verified.
    pub ca: String,
    /// PEM of our certificate chain; empty = none.
    pub chain: String,
    /// PEM of its key.
    pub key: String,
}

/// Bytes that must not be known outside of quaich.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// These.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// To make something of.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a certificate authority asks to be shown while it checks a name.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum Challenge {
    /// `GET /.well-known/acme-challenge/TOKEN` over HTTP, for any host, is answered with `answer`.
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
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Identity");
        shown.field("name", &self.name).field("hosts", &self.hosts);
        shown.finish_non_exhaustive()
    }
}

impl fmt::Debug for UpstreamMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamMaterial").finish_non_exhaustive()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http01 { token, .. } => f.debug_tuple("Http01").field(token).finish(),
            Self::TlsAlpn01 { host, .. } => f.debug_tuple("TlsAlpn01").field(host).finish(),
        }
    }
}
