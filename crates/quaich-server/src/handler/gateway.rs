//! What a request is in the terms of CGI (RFC 3875, PEP 3333): for apps of quaich and for servers that
//! get variables.

use std::io::Write as _;

use quaich_proto::headers::Headers;

use crate::exchange::Exchange;
use crate::forwarded::{Client, Public};
use crate::route::{Route, strip_mount};

/// SCRIPT_NAME and PATH_INFO: the mount point, and what is behind it. Put together they are the path
/// that the client asked for.
pub(super) fn mounted<'p>(
    path: &'p [u8],
    public: &Public<'_>,
    route: &Route,
) -> (Vec<u8>, &'p [u8]) {
    if path == b"*" {
        return (Vec::new(), b"");
    }
    match strip_mount(path, &route.prefix) {
        Some(rest) => ([public.prefix, route.prefix.as_slice()].concat(), rest),
        None => (Vec::new(), path),
    }
}

/// SERVER_NAME: the public host without its port; `host`, the name of the host as routes see it, when
/// the client named none (HTTP/1.0).
pub(super) fn server_name<'n>(public: &'n [u8], host: &'n [u8]) -> &'n [u8] {
    let end = match public {
        [b'[', ..] => public
            .iter()
            .position(|&byte| byte == b']')
            .map(|at| at + 1),
        _ => public.iter().position(|&byte| byte == b':'),
    };
    match public.get(..end.unwrap_or(public.len())) {
        None | Some([]) if host.is_empty() => b"localhost",
        None | Some([]) => host,
        Some(name) => name,
    }
}

/// SERVER_PORT
pub(super) fn server_port(public: &Public<'_>, client: &Client) -> u16 {
    match (public.port, client.https) {
        (0, true) => 443,
        (0, false) => 80,
        (port, _) => port,
    }
}

/// The longest address has 39 bytes.
const ADDR: usize = 48;

/// The address of a client as text.
pub(super) struct Address {
    text: [u8; ADDR],
    length: usize,
}

impl Address {
    /// Of the client of an exchange.
    pub(super) fn of(exchange: &Exchange) -> Self {
        let mut text = [0; ADDR];
        let mut rest = &mut text[..];
        if let Some(client) = exchange.client.addr {
            // It fits.
            let _ = write!(rest, "{client}");
        }
        let length = ADDR - rest.len();
        Self { text, length }
    }

    /// Empty when the client came over a unix socket.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }
}

/// The user of `Authorization: Basic`, of which nobody has checked the password.
pub(super) fn basic_user(headers: &Headers) -> Option<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use quaich_proto::headers::HeaderId;
    let value = headers.get(HeaderId::Authorization)?;
    let (scheme, credentials) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut pair = STANDARD.decode(credentials.trim_ascii()).ok()?;
    let colon = pair.iter().position(|&byte| byte == b':')?;
    pair.truncate(colon);
    let printable = |byte: &u8| *byte >= 0x20 && *byte != 0x7f;
    (!pair.is_empty() && pair.iter().all(printable)).then_some(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_server_has_no_port() {
        for (public, host, name) in [
            (&b"a.test:81"[..], &b"a.test"[..], &b"a.test"[..]),
            (b"[::1]:81", b"[::1]", b"[::1]"),
            (b"", b"b.test", b"b.test"),
            (b"", b"", b"localhost"),
        ] {
            assert_eq!(server_name(public, host), name);
        }
    }

    #[test]
    fn the_user_of_a_basic_field_is_what_stands_before_the_colon() {
        let user = |value: &[u8]| {
            let mut headers = Headers::new();
            headers.push(b"Authorization", value).unwrap();
            basic_user(&headers)
        };
        assert_eq!(user(b"Basic YWlsYTpwOnc="), Some(b"aila".to_vec()));
        assert_eq!(user(b"bASIC YWlsYTpwOnc="), Some(b"aila".to_vec()));
        for value in [
            &b"Bearer YWlsYTpwOnc="[..],
            b"Basic",
            b"Basic !",
            b"Basic YWlsYQ==",
            b"Basic Og==",
        ] {
            assert_eq!(user(value), None);
        }
    }
}
