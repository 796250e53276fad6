//! The fields that tell an upstream or an app who asked.
//!
//! Called by the data path when it writes a request head. Nothing of a peer that is not trusted may
//! get through here.

use std::net::IpAddr;

use quaich_proto::headers::{HeaderId, Headers};

use super::{Client, Public};
use crate::observe::number;

/// Appends the header lines `X-Forwarded-For`, `-Proto`, `-Host`, `-Port` and `-Prefix`, each with
/// its line end, and continues a trusted `Forwarded`.
///
/// `mount` is the path that this route takes off: empty, or `/x`. The chain of a trusted peer is
/// continued, that of another is not looked at.
pub fn append(
    out: &mut Vec<u8>,
    headers: &Headers,
    client: &Client,
    public: &Public<'_>,
    mount: &[u8],
) {
    append_x_forwarded_for(out, headers, client);
    out.extend_from_slice(b"X-Forwarded-Proto: ");
    line(out, client.scheme().as_bytes());
    if !public.host.is_empty() {
        out.extend_from_slice(b"X-Forwarded-Host: ");
        line(out, public.host);
    }
    if public.port != 0 {
        out.extend_from_slice(b"X-Forwarded-Port: ");
        number::decimal(out, u64::from(public.port));
        out.extend_from_slice(b"\r\n");
    }
    if !public.prefix.is_empty() || !mount.is_empty() {
        out.extend_from_slice(b"X-Forwarded-Prefix: ");
        out.extend_from_slice(public.prefix);
        line(out, mount);
    }
    if client.trusted && headers.contains(HeaderId::Forwarded) {
        continue_forwarded(out, headers, client);
    }
}

fn append_x_forwarded_for(out: &mut Vec<u8>, headers: &Headers, client: &Client) {
    let start = out.len();
    out.extend_from_slice(b"X-Forwarded-For: ");
    let first = out.len();
    if client.trusted {
        for value in headers
            .get_all(HeaderId::XForwardedFor)
            .filter(|value| !value.is_empty())
        {
            separate(out, first);
            out.extend_from_slice(value);
        }
    }
    if let Some(peer) = client.peer {
        separate(out, first);
        number::client(out, Some(peer.ip()));
    }
    if out.len() == first {
        out.truncate(start);
    } else {
        out.extend_from_slice(b"\r\n");
    }
}

/// RFC 7239 section 4: each proxy adds an element on the connection that it received.
fn continue_forwarded(out: &mut Vec<u8>, headers: &Headers, client: &Client) {
    out.extend_from_slice(b"Forwarded: ");
    let first = out.len();
    for value in headers
        .get_all(HeaderId::Forwarded)
        .filter(|value| !value.is_empty())
    {
        separate(out, first);
        out.extend_from_slice(value);
    }
    separate(out, first);
    out.extend_from_slice(b"for=");
    match client.peer.map(|peer| peer.ip().to_canonical()) {
        None => out.extend_from_slice(b"unknown"),
        Some(peer @ IpAddr::V4(_)) => number::client(out, Some(peer)),
        Some(peer @ IpAddr::V6(_)) => {
            out.extend_from_slice(b"\"[");
            number::client(out, Some(peer));
            out.extend_from_slice(b"]\"");
        }
    }
    out.extend_from_slice(if client.peer_https {
        b";proto=https"
    } else {
        b";proto=http"
    });
    out.extend_from_slice(b"\r\n");
}

fn separate(out: &mut Vec<u8>, first: usize) {
    if out.len() > first {
        out.extend_from_slice(b", ");
    }
}

fn line(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
