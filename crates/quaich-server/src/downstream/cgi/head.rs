//! The variables of a request as a head: judged by the same rules as one that came over HTTP, so that
//! nothing behind it can be told in two ways. Called by `inbound`.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use quaich_proto::cgi::{self, Variables};
use quaich_proto::h1::{
    Limits, Reject, RequestHead, Structured, Version, assemble_request, is_hop_by_hop,
};
use quaich_proto::headers::HeaderId;

use crate::forwarded::Client;

/// Header fields made from variables; one for all requests of a connection, for its memory.
#[derive(Debug, Default)]
pub(super) struct Fields {
    names: Vec<u8>,
    fields: Vec<(Range<usize>, Range<usize>)>,
    values: Vec<u8>,
    target: Vec<u8>,
    host: Vec<u8>,
}

/// What the variables say of the connection that the web server has accepted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin {
    pub(super) client: Option<SocketAddr>,
    pub(super) https: bool,
    /// Where the client has connected to; 0 = not said.
    pub(super) port: u16,
}

impl Origin {
    /// Reads what a web server that is believed says.
    pub(super) fn of(variables: &Variables) -> Self {
        let text = |name: &[u8]| std::str::from_utf8(variables.get(name)?).ok();
        let number = |name| text(name).and_then(|port| port.parse().ok());
        let addr: Option<IpAddr> = text(b"REMOTE_ADDR").and_then(|addr| addr.parse().ok());
        let port = number(b"REMOTE_PORT").unwrap_or(0);
        Self {
            client: addr.map(|addr| SocketAddr::new(addr, port)),
            https: is_https(variables),
            port: number(b"SERVER_PORT").unwrap_or(0),
        }
    }

    /// The client, seen from `peer`, over whose connection this came.
    pub(super) fn client(&self, peer: &Client) -> Client {
        let https = self.https || peer.peer_https;
        Client::new(self.client.or(peer.peer), https)
    }
}

fn is_https(variables: &Variables) -> bool {
    let scheme = variables
        .get(b"UWSGI_SCHEME")
        .or(variables.get(b"REQUEST_SCHEME"));
    match scheme {
        Some(scheme) if !scheme.is_empty() => scheme.eq_ignore_ascii_case(b"https"),
        _ => variables
            .get(b"HTTPS")
            .is_some_and(|on| on.eq_ignore_ascii_case(b"on") || on == b"1"),
    }
}

impl Fields {
    /// Makes `head` of `variables`. `ends` says that no body follows where none is announced.
    pub(super) fn read(
        &mut self,
        variables: &Variables,
        ends: bool,
        limits: &Limits,
        head: &mut RequestHead,
    ) -> Result<(), Reject> {
        self.find_target(variables);
        let named = self.find_host(variables);
        self.find_fields(variables, named);
        let parts = Structured {
            method: variables.get(b"REQUEST_METHOD").unwrap_or(b"GET"),
            scheme: Some(if is_https(variables) {
                b"https"
            } else {
                b"http"
            }),
            authority: named.then_some(&self.host[..]),
            path: &self.target,
            protocol: None,
            ends,
        };
        let fields = self.fields.iter().map(|(name, value)| {
            let name = self.names.get(name.clone()).unwrap_or_default();
            (name, self.values.get(value.clone()).unwrap_or_default())
        });
        assemble_request(&parts, fields, limits, head)?;
        head.version = match variables.get(b"SERVER_PROTOCOL") {
            Some(b"HTTP/1.0") => Version::Http10,
            _ => Version::Http11,
        };
        Ok(())
    }

    /// As the client sent it; made of its parts where the web server does not tell.
    fn find_target(&mut self, variables: &Variables) {
        self.target.clear();
        if let Some(uri @ ([b'/', ..] | b"*")) = variables.get(b"REQUEST_URI") {
            self.target.extend_from_slice(uri);
            return;
        }
        for name in [&b"SCRIPT_NAME"[..], b"PATH_INFO"] {
            for &byte in variables.get(name).unwrap_or_default() {
                encode(byte, &mut self.target);
            }
        }
        if self.target.is_empty() {
            self.target.push(b'/');
        }
        if let Some(query @ [_, ..]) = variables.get(b"QUERY_STRING") {
            self.target.push(b'?');
            self.target.extend_from_slice(query);
        }
    }

    /// Whether the host is another than what `HTTP_HOST` says, and then is in `host`.
    fn find_host(&mut self, variables: &Variables) -> bool {
        self.host.clear();
        let given = |name: &[u8]| variables.get(name).filter(|value| !value.is_empty());
        if let Some(key) = given(b"UWSGI_FASTROUTER_KEY") {
            self.host.extend_from_slice(key);
        } else if given(b"HTTP_HOST").is_none()
            && let Some(name) = given(b"SERVER_NAME")
        {
            self.host.extend_from_slice(name);
            let usual: &[u8] = if is_https(variables) { b"443" } else { b"80" };
            if let Some(port) = given(b"SERVER_PORT").filter(|port| *port != usual) {
                self.host.push(b':');
                self.host.extend_from_slice(port);
            }
        }
        !self.host.is_empty()
    }

