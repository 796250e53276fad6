//! Response heads of servers (RFC 9112 section 4). As strict as for requests: an answer without a
//! single meaning is a failure of the server.

use super::connection::Connection;
use super::fields::parse_line;
use super::framing::{body_length, keeps_alive};
use super::{BodyLength, Limits, Version};
use crate::headers::{HeaderId, Headers};
use crate::method::Method;
use crate::octets::is_value;

/// Bytes that a status line may have, beyond the limit of the header.
pub(crate) const MAX_STATUS_LINE: usize = 1024;

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
    /// Where the first line begins that is not taken apart yet.
    pub(crate) line: usize,
    /// Bytes in which no further line end will be found.
    pub(crate) scanned: usize,
    pub(crate) is_over: bool,
}

impl ResponseHead {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything, keeps the memory. Due before another connection's bytes are parsed.
    pub fn clear(&mut self) {
        self.line = 0;
        self.scanned = 0;
        self.is_over = false;
        self.status = 0;
        self.version = Version::Http11;
        self.headers.clear();
        self.body = BodyLength::Empty;
        self.keep_alive = false;
    }
}

/// Parses the head of a response to a request with `method` from the start of `input`. `Ok(None)`
/// asks for more bytes: the next call passes the same ones with more behind them. `Ok(Some(n))`: the
/// head took `n` bytes. Interim responses are heads of their own.
pub fn parse_response(
    input: &[u8],
    limits: &Limits,
    method: &Method,
    head: &mut ResponseHead,
) -> Result<Option<usize>, BadResponse> {
    let begins = head.scanned == 0;
    if begins || head.is_over || head.scanned > input.len() {
        head.clear();
    }
    let parsed = parse_lines(input, limits, *method, head);
    head.is_over = !matches!(parsed, Ok(None));
    parsed
}

fn parse_lines(
    input: &[u8],
    limits: &Limits,
    method: Method,
    head: &mut ResponseHead,
) -> Result<Option<usize>, BadResponse> {
    let most = limits.max_header + MAX_STATUS_LINE;
    loop {
        let fresh = input.get(head.scanned..).unwrap_or_default();
        let found = memchr::memchr(b'\n', fresh).map(|at| head.scanned + at);
        let end = found.unwrap_or(input.len());
        let line = input.get(head.line..end).unwrap_or_default();
        let is_status_line = head.line == 0;
        // The same of a whole line as of its first bytes, so that every split has one verdict.
        if is_status_line && !could_be_status_line(line) {
            return Err(BadResponse::StatusLine);
        }
        if end >= most {
            return Err(BadResponse::TooLarge);
        }
        if found.is_none() {
            head.scanned = end;
            return Ok(None);
        }
        let line = line.strip_suffix(b"\r").ok_or(BadResponse::LineEnd)?;
        head.line = end + 1;
        head.scanned = end + 1;
        if is_status_line {
            parse_status_line(line, head)?;
        } else if line.is_empty() {
            frame(head, method)?;
            return Ok(Some(end + 1));
        } else {
            parse_field(line, limits, head)?;
        }
    }
}

/// Whether the first bytes of `line` are those of a status line, as far as they have come.
fn could_be_status_line(line: &[u8]) -> bool {
    const START: &[u8] = b"HTTP/1.";
    line.iter()
        .zip(START)
        .all(|(byte, expected)| byte == expected)
}

pub(crate) fn parse_status_line(line: &[u8], head: &mut ResponseHead) -> Result<(), BadResponse> {
    let (version, rest) = match line.split_at_checked(9) {
        Some((b"HTTP/1.1 ", rest)) => (Version::Http11, rest),
        Some((b"HTTP/1.0 ", rest)) => (Version::Http10, rest),
        _ => return Err(BadResponse::StatusLine),
    };
    head.version = version;
    parse_status(rest, head)
}

/// Status and phrase: what a status line has behind the version.
pub(crate) fn parse_status(rest: &[u8], head: &mut ResponseHead) -> Result<(), BadResponse> {
    let (status, phrase) = match rest {
        [
            a @ b'1'..=b'5',
            b @ b'0'..=b'9',
            c @ b'0'..=b'9',
            phrase @ ..,
        ] => {
            let digit = |byte: &u8| u16::from(byte - b'0');
            (digit(a) * 100 + digit(b) * 10 + digit(c), phrase)
        }
        _ => return Err(BadResponse::StatusLine),
    };
    // A server that leaves out the phrase may leave out its space: nothing else can be meant.
    if !matches!(phrase, [] | [b' ', ..]) || !is_value(phrase) {
        return Err(BadResponse::StatusLine);
    }
    head.status = status;
    Ok(())
}

pub(crate) fn parse_field(
    line: &[u8],
    limits: &Limits,
    head: &mut ResponseHead,
) -> Result<(), BadResponse> {
    let (name, value) = parse_line(line).map_err(|_| BadResponse::Field)?;
    if line.len() > limits.max_field || head.headers.len() >= limits.max_headers {
        return Err(BadResponse::TooLarge);
    }
    let id = HeaderId::from_name(name);
    head.headers
        .push_valid(id, name, value)
        .map_err(|_| BadResponse::TooLarge)
}

/// RFC 9112 section 6.3, without its leniencies.
pub(crate) fn frame(head: &mut ResponseHead, method: Method) -> Result<(), BadResponse> {
    let named = body_length(&head.headers, head.version).map_err(|_| BadResponse::Framing)?;
    let options = Connection::of(&head.headers);
    if options.names(b"content-length") {
        return Err(BadResponse::Framing);
    }
    let keep_alive = keeps_alive(&options, head.version);
    let never_has_body = head.status < 200 || head.status == 204;
    head.body = match named {
        _ if never_has_body || head.status == 304 || method == Method::Head => BodyLength::Empty,
        Some(length) => length,
        None => BodyLength::UntilClose,
    };
    // A server that announces a body where none can be is likely to send it: what follows on this
    // connection may not be the next response.
    let is_lying = never_has_body && !matches!(named, None | Some(BodyLength::Known(0)));
    if never_has_body {
        head.headers.remove(HeaderId::ContentLength);
        head.headers.remove(HeaderId::TransferEncoding);
    }
    head.keep_alive = keep_alive && !is_lying && head.body != BodyLength::UntilClose;
    Ok(())
}
