//! HTTP/1.1 and 1.0 (RFC 9112): heads, chunked bodies, output. Strict: what has no single meaning is
//! refused, never repaired.

mod body;
mod chunked;
mod connection;
mod encode;
mod fields;
mod framing;
mod reject;
mod request;
mod response;

pub use body::{BodyReader, BodyStep};
pub use chunked::{ChunkStep, ChunkedDecoder};
pub use connection::{Connection, is_hop_by_hop, may_trail};
pub use encode::{
    CONTINUE, LAST_CHUNK, chunk_head, decimal, field, field_u64, reason_phrase, status_line,
};
pub use reject::{Reject, RejectReason};
pub use request::{RequestHead, Structured, assemble_request, parse_request};
pub use response::{BadResponse, ResponseHead, parse_response};
pub(crate) use response::{MAX_STATUS_LINE, frame, parse_field, parse_status, parse_status_line};

/// Protocol version of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2, whose head was brought into the same form.
    Http2,
}

/// How the end of a message body is found (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none, whatever a `Content-Length` may say (the response to a HEAD, a 304).
    #[default]
    Empty,
    /// So many bytes, none included: `Content-Length: 0` was said, and is worth passing on.
    Known(u64),
    /// Chunks.
    Chunked,
    /// The end of the connection; responses only.
    UntilClose,
}

/// Bounds of a head, in bytes but for the last. What is exactly as long as its bound passes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Request target; 414 beyond.
    pub max_uri: usize,
    /// One line of the header, name and value, without its end; 431 beyond.
    pub max_field: usize,
    /// All lines of the header with their ends; 431 beyond. The request line is not counted.
    pub max_header: usize,
    /// Number of header fields, those that are dropped counted; 431 beyond.
    pub max_headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_uri: 8192,
            max_field: 8192,
            max_header: 32_768,
            max_headers: 100,
        }
    }
}
