//! What the header fields of a message say about its body and its connection, the same for requests
//! and responses (RFC 9112 sections 6 and 9.3). Called by both head parsers; never forgives a second
//! reading.

use super::connection::Connection;
use super::fields::{list, number};
use super::reject::RejectReason;
use super::{BodyLength, Version};
use crate::headers::{HeaderId, Headers};
use crate::octets::{is_token, trim};

/// The framing that the fields name; `None` when they name none. At most one `Content-Length`, at
/// most one `Transfer-Encoding`, never both, and of codings `chunked` alone, in HTTP/1.1.
pub(super) fn body_length(
    headers: &Headers,
    version: Version,
) -> Result<Option<BodyLength>, RejectReason> {
    let mut lengths = headers.get_all(HeaderId::ContentLength);
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(value), None) => Some(number(value).ok_or(RejectReason::BadContentLength)?),
        (Some(_), Some(_)) => return Err(RejectReason::ManyContentLengths),
    };
    let mut codings = headers.get_all(HeaderId::TransferEncoding);
    let coding = match (codings.next(), codings.next()) {
        (Some(coding), None) => coding,
        (None, _) => return Ok(length.map(BodyLength::Known)),
        (Some(_), Some(_)) => return Err(RejectReason::BadTransferEncoding),
    };
    check_coding(coding)?;
    if length.is_some() {
        return Err(RejectReason::LengthAndCoding);
    }
    if version == Version::Http10 {
        return Err(RejectReason::CodingInOldVersion);
    }
    Ok(Some(BodyLength::Chunked))
}

/// Exactly `chunked` passes; codings that exist or might are "not implemented", the rest is broken.
fn check_coding(coding: &[u8]) -> Result<(), RejectReason> {
    if coding.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut last: &[u8] = &[];
    for element in coding.split(|&byte| byte == b',').map(trim) {
        let after_chunked = last.eq_ignore_ascii_case(b"chunked");
        if !is_token(element) || after_chunked || element.eq_ignore_ascii_case(b"identity") {
            return Err(RejectReason::BadTransferEncoding);
        }
        last = element;
    }
    Err(RejectReason::UnknownCoding)
}

/// Whether the sender wants to use the connection again.
pub(super) fn keeps_alive(options: &Connection<'_>, version: Version) -> bool {
    !options.close && (version != Version::Http10 || options.keep_alive)
}

/// The protocol that an `Upgrade` field asks for: one, and not HTTP/2 without TLS, which is never
/// switched to. `None` when there is no such field, or several.
pub(super) fn upgrade_protocol(headers: &Headers) -> Option<&[u8]> {
    let mut protocols = headers.get_all(HeaderId::Upgrade).flat_map(list);
    let first = protocols.next()?;
    (protocols.next().is_none() && !first.eq_ignore_ascii_case(b"h2c")).then_some(first)
}
