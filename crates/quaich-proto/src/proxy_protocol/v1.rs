//! Version 1: one line of text, `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443`. Called by `decode`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Header, MAX_V1, Malformed, Source, Step};

pub(super) const PREFIX: &[u8] = b"PROXY ";

pub(super) fn decode(bytes: &[u8]) -> Result<Step, Malformed> {
    let window = bytes.get(..MAX_V1).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', window) else {
        return match bytes.len() < MAX_V1 {
            true => Ok(Step::NeedMore),
            false => Err(Malformed::TooLong),
        };
    };
    let line = window.get(PREFIX.len()..end).unwrap_or_default();
    let line = line.strip_suffix(b"\r").ok_or(Malformed::BadAddress)?;
    Ok(Step::Done {
        header: Header {
            source: source(line)?,
            tls: None,
        },
        length: end + 1,
    })
}

/// What stands between `PROXY ` and the line end.
fn source(line: &[u8]) -> Result<Source, Malformed> {
    let line = std::str::from_utf8(line).map_err(|_| Malformed::BadAddress)?;
    let mut words = line.split(' ');
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        // Whatever follows is to be ignored.
        return Ok(Source::Connection);
    }
    let addr: fn(&str) -> Option<IpAddr> = match family {
        "TCP4" => |word| word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => |word| word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return Err(Malformed::Unknown),
    };
    let mut next = || words.next().ok_or(Malformed::BadAddress);
    let (from, to) = (next()?, next()?);
    let (from_port, to_port) = (next()?, next()?);
    if words.next().is_some() {
        return Err(Malformed::BadAddress);
    }
    let place = |word, port_word| Some(SocketAddr::new(addr(word)?, port(port_word)?));
    match (place(from, from_port), place(to, to_port)) {
        (Some(from), Some(to)) => Ok(Source::Client { from, to }),
        _ => Err(Malformed::BadAddress),
    }
}

/// Digits only, no leading zero, at most 65535.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|b| b.is_ascii_digit());
    let port = word.parse().ok()?;
    (plain && (word == "0" || !word.starts_with('0'))).then_some(port)
}
