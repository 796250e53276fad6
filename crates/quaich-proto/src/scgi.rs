//! SCGI: the variables as one netstring, then the body; the response is one of CGI and ends with the
//! connection (see [`crate::cgi::parse_response`]).
//!
//! `<length>:` + `name NUL value NUL ...` + `,` + body. `CONTENT_LENGTH` comes first and always,
//! `SCGI` is `1`.

use crate::cgi::{Limits, TooLarge, Variables};
use crate::h1;
use crate::octets;

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// It is larger, or has more variables, than the limits allow.
    TooLarge,
    /// It is no netstring.
    Netstring,
    /// The variables are not pairs, or one has no name.
    Variable,
    /// `CONTENT_LENGTH` is not first, there twice, or no number.
    ContentLength,
    /// `SCGI` is not there, or not 1.
    Version,
}

impl BadRequest {
    /// A stable word in snake_case.
    pub fn label(self) -> &'static str {
        match self {
            Self::TooLarge => "scgi_too_large",
            Self::Netstring => "scgi_netstring",
            Self::Variable => "scgi_variable",
            Self::ContentLength => "scgi_content_length",
            Self::Version => "scgi_version",
        }
    }
}

/// Appends the head of a request. Nothing is appended when a value cannot be written: it holds a NUL.
pub fn encode(out: &mut Vec<u8>, variables: &Variables) -> Result<(), TooLarge> {
    let ours = |name: &[u8]| name == b"CONTENT_LENGTH" || name == b"SCGI";
    let length = match variables.get(b"CONTENT_LENGTH") {
        None | Some(b"") => b"0",
        Some(length) => length,
    };
    let others = || variables.iter().filter(|(name, _)| !ours(name));
    let is_bad = |(name, value): (&[u8], &[u8])| {
        memchr::memchr(0, name).is_some() || memchr::memchr(0, value).is_some()
    };
    if octets::decimal(length).is_none() || others().any(is_bad) {
        return Err(TooLarge);
    }
    let first = [(&b"CONTENT_LENGTH"[..], length), (b"SCGI", b"1")];
    let all = || first.into_iter().chain(others());
    let size: usize = all()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    out.reserve(size + 22);
    h1::decimal(out, size as u64);
    out.push(b':');
    for (name, value) in all() {
        out.extend_from_slice(name);
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    }
    out.push(b',');
    Ok(())
}

/// Parses the head of a request from the start of `input`. `Ok(None)` asks for more bytes: the next
/// call passes the same ones with more behind them. `Ok(Some(n))`: it took `n` bytes, and
/// `CONTENT_LENGTH` bytes of body follow.
pub fn parse_request(
    input: &[u8],
    limits: &Limits,
    variables: &mut Variables,
) -> Result<Option<usize>, BadRequest> {
    let Some((size, start)) = netstring(input, limits)? else {
        return Ok(None);
    };
    let end = start + size;
    // What cannot be a request is not waited for.
    let known = input.get(start..end.min(input.len())).unwrap_or_default();
    let first = b"CONTENT_LENGTH\0";
    if !known.iter().zip(first).all(|(a, b)| a == b) || size < first.len() {
        return Err(BadRequest::ContentLength);
    }
    let (Some(block), Some(&comma)) = (input.get(start..end), input.get(end)) else {
        return Ok(None);
    };
    if comma != b',' {
        return Err(BadRequest::Netstring);
    }
    variables.clear();
    read_block(block, limits, variables)?;
    let mut lengths = variables.iter().filter(|(n, _)| *n == b"CONTENT_LENGTH");
    let length = lengths.next().and_then(|(_, value)| octets::decimal(value));
    if length.is_none() || lengths.next().is_some() {
        return Err(BadRequest::ContentLength);
    }
    match variables.get(b"SCGI") {
        Some(b"1") => Ok(Some(end + 1)),
        _ => Err(BadRequest::Version),
    }
}

