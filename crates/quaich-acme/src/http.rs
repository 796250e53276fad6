//! The HTTP client of the agent: one request a connection, everything bounded in time and size.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HOST, RETRY_AFTER};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Error, Result, clock, x509};

/// Time for the name, the connection and the handshake, for each address.
const CONNECT: Duration = Duration::from_secs(10);

/// Time for the answer, its body included.
const ANSWER: Duration = Duration::from_secs(30);

/// No chain and no OCSP answer is larger.
const LARGEST_BODY: usize = 1 << 20;

/// A client that believes in some roots.
pub(crate) struct Http {
    tls: TlsConnector,
    refusal: Mutex<Option<Refusal>>,
}

/// An answer that was no success.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub status: u16,
    /// Seconds since 1970.
    pub retry_at: Option<u64>,
}

impl Http {
    /// One that believes the CAs in `ca_pem`, or those of the system.
    pub(crate) fn new(ca_pem: Option<&str>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        match ca_pem {
            Some(pem) => {
                for root in x509::chain(pem)? {
                    roots.add(root).map_err(|e| Error::new(e.to_string()))?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
        }
        if roots.is_empty() {
            return Err(Error::new(
                "there are no CA certificates on this system: install the package \
                 ca-certificates, or set tls.acme.ca_file",
            ));
        }
        Self::with_roots(roots)
    }

    /// One for `http://` only: it believes nobody.
    pub(crate) fn plain() -> Result<Self> {
        Self::with_roots(RootCertStore::empty())
    }

    fn with_roots(roots: RootCertStore) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::new(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            refusal: Mutex::new(None),
        })
    }

    /// Sends `request`, whose URI is absolute, and reads the whole answer.
    pub(crate) async fn exchange<B>(&self, request: Request<B>) -> Result<Response<Bytes>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = self.exchange_with(request).await;
        let answer = answer.map_err(|e| Error::new(format!("{what}: {e}")))?;
        self.remember(&answer);
        Ok(answer)
    }

    async fn exchange_with<B>(&self, request: Request<B>) -> Result<Response<Bytes>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let target = Target::of(request.uri())?;
        let tcp = target.connect().await?;
        let request = target.relative(request)?;
        let answer = if target.tls {
            let stream = self.handshake(&target, tcp).await?;
            timeout(ANSWER, speak(stream, request)).await
        } else {
            timeout(ANSWER, speak(tcp, request)).await
        };
        answer.unwrap_or_else(|_| Err(Error::new("no answer in 30 s")))
    }

    async fn handshake(&self, target: &Target, tcp: TcpStream) -> Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| Error::new("no host name in the URL"))?;
        match timeout(CONNECT, self.tls.connect(name, tcp)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(e)) => Err(Error::new(e.to_string())),
            Err(_) => Err(Error::new("no TLS handshake in 10 s")),
        }
    }

    fn remember(&self, answer: &Response<Bytes>) {
        let status = answer.status();
        let refused = status.is_client_error() || status.is_server_error();
        let refusal = refused.then(|| Refusal {
            status: status.as_u16(),
            retry_at: retry_at(answer.headers().get(RETRY_AFTER)),
        });
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    /// The last answer if it was no success, once.
    pub(crate) fn take_refusal(&self) -> Option<Refusal> {
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.take()
    }
}

/// `Retry-After`, seconds or a date (RFC 9110 §10.2.3).
fn retry_at(value: Option<&HeaderValue>) -> Option<u64> {
    let text = value?.to_str().ok()?.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(clock::now().saturating_add(seconds)),
        Err(_) => {
            let date: SystemTime = httpdate::parse_http_date(text).ok()?;
            Some(clock::since_epoch(date))
        }
    }
}

/// Where a URI leads.
struct Target {
    tls: bool,
    host: String,
    port: u16,
    authority: HeaderValue,
}

impl Target {
    fn of(uri: &Uri) -> Result<Self> {
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(Error::new("not an http or https URL")),
        };
        let authority = uri
            .authority()
            .ok_or_else(|| Error::new("no host in the URL"))?;
        let host = authority.host().trim_matches(['[', ']']).to_string();
        Ok(Self {
            tls,
            host,
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: HeaderValue::from_str(authority.as_str())
                .map_err(|_| Error::new("no host in the URL"))?,
        })
    }

    /// Connects to the first address that answers.
    async fn connect(&self) -> Result<TcpStream> {
        let lookup = tokio::net::lookup_host((self.host.as_str(), self.port));
        let addresses = match timeout(CONNECT, lookup).await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(e)) => return Err(Error::new(format!("cannot resolve {}: {e}", self.host))),
            Err(_) => return Err(Error::new(format!("cannot resolve {} in 10 s", self.host))),
        };
        let mut why = format!("{} has no address", self.host);
        // A name with very many addresses must not hold up the pass.
        for address in addresses.take(4) {
            match timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(e)) => why = format!("cannot connect to {address}: {e}"),
                Err(_) => why = format!("{address} does not answer in 10 s"),
            }
        }
        Err(Error::new(why))
    }

    /// `request` as it is sent to the origin itself.
    fn relative<B>(&self, request: Request<B>) -> Result<Request<B>> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
        parts.uri = path.parse().map_err(|_| Error::new("no path in the URL"))?;
        parts.headers.insert(HOST, self.authority.clone());
        Ok(Request::from_parts(parts, body))
    }
}

async fn speak<S, B>(stream: S, request: Request<B>) -> Result<Response<Bytes>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| Error::new(e.to_string()))?;
    // It ends when `sender` and the answer are gone.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    let (parts, body) = answer.map_err(|e| Error::new(e.to_string()))?.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await;
    let body = body.map_err(|e| Error::new(format!("its body: {e}")))?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}
