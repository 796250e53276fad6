//! The PROXY protocol, versions 1 and 2: who the client of a connection is, said by the proxy in its
//! first bytes.
//!
//! `quaich-server` reads it on listeners with `proxy_protocol` and writes it to servers with
//! `send_proxy`. The specification is HAProxy's `proxy-protocol.txt`.

mod crc32c;
mod encode;
mod v1;
mod v2;

use std::net::SocketAddr;

pub use encode::{Version, write, write_local};

/// A header of version 1 is no longer than this, its line end included.
pub const MAX_V1: usize = 107;

/// A header of version 2 that is longer is refused: addresses and what proxies really add fit.
pub const MAX_V2: usize = 4096;

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose connection it is.
    pub source: Source,
    /// Whether the client spoke TLS to the proxy, if that says so (version 2).
    pub tls: Option<bool>,
}

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The proxy's own, for a health check say, or of somebody it cannot name: the addresses of the
    /// connection itself hold.
    Connection,
    /// A client's.
    Client {
        /// The client.
        from: SocketAddr,
        /// What it has connected to.
        to: SocketAddr,
    },
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The beginning of a header, or too little to tell.
    NeedMore,
    /// Not a header: it begins otherwise.
    Absent,
    /// A header of so many bytes; what follows is the client's.
    Done {
        /// What it says.
        header: Header,
        /// Its length.
        length: usize,
    },
}

/// Why a header was refused. The connection cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Longer than allowed.
    TooLong,
    /// A version or command that does not exist.
    Unknown,
    /// Addresses or ports that are none, or too few bytes for them.
    BadAddress,
    /// What follows the addresses is not a row of type-length-value fields.
    BadField,
    /// The checksum is wrong.
    BadChecksum,
}

impl Malformed {
    /// One word for logs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Unknown => "unknown_version",
            Self::BadAddress => "bad_address",
            Self::BadField => "bad_field",
            Self::BadChecksum => "bad_checksum",
        }
    }
}

/// Reads a header at the front of `bytes`, which are the first of a connection.
///
/// # Errors
/// When the bytes begin as a header does and go on as none may.
pub fn decode(bytes: &[u8]) -> Result<Step, Malformed> {
    if begins(bytes, v2::SIGNATURE) {
        return v2::decode(bytes);
    }
    if begins(bytes, v1::PREFIX) {
        return v1::decode(bytes);
    }
    Ok(Step::Absent)
}

/// Whether `bytes` begin with `mark`, as far as they go.
fn begins(bytes: &[u8], mark: &[u8]) -> bool {
    let common = bytes.len().min(mark.len());
    bytes.get(..common) == mark.get(..common)
}

#[cfg(test)]
mod tests;
