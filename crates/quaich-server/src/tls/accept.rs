//! The server's half of a handshake: from the first bytes of a client to a stream with its session.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::AlertDescription;
use rustls::server::{Acceptor, ServerConfig, UnbufferedServerConnection};

use super::certificates::{Encounter, meet};
use super::challenges::ACME_TLS;
use super::client_certificate::ClientCertificate;
use super::context::Protocols;
use super::records::{Conn, Records};
use super::session::{self, Session};
use super::stream::TlsStream;
use super::terminator::Terminator;
use crate::buffer::{self, Buffer};
use crate::socket::Socket;

/// First byte of a handshake record.
const HANDSHAKE: u8 = 22;

/// Sent to clients that speak HTTP without TLS where TLS is spoken.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Content-Length: 55\r\nConnection: close\r\n\r\n\
    This port speaks HTTPS; use https:// in front of it.  \n";

/// Why there is no connection.
#[derive(Debug)]
pub enum Failure {
    /// The client left without a word.
    Silent,
    /// It spoke plain HTTP.
    PlainHttp,
    /// A certificate authority has seen what it wanted to see.
    Challenge,
    /// There is no certificate for the name it asked for.
    UnknownName(String),
    /// The handshake failed.
    Handshake(io::Error),
}

impl Terminator {
    /// Shakes hands on `socket`. `local` is the address that the client has connected to;
    /// `site_of` finds the site of a name, or of that address, on the listener.
    ///
    /// Has no deadline of its own.
    pub async fn accept(
        &self,
        socket: Socket,
        protocols: Protocols,
        local: Option<IpAddr>,
        site_of: impl Fn(&[u8]) -> Option<usize>,
    ) -> Result<TlsStream, Failure> {
        // Many connect long before they speak: they get no buffer yet.
        let readable = poll_fn(|cx| socket.poll_readable(cx)).await;
        readable.map_err(Failure::Handshake)?;
        let mut first = Buffer::lend();
        fill(&socket, &mut first).await?;
        match first.filled() {
            [HANDSHAKE, ..] => {}
            [b'A'..=b'Z', ..] => {
                write_quietly(&socket, PLAIN_HTTP);
                socket.shutdown_write();
                return Err(Failure::PlainHttp);
            }
            // rustls finds the right words.
            _ => {}
        }
        let opening = self
            .open(&socket, &mut first, protocols, local, site_of)
            .await?;
        let conn = UnbufferedServerConnection::new(opening.config).map_err(protocol_error)?;
        let records = Records::with_incoming(Conn::Server(conn), first);
        let stream = TlsStream::new(socket, records);
        let mut encounter = Encounter {
            local,
            ..Encounter::default()
        };
        let outcome = poll_fn(|cx| meet(&mut encounter, || stream.poll_handshake(cx))).await;
        if let Err(error) = outcome {
            let nameless = encounter.sought && encounter.shown.is_none();
            stream.send_alert(nameless.then_some(AlertDescription::UnrecognisedName));
            return Err(match encounter.name.filter(|_| nameless) {
                Some(name) => Failure::UnknownName(name),
                None => Failure::Handshake(error),
            });
        }
        if opening.challenge {
            let _ = stream.flush().await;
            stream.shutdown_write();
            return Err(Failure::Challenge);
        }
        let session = self.session(&stream, opening.policy, encounter)?;
        stream
            .finish_handshake(Rc::new(session))
            .await
            .map_err(Failure::Handshake)?;
        Ok(stream)
    }

    /// Chooses what the connection is served with. The client's first message is looked at ahead
    /// only where something depends on it.
    async fn open(
        &self,
        socket: &Socket,
        first: &mut Buffer,
        protocols: Protocols,
        local: Option<IpAddr>,
        site_of: impl Fn(&[u8]) -> Option<usize>,
    ) -> Result<Opening, Failure> {
        let challenges = self.challenges();
        let mut policy = self.policies.of_site(None);
        if self.policies.count() > 1 || challenges.has_tls() {
            let hello = read_hello(socket, first).await?;
            let hello = hello.client_hello();
            let asks_challenge = hello
                .alpn()
                .is_some_and(|mut names| names.any(|name| name == ACME_TLS));
            let challenge = hello.server_name().and_then(|name| challenges.tls(name));
            if let Some(config) = challenge.filter(|_| asks_challenge) {
                return Ok(Opening {
                    config,
                    policy,
                    challenge: true,
                });
            }
            let name = hello.server_name().map(str::to_ascii_lowercase);
            let name = name.or_else(|| local.map(as_host));
            policy = self
                .policies
                .of_site(name.and_then(|name| site_of(name.as_bytes())));
        }
        let config = self.context().config(policy, protocols);
        Ok(Opening {
            config: config.ok_or_else(|| Failure::Handshake(io::ErrorKind::NotFound.into()))?,
            policy,
            challenge: false,
        })
    }

