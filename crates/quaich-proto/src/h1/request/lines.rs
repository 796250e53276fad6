//! Takes a request head apart line by line, each once, however the bytes come. The only caller is
//! the reader of a connection; a line that is not complete is never judged by more than its length
//! and its first bytes, so that the verdict is the same for every split.

use std::ops::Range;

use super::RequestHead;
use super::meaning::check_head;
use crate::h1::fields::parse_line;
use crate::h1::reject::{Reject, RejectReason};
use crate::h1::{Limits, Version};
use crate::headers::HeaderId;
use crate::method::Method;
use crate::octets::{TOKEN, span};
use crate::target;

/// The longest method name that is read.
pub(super) const MAX_METHOD: usize = 32;
/// What surrounds method and target in a request line: two spaces, the version, CR.
const AROUND_TARGET: usize = 2 + b"HTTP/1.1\r".len();

/// How far a head has been read.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stage: Stage,
    /// Where the first line begins that is not taken apart yet.
    line: usize,
    /// Bytes in which no further line end will be found.
    scanned: usize,
    /// Bytes of the header lines so far, their ends included.
    header: usize,
    /// Where the authority of an absolute target stands in the head's text, and its default port.
    pub(super) uri_authority: Range<usize>,
    pub(super) uri_port: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    RequestLine,
    Fields,
    /// Complete or refused: the next call begins a new head.
    Over,
}

