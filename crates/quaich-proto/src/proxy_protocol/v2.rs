//! Version 2: a binary head, addresses, and fields of type, length and value. Called by `decode`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Header, MAX_V2, Malformed, Source, Step, crc32c};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family, length.
pub(super) const HEAD: usize = 16;

pub(super) const CRC32C: u8 = 0x03;
const SSL: u8 = 0x20;

/// The client used TLS, in the first byte of `SSL`.
const CLIENT_TLS: u8 = 0x01;

pub(super) fn decode(bytes: &[u8]) -> Result<Step, Malformed> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
        // What is wrong already needs not be waited for.
        return match bytes.get(12) {
            Some(version) if version >> 4 != 2 => Err(Malformed::Unknown),
            _ => Ok(Step::NeedMore),
        };
    };
    let [.., command, family, high, low] = *head;
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed::Unknown),
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if HEAD + length > MAX_V2 {
        return Err(Malformed::TooLong);
    }
    let Some(body) = rest.get(..length) else {
        return Ok(Step::NeedMore);
    };
    let (source, fields) = addresses(family, body)?;
    let tls = read_fields(fields, bytes.get(..HEAD + length).unwrap_or_default())?;
    let header = match is_local {
        true => Header {
            source: Source::Connection,
            tls: None,
        },
        false => Header { source, tls },
    };
    Ok(Step::Done {
        header,
        length: HEAD + length,
    })
}

/// The addresses at the front of `body`, and what follows them.
fn addresses(family: u8, body: &[u8]) -> Result<(Source, &[u8]), Malformed> {
    let size = match family >> 4 {
        0 => 0,
        1 => 12,
        2 => 36,
        3 => 216,
        _ => return Err(Malformed::BadAddress),
    };
    let Some((addrs, fields)) = body.split_at_checked(size) else {
        return Err(Malformed::BadAddress);
    };
    let (from, to) = match (family, addrs) {
        // Streams over IPv4 and IPv6. What came over a unix socket has no address that would mean
        // anything here; datagrams do not come this way.
        (0x11, [a, b, c, d, e, f, g, h, ports @ ..]) => (
            (Ipv4Addr::from([*a, *b, *c, *d]).into(), ports.first_chunk()),
            (Ipv4Addr::from([*e, *f, *g, *h]).into(), ports.last_chunk()),
        ),
        (0x21, addrs) => {
            let (Some(from), Some(to)) = (
                addrs.first_chunk::<16>(),
                addrs.get(16..).and_then(|rest| rest.first_chunk::<16>()),
            ) else {
                return Err(Malformed::BadAddress);
            };
            let ports = addrs.get(32..).unwrap_or_default();
            (
                (Ipv6Addr::from(*from).into(), ports.first_chunk()),
                (Ipv6Addr::from(*to).into(), ports.last_chunk()),
            )
        }
        _ => return Ok((Source::Connection, fields)),
    };
    let place = |(ip, port): (std::net::IpAddr, Option<&[u8; 2]>)| {
        Some(SocketAddr::new(ip, u16::from_be_bytes(*port?)))
    };
    match (place(from), place(to)) {
        (Some(from), Some(to)) => Ok((Source::Client { from, to }, fields)),
        _ => Err(Malformed::BadAddress),
    }
}

/// Checks the fields behind the addresses: whether the client spoke TLS, if they say so. `whole` is
/// the header that they end.
fn read_fields(mut fields: &[u8], whole: &[u8]) -> Result<Option<bool>, Malformed> {
    let mut tls = None;
    while let [kind, high, low, rest @ ..] = fields {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((value, after)) = rest.split_at_checked(length) else {
            return Err(Malformed::BadField);
        };
        match *kind {
            CRC32C => check(value, after.len(), whole)?,
            SSL => {
                let flags = value.first().ok_or(Malformed::BadField)?;
                tls = Some(flags & CLIENT_TLS != 0);
            }
            _ => {}
        }
        fields = after;
    }
    match fields {
        [] => Ok(tls),
        _ => Err(Malformed::BadField),
    }
}

/// Checks the sum over the whole header, in which the sum itself, `after` bytes before the end,
/// counts as zeros.
fn check(value: &[u8], after: usize, whole: &[u8]) -> Result<(), Malformed> {
    let sum = <[u8; 4]>::try_from(value).map_err(|_| Malformed::BadField)?;
    let at = whole.len().saturating_sub(after + sum.len());
    let before = whole.get(..at).unwrap_or_default();
    let behind = whole.get(at + sum.len()..).unwrap_or_default();
    match crc32c::sum(&[before, &[0; 4], behind]) == u32::from_be_bytes(sum) {
        true => Ok(()),
        false => Err(Malformed::BadChecksum),
    }
}
