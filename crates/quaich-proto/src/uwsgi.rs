//! The uwsgi protocol: a packet of variables, then the body as it is; the response is one of HTTP or
//! CGI and ends with the connection (see [`crate::cgi::parse_response`]).
//!
//! A packet: `modifier1: u8, size: u16 (little-endian), modifier2: u8`, then `size` bytes of
//! variables, each `length: u16, name, length: u16, value`.

use crate::cgi::{Limits, TooLarge, Variables};

/// Bytes before the variables.
pub const HEADER: usize = 4;

/// What of uWSGI's own variables is about a request.
const ALLOWED: &[&[u8]] = &[b"UWSGI_SCHEME", b"UWSGI_FASTROUTER_KEY"];

/// What a packet begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the packet is: 0 is a request to a Python app.
    pub modifier1: u8,
    /// Bytes that follow.
    pub size: u16,
    /// Depends on `modifier1`.
    pub modifier2: u8,
}

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPacket {
    /// Its `modifier1` names something that is not done here.
    Modifier,
    /// It is larger, or has more variables, than the limits allow.
    TooLarge,
    /// A variable goes beyond its end, or has no name.
    Variable,
}

impl BadPacket {
    /// A stable word in snake_case.
    pub fn label(self) -> &'static str {
        match self {
            Self::Modifier => "uwsgi_modifier",
            Self::TooLarge => "uwsgi_too_large",
            Self::Variable => "uwsgi_variable",
        }
    }
}

/// The header of the packet at the start of `input`, when it is there whole.
pub fn header(input: &[u8]) -> Option<Header> {
    match *input {
        [modifier1, low, high, modifier2, ..] => Some(Header {
            modifier1,
            size: u16::from_le_bytes([low, high]),
            modifier2,
        }),
        _ => None,
    }
}

/// Appends a packet. Nothing is appended when the variables are too large for one.
pub fn encode(
    out: &mut Vec<u8>,
    modifiers: (u8, u8),
    variables: &Variables,
) -> Result<(), TooLarge> {
    let size = variables.size() + variables.len() * 4;
    let size = u16::try_from(size).map_err(|_| TooLarge)?;
    out.reserve(HEADER + usize::from(size));
    out.push(modifiers.0);
    out.extend_from_slice(&size.to_le_bytes());
    out.push(modifiers.1);
    for (name, value) in variables.iter() {
        for part in [name, value] {
            // No part is longer than all of them.
            let length = u16::try_from(part.len()).map_err(|_| TooLarge)?;
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(part);
        }
    }
    Ok(())
}

/// Parses a request from the start of `input`. `Ok(None)` asks for more bytes: the next call passes
/// the same ones with more behind them. `Ok(Some(n))`: the packet took `n` bytes, and the body
/// follows. Packets whose `modifier1` is not in `modifiers` are refused.
///
/// Variables that would change how a uWSGI server runs (`UWSGI_FILE`, `UWSGI_SETENV` ...) are left
/// out: of all those names only `UWSGI_SCHEME` and the key of the fastrouter are about the request.
pub fn parse_request(
    input: &[u8],
    limits: &Limits,
    modifiers: &[u8],
    variables: &mut Variables,
) -> Result<Option<usize>, BadPacket> {
    let Some(header) = header(input) else {
        return Ok(None);
    };
    if !modifiers.contains(&header.modifier1) {
        return Err(BadPacket::Modifier);
    }
    let end = HEADER + usize::from(header.size);
    if usize::from(header.size) > limits.max_bytes {
        return Err(BadPacket::TooLarge);
    }
    let Some(block) = input.get(HEADER..end) else {
        return Ok(None);
    };
    variables.clear();
    for (count, variable) in pairs(block).enumerate() {
        let (name, value) = variable?;
        if count >= limits.max_variables {
            return Err(BadPacket::TooLarge);
        }
        if !name.starts_with(b"UWSGI_") || ALLOWED.contains(&name) {
            variables.push(name, value);
        }
    }
    Ok(Some(end))
}

