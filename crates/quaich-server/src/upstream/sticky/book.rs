//! Which server a value in a cookie stands for. Called by `sticky`, made anew when the servers of
//! the upstream change.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::upstream::server::Server;

/// Bytes of a signature that appear in a cookie.
const SHOWN: usize = 16;

/// What servers are called in cookies.
#[derive(Debug)]
pub(super) enum Names {
    /// As they are configured.
    Plain,
    /// By a value that only who knows the secret can make. It says nothing of the server.
    Signed {
        key: Box<hmac::Key>,
        /// Of the upstream.
        upstream: String,
    },
}

impl Names {
    /// Signed ones. Quaichs with one `secret` and one name of the `upstream` agree on them.
    pub(super) fn signed(secret: &[u8], upstream: &str) -> Self {
        Self::Signed {
            key: Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret)),
            upstream: upstream.to_owned(),
        }
    }

    fn of(&self, server: &Server) -> String {
        match self {
            Self::Plain => server.settings().cookie_name().to_owned(),
            Self::Signed { key, upstream } => {
                // No name of an upstream holds a zero byte.
                let text = format!("quaich sticky\0{upstream}\0{}", server.name());
                let tag = hmac::sign(key, text.as_bytes());
                let shown = tag.as_ref().get(..SHOWN).unwrap_or_default();
                URL_SAFE_NO_PAD.encode(shown)
            }
        }
    }
}

/// The servers of now by their values, and the values by the places of the servers.
#[derive(Debug, Default)]
pub(super) struct Book {
    servers: Option<Arc<[Arc<Server>]>>,
    by_value: HashMap<String, Arc<Server>>,
    by_place: Vec<Option<(Arc<Server>, String)>>,
}

impl Book {
    /// Makes it fit for `servers`.
    pub(super) fn renew(&mut self, servers: &Arc<[Arc<Server>]>, names: &Names) {
        let same = |known: &Arc<[Arc<Server>]>| Arc::ptr_eq(known, servers);
        if self.servers.as_ref().is_some_and(same) {
            return;
        }
        self.by_value.clear();
        self.by_place.clear();
        for server in servers.iter() {
            let value = names.of(server);
            // Discovered servers may have any name, and no cookie may hold this one.
            if !value.bytes().all(is_cookie_octet) {
                continue;
            }
            let place = server.place();
            if self.by_place.len() <= place {
                self.by_place.resize(place + 1, None);
            }
            if let Some(slot) = self.by_place.get_mut(place) {
                *slot = Some((server.clone(), value.clone()));
            }
            self.by_value.insert(value, server.clone());
        }
        self.servers = Some(servers.clone());
    }

    /// The server that is called so.
    pub(super) fn server(&self, value: &[u8]) -> Option<&Arc<Server>> {
        self.by_value.get(std::str::from_utf8(value).ok()?)
    }

    /// What `server` is called; nothing when it is none of these.
    pub(super) fn value(&self, server: &Arc<Server>) -> Option<&str> {
        let (known, value) = self.by_place.get(server.place())?.as_ref()?;
        Arc::ptr_eq(known, server).then_some(value)
    }
}

/// RFC 6265 section 4.1.1.
fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}
