//! What certificate authorities may ask for while they check a name: files over HTTP, and
//! certificates over TLS (RFC 8555 section 8.3, RFC 8737).

use std::collections::HashMap;
use std::sync::Arc;

use quaich_config::model::TlsVersion;
use rustls::server::ServerConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::context::{Unusable, versions};
use super::identity;
use super::provider::provider;
use crate::link::Challenge;

/// The protocol of RFC 8737.
pub(super) const ACME_TLS: &[u8] = b"acme-tls/1";

/// All that may be asked for at one time.
#[derive(Debug, Default)]
pub(super) struct Challenges {
    http: HashMap<String, String>,
    tls: HashMap<String, Arc<ServerConfig>>,
}

impl Challenges {
    pub(super) fn new(challenges: Vec<Challenge>) -> Result<Self, Unusable> {
        let mut all = Self::default();
        for challenge in challenges {
            match challenge {
                Challenge::Http01 { token, answer } => {
                    all.http.insert(token, answer);
                }
                Challenge::TlsAlpn01 { host, chain, key } => {
                    let config = server_config(&chain, &key)
                        .map_err(|why| Unusable(format!("challenge for {host}: {why}")))?;
                    all.tls.insert(host.to_ascii_lowercase(), Arc::new(config));
                }
            }
        }
        Ok(all)
    }

    pub(super) fn has_http(&self) -> bool {
        !self.http.is_empty()
    }

    pub(super) fn has_tls(&self) -> bool {
        !self.tls.is_empty()
    }

    pub(super) fn http(&self, token: &str) -> Option<&str> {
        self.http.get(token).map(String::as_str)
    }

    /// What a handshake for `host` is answered with.
    pub(super) fn tls(&self, host: &str) -> Option<Arc<ServerConfig>> {
        self.tls.get(&host.to_ascii_lowercase()).cloned()
    }
}

fn server_config(chain: &str, key: &str) -> Result<ServerConfig, Unusable> {
    let (chain, key) = identity::parse(chain.as_bytes(), key.as_bytes())
        .map_err(|problem| Unusable(problem.to_string()))?;
    let provider = provider();
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| Unusable(error.to_string()))?;
    // That it fits is not checked: the certificate has an extension (RFC 8737 section 3) that is
    // critical and that no verifier knows.
    let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(TlsVersion::V12))
        .map_err(|error| Unusable(error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(config)
}