/// Name and value of each variable in the block of a packet. Ends after the first that is wrong.
pub fn pairs(block: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), BadPacket>> {
    let mut rest = block;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let pair = take(rest).and_then(|(name, after)| Some((name, take(after)?)));
        match pair {
            Some((name, (value, after))) if !name.is_empty() => {
                rest = after;
                Some(Ok((name, value)))
            }
            _ => {
                rest = &[];
                Some(Err(BadPacket::Variable))
            }
        }
    })
}

/// A string with its length before it, and what is behind it.
fn take(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = input.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Result<Option<(usize, Vec<String>)>, BadPacket> {
        let limits = Limits {
            max_bytes: 100,
            max_variables: 3,
        };
        let mut variables = Variables::new();
        let taken = parse_request(input, &limits, &[0], &mut variables)?;
        let text = |(name, value): (&[u8], &[u8])| {
            format!("{}={}", name.escape_ascii(), value.escape_ascii())
        };
        Ok(taken.map(|taken| (taken, variables.iter().map(text).collect())))
    }

    fn packet(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut variables = Variables::new();
        for (name, value) in pairs {
            variables.push(name, value);
        }
        let mut out = Vec::new();
        encode(&mut out, (0, 0), &variables).unwrap();
        out
    }

    #[test]
    fn a_packet_is_what_the_protocol_says() {
        let packet = packet(&[(b"A", b"bc"), (b"D", b"")]);
        assert_eq!(packet, b"\0\x0c\0\0\x01\0A\x02\0bc\x01\0D\0\0");
        let with_body = [&packet[..], b"body"].concat();
        let expected = (packet.len(), vec!["A=bc".to_owned(), "D=".to_owned()]);
        assert_eq!(read(&with_body), Ok(Some(expected)));
        for end in 0..packet.len() {
            assert_eq!(read(&packet[..end]), Ok(None));
        }
    }

    #[test]
    fn what_would_configure_the_server_is_left_out() {
        let packet = packet(&[
            (b"UWSGI_FILE", b"/etc/passwd"),
            (b"UWSGI_SCHEME", b"https"),
            (b"UWSGI_", b"x"),
        ]);
        let (_, variables) = read(&packet).unwrap().unwrap();
        assert_eq!(variables, ["UWSGI_SCHEME=https"]);
    }

    #[test]
    fn bad_packets_are_refused_as_soon_as_they_are_seen() {
        for (input, expected) in [
            (&b"\xad\x00\x00\x00"[..], BadPacket::Modifier),
            (b"\xe0\xff\xff\x00", BadPacket::Modifier),
            (b"\0\xff\xff\0", BadPacket::TooLarge),
            (b"\0\x01\0\0\x01", BadPacket::Variable),
            (b"\0\x03\0\0\x01\0A", BadPacket::Variable),
            (b"\0\x05\0\0\x01\0A\x01\0", BadPacket::Variable),
            (b"\0\x05\0\0\xff\xffA\0\0", BadPacket::Variable),
            (b"\0\x04\0\0\0\0\0\0", BadPacket::Variable),
        ] {
            assert_eq!(read(input), Err(expected), "{}", input.escape_ascii());
        }
        let many = packet(&[(b"A", b""), (b"A", b""), (b"A", b""), (b"A", b"")]);
        assert_eq!(read(&many), Err(BadPacket::TooLarge));
    }

    #[test]
    fn variables_of_64_kib_and_more_are_no_packet() {
        let mut variables = Variables::new();
        variables.push(b"A", &vec![b'a'; 65_535 - 5]);
        let mut out = Vec::new();
        assert_eq!(encode(&mut out, (5, 1), &variables), Ok(()));
        let expected = Header {
            modifier1: 5,
            size: 65_535,
            modifier2: 1,
        };
        assert_eq!(header(&out), Some(expected));
        variables.extend_last(b"", b"a");
        out.clear();
        assert_eq!(encode(&mut out, (5, 1), &variables), Err(TooLarge));
        assert!(out.is_empty());
    }
}
