//! The `Connection` field and the fields that belong to one connection (RFC 9110 section 7.6.1).
//! Used by the head parsers and by whoever passes a message on.

use super::fields::list;
use crate::headers::{HeaderId, Headers};

/// Whether a field concerns one connection only or the framing that each connection has of its own.
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

/// Whether a field may be sent as a trailer: not one that says how a message is framed, where it
/// goes, who sends it or how it is to be treated, since it would come too late (RFC 9110
/// section 6.5.1).
pub fn may_trail(id: HeaderId) -> bool {
    !is_hop_by_hop(id)
        && !matches!(
            id,
            HeaderId::Host
                | HeaderId::ContentLength
                | HeaderId::ContentType
                | HeaderId::Expect
                | HeaderId::Cookie
                | HeaderId::SetCookie
                | HeaderId::Authorization
                | HeaderId::CacheControl
                | HeaderId::Date
                | HeaderId::Location
                | HeaderId::Range
                | HeaderId::IfRange
                | HeaderId::IfMatch
                | HeaderId::IfNoneMatch
                | HeaderId::IfModifiedSince
                | HeaderId::IfUnmodifiedSince
                | HeaderId::XForwardedFor
                | HeaderId::XForwardedProto
                | HeaderId::XForwardedHost
                | HeaderId::XForwardedPort
                | HeaderId::XForwardedPrefix
                | HeaderId::XRealIp
                | HeaderId::Forwarded
        )
}

/// The options of all `Connection` fields of a message, or of one value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connection<'v> {
    headers: Option<&'v Headers>,
    value: &'v [u8],
    /// `close` is among them.
    pub close: bool,
    /// `keep-alive` is among them.
    pub keep_alive: bool,
    /// `upgrade` is among them.
    pub upgrade: bool,
}

impl<'v> Connection<'v> {
    /// Reads every `Connection` field of a message: a second one counts as much as the first.
    pub fn of(headers: &'v Headers) -> Self {
        let mut options = Self {
            headers: Some(headers),
            ..Self::default()
        };
        for value in headers.get_all(HeaderId::Connection) {
            options.add(value);
        }
        options
    }

    /// Reads the value of one `Connection` field.
    pub fn parse(value: &'v [u8]) -> Self {
        let mut options = Self {
            value,
            ..Self::default()
        };
        options.add(value);
        options
    }

    fn add(&mut self, value: &[u8]) {
        for option in list(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    fn options(&self) -> impl Iterator<Item = &'v [u8]> {
        let fields = self
            .headers
            .into_iter()
            .flat_map(|h| h.get_all(HeaderId::Connection));
        fields.chain([self.value]).flat_map(list)
    }

    /// Whether a field of this name is for this connection only. Linear in the length of the field.
    pub fn names(&self, name: &[u8]) -> bool {
        self.options()
            .any(|option| option.eq_ignore_ascii_case(name))
    }

    /// Whether it names a field that carries routing, framing or identity: taking that away would
    /// change what the request means. Forwarding fields are not among them: those are written anew
    /// for each upstream whatever the client sent.
    pub(super) fn names_protected(&self) -> bool {
        self.options().any(|option| {
            matches!(
                HeaderId::from_name(option),
                HeaderId::Host
                    | HeaderId::ContentLength
                    | HeaderId::ContentType
                    | HeaderId::TransferEncoding
                    | HeaderId::Authorization
                    | HeaderId::Cookie
                    | HeaderId::Range
                    | HeaderId::Expect
                    | HeaderId::CacheControl
            ) || option.eq_ignore_ascii_case(b"proxy-authorization")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_all_fields_count() {
        let mut headers = Headers::new();
        headers.push(b"Connection", b"Keep-Alive, X-One").unwrap();
        headers.push(b"connection", b", CLOSE ,\tx-two").unwrap();
        let options = Connection::of(&headers);
        assert!(options.close && options.keep_alive && !options.upgrade);
        assert!(options.names(b"x-one") && options.names(b"X-Two") && !options.names(b"x"));
        assert!(!options.names_protected());
        assert!(Connection::parse(b"x, Cookie").names_protected());
        assert!(Connection::parse(b"upgrade").upgrade);
    }
}