/// Parses a request head from the start of `input`. `Ok(None)` asks for more bytes: the next call
/// passes the same ones with more behind them. `Ok(Some(n))`: the head took `n` bytes. One empty line
/// before the request line is skipped (RFC 9112 section 2.2). After an error the connection has no
/// further request.
pub fn parse_request(
    input: &[u8],
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Option<usize>, Reject> {
    let begins = head.progress.scanned == 0;
    if begins || head.progress.stage == Stage::Over || head.progress.scanned > input.len() {
        head.clear();
    }
    let parsed = parse_lines(input, limits, head);
    if !matches!(parsed, Ok(None)) {
        head.progress.stage = Stage::Over;
    }
    Ok(parsed?)
}

fn parse_lines(
    input: &[u8],
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Option<usize>, RejectReason> {
    if head.progress.line == 0 && input.starts_with(b"\r\n") {
        head.progress.line = 2;
        head.progress.scanned = head.progress.scanned.max(2);
    }
    loop {
        let begin = head.progress.line;
        let fresh = input.get(head.progress.scanned..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', fresh).map(|at| head.progress.scanned + at) else {
            head.progress.scanned = input.len();
            check_beginning(
                input.get(begin..).unwrap_or_default(),
                limits,
                &head.progress,
            )?;
            return Ok(None);
        };
        let line = input.get(begin..end).unwrap_or_default();
        check_beginning(line, limits, &head.progress)?;
        let line = line.strip_suffix(b"\r").ok_or(RejectReason::BadLineEnd)?;
        head.progress.line = end + 1;
        head.progress.scanned = end + 1;
        if head.progress.stage == Stage::RequestLine {
            parse_request_line(line, limits, head)?;
            head.progress.stage = Stage::Fields;
        } else if line.is_empty() {
            check_head(head)?;
            return Ok(Some(end + 1));
        } else {
            head.progress.header += line.len() + 2;
            parse_field(line, limits, head)?;
        }
    }
}

/// What can be said of a line from its beginning, CR included if it came: whether it is too long
/// already, or no beginning of a request. Says of a whole line what it said of its first bytes.
fn check_beginning(line: &[u8], limits: &Limits, progress: &Progress) -> Result<(), RejectReason> {
    // The last byte may be the CR.
    let length = line.len().saturating_sub(1);
    if progress.stage == Stage::Fields {
        let room = limits.max_header.saturating_sub(progress.header + 2);
        return match () {
            () if length <= room.min(limits.max_field) => Ok(()),
            () if limits.max_field <= room => Err(RejectReason::FieldTooLarge),
            () => Err(RejectReason::HeaderTooLarge),
        };
    }
    let method = span(line.get(..=MAX_METHOD).unwrap_or(line), &TOKEN);
    if method > MAX_METHOD || method == 0 && !matches!(line, [] | [b'\r']) {
        return Err(RejectReason::BadMethod);
    }
    if line.len() > limits.max_uri + MAX_METHOD + AROUND_TARGET {
        return Err(RejectReason::UriTooLong);
    }
    Ok(())
}

fn parse_request_line(
    line: &[u8],
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<(), RejectReason> {
    let (method, rest) = line.split_at(span(line, &TOKEN));
    let rest = match rest {
        [b' ', rest @ ..] if !method.is_empty() => rest,
        [] | [b'\t', ..] => return Err(RejectReason::BadRequestLine),
        _ => return Err(RejectReason::BadMethod),
    };
    check_case(method)?;
    let target_end = memchr::memchr(b' ', rest).ok_or(RejectReason::BadRequestLine)?;
    let (target, version) = rest.split_at(target_end);
    if target.len() > limits.max_uri {
        return Err(RejectReason::UriTooLong);
    }
    head.version = match version {
        b" HTTP/1.1" => Version::Http11,
        b" HTTP/1.0" => Version::Http10,
        [
            b' ',
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            b'0'..=b'9',
            b'.',
            b'0'..=b'9',
        ] => {
            return Err(RejectReason::UnsupportedVersion);
        }
        _ => return Err(RejectReason::BadVersion),
    };
    head.method = Method::from_bytes(method);
    head.method_name = head.keep(method);
    if head.method == Method::Connect {
        return Err(RejectReason::ConnectRefused);
    }
    parse_target(target, head)
}

/// Methods know upper from lower case (RFC 9110 section 9.1), but some apps do not and would take
/// `delete` for the `DELETE` that rules speak of.
pub(super) fn check_case(method: &[u8]) -> Result<(), RejectReason> {
    match method.iter().any(u8::is_ascii_lowercase) {
        true => Err(RejectReason::MethodCase),
        false => Ok(()),
    }
}

pub(super) fn parse_target(target: &[u8], head: &mut RequestHead) -> Result<(), RejectReason> {
    let origin = match target {
        [b'/', ..] => target,
        b"*" if head.method == Method::Options => {
            asterisk(head);
            return Ok(());
        }
        _ => {
            let (authority, port, origin) =
                target::split_absolute(target).ok_or(RejectReason::BadTarget)?;
            target::Authority::parse(authority).ok_or(RejectReason::BadTarget)?;
            head.progress.uri_authority = head.keep(authority);
            head.progress.uri_port = port;
            origin
        }
    };
    match origin {
        [b'/', ..] => {
            head.target = head.keep(origin);
            parse_origin(origin, head)
        }
        // RFC 9112 section 3.2.4: about the server as a whole.
        [] if head.method == Method::Options => {
            asterisk(head);
            Ok(())
        }
        // `http://host` and `http://host?query` have the path `/`.
        _ => {
            let start = head.keep(b"/").start;
            head.target = start..head.keep(origin).end;
            parse_origin(&[b"/", origin].concat(), head)
        }
    }
}

fn asterisk(head: &mut RequestHead) {
    head.target = head.keep(b"*");
    head.path = head.target.clone();
    head.decoded = head.target.clone();
}

/// Path and query of `origin`, which `head.target` holds already.
fn parse_origin(origin: &[u8], head: &mut RequestHead) -> Result<(), RejectReason> {
    let form = target::scan(origin).ok_or(RejectReason::BadTarget)?;
    let Range { start, end } = head.target;
    let path = start..start + form.path_length;
    head.query = (path.end < end).then(|| path.end + 1..end);
    if form.is_normal {
        head.path = path.clone();
        head.decoded = path;
        return Ok(());
    }
    let raw = origin.get(..form.path_length).unwrap_or_default();
    let start = head.text.len();
    target::normalise(raw, &mut head.text).ok_or(RejectReason::BadPath)?;
    head.path = start..head.text.len();
    target::append_decoded(&mut head.text, start);
    head.decoded = head.path.end..head.text.len();
    Ok(())
}

fn parse_field(line: &[u8], limits: &Limits, head: &mut RequestHead) -> Result<(), RejectReason> {
    let (name, value) = parse_line(line)?;
    add_field(name, value, limits, head)
}

/// Adds a field that was checked, unless its name is ambiguous.
pub(super) fn add_field(
    name: &[u8],
    value: &[u8],
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<(), RejectReason> {
    if head.headers.len() + usize::from(head.dropped_fields) >= limits.max_headers {
        return Err(RejectReason::TooManyFields);
    }
    let id = HeaderId::from_name(name);
    if id == HeaderId::Other && is_ambiguous(name) {
        head.dropped_fields = head.dropped_fields.saturating_add(1);
        return Ok(());
    }
    head.headers
        .push_valid(id, name, value)
        .map_err(|_| RejectReason::FieldTooLarge)
}

/// Whether a field becomes another one's variable in CGI-like environments: `X_Forwarded_For` that
/// of `X-Forwarded-For`, `Proxy` the `HTTP_PROXY` that HTTP clients obey.
fn is_ambiguous(name: &[u8]) -> bool {
    name.contains(&b'_') || name.eq_ignore_ascii_case(b"proxy")
}
