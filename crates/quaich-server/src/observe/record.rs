//! What the access log is told about a request.
//!
//! Made by the data path when an exchange has ended, read by the formats. It borrows everything and
//! owns nothing, so making one costs no allocation.

use std::net::IpAddr;

use quaich_proto::headers::Headers;

/// What is known of a request when its answer has left, or when it failed.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The client, behind trusted proxies too; `None` = the peer of a unix socket.
    pub client: Option<IpAddr>,
    /// Who authenticated.
    pub remote_user: Option<&'a [u8]>,
    /// When the request began, milliseconds since 1970.
    pub unix_millis: u64,
    /// As received; empty when the request line was not understood.
    pub method: &'a [u8],
    /// As received, path and query.
    pub target: &'a [u8],
    /// `HTTP/1.1`
    pub protocol: &'static str,
    /// `http` or `https`
    pub scheme: &'static str,
    /// Of the answer; 0 = none was sent.
    pub status: u16,
    /// Of the answer's body, as sent.
    pub body_bytes: u64,
    /// Of the whole answer.
    pub sent_bytes: u64,
    /// Of the request's body, as read.
    pub received_bytes: u64,
    /// The `Host` field or the authority, as sent.
    pub host: &'a [u8],
    /// Of the request.
    pub headers: &'a Headers,
    /// How long what took.
    pub timings: Timings,
    /// Own or accepted.
    pub request_id: &'a [u8],
    /// Name of the site, empty = none matched.
    pub site: &'a str,
    /// Origin of the route, empty = none matched.
    pub route: &'a str,
    /// The app that answered, empty = none did.
    pub app: &'a str,
    /// The upstream that answered, empty = none did.
    pub upstream: &'a str,
    /// Which worker of the app or server of the upstream, empty = none did.
    pub server: &'a str,
    /// One word in snake_case on how it ended, e.g. `client_gone`; empty = as it should.
    pub outcome: &'static str,
    /// Number of the connection in this process.
    pub connection: u64,
    /// Which request of the connection this is, from 1.
    pub connection_request: u64,
    /// Further attempts upstream.
    pub retries: u32,
}

/// Durations in microseconds; `None` = that phase did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// From the first byte of the request to the end of its head.
    pub header: Option<u64>,
    /// In the queue of an app.
    pub queue: Option<u64>,
    /// Until the upstream connection stood.
    pub connect: Option<u64>,
    /// From the request's hand-over to the first byte of the answer.
    pub first_byte: Option<u64>,
    /// From the first byte of the request to the last of the answer.
    pub total: u64,
}
