//! Heads as `h2` has them, from and to ours.

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Method, Version};
use quaich_proto::h1::{self, BodyLength, ResponseHead};
use quaich_proto::headers::Headers;

use crate::error::{Error, Kind};
use crate::upstream::request::Request;

/// Fields that a response may have.
const MAX_FIELDS: usize = 256;

/// Fields that a WebSocket needs over HTTP/1.1 only (RFC 8441 section 5.1).
const HANDSHAKE: [&str; 2] = ["sec-websocket-key", "sec-websocket-accept"];

/// The request with its pseudo-fields. Fails when it cannot be put that way.
pub(super) fn request(request: &Request, secure: bool) -> Result<http::Request<()>, Error> {
    build(request, secure).ok_or(Error::downstream(Kind::Rejected(400, "bad_target")))
}

fn build(from: &Request, secure: bool) -> Option<http::Request<()>> {
    let mut request = http::Request::new(());
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(target(from.target())?);
    if from.authority().is_empty() {
        // A client of HTTP/1.0 may leave it out; `h2` takes such requests under their old version.
        *request.version_mut() = Version::HTTP_11;
    } else {
        uri.scheme = Some(if secure { Scheme::HTTPS } else { Scheme::HTTP });
        uri.authority = Some(Authority::try_from(from.authority()).ok()?);
        *request.version_mut() = Version::HTTP_2;
    }
    *request.uri_mut() = Uri::from_parts(uri).ok()?;
    *request.method_mut() = match from.protocol() {
        Some(_) => Method::CONNECT,
        None => Method::from_bytes(from.method_name()).ok()?,
    };
    if let Some(protocol) = from.protocol() {
        let name = std::str::from_utf8(protocol).ok()?.to_ascii_lowercase();
        request
            .extensions_mut()
            .insert(h2::ext::Protocol::from(name.as_str()));
    }
    *request.headers_mut() = fields(from)?;
    Some(request)
}

/// Path and query. Bytes that may not stand there (RFC 3986 section 2) and that some clients send
/// all the same are written in their other form, which means the same.
fn target(target: &[u8]) -> Option<PathAndQuery> {
    if let Ok(target) = PathAndQuery::try_from(target) {
        return Some(target);
    }
    let mut encoded = Vec::with_capacity(target.len() + 32);
    for &byte in target {
        if matches!(byte, 0x21 | 0x24..=0x3b | 0x3d | 0x3f..=0x5b | 0x5d | 0x5f | 0x61..=0x7a | 0x7e)
        {
            encoded.push(byte);
        } else {
            let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half & 15)];
            encoded.extend([b'%', digit(byte >> 4), digit(byte)]);
        }
    }
    PathAndQuery::try_from(encoded.as_slice()).ok()
}

fn fields(from: &Request) -> Option<HeaderMap> {
    let mut fields = HeaderMap::with_capacity(32);
    for (name, value) in from.fields() {
        let name = HeaderName::from_bytes(name).ok()?;
        if from.protocol().is_some() && HANDSHAKE.contains(&name.as_str()) {
            continue;
        }
        let mut value = HeaderValue::from_bytes(value).ok()?;
        // Not to be found out by how well it compresses (RFC 7541 section 7.1.3).
        value.set_sensitive(name == AUTHORIZATION);
        fields.append(name, value);
    }
    if let BodyLength::Known(length) = from.body() {
        fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if from.accepts_trailers() {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    Some(fields)
}

/// Fills `head`. `ended` says that nothing follows it, `tunnel` that the request asked for another
/// protocol, which a server grants with 2xx here.
pub(super) fn response(
    head: &mut ResponseHead,
    parts: &http::response::Parts,
    ended: bool,
    tunnel: bool,
) -> Result<(), Error> {
    head.clear();
    head.status = parts.status.as_u16();
    trailers(&mut head.headers, &parts.headers)?;
    match head.status {
        200..=299 if tunnel => {
            head.status = 101;
            return Ok(());
        }
        // RFC 9113 section 8.6.
        101 => return Err(Error::upstream(Kind::BadResponse("unasked_101"))),
        100..=599 => {}
        _ => return Err(Error::upstream(Kind::BadResponse("bad_status"))),
    }
    head.body = match parts.headers.get(CONTENT_LENGTH).map(length) {
        _ if ended => BodyLength::Empty,
        // `h2` counts, so the body has that length or fails.
        Some(Some(length)) => BodyLength::Known(length),
        Some(None) => return Err(Error::upstream(Kind::BadResponse("bad_response_framing"))),
        None => BodyLength::UntilClose,
    };
    Ok(())
}

fn length(value: &HeaderValue) -> Option<u64> {
    let digits = value.to_str().ok()?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

/// Adds `fields` to `headers`.
pub(super) fn trailers(headers: &mut Headers, fields: &HeaderMap) -> Result<(), Error> {
    if fields.len() > MAX_FIELDS {
        return Err(Error::upstream(Kind::BadResponse(
            "response_head_too_large",
        )));
    }
    for (name, value) in fields {
        headers
            .push(name.as_str().as_bytes(), value.as_bytes())
            .map_err(|_| Error::upstream(Kind::BadResponse("bad_response_field")))?;
    }
    Ok(())
}

/// The trailers of a request. Those that say something of the connection or the framing are left out
/// (RFC 9110 section 6.5.1).
pub(super) fn request_trailers(headers: &Headers) -> HeaderMap {
    let fit = headers.iter().filter(|(id, name, _)| {
        !h1::is_hop_by_hop(*id)
            && !name.eq_ignore_ascii_case(b"content-length")
            && !name.eq_ignore_ascii_case(b"host")
    });
    let converted = fit.filter_map(|(_, name, value)| {
        Some((
            HeaderName::from_bytes(name).ok()?,
            HeaderValue::from_bytes(value).ok()?,
        ))
    });
    let mut fields = HeaderMap::new();
    for (name, value) in converted {
        fields.append(name, value);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_a_client_may_send_can_be_passed_on() {
        assert_eq!(target(b"/a?b=%20").unwrap(), "/a?b=%20");
        assert_eq!(target(b"/?q=<a>\"`").unwrap(), "/?q=%3Ca%3E%22%60");
        for byte in 0x21..=0xff_u8 {
            let all = [b"/?", &[byte][..]].concat();
            assert!(target(&all).is_some(), "{byte:#x}");
        }
    }

    fn head(status: u16, fields: &[(&'static str, &'static str)]) -> http::response::Parts {
        let mut response = http::Response::new(());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        for (name, value) in fields {
            let value = HeaderValue::from_static(value);
            response.headers_mut().append(*name, value);
        }
        response.into_parts().0
    }

    #[test]
    fn a_response_says_how_long_it_is_if_it_knows() {
        let read = |parts: &http::response::Parts, ended| {
            let mut head = ResponseHead::new();
            response(&mut head, parts, ended, false).map(|()| head.body)
        };
        let known = head(200, &[("content-length", "10")]);
        assert_eq!(read(&known, false), Ok(BodyLength::Known(10)));
        assert_eq!(read(&known, true), Ok(BodyLength::Empty));
        assert_eq!(read(&head(200, &[]), false), Ok(BodyLength::UntilClose));
        for bad in ["", "+1", "1,1", "99999999999999999999"] {
            let mut parts = head(200, &[]);
            let value = HeaderValue::from_str(bad).unwrap();
            parts.headers.insert(CONTENT_LENGTH, value);
            assert!(read(&parts, false).is_err(), "{bad}");
        }
        assert!(read(&head(101, &[]), false).is_err());
    }
}
