//! `[tls]` and what belongs to it: certificates, client certificates, ACME, TLS to upstreams.
//!
//! Files are named here, never read: the supervisor reads them before privileges are dropped.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::HostPattern;

/// `[tls]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tls {
    /// Oldest version spoken with clients.
    pub min: TlsVersion,
    /// Whether clients may resume sessions with tickets.
    pub session_tickets: bool,
    /// Whether an OCSP answer is fetched and stapled for certificates that name a responder.
    pub ocsp: bool,
    /// What a client gets that asks for a name without certificate.
    pub unknown_sni: UnknownSni,
    /// Sites without a certificate get one of the local development CA in the state directory.
    pub local_ca: bool,
    /// `[tls.cert.NAME]`, in file order. The first is the default.
    pub certificates: Vec<Certificate>,
    /// `[tls.client]`
    pub client: ClientAuth,
    /// `[tls.acme]`
    pub acme: Option<Acme>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            min: TlsVersion::V12,
            session_tickets: true,
            ocsp: true,
            unknown_sni: UnknownSni::Reject,
            local_ca: false,
            certificates: Vec::new(),
            client: ClientAuth::default(),
            acme: None,
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    /// 1.2
    V12,
    /// 1.3
    V13,
}

/// What a client gets that asks for a name without certificate. One that names nothing gets the
/// default certificate in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnknownSni {
    /// The alert `unrecognized_name`.
    Reject,
    /// The first certificate.
    Default,
}

/// `[tls.cert.NAME]`: a certificate chain and its key, from files. Several may cover one name with
/// keys of different kinds (ECDSA and RSA).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// Table name.
    pub name: String,
    /// PEM: the certificate, then its issuers.
    pub cert: PathBuf,
    /// PEM: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: PathBuf,
    /// For which names it is used; `None` = those in the certificate.
    pub hosts: Option<Vec<HostPattern>>,
}

/// `[tls.client]`, and `tls_client` of a site: certificates of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientAuth {
    /// Whether a certificate is asked for.
    pub mode: ClientAuthMode,
    /// PEM of the CAs that are believed; there is one unless `mode` is `Off`.
    pub ca: Option<PathBuf>,
    /// PEM of revocation lists.
    pub crl: Option<PathBuf>,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ClientAuthMode {
    /// No.
    #[default]
    Off,
    /// Yes; without one the request goes on, and the app sees `SSL_CLIENT_VERIFY=NONE`.
    Request,
    /// Yes; without a good one there is no connection.
    Require,
}

/// `[tls.acme]`: certificates that quaich gets and renews itself (RFC 8555).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acme {
    /// Contact address of the account.
    pub email: Option<String>,
    /// Directory URL, resolved from the short names.
    pub directory: String,
    /// PEM of the CA that is believed for the directory itself; `None` = the system's.
    pub ca_file: Option<PathBuf>,
    /// How control over a name is shown.
    pub challenge: AcmeChallenge,
    /// Certificate profile.
    pub profile: Option<String>,
    /// External account binding.
    pub eab: Option<AcmeEab>,
    /// One certificate for each entry, of at most 100 names: the exact names of every site that is
    /// reachable over TLS and that no `[tls.cert.NAME]` with `hosts` covers, site by site. No name
    /// stands twice; addresses and `localhost` are left out. Names that certificates in files turn
    /// out to cover are left out when those files are read.
    pub names: Vec<Vec<String>>,
}

/// How control over a name is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AcmeChallenge {
    /// Whatever the CA offers and the listeners allow: tls-alpn-01, else http-01.
    Auto,
    /// A file over HTTP on port 80.
    Http01,
    /// A certificate over TLS on port 443.
    TlsAlpn01,
}

/// External account binding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AcmeEab {
    /// Key id.
    pub kid: String,
    /// File that holds the base64url key.
    pub key_file: PathBuf,
}

/// TLS towards the servers of an upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpstreamTls {
    /// PEM of the CAs that are believed; `None` = the system's.
    pub ca: Option<PathBuf>,
    /// Name that is asked for and checked in place of the server's own.
    pub sni: Option<String>,
    /// PEM of the client certificate.
    pub cert: Option<PathBuf>,
    /// PEM of its key.
    pub key: Option<PathBuf>,
    /// Whether the server's certificate is checked at all.
    pub verify: bool,
}

impl Default for UpstreamTls {
    fn default() -> Self {
        Self {
            ca: None,
            sni: None,
            cert: None,
            key: None,
            verify: true,
        }
    }
}

/// Whether servers of an upstream are spoken to in HTTP/2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum H2 {
    /// If a `https` server chooses it (ALPN).
    #[default]
    Auto,
    /// Always; a `https` server that does not choose it is an error.
    On,
    /// Never.
    Off,
}
