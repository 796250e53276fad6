//! HTTP/2 to a server (RFC 9113): many exchanges at a time over one connection.
//!
//! A [`Session`] is a connection and the task that drives it; a [`Lease`] is the right to one stream
//! of it. Frames, flow control and HPACK are those of the crate `h2`.

mod exchange;
mod head;
mod io;
mod session;

pub use exchange::{Download, Upload};
pub use session::{Lease, Session, open};

use crate::error::{Error, Kind};

/// What a failure of a stream means.
fn failure(error: &h2::Error) -> Error {
    let kind = match error.reason() {
        // Neither has been looked at (RFC 9113 sections 6.8 and 8.7): `h2` gives the error of a
        // GOAWAY to streams beyond the last one that the server takes, and to no other.
        Some(h2::Reason::REFUSED_STREAM) if error.is_reset() && error.is_remote() => {
            Kind::UpstreamRefused
        }
        _ if error.is_go_away() && error.is_remote() => Kind::UpstreamRefused,
        _ if error.is_remote() => Kind::UpstreamReset,
        Some(_) => Kind::BadResponse("bad_http2"),
        None => Kind::UpstreamClosed,
    };
    Error::upstream(kind)
}
