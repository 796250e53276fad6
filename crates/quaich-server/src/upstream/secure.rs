//! TLS to the servers of one upstream: shared by all threads, replaced when its files change.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use quaich_config::model::{self, Discover, H2};

use crate::link::UpstreamMaterial;
use crate::tls::connector::Connector;

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// TLS to the servers of one upstream.
#[derive(Debug)]
pub struct Secure {
    settings: model::UpstreamTls,
    h2: H2,
    /// `None`: no server of the upstream speaks TLS.
    offers: Option<RwLock<Arc<Offers>>>,
}

/// What is offered to a server in the handshake.
#[derive(Debug)]
struct Offers {
    material: UpstreamMaterial,
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
    /// For the servers of `settings`.
    pub fn new(settings: &model::Upstream, material: &UpstreamMaterial) -> Self {
        let mut secure = Self {
            settings: settings.tls.clone(),
            h2: settings.h2,
            offers: None,
        };
        let found = settings.discover.as_ref();
        if settings.servers.iter().any(|server| server.tls)
            || found.is_some_and(Discover::speaks_tls)
        {
            secure.offers = Some(RwLock::new(Arc::new(secure.offers(material))));
        }
        secure
    }

    /// Makes new connections with other certificates. Open ones stay as they are.
    pub fn renew(&self, material: &UpstreamMaterial) {
        if let Some(offers) = &self.offers
            && read(offers).material != *material
        {
            let new = Arc::new(self.offers(material));
            *offers.write().unwrap_or_else(PoisonError::into_inner) = new;
        }
    }

    fn offers(&self, material: &UpstreamMaterial) -> Offers {
        let usual: &[&[u8]] = match self.h2 {
            H2::Auto => &[HTTP2, HTTP1],
            H2::On => &[HTTP2],
            H2::Off => &[HTTP1],
        };
        let connector = |alpn: &[&[u8]]| {
            Connector::new(&self.settings, material, alpn).map_err(|unusable| unusable.to_string())
        };
        Offers {
            material: material.clone(),
            usual: connector(usual),
            http1: connector(&[HTTP1]),
        }
    }

    /// Opens TLS connections.
    pub fn connector(&self, offer: Offer) -> io::Result<Connector> {
        let offers = self.offers.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let offers = read(offers);
        let connector = match offer {
            Offer::Usual => &offers.usual,
            Offer::Http1 => &offers.http1,
        };
        connector.clone().map_err(io::Error::other)
    }
}

fn read(offers: &RwLock<Arc<Offers>>) -> Arc<Offers> {
    let offers = offers.read().unwrap_or_else(PoisonError::into_inner);
    offers.clone()
}

/// Whether the server chose HTTP/2.
pub fn is_http2(alpn: Option<&[u8]>) -> bool {
    alpn == Some(HTTP2)
}