    fn session(
        &self,
        stream: &TlsStream,
        policy: usize,
        encounter: Encounter,
    ) -> Result<Session, Failure> {
        stream.with_state(|state| {
            let certificate = state.peer_certificates().and_then(<[_]>::first);
            let client = certificate.and_then(ClientCertificate::read);
            let resumed = session::is_resumed(state);
            // A session may outlive the certificate that it began with.
            if resumed && client.as_ref().is_some_and(|client| client.expires < now()) {
                return Err(protocol_error(rustls::CertificateError::Expired.into()));
            }
            Ok(Session {
                sni: encounter.name,
                version: session::version_name(state),
                cipher: session::cipher_name(state),
                resumed,
                http2: state.alpn_protocol() == Some(b"h2"),
                policy,
                asked: self.policies.asks(policy),
                client,
                shown: encounter.shown,
            })
        })
    }
}

/// What a connection is served with.
struct Opening {
    config: Arc<ServerConfig>,
    policy: usize,
    challenge: bool,
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// Reads until the client's first message is complete. Takes nothing of `first`.
async fn read_hello(
    socket: &Socket,
    first: &mut Buffer,
) -> Result<rustls::server::Accepted, Failure> {
    let mut acceptor = Acceptor::default();
    let mut seen = 0;
    loop {
        while let Some(mut rest) = first.filled().get(seen..).filter(|rest| !rest.is_empty()) {
            seen += acceptor.read_tls(&mut rest).map_err(Failure::Handshake)?;
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok(accepted),
                Ok(None) => {}
                Err((error, mut alert)) => {
                    let mut bytes = Vec::new();
                    if alert.write_all(&mut bytes).is_ok() {
                        write_quietly(socket, &bytes);
                    }
                    return Err(protocol_error(error));
                }
            }
        }
        fill(socket, first).await?;
    }
}

/// Reads more into `first`, which holds at most [`buffer::SIZE`] bytes.
async fn fill(socket: &Socket, first: &mut Buffer) -> Result<(), Failure> {
    if first.filled().len() >= buffer::SIZE {
        return Err(Failure::Handshake(io::ErrorKind::InvalidData.into()));
    }
    match socket.read(first.room()).await {
        Ok(0) if first.is_empty() => Err(Failure::Silent),
        Ok(0) => Err(Failure::Handshake(io::ErrorKind::UnexpectedEof.into())),
        Ok(count) => {
            first.advance(count);
            Ok(())
        }
        Err(error) => Err(Failure::Handshake(error)),
    }
}

fn write_quietly(socket: &Socket, bytes: &[u8]) {
    let mut cx = Context::from_waker(Waker::noop());
    let _ = socket.poll_write(&mut cx, &[IoSlice::new(bytes)]);
}

fn protocol_error(error: rustls::Error) -> Failure {
    Failure::Handshake(super::records::refused(error))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("the client left without a word"),
            Self::PlainHttp => f.write_str("plain HTTP on a port for HTTPS"),
            Self::Challenge => f.write_str("a certificate authority has looked at a challenge"),
            Self::UnknownName(name) => write!(f, "no certificate for {name:?}"),
            Self::Handshake(error) => error.fmt(f),
        }
    }
}
/// An address as it stands in `hosts` of a site and in `Host`.
fn as_host(addr: IpAddr) -> String {
    match addr.to_canonical() {
        IpAddr::V4(addr) => addr.to_string(),
        IpAddr::V6(addr) => format!("[{addr}]"),
    }
}
