//! HTTP/1.1 and 1.0 (RFC 9112): heads, chunked bodies, output. Strict: what has no single meaning is
//! refused, never repaired.

mod chunked;
mod encode;
mod fields;
mod reject;
mod request;
mod response;

pub use chunked::{ChunkStep, ChunkedDecoder};
pub use encode::{
    CONTINUE, LAST_CHUNK, chunk_head, decimal, field, field_u64, reason_phrase, status_line,
};
pub use fields::{Connection, is_hop_by_hop};
pub use reject::{Reject, RejectReason};
pub use request::{RequestHead, parse_request};
pub use response::{BadResponse, ResponseHead, parse_response};

/// Protocol version of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// How the end of a message body is found (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    #[default]
    Empty,
    /// So many bytes.
    Known(u64),
    /// Chunks.
    Chunked,
    /// The end of the connection; responses only.
    UntilClose,
}

/// Bounds of a head, in bytes but for the last.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Request target; 414 beyond.
    pub max_uri: usize,
    /// One header field with its name; 431 beyond.
    pub max_field: usize,
    /// All header fields; 431 beyond.
    pub max_header: usize,
    /// Number of header fields; 431 beyond.
    pub max_headers: usize,
}
