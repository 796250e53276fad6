//! Request heads (RFC 9112 sections 3 and 5).
//!
//! One pass over whole lines. A head that is not complete is parsed again from its start when more
//! has come, but only when that held the end of a line.

use std::ops::Range;

use super::fields::{Connection, list, number, parse_line, trim};
use super::reject::{Reject, RejectReason};
use super::{BodyLength, Limits, Version};
use crate::headers::{HeaderId, Headers, is_token};
use crate::method::Method;
use crate::target::{self, Authority};

/// The longest method name that is read.
const MAX_METHOD: usize = 32;

/// A request head, checked and taken apart.
#[derive(Debug, Default)]
pub struct RequestHead {
    /// What is to be done.
    pub method: Method,
    /// Of the client.
    pub version: Version,
    /// In their order, without those of ambiguous name.
    pub headers: Headers,
    /// How the end of the body is found.
    pub body: BodyLength,
    /// Whether the client wants to use the connection again.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue`.
    pub expect_continue: bool,
    /// Whether it asks to switch protocols.
    pub upgrade: bool,
    /// Fields left out because another parser might take their name for a different one.
    pub dropped_fields: u16,
    /// Method, target, host; then, if they differ from the target, path and decoded path.
    text: Vec<u8>,
    method_name: Range<usize>,
    target: Range<usize>,
    path: Range<usize>,
    decoded: Range<usize>,
    query: Option<Range<usize>>,
    authority: Range<usize>,
    host: Range<usize>,
    port: Option<u16>,
    scanned: usize,
}

impl RequestHead {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.scanned = 0;
        self.restart();
    }

    fn restart(&mut self) {
        self.method = Method::Other;
        self.version = Version::Http11;
        self.headers.clear();
        self.body = BodyLength::Empty;
        self.keep_alive = false;
        self.expect_continue = false;
        self.upgrade = false;
        self.dropped_fields = 0;
        self.text.clear();
        for range in [
            &mut self.method_name,
            &mut self.target,
            &mut self.path,
            &mut self.decoded,
            &mut self.authority,
            &mut self.host,
        ] {
            *range = 0..0;
        }
        self.query = None;
        self.port = None;
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// The method as sent.
    pub fn method_name(&self) -> &[u8] {
        self.slice(&self.method_name)
    }

    /// The request target in origin form as sent, query included; `*` for `OPTIONS *`.
    pub fn target(&self) -> &[u8] {
        self.slice(&self.target)
    }

    /// The path in its normal form with canonical percent-encoding. Begins with a slash, or is `*`.
    pub fn path(&self) -> &[u8] {
        self.slice(&self.path)
    }

    /// The normal form, percent-decoded.
    pub fn path_decoded(&self) -> &[u8] {
        self.slice(&self.decoded)
    }

    /// The query as sent, without its question mark.
    pub fn query(&self) -> &[u8] {
        self.query.as_ref().map_or(&[], |range| self.slice(range))
    }

    /// Whether there is a question mark.
    pub fn has_query(&self) -> bool {
        self.query.is_some()
    }

    /// Host and port as sent; empty when an HTTP/1.0 client named none.
    pub fn authority(&self) -> &[u8] {
        self.slice(&self.authority)
    }

    /// The host in lower case, without port and trailing dot; an IPv6 address in its brackets.
    pub fn host(&self) -> &[u8] {
        self.slice(&self.host)
    }

    /// The port that the client named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        start..self.text.len()
    }
}

/// Parses a request head. `Ok(None)` asks for more bytes after the same ones; else the number of
/// bytes of the head. One empty line before the request line is skipped (RFC 9112 section 2.2).
pub fn parse_request(
    input: &[u8],
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Option<usize>, Reject> {
    let fresh = input.get(head.scanned..).unwrap_or_default();
    if memchr::memchr(b'\n', fresh).is_none() {
        let start = memchr::memrchr(b'\n', input).map_or(0, |at| at + 1);
        check_unfinished(input, start, limits)?;
        head.scanned = input.len();
        return Ok(None);
    }
    head.restart();
    let parsed = parse_lines(input, limits, head)?;
    head.scanned = if parsed.is_some() { 0 } else { input.len() };
    Ok(parsed)
}

/// What can be said of a line from `start` on whose end has not come: whether it is too long
/// already, or no beginning of a request.
fn check_unfinished(input: &[u8], start: usize, limits: &Limits) -> Result<(), Reject> {
    let line = input.get(start..).unwrap_or_default();
    let is_request_line = start == 0 || start == 2 && input.starts_with(b"\r\n");
    let reason = if !is_request_line {
        (line.len() > limits.max_field + 1).then_some(RejectReason::FieldTooLarge)
    } else if line.is_empty() || line == b"\r" {
        None
    } else if line.len() > limits.max_uri + MAX_METHOD + 16 {
        Some(RejectReason::UriTooLong)
    } else {
        let method = line.iter().take(MAX_METHOD + 1).position(|&byte| !is_token(byte));
        let endless = method.is_none() && line.len() > MAX_METHOD;
        (method == Some(0) || endless).then_some(RejectReason::BadMethod)
    };
    reason.map_or(Ok(()), |reason| Err(reason.into()))
}

fn parse_lines(
    input: &[u8],
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Option<usize>, Reject> {
    let mut at = if input.starts_with(b"\r\n") { 2 } else { 0 };
    let mut uri_authority = 0..0;
    let mut first = true;
    let mut field_bytes = 0;
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', rest) else {
            check_unfinished(input, at, limits)?;
            return Ok(None);
        };
        let Some(line) = rest[..end].strip_suffix(b"\r") else {
            return Err(RejectReason::BadLineEnd.into());
        };
        at += end + 1;
        if first {
            uri_authority = parse_request_line(line, limits, head)?;
            first = false;
        } else if line.is_empty() {
            finish(head, uri_authority)?;
            return Ok(Some(at));
        } else {
            field_bytes += line.len() + 2;
            if field_bytes > limits.max_header {
                return Err(RejectReason::HeaderTooLarge.into());
            }
            parse_field(line, limits, head)?;
        }
    }
}

