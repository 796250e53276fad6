//! Response heads of servers (RFC 9112 section 4). As strict as for requests: an answer without a
//! single meaning is a failure of the server.

use super::fields::{Connection, list, number, parse_line};
use super::{BodyLength, Limits, Version};
use crate::headers::{HeaderId, Headers};
use crate::method::Method;

/// What is wrong with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadResponse {
    /// No valid status line.
    StatusLine,
    /// A line does not end with CR LF.
    LineEnd,
    /// A malformed field.
    Field,
    /// The head is too large.
    TooLarge,
    /// The length of the body has no single meaning.
    Framing,
}

impl BadResponse {
    /// A stable word in snake_case.
    pub fn label(self) -> &'static str {
        match self {
            Self::StatusLine => "bad_status_line",
            Self::LineEnd => "bad_response_line_end",
            Self::Field => "bad_response_field",
            Self::TooLarge => "response_head_too_large",
            Self::Framing => "bad_response_framing",
        }
    }
}

/// A response head, and what its framing says.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// 100 to 599.
    pub status: u16,
    /// Of the server.
    pub version: Version,
    /// In their order.
    pub headers: Headers,
    /// How the end of the body is found.
    pub body: BodyLength,
    /// Whether the connection may be used again after the body.
    pub keep_alive: bool,
}

impl ResponseHead {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.status = 0;
        self.version = Version::Http11;
        self.headers.clear();
        self.body = BodyLength::Empty;
        self.keep_alive = false;
    }
}

/// Parses a response head to a request with `method`. `Ok(None)` asks for more bytes; else the
/// number of bytes of the head.
pub fn parse_response(
    input: &[u8],
    limits: &Limits,
    method: &Method,
    head: &mut ResponseHead,
) -> Result<Option<usize>, BadResponse> {
    let most = limits.max_header + 1024;
    head.clear();
    let mut at = 0;
    let mut first = true;
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', rest) else {
            if first && !b"HTTP/1.".starts_with(&rest[..rest.len().min(7)]) {
                return Err(BadResponse::StatusLine);
            }
            return if input.len() > most { Err(BadResponse::TooLarge) } else { Ok(None) };
        };
        let line = rest[..end].strip_suffix(b"\r").ok_or(BadResponse::LineEnd)?;
        at += end + 1;
        if at > most {
            return Err(BadResponse::TooLarge);
        }
        if first {
            parse_status_line(line, head)?;
            first = false;
        } else if line.is_empty() {
            frame(head, *method)?;
            return Ok(Some(at));
        } else {
            parse_field(line, limits, head)?;
        }
    }
}

fn parse_status_line(line: &[u8], head: &mut ResponseHead) -> Result<(), BadResponse> {
    let (version, rest) = match line {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', b' ', rest @ ..] => (Version::Http11, rest),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0', b' ', rest @ ..] => (Version::Http10, rest),
        _ => return Err(BadResponse::StatusLine),
    };
    let (status, phrase) = match rest {
        [a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', phrase @ ..] => (
            u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'),
            phrase,
        ),
        _ => return Err(BadResponse::StatusLine),
    };
    let phrase_valid = phrase.is_empty()
        || phrase[0] == b' ' && phrase.iter().all(|&b| b >= 0x20 && b != 0x7f || b == b'\t');
    if !phrase_valid {
        return Err(BadResponse::StatusLine);
    }
    head.version = version;
    head.status = status;
    Ok(())
}

fn parse_field(line: &[u8], limits: &Limits, head: &mut ResponseHead) -> Result<(), BadResponse> {
    let (name, value) = parse_line(line).map_err(|_| BadResponse::Field)?;
    if line.len() > limits.max_field || head.headers.len() >= limits.max_headers {
        return Err(BadResponse::TooLarge);
    }
    let id = HeaderId::from_name(name);
    head.headers.push_valid(id, name, value).map_err(|_| BadResponse::TooLarge)
}

/// RFC 9112 section 6.3, without its leniencies.
fn frame(head: &mut ResponseHead, method: Method) -> Result<(), BadResponse> {
    let mut lengths = head.headers.get_all(HeaderId::ContentLength);
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(value), None) => Some(number(value).ok_or(BadResponse::Framing)?),
        (Some(_), Some(_)) => return Err(BadResponse::Framing),
    };
    let mut codings = head.headers.get_all(HeaderId::TransferEncoding);
    let chunked = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(value), None) if value.eq_ignore_ascii_case(b"chunked") => true,
        _ => return Err(BadResponse::Framing),
    };
    if chunked && (length.is_some() || head.version == Version::Http10) {
        return Err(BadResponse::Framing);
    }
    let bodyless = head.status < 200 || matches!(head.status, 204 | 304) || method == Method::Head;
    head.body = match (bodyless, chunked, length) {
        (true, _, _) => BodyLength::Empty,
        (_, true, _) => BodyLength::Chunked,
        (_, _, Some(length)) => BodyLength::Known(length),
        (_, _, None) => BodyLength::UntilClose,
    };
    let (mut close, mut keep_alive) = (false, false);
    for value in head.headers.get_all(HeaderId::Connection) {
        let options = Connection::parse(value);
        close |= options.close;
        keep_alive |= options.keep_alive;
        if list(value).any(|option| option.eq_ignore_ascii_case(b"content-length")) {
            return Err(BadResponse::Framing);
        }
    }
    head.keep_alive = head.body != BodyLength::UntilClose
        && !close
        && (head.version == Version::Http11 || keep_alive);
    Ok(())
}
