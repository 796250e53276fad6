//! Header fields between the `http` crate's map, in which the `h2` crate gives and takes them, and
//! ours.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use quaich_proto::h1::{self, RequestHead, Structured};
use quaich_proto::headers::{HeaderId, Headers};

use crate::downstream::standard::transport_security;
use crate::exchange::Exchange;
use crate::thread::Thread;

/// Trailers of a request: number, and bytes of names and values.
const MAX_TRAILERS: usize = 16;
const MAX_TRAILER: usize = 8 * 1024;

/// Reads the head of a request. `ends` says whether nothing follows it.
pub(super) fn read_head(
    head: &mut RequestHead,
    parts: &http::request::Parts,
    ends: bool,
    limits: &h1::Limits,
) -> Result<(), h1::Reject> {
    let uri = &parts.uri;
    let structured = Structured {
        method: parts.method.as_str().as_bytes(),
        scheme: uri.scheme_str().map(str::as_bytes),
        authority: uri
            .authority()
            .map(|authority| authority.as_str().as_bytes()),
        path: uri
            .path_and_query()
            .map_or(&[], |path| path.as_str().as_bytes()),
        protocol: parts
            .extensions
            .get::<h2::ext::Protocol>()
            .map(|protocol| protocol.as_str().as_bytes()),
        ends,
    };
    let fields = parts.headers.iter();
    let fields = fields.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    h1::assemble_request(&structured, fields, limits, head)
}

/// Reads trailers of a request. `None` when they are too many or too long.
pub(super) fn read_trailers(map: &HeaderMap) -> Option<Headers> {
    let mut headers = Headers::new();
    if map.len() > MAX_TRAILERS {
        return None;
    }
    for (name, value) in map {
        let name = name.as_str().as_bytes();
        let counts = h1::may_trail(HeaderId::from_name(name)) && !name.contains(&b'_');
        if counts && headers.push(name, value.as_bytes()).is_err() {
            return None;
        }
    }
    (headers.wire_size() <= MAX_TRAILER).then_some(headers)
}

/// The fields of a response that belong to its meaning, not to a connection of HTTP/1.
pub(super) fn write_fields(map: &mut HeaderMap, headers: &Headers) {
    for (id, name, value) in headers.iter() {
        if !(h1::is_hop_by_hop(id) || id == HeaderId::ContentLength) {
            write_field(map, name, value);
        }
    }
}

/// Trailers of a response.
pub(super) fn write_trailers(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (id, name, value) in headers.iter() {
        if h1::may_trail(id) {
            write_field(&mut map, name, value);
        }
    }
    map
}

/// Adds a field. The section that it comes from holds valid ones only.
pub(super) fn write_field(map: &mut HeaderMap, name: &[u8], value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        map.append(name, value);
    }
}

/// Adds header lines that are rendered already.
pub(super) fn write_lines(map: &mut HeaderMap, lines: &[u8]) {
    for line in lines.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(colon) = line.iter().position(|&byte| byte == b':') {
            let (name, value) = line.split_at(colon);
            write_field(map, name, value.get(1..).unwrap_or_default().trim_ascii());
        }
    }
}

/// Adds `Content-Length`.
pub(super) fn write_length(map: &mut HeaderMap, length: u64) {
    map.insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
}

/// Adds `Server`, `Date` unless the response has its own, and what the site wants.
pub(super) fn write_standard(map: &mut HeaderMap, thread: &Thread, exchange: &Exchange) {
    STANDARD.with_borrow_mut(|standard| {
        standard.update(thread);
        if let Some(server) = &standard.server {
            map.insert(http::header::SERVER, server.clone());
        }
        if thread.settings.date_header
            && !exchange.response.headers.contains(HeaderId::Date)
            && let Some(date) = &standard.date
        {
            map.insert(http::header::DATE, date.clone());
        }
    });
    if let Some(value) = transport_security(thread, exchange) {
        write_field(map, b"strict-transport-security", value);
    }
}

thread_local! {
    static STANDARD: RefCell<Standard> = RefCell::default();
}

/// Values that many responses share.
#[derive(Default)]
struct Standard {
    second: Option<u64>,
    server: Option<HeaderValue>,
    date: Option<HeaderValue>,
}

impl Standard {
    fn update(&mut self, thread: &Thread) {
        let now = thread.clock.unix_second();
        if self.second == Some(now) {
            return;
        }
        self.second = Some(now);
        let mut line = Vec::new();
        thread.clock.append_date_line(&mut line);
        self.date = value_of(&line);
        self.server = thread.server_line.as_deref().and_then(value_of);
    }
}

/// The value of a header line.
fn value_of(line: &[u8]) -> Option<HeaderValue> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    HeaderValue::from_bytes(line.get(colon + 1..)?.trim_ascii()).ok()
}

/// A status that the crate takes.
pub(super) fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What is left of `bytes` after its first `count`, which are returned.
pub(super) fn split(bytes: &mut BytesMut, count: usize) -> Bytes {
    bytes.split_to(count.min(bytes.len())).freeze()
}