/// Returns where the authority of an absolute target stands in `head.text`.
fn parse_request_line(
    line: &[u8],
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Range<usize>, RejectReason> {
    let method_end = line.iter().position(|&b| !is_token(b)).unwrap_or(line.len());
    let (method, rest) = line.split_at(method_end);
    if method.is_empty() || method.len() > MAX_METHOD {
        return Err(RejectReason::BadMethod);
    }
    let [b' ', rest @ ..] = rest else {
        let known = rest.is_empty() || rest[0] == b'\t';
        return Err(if known { RejectReason::BadRequestLine } else { RejectReason::BadMethod });
    };
    let target_end = memchr::memchr(b' ', rest).ok_or(RejectReason::BadRequestLine)?;
    let (target, version) = (&rest[..target_end], &rest[target_end + 1..]);
    if target.len() > limits.max_uri {
        return Err(RejectReason::UriTooLong);
    }
    head.version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
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

fn parse_target(target: &[u8], head: &mut RequestHead) -> Result<Range<usize>, RejectReason> {
    if target == b"*" && head.method == Method::Options {
        head.target = head.keep(target);
        head.path = head.target.clone();
        head.decoded = head.target.clone();
        return Ok(0..0);
    }
    let (authority, origin) = match target {
        [b'/', ..] => (&[][..], target),
        _ => target::split_absolute(target).ok_or(RejectReason::BadTarget)?,
    };
    let uri_authority = head.keep(authority);
    head.target = match origin {
        [b'/', ..] => head.keep(origin),
        // `http://host` and `http://host?query` have the path `/`.
        _ => {
            let start = head.keep(b"/").start;
            start..head.keep(origin).end
        }
    };
    let start = head.target.start;
    let form = target::scan(head.slice(&head.target.clone())).ok_or(RejectReason::BadTarget)?;
    let path = start..start + form.path_length;
    head.query = (path.end < head.target.end).then(|| path.end + 1..head.target.end);
    if form.is_normal {
        head.path = path.clone();
        head.decoded = path;
        return Ok(uri_authority);
    }
    let raw = head.slice(&path).to_vec();
    let from = head.text.len();
    target::normalise(&raw, &mut head.text).ok_or(RejectReason::BadPath)?;
    head.path = from..head.text.len();
    let canonical = head.slice(&head.path.clone()).to_vec();
    let from = head.text.len();
    target::decode(&canonical, &mut head.text);
    head.decoded = from..head.text.len();
    Ok(uri_authority)
}

fn parse_field(line: &[u8], limits: &Limits, head: &mut RequestHead) -> Result<(), RejectReason> {
    if line.len() > limits.max_field {
        return Err(RejectReason::FieldTooLarge);
    }
    let (name, value) = parse_line(line)?;
    if head.headers.len() + usize::from(head.dropped_fields) >= limits.max_headers {
        return Err(RejectReason::TooManyFields);
    }
    let id = HeaderId::from_name(name);
    if id == HeaderId::Other && (memchr::memchr(b'_', name).is_some() || is_proxy(name)) {
        // `X_Forwarded_For` and `Proxy` become other fields' variables in CGI-like environments.
        head.dropped_fields += 1;
        return Ok(());
    }
    head.headers.push_valid(id, name, value).map_err(|_| RejectReason::FieldTooLarge)
}

fn is_proxy(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"proxy")
}

/// What concerns the head as a whole.
fn finish(head: &mut RequestHead, uri_authority: Range<usize>) -> Result<(), RejectReason> {
    resolve_host(head, uri_authority)?;
    frame(head)?;
    let (mut close, mut keep_alive, mut upgrade) = (false, false, false);
    for value in head.headers.get_all(HeaderId::Connection) {
        let options = Connection::parse(value);
        if options.names_protected() {
            return Err(RejectReason::BadConnection);
        }
        close |= options.close;
        keep_alive |= options.keep_alive;
        upgrade |= options.upgrade;
    }
    head.keep_alive = !close && (head.version == Version::Http11 || keep_alive);
    if let Some(expectation) = head.headers.get(HeaderId::Expect) {
        if !expectation.eq_ignore_ascii_case(b"100-continue") {
            return Err(RejectReason::UnknownExpectation);
        }
        head.expect_continue =
            head.version == Version::Http11 && head.body != BodyLength::Empty;
    }
    head.upgrade = upgrade && head.version == Version::Http11 && is_upgrade(head);
    if head.upgrade && head.body != BodyLength::Empty {
        return Err(RejectReason::UpgradeWithBody);
    }
    Ok(())
}

/// One protocol is asked for, and it is not HTTP/2 without TLS, which is never switched to.
fn is_upgrade(head: &RequestHead) -> bool {
    let mut values = head.headers.get_all(HeaderId::Upgrade);
    match (values.next(), values.next()) {
        (Some(value), None) => {
            let mut protocols = list(value);
            let first = protocols.next().unwrap_or_default();
            protocols.next().is_none() && !first.is_empty() && !first.eq_ignore_ascii_case(b"h2c")
        }
        _ => false,
    }
}

fn resolve_host(head: &mut RequestHead, uri: Range<usize>) -> Result<(), RejectReason> {
    // Out of the head for a moment, so that its text can grow while a value is looked at.
    let headers = std::mem::take(&mut head.headers);
    let resolved = adopt_authority(head, &headers, uri);
    head.headers = headers;
    resolved
}

fn adopt_authority(
    head: &mut RequestHead,
    headers: &Headers,
    uri: Range<usize>,
) -> Result<(), RejectReason> {
    let mut hosts = headers.get_all(HeaderId::Host);
    let sent = match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => return Err(RejectReason::ManyHosts),
        (None, _) if head.version == Version::Http11 => return Err(RejectReason::NoHost),
        (sent, _) => sent,
    };
    if let Some(sent) = sent {
        let host = Authority::parse(sent).ok_or(RejectReason::BadHost)?;
        let same = |uri: &[u8]| Authority::parse(uri).is_some_and(|uri| uri.is_same(&host));
        if !uri.is_empty() && !same(head.slice(&uri)) {
            return Err(RejectReason::HostDiffers);
        }
        head.authority = head.keep(sent);
        adopt_host(head, host.host(), host.port());
    } else if !uri.is_empty() {
        let named = head.slice(&uri).to_owned();
        let host = Authority::parse(&named).ok_or(RejectReason::BadTarget)?;
        head.authority = uri;
        adopt_host(head, host.host(), host.port());
    }
    Ok(())
}

