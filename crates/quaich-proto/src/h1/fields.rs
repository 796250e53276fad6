//! Field lines and the lists in their values. Called by both head parsers and, for trailers, by the
//! chunked decoder.

use super::reject::RejectReason;
use crate::octets::{TOKEN, is_value, span, trim};

pub(super) use crate::octets::decimal as number;

/// One line of a header or trailer section, without its end: name and value.
pub(super) fn parse_line(line: &[u8]) -> Result<(&[u8], &[u8]), RejectReason> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(RejectReason::LineFolding);
    }
    let (name, rest) = line.split_at(span(line, &TOKEN));
    let Some((b':', value)) = rest.split_first() else {
        return Err(RejectReason::BadFieldName);
    };
    if name.is_empty() {
        return Err(RejectReason::BadFieldName);
    }
    let value = trim(value);
    if !is_value(value) {
        return Err(RejectReason::BadFieldValue);
    }
    Ok((name, value))
}

/// The elements of a comma-separated list, trimmed, empty ones left out.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(trim)
        .filter(|element| !element.is_empty())
}