    fn find_fields(&mut self, variables: &Variables, named: bool) {
        self.names.clear();
        self.fields.clear();
        self.values.clear();
        for (variable, value) in variables.iter() {
            let start = self.names.len();
            if !cgi::field_name(variable, &mut self.names) {
                continue;
            }
            let name = self.names.get(start..).unwrap_or_default();
            // The last one of a name counts.
            let counts = variables
                .get(variable)
                .is_some_and(|last| std::ptr::eq(last, value));
            if !counts || is_of_connection(name, value) || (named && name == b"host") {
                self.names.truncate(start);
                continue;
            }
            let at = self.values.len();
            self.values.extend_from_slice(value.trim_ascii());
            self.fields
                .push((start..self.names.len(), at..self.values.len()));
        }
    }
}

/// Fields about the connection between client and web server, and lengths that are none.
fn is_of_connection(name: &[u8], value: &[u8]) -> bool {
    let id = HeaderId::from_name(name);
    is_hop_by_hop(id)
        || matches!(id, HeaderId::Expect | HeaderId::TransferEncoding)
        || (matches!(id, HeaderId::ContentLength) && value.is_empty())
        || (name == b"content-type" && value.is_empty())
}

/// Appends a byte of a path, encoded unless it stands for itself (RFC 3986 section 3.3).
fn encode(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
        return out.push(byte);
    }
    out.push(b'%');
    for nibble in [byte >> 4, byte & 15] {
        out.extend(HEX.get(usize::from(nibble)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<RequestHead, &'static str> {
        let mut variables = Variables::new();
        for (name, value) in pairs {
            variables.push(name.as_bytes(), value.as_bytes());
        }
        let mut head = RequestHead::new();
        let read = Fields::default().read(&variables, true, &Limits::default(), &mut head);
        read.map(|()| head).map_err(|reject| reject.reason.label())
    }

    #[test]
    fn a_path_in_parts_is_encoded_and_a_host_is_found_somewhere() {
        let parts = [
            ("SCRIPT_NAME", "/shop"),
            ("PATH_INFO", "/a b%/\u{e4}"),
            ("QUERY_STRING", "q=%20"),
            ("SERVER_NAME", "shop.test"),
            ("SERVER_PORT", "8080"),
        ];
        let head = read(&parts).expect("a request");
        assert_eq!(head.target(), b"/shop/a%20b%25/%C3%A4?q=%20");
        assert_eq!(head.path_decoded(), "/shop/a b%/\u{e4}".as_bytes());
        assert_eq!(head.authority(), b"shop.test:8080");
        assert_eq!(
            head.headers.get(HeaderId::Host),
            Some(&b"shop.test:8080"[..])
        );
        let usual = read(&[parts[3], ("SERVER_PORT", "443"), ("HTTPS", "on")]);
        let usual = usual.expect("a request");
        assert_eq!(
            (usual.authority(), usual.target()),
            (&b"shop.test"[..], &b"/"[..])
        );
        assert_eq!(read(&parts[..3]).unwrap_err(), "no_host");
        let small = [("REQUEST_METHOD", "delete"), parts[3]];
        assert_eq!(read(&small).unwrap_err(), "method_case");
    }

    #[test]
    fn fields_are_those_of_http_but_for_the_connection() {
        let head = read(&[
            ("HTTP_HOST", "a.test"),
            ("CONTENT_TYPE", ""),
            ("CONTENT_LENGTH", ""),
            ("HTTP_CONNECTION", "close, x-one"),
            ("HTTP_X_ONE", " 1 "),
            ("HTTP_X_TWO", "1"),
            ("HTTP_X_TWO", "2"),
            ("HTTP_EXPECT", "100-continue"),
            ("HTTP_TE", "trailers"),
        ]);
        let head = head.expect("a request");
        let fields: Vec<_> = head
            .headers
            .iter()
            .map(|(_, name, value)| (name, value))
            .collect();
        let expected: [(&[u8], &[u8]); 3] =
            [(b"host", b"a.test"), (b"x-one", b"1"), (b"x-two", b"2")];
        assert_eq!(fields, expected);
        assert!(!head.expect_continue);
    }

    #[test]
    fn the_scheme_and_the_client_are_read_from_what_servers_send() {
        let of = |pairs: &[(&str, &str)]| {
            let mut variables = Variables::new();
            for (name, value) in pairs {
                variables.push(name.as_bytes(), value.as_bytes());
            }
            Origin::of(&variables)
        };
        assert!(of(&[("UWSGI_SCHEME", "https")]).https);
        assert!(of(&[("REQUEST_SCHEME", "https")]).https);
        assert!(of(&[("HTTPS", "on")]).https);
        assert!(!of(&[("REQUEST_SCHEME", "http"), ("HTTPS", "on")]).https);
        assert!(!of(&[("HTTPS", "")]).https);
        let origin = of(&[("REMOTE_ADDR", "2001:db8::1"), ("REMOTE_PORT", "70000")]);
        assert_eq!(origin.client, "[2001:db8::1]:0".parse().ok());
        assert_eq!(of(&[("REMOTE_ADDR", "unix:")]).client, None);
    }
}