fn adopt_host(head: &mut RequestHead, host: &[u8], port: Option<u16>) {
    head.host = head.keep(host);
    if let Some(text) = head.text.get_mut(head.host.clone()) {
        text.make_ascii_lowercase();
    }
    head.port = port;
}

/// RFC 9112 section 6.3, without its leniencies.
fn frame(head: &mut RequestHead) -> Result<(), RejectReason> {
    let mut lengths = head.headers.get_all(HeaderId::ContentLength);
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(value), None) => Some(number(value).ok_or(RejectReason::BadContentLength)?),
        (Some(_), Some(_)) => return Err(RejectReason::ManyContentLengths),
    };
    let mut codings = head.headers.get_all(HeaderId::TransferEncoding);
    let coding = match (codings.next(), codings.next()) {
        (coding, None) => coding,
        _ => return Err(RejectReason::BadTransferEncoding),
    };
    let Some(coding) = coding else {
        head.body = length.map_or(BodyLength::Empty, BodyLength::Known);
        return Ok(());
    };
    check_coding(coding)?;
    if length.is_some() {
        return Err(RejectReason::LengthAndCoding);
    }
    if head.version == Version::Http10 {
        return Err(RejectReason::CodingInOldVersion);
    }
    head.body = BodyLength::Chunked;
    Ok(())
}

/// Exactly `chunked` passes; codings that exist or might are "not implemented", the rest is broken.
fn check_coding(coding: &[u8]) -> Result<(), RejectReason> {
    if coding.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut last: &[u8] = &[];
    for element in coding.split(|&byte| byte == b',').map(trim) {
        let valid = !element.is_empty() && element.iter().all(|&byte| is_token(byte));
        let after_chunked = last.eq_ignore_ascii_case(b"chunked");
        if !valid || after_chunked || element.eq_ignore_ascii_case(b"identity") {
            return Err(RejectReason::BadTransferEncoding);
        }
        last = element;
    }
    Err(RejectReason::UnknownCoding)
}
