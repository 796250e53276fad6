//! The client side of TLS: what a client believes, shows and offers, and what came of it.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, RootCertStore,
    SignatureScheme, StreamOwned, SupportedProtocolVersion,
};

use crate::PATIENCE;
use crate::certificates::{Ca, Leaf};

/// A kind of TLS client. Connections of one value share its sessions, so that the second one
/// resumes the first unless `no_resumption` was called.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    name: String,
}

/// What a handshake came to.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// `TLSv1_3`, `TLSv1_2`
    pub version: String,
    /// Name of the cipher suite.
    pub cipher: String,
    /// Name of the key exchange group.
    pub group: String,
    /// What ALPN chose.
    pub alpn: Option<String>,
    /// Whether an earlier session went on.
    pub resumed: bool,
    /// The certificate that was shown.
    pub certificate: Option<CertificateDer<'static>>,
}

pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

impl TlsClient {
    /// One that believes this CA and asks for `test`; it offers no ALPN and shows no certificate.
    ///
    /// # Panics
    /// When the CA's certificate cannot be used.
    #[must_use]
    pub fn believing(ca: &Ca) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(ca.der()).expect("a CA's certificate");
        let config = builder(rustls::ALL_VERSIONS).with_root_certificates(roots);
        Self::of(config.with_no_client_auth())
    }

    /// One that believes anybody.
    #[must_use]
    pub fn credulous() -> Self {
        Self::of(any_server(rustls::ALL_VERSIONS).with_no_client_auth())
    }

    /// One that believes anybody and speaks one version only.
    #[must_use]
    pub fn of_version(version: &'static SupportedProtocolVersion) -> Self {
        Self::of(any_server(&[version]).with_no_client_auth())
    }

    /// One that believes anybody and shows this certificate when it is asked.
    ///
    /// # Panics
    /// When the certificate and its key cannot be used.
    #[must_use]
    pub fn showing(leaf: &Leaf) -> Self {
        let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).expect("a key in PEM");
        let config =
            any_server(rustls::ALL_VERSIONS).with_client_auth_cert(vec![leaf.der.clone()], key);
        Self::of(config.expect("a certificate and its key"))
    }

    /// Asks for this name or IP address (an address is never sent as SNI).
    #[must_use]
    pub fn asking(mut self, name: &str) -> Self {
        self.name = name.to_string();
        self
    }

    /// Offers these protocols.
    #[must_use]
    pub fn offering(self, alpn: &[&str]) -> Self {
        let alpn = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        self.changed(|config| config.alpn_protocols = alpn)
    }

    /// Sends no SNI.
    #[must_use]
    pub fn without_sni(self) -> Self {
        self.changed(|config| config.enable_sni = false)
    }

    /// Makes every handshake a full one.
    #[must_use]
    pub fn without_resumption(self) -> Self {
        self.changed(|config| config.resumption = Resumption::disabled())
    }

    fn of(config: ClientConfig) -> Self {
        Self {
            config: Arc::new(config),
            name: "test".to_string(),
        }
    }

    fn changed(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// When it fails; the text is rustls's, the alert of the other side included.
    ///
    /// # Panics
    /// When nobody listens there.
    #[track_caller]
    pub(crate) fn connect(&self, addr: SocketAddr) -> Result<TlsStream, String> {
        let socket = TcpStream::connect_timeout(&addr, PATIENCE);
        let mut socket = socket.unwrap_or_else(|e| panic!("cannot connect to {addr}: {e}"));
        socket.set_nodelay(true).expect("TCP_NODELAY can be set");
        let wait = Some(PATIENCE);
        socket.set_read_timeout(wait).expect("a timeout can be set");
        let name = ServerName::try_from(self.name.clone()).expect("a server's name");
        let connection = ClientConnection::new(self.config.clone(), name);
        let mut connection = connection.expect("a client's configuration");
        while connection.is_handshaking() {
            let came = connection.complete_io(&mut socket);
            came.map_err(|e| e.to_string())?;
        }
        Ok(StreamOwned::new(connection, socket))
    }
}

impl Handshake {
    pub(crate) fn of(connection: &ClientConnection) -> Self {
        let version = connection.protocol_version();
        let cipher = connection.negotiated_cipher_suite();
        let group = connection.negotiated_key_exchange_group();
        let alpn = connection.alpn_protocol();
        let certificates = connection.peer_certificates();
        Self {
            version: version.map_or_else(String::new, |v| format!("{v:?}")),
            cipher: cipher.map_or_else(String::new, |c| format!("{:?}", c.suite())),
            group: group.map_or_else(String::new, |g| format!("{:?}", g.name())),
            alpn: alpn.map(|name| String::from_utf8_lossy(name).into_owned()),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            certificate: certificates
                .and_then(<[_]>::first)
                .map(|certificate| certificate.clone().into_owned()),
        }
    }
}

type Builder<State> = rustls::ConfigBuilder<ClientConfig, State>;

fn builder(versions: &[&'static SupportedProtocolVersion]) -> Builder<rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    builder
        .with_protocol_versions(versions)
        .expect("versions that the provider has")
}

fn any_server(
    versions: &[&'static SupportedProtocolVersion],
) -> Builder<rustls::client::WantsClientCert> {
    builder(versions)
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
}

/// Believes every server: the tests that use it look at the certificate themselves.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