fn read_block(block: &[u8], limits: &Limits, variables: &mut Variables) -> Result<(), BadRequest> {
    let mut rest = block;
    while !rest.is_empty() {
        let (name, after) = until_nul(rest).ok_or(BadRequest::Variable)?;
        let (value, after) = until_nul(after).ok_or(BadRequest::Variable)?;
        if name.is_empty() {
            return Err(BadRequest::Variable);
        }
        if variables.len() >= limits.max_variables {
            return Err(BadRequest::TooLarge);
        }
        variables.push(name, value);
        rest = after;
    }
    Ok(())
}

fn until_nul(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (text, rest) = input.split_at(memchr::memchr(0, input)?);
    Some((text, rest.get(1..)?))
}

/// The size of a netstring and where it begins; `None` when that is not known yet.
fn netstring(input: &[u8], limits: &Limits) -> Result<Option<(usize, usize)>, BadRequest> {
    let mut size = 0_usize;
    for (at, &byte) in input.iter().enumerate() {
        match byte {
            // Only the number of nothing begins with a zero.
            b'0'..=b'9' if at == 0 || size > 0 => {
                size = size * 10 + usize::from(byte - b'0');
                if size > limits.max_bytes {
                    return Err(BadRequest::TooLarge);
                }
            }
            b':' if at > 0 => return Ok(Some((size, at + 1))),
            _ => return Err(BadRequest::Netstring),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_bytes: 100,
        max_variables: 4,
    };

    fn read(input: &[u8]) -> Result<Option<(usize, usize)>, BadRequest> {
        let mut variables = Variables::new();
        let taken = parse_request(input, &LIMITS, &mut variables)?;
        Ok(taken.map(|taken| (taken, variables.len())))
    }

    #[test]
    fn a_request_is_what_the_protocol_says() {
        let mut variables = Variables::new();
        variables.push(b"A", b"b");
        variables.push(b"CONTENT_LENGTH", b"4");
        variables.push(b"SCGI", b"2");
        let mut out = Vec::new();
        encode(&mut out, &variables).unwrap();
        assert_eq!(out, b"28:CONTENT_LENGTH\x004\0SCGI\x001\0A\0b\0,");
        let taken = out.len();
        out.extend_from_slice(b"body");
        assert_eq!(read(&out), Ok(Some((taken, 3))));
        for end in 0..taken {
            assert_eq!(read(&out[..end]), Ok(None));
        }
        variables.push(b"N", b"\0");
        assert_eq!(encode(&mut out, &variables), Err(TooLarge));
    }

    #[test]
    fn bad_requests_are_refused_as_soon_as_they_are_seen() {
        for (input, expected) in [
            (&b"999999999999:"[..], BadRequest::TooLarge),
            (b"101", BadRequest::TooLarge),
            (b":", BadRequest::Netstring),
            (b"024:", BadRequest::Netstring),
            (b"GET / HTTP/1.1", BadRequest::Netstring),
            (b"0:,", BadRequest::ContentLength),
            (b"24:A", BadRequest::ContentLength),
            (
                b"24:CONTENT_LENGTH\x000\0SCGI\x001\0x",
                BadRequest::Netstring,
            ),
            (b"17:CONTENT_LENGTH\x000\0,", BadRequest::Version),
            (b"24:CONTENT_LENGTH\x000\0SCGI\x002\0,", BadRequest::Version),
            (
                b"24:CONTENT_LENGTH\x00a\0SCGI\x001\0,",
                BadRequest::ContentLength,
            ),
            (
                b"26:CONTENT_LENGTH\x000\0SCGI\x001\0A\0,",
                BadRequest::Variable,
            ),
            (
                b"26:CONTENT_LENGTH\x000\0SCGI\x001\0\0\0,",
                BadRequest::Variable,
            ),
            (
                b"41:CONTENT_LENGTH\x000\0SCGI\x001\0CONTENT_LENGTH\x001\0,",
                BadRequest::ContentLength,
            ),
        ] {
            assert_eq!(read(input), Err(expected), "{}", input.escape_ascii());
        }
    }
}
