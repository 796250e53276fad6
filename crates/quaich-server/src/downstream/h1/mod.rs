//! HTTP/1.1 and 1.0 towards clients.

mod connection;
pub(super) mod inbound;
pub(super) mod outbound;
