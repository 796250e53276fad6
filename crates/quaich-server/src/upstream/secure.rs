//! TLS to the servers of one upstream: shared by all threads, replaced when its files change.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use quaich_config::model::{self, H2};

use crate::link::UpstreamMaterial;
use crate::tls::connector::Connector;

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// TLS to the servers of one upstream.
#[derive(Debug, Default)]
pub struct Secure {
    offers: RwLock<Option<Arc<Offers>>>,
}

/// What is offered to a server in the handshake.
#[derive(Debug)]
struct Offers {
    /// What the configuration says; the error is for people.
    usual: Result<Connector, String>,
    /// HTTP/1.1 only, for what HTTP/2 may not carry.
    http1: Result<Connector, String>,
}

/// What a connection is to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// What the configuration says.
    Usual,
    /// HTTP/1.1.
    Http1,
}

impl Secure {
    /// For the servers of `settings`; nothing is prepared when none of them speaks TLS.
    pub fn new(settings: &model::Upstream, material: &UpstreamMaterial) -> Self {
        let secure = Self::default();
        secure.renew(settings, material);
        secure
    }

    /// Takes new connections from other certificates. Open ones stay as they are.
    pub fn renew(&self, settings: &model::Upstream, material: &UpstreamMaterial) {
        if !settings.servers.iter().any(|server| server.tls) {
            return;
        }
        let usual: &[&[u8]] = match settings.h2 {
            H2::Auto => &[HTTP2, HTTP1],
            H2::On => &[HTTP2],
            H2::Off => &[HTTP1],
        };
        let connector = |alpn: &[&[u8]]| {
            Connector::new(&settings.tls, material, alpn).map_err(|unusable| unusable.to_string())
        };
        let offers = Offers {
            usual: connector(usual),
            http1: connector(&[HTTP1]),
        };
        *self.offers.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(offers));
    }

    /// Opens TLS connections.
    pub fn connector(&self, offer: Offer) -> io::Result<Connector> {
        let offers = self.offers.read().unwrap_or_else(PoisonError::into_inner);
        let offers = offers.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let connector = match offer {
            Offer::Usual => &offers.usual,
            Offer::Http1 => &offers.http1,
        };
        connector.clone().map_err(io::Error::other)
    }
}

/// Whether the server chose HTTP/2.
pub fn is_http2(alpn: Option<&[u8]>) -> bool {
    alpn == Some(HTTP2)
}
