//! Field lines and the fields that belong to one connection.

use super::reject::RejectReason;
use crate::headers::{HeaderId, is_token, is_value};

/// One line of a header or trailer section, without its end: name and value.
pub(super) fn parse_line(line: &[u8]) -> Result<(&[u8], &[u8]), RejectReason> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(RejectReason::LineFolding);
    }
    let end = line.iter().position(|&byte| !is_token(byte)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
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

/// Takes optional whitespace (RFC 9110 section 5.6.3) off both ends, nothing else.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The elements of a comma-separated list, trimmed, empty ones left out.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// A decimal number without sign, blank or excess; `None` for everything else.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, &byte| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// Whether a field concerns one connection only (RFC 9110 section 7.6.1) or the framing that each
/// connection has of its own.
pub fn is_hop_by_hop(id: HeaderId) -> bool {
    matches!(
        id,
        HeaderId::Connection
            | HeaderId::KeepAlive
            | HeaderId::ProxyConnection
            | HeaderId::Te
            | HeaderId::Trailer
            | HeaderId::TransferEncoding
            | HeaderId::Upgrade
    )
}

/// The options of a `Connection` field.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connection<'v> {
    value: &'v [u8],
    /// `close` is among them.
    pub close: bool,
    /// `keep-alive` is among them.
    pub keep_alive: bool,
    /// `upgrade` is among them.
    pub upgrade: bool,
}

impl<'v> Connection<'v> {
    /// Reads the value of one `Connection` field.
    pub fn parse(value: &'v [u8]) -> Self {
        let mut options = Self { value, ..Self::default() };
        for option in list(value) {
            options.close |= option.eq_ignore_ascii_case(b"close");
            options.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            options.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
        options
    }

    /// Whether a field of this name is for this connection only.
    pub fn names(&self, name: &[u8]) -> bool {
        !self.value.is_empty() && list(self.value).any(|option| option.eq_ignore_ascii_case(name))
    }

    /// Whether it names a field that carries routing, framing or identity: taking that away would
    /// change what the request means.
    pub(super) fn names_protected(&self) -> bool {
        list(self.value).any(|option| {
            let id = HeaderId::from_name(option);
            matches!(
                id,
                HeaderId::Host
                    | HeaderId::ContentLength
                    | HeaderId::ContentType
                    | HeaderId::TransferEncoding
                    | HeaderId::Authorization
                    | HeaderId::Cookie
                    | HeaderId::Range
                    | HeaderId::Expect
                    | HeaderId::CacheControl
            )
        })
    }
}
