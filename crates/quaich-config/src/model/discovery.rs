//! `discover = { ... }` and `[subscribe]`: servers that are found at run time.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ListenAddr, Network, UpstreamProtocol, UpstreamServer};

/// `discover = { ... }`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Discover {
    /// Every address of a name is a server; looked up again when its time is over.
    Dns {
        /// URL whose host is the name.
        server: UpstreamServer,
    },
    /// Every target of an SRV record is a server; priorities and weights count.
    Srv {
        /// `_http._tcp.shop.internal`
        name: String,
        /// What the servers speak.
        protocol: UpstreamProtocol,
        /// Inside TLS.
        tls: bool,
    },
    /// Servers that announce themselves to `[subscribe]` under a key; `None` = under the host that
    /// the request is for.
    Subscribe {
        /// Host, and port if there is one.
        key: Option<String>,
    },
}

impl Discover {
    /// The key as it is compared: hosts know no case, the path behind them does.
    #[must_use]
    pub fn normal_key(key: &str) -> String {
        let (host, path) = key.split_at(key.find('/').unwrap_or(key.len()));
        host.to_ascii_lowercase() + path
    }

    /// What the servers that it finds speak; `None` = each says it.
    #[must_use]
    pub fn protocol(&self) -> Option<UpstreamProtocol> {
        match self {
            Self::Dns { server } => Some(server.protocol),
            Self::Srv { protocol, .. } => Some(*protocol),
            Self::Subscribe { .. } => None,
        }
    }

    /// Whether the servers that it finds are spoken to through TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        match self {
            Self::Dns { server } => server.tls,
            Self::Srv { tls, .. } => *tls,
            Self::Subscribe { .. } => false,
        }
    }
}

/// `[subscribe]`: the uWSGI subscription server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscribe {
    /// Datagram sockets; TCP addresses stand for UDP ones.
    pub listen: Vec<ListenAddr>,
    /// Folder of public keys; `None` = announcements are not signed.
    pub key_dir: Option<PathBuf>,
    /// Of the signatures.
    pub digest: Digest,
    /// Networks that announced addresses may be of; empty = any.
    pub allow: Vec<Network>,
    /// Silence after which an instance is gone.
    pub tolerance: Duration,
}

impl Subscribe {
    /// Whether nobody but programs of this machine can send to the address.
    #[must_use]
    pub fn is_local(addr: &ListenAddr) -> bool {
        match addr {
            ListenAddr::Tcp(addr) => addr.ip().is_loopback(),
            ListenAddr::Unix(_) => true,
            ListenAddr::Fd(_) | ListenAddr::Systemd(_) => false,
        }
    }
}

/// `digest = "..."`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Digest {
    /// SHA-1, for instances that know nothing else.
    Sha1,
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}
