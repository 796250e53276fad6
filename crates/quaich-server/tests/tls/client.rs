//! A blocking client over rustls.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue, WebPkiServerVerifier,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, NamedGroup, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

use crate::certificates::{Authority, Leaf};

/// How a client shakes hands. Clones share their sessions.
#[derive(Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    sessions: Arc<dyn ClientSessionStore>,
}

/// An open connection.
pub type Connection = StreamOwned<ClientConnection, TcpStream>;

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Client {
    /// A client that believes `authority`.
    pub fn new(authority: &Authority) -> Self {
        Self::with(
            authority,
            None,
            aws_lc_rs::default_provider(),
            rustls::ALL_VERSIONS,
        )
    }

    /// The same, with a certificate of its own.
    pub fn with_certificate(authority: &Authority, leaf: &Leaf) -> Self {
        let provider = aws_lc_rs::default_provider();
        Self::with(authority, Some(leaf), provider, rustls::ALL_VERSIONS)
    }

    pub fn with(
        authority: &Authority,
        leaf: Option<&Leaf>,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM");
        roots.add(root).expect("an authority");
        let provider = Arc::new(provider);
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_webpki_verifier(verifier.build().expect("a verifier"));
        let mut config = match leaf {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let chain = CertificateDer::from_pem_slice(leaf.cert.as_bytes()).expect("PEM");
                let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).expect("PEM");
                builder
                    .with_client_auth_cert(vec![chain], key)
                    .expect("a certificate")
            }
        };
        let sessions = Arc::new(ClientSessionMemoryCache::new(32));
        config.resumption = Resumption::store(sessions.clone());
        Self {
            config: Arc::new(config),
            sessions,
        }
    }

    /// Offers these protocols.
    pub fn alpn(self, names: &[&str]) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self {
            config: Arc::new(config),
            ..self
        }
    }

    /// Presents, wherever it goes, the sessions that it has with `from`.
    pub fn resuming_as(&self, from: &str) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = Resumption::store(Arc::new(Transplanted {
            store: self.sessions.clone(),
            from: ServerName::try_from(from.to_owned()).expect("a name"),
        }));
        Self {
            config: Arc::new(config),
            sessions: self.sessions.clone(),
        }
    }

    /// Says no name.
    pub fn without_sni(self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.enable_sni = false;
        Self {
            config: Arc::new(config),
            ..self
        }
    }

    /// Connects and shakes hands.
    pub fn connect(&self, addr: SocketAddr, name: &str) -> io::Result<Connection> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let conn = ClientConnection::new(self.config.clone(), name).map_err(io::Error::other)?;
        let socket = TcpStream::connect(addr)?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut stream = StreamOwned::new(conn, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    /// As [`connect`](Self::connect), with every byte of the first message on its own.
    pub fn dripping(&self, addr: SocketAddr, name: &str) -> io::Result<Connection> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let mut conn =
            ClientConnection::new(self.config.clone(), name).map_err(io::Error::other)?;
        let mut hello = Vec::new();
        conn.write_tls(&mut hello)?;
        let mut socket = TcpStream::connect(addr)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        for byte in hello {
            socket.write_all(&[byte])?;
        }
        let mut stream = StreamOwned::new(conn, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    /// One request over a connection of its own; the answer, and whether a session was resumed.
    pub fn get(&self, addr: SocketAddr, name: &str, path: &str) -> io::Result<(Answer, bool)> {
        let mut stream = self.connect(addr, name)?;
        let answer = get(&mut stream, name, path)?;
        let resumed = stream.conn.handshake_kind() == Some(HandshakeKind::Resumed);
        stream.conn.send_close_notify();
        let _ = stream.flush();
        Ok((answer, resumed))
    }
}

/// Sessions that are remembered for one server and used for every other.
#[derive(Debug)]
struct Transplanted {
    store: Arc<dyn ClientSessionStore>,
    from: ServerName<'static>,
}

impl ClientSessionStore for Transplanted {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.store.tls12_session(&self.from)
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {}

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.store.take_tls13_ticket(&self.from)
    }
}

/// A request and its answer over an open connection.
pub fn get(stream: &mut impl ReadWrite, host: &str, path: &str) -> io::Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    read_answer(stream)
}

/// Reads and writes.
pub trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

/// Reads one answer with a `Content-Length`.
pub fn read_answer(stream: &mut impl Read) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length =
                field(&head, "content-length").map_or(0, |text| text.parse().expect("a number"));
            if bytes.len() >= end + 4 + length {
                let status = head[9..12].parse().expect("a status");
                let body = bytes[end + 4..end + 4 + length].to_vec();
                return Ok(Answer { status, body });
            }
        }
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

/// A field of a head.
pub fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim())
}

/// Names in the certificate that the server has shown.
pub fn shown(stream: &Connection) -> Vec<u8> {
    let certificates = stream.conn.peer_certificates().expect("a certificate");
    certificates[0].to_vec()
}
