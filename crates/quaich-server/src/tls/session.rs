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
    /// Whether the certificate that was shown speaks for `host`. A client that asked for no name
    /// took what came.
    pub(super) fn speaks_for(&self, host: &[u8]) -> bool {
        let Some(sni) = &self.sni else {
            return true;
        };
        if sni.as_bytes() == host {
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
