//! What an exchange may know of the TLS connection that it came over.

use std::sync::Arc;

use rustls::{CommonState, HandshakeKind, ProtocolVersion};

use super::certificates::Shown;
use super::client_certificate::ClientCertificate;

/// One connection's handshake, as it turned out.
#[derive(Debug)]
pub struct Session {
    /// The name that the client asked for, in lower case.
    pub sni: Option<String>,
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The cipher suite in IANA's words.
    pub cipher: String,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// HTTP/2 was agreed on.
    pub http2: bool,
    /// Which rules for client certificates hold.
    pub policy: usize,
    /// Whether the client was asked for a certificate.
    pub asked: bool,
    /// The one it has shown, which was found to be good.
    pub client: Option<ClientCertificate>,
    pub(super) shown: Option<Arc<Shown>>,
}

impl Session {
    /// What apps find in their environment, in the words of Apache's mod_ssl. The names begin with
    /// `=`, which tells the worker that they are no header fields.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let client = self.client.as_ref();
        [
            ("=SSL_PROTOCOL", Some(self.version)),
            ("=SSL_CIPHER", Some(self.cipher.as_str())),
            ("=SSL_CLIENT_VERIFY", self.verdict()),
            (
                "=SSL_CLIENT_S_DN",
                client.map(|client| client.subject.as_str()),
            ),
            (
                "=SSL_CLIENT_I_DN",
                client.map(|client| client.issuer.as_str()),
            ),
            (
                "=SSL_CLIENT_M_SERIAL",
                client.map(|client| client.serial.as_str()),
            ),
            (
                "=SSL_CLIENT_FINGERPRINT",
                client.map(|client| client.fingerprint.as_str()),
            ),
            (
                "=SSL_CLIENT_V_START",
                client.map(|client| client.not_before.as_str()),
            ),
            (
                "=SSL_CLIENT_V_END",
                client.map(|client| client.not_after.as_str()),
            ),
            ("=SSL_CLIENT_CERT", client.map(|client| client.pem.as_str())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    /// What servers are told in header fields, where the client was asked for a certificate.
    /// `Client-Cert` is that of RFC 9440.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let client = self.client.as_ref();
        [
            ("X-SSL-Client-Verify", self.verdict()),
            (
                "X-SSL-Client-S-DN",
                client.map(|client| client.subject.as_str()),
            ),
            (
                "X-SSL-Client-I-DN",
                client.map(|client| client.issuer.as_str()),
            ),
            (
                "X-SSL-Client-Serial",
                client.map(|client| client.serial.as_str()),
            ),
            ("Client-Cert", client.map(|client| client.field.as_str())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    /// A bad certificate is none: the handshake fails with it.
    fn verdict(&self) -> Option<&'static str> {
        let verdict = match &self.client {
            Some(_) => "SUCCESS",
            None => "NONE",
        };
        self.asked.then_some(verdict)
    }

    /// Whether the certificate that was shown speaks for `host`. A client that asked for no name
    /// took what came; one that says no host (HTTP/1.0) means the name that it asked for.
    pub(super) fn speaks_for(&self, host: &[u8]) -> bool {
        let Some(sni) = &self.sni else {
            return true;
        };
        if host.is_empty() || sni.as_bytes() == host {
            return true;
        }
        match (&self.shown, std::str::from_utf8(host)) {
            (Some(shown), Ok(host)) => shown.covers(host),
            _ => false,
        }
    }
}

pub(super) fn version_name(state: &CommonState) -> &'static str {
    match state.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    }
}

pub(super) fn cipher_name(state: &CommonState) -> String {
    let suite = state.negotiated_cipher_suite();
    let name = suite.map(|suite| format!("{:?}", suite.suite()));
    // rustls marks those of TLS 1.3.
    name.unwrap_or_default().replacen("TLS13_", "TLS_", 1)
}

pub(super) fn is_resumed(state: &CommonState) -> bool {
    state.handshake_kind() == Some(HandshakeKind::Resumed)
}
