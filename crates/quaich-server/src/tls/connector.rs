//! TLS towards servers: one connector for each upstream, shared by its connections.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use quaich_config::model;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::identity;
use super::provider::provider;
use super::records::{Conn, Records};
use super::stream::TlsStream;
use crate::link::UpstreamMaterial;
use crate::socket::Socket;
use crate::stream::Stream;

/// Sessions that are kept for servers of one upstream.
const SESSIONS: usize = 64;

/// Opens TLS on connections to servers. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
    /// In place of the server's own name.
    name: Option<ServerName<'static>>,
}

/// Why an upstream's TLS cannot be set up; for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(pub String);

impl Connector {
    /// A connector with the settings of one upstream. `alpn` is offered, the best first; empty =
    /// nothing is said of the protocol. Sessions are resumed among all its clones.
    ///
    /// `material.ca` must not be empty unless nothing is verified: the supervisor puts the system's
    /// authorities there.
    pub fn new(
        settings: &model::UpstreamTls,
        material: &UpstreamMaterial,
        alpn: &[&[u8]],
    ) -> Result<Self, Unusable> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Unusable(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier(settings.verify, &material.ca)?);
        let mut config = match material.chain.is_empty() {
            true => builder.with_no_client_auth(),
            false => {
                let (chain, key) =
                    identity::parse(material.chain.as_bytes(), material.key.as_bytes())
                        .map_err(|problem| Unusable(format!("client certificate: {problem}")))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| Unusable(format!("client certificate: {error}")))?
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        let name = settings.sni.as_deref().map(server_name).transpose();
        Ok(Self {
            config: Arc::new(config),
            name: name.map_err(|error| Unusable(error.to_string()))?,
        })
    }

    /// Shakes hands on `socket`, which is connected. `server` is the server's name, or its address,
    /// and is asked for and checked unless the settings name another. Gives the stream and the
    /// protocol that the server chose of those offered.
    ///
    /// Has no deadline of its own. A certificate that is refused is an error of kind `InvalidData`
    /// whose text says why.
    pub async fn connect(
        &self,
        socket: Socket,
        server: &str,
    ) -> io::Result<(Stream, Option<Vec<u8>>)> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => server_name(server)?,
        };
        let conn =
            UnbufferedClientConnection::new(self.config.clone(), name).map_err(io::Error::other)?;
        let stream = TlsStream::new(socket, Records::new(Conn::Client(conn)));
        stream.handshake().await?;
        stream.flush().await?;
        let alpn = stream.alpn();
        Ok((Stream::Tls(Box::new(stream)), alpn))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

fn server_name(name: &str) -> io::Result<ServerName<'static>> {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(addr) = bare.parse::<IpAddr>() {
        return Ok(ServerName::from(addr));
    }
    ServerName::try_from(name.to_owned()).map_err(|_| {
        let why = format!("`{name}` is no name that a certificate could have");
        io::Error::new(io::ErrorKind::InvalidInput, why)
    })
}

fn verifier(verify: bool, ca: &str) -> Result<Arc<dyn ServerCertVerifier>, Unusable> {
    let provider = provider();
    if !verify {
        return Ok(Arc::new(Anybody(
            provider.signature_verification_algorithms,
        )));
    }
    let roots = roots(ca)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| Unusable(error.to_string()))?;
    Ok(verifier)
}

/// The authorities in `ca` (PEM). Those that cannot be read are left out, as long as there is one
/// that can: systems have odd ones.
pub(super) fn roots(ca: &str) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_slice_iter(ca.as_bytes()).flatten();
    roots.add_parsable_certificates(certificates);
    match roots.is_empty() {
        true => Err(Unusable(
            "no certificate of an authority (CA) to verify with".into(),
        )),
        false => Ok(roots),
    }
}

/// `verify = false`: whoever answers is believed, as long as it has the key of what it shows.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
