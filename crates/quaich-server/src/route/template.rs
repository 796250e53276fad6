//! Texts with `{placeholders}`: what configuration says of a request that is not there yet.
//!
//! The one place that knows what each of them stands for. `quaich-config` refuses every text that
//! [`Template::compile`] would not understand.

mod url;

use std::io::Write as _;

use quaich_proto::h1::reason_phrase;

use crate::error_page;
use crate::exchange::Exchange;
use crate::route::cookie;

/// A text with placeholders, ready to be filled in.
#[derive(Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Place(Placeholder),
}

/// A thing of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `{host}`: as routes see it, without port.
    Host,
    /// `{path}`: in its normal form, percent-encoded as it is forwarded.
    Path,
    /// `{path}` of `variables`: decoded.
    DecodedPath,
    /// `{query}`: with its question mark; empty without one.
    Query,
    /// `{scheme}`
    Scheme,
    /// `{method}`
    Method,
    /// `{client_ip}`: empty for a unix socket.
    ClientIp,
    /// `{request_id}`
    RequestId,
    /// `{user}`: who `auth` has found; empty = nobody.
    User,
    /// `{status}` of the answer.
    Status,
    /// `{reason}`: the phrase of the status.
    Reason,
    /// `{message}`: a sentence about the status, for people.
    Message,
    /// `{header.NAME}` of the request; empty when missing.
    Header(String),
    /// `{cookie.NAME}` of the request; empty when missing.
    Cookie(String),
    /// `{1}`: a group of the pattern that matched; 0 is the whole match.
    Group(usize),
    /// `{name}`: a named group.
    Named(String),
}

impl Placeholder {
    /// What stands between braces.
    fn parse(name: &str) -> Self {
        match name {
            "host" => Self::Host,
            "path" => Self::Path,
            "query" => Self::Query,
            "scheme" => Self::Scheme,
            "method" => Self::Method,
            "client_ip" => Self::ClientIp,
            "request_id" => Self::RequestId,
            "user" => Self::User,
            "status" => Self::Status,
            "reason" => Self::Reason,
            "message" => Self::Message,
            _ => match (name.parse(), name.split_once('.')) {
                (Ok(group), _) => Self::Group(group),
                (_, Some(("header", field))) => Self::Header(field.to_owned()),
                (_, Some(("cookie", cookie))) => Self::Cookie(cookie.to_owned()),
                _ => Self::Named(name.to_owned()),
            },
        }
    }
}

impl Template {
    /// Compiles `text`. `{{` and `}}` stand for a brace; a brace without a partner for itself.
    pub fn compile(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut plain = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.extend_from_slice(before.as_bytes());
            let name = from.strip_prefix('{').and_then(|from| from.split_once('}'));
            if from.starts_with("{{") || from.starts_with("}}") {
                plain.push(from.as_bytes()[0]);
                rest = &from[2..];
            } else if let Some((name, behind)) = name {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.push(Piece::Place(Placeholder::parse(name)));
                rest = behind;
            } else {
                plain.push(from.as_bytes()[0]);
                rest = &from[1..];
            }
        }
        plain.extend_from_slice(rest.as_bytes());
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| *piece != Piece::Text(Vec::new()));
        Self { pieces }
    }

    /// Compiles a page: HTML with styles and scripts is full of braces, so that all that is no
    /// placeholder stands for itself.
    pub fn of_page(page: &[u8]) -> Self {
        let mut pieces = Vec::new();
        let (mut plain, mut from) = (0, 0);
        while let Some(at) = memchr::memchr(b'{', page.get(from..).unwrap_or_default()) {
            let open = from + at;
            let inside = page.get(open + 1..).unwrap_or_default();
            from = open + 1;
            let Some(name) = placeholder_of_page(inside) else {
                continue;
            };
            pieces.push(Piece::Text(
                page.get(plain..open).unwrap_or_default().into(),
            ));
            pieces.push(Piece::Place(Placeholder::parse(name)));
            from += name.len() + 1;
            plain = from;
        }
        pieces.push(Piece::Text(page.get(plain..).unwrap_or_default().into()));
        pieces.retain(|piece| *piece != Piece::Text(Vec::new()));
        Self { pieces }
    }

    /// The same, with `{path}` decoded.
    pub fn with_decoded_path(mut self) -> Self {
        for piece in &mut self.pieces {
            if let Piece::Place(place @ Placeholder::Path) = piece {
                *place = Placeholder::DecodedPath;
            }
        }
        self
    }

    /// As [`write`](Self::write), where what comes from outside is written by `escape`.
    pub fn write_escaped(
        &self,
        out: &mut Vec<u8>,
        exchange: &Exchange,
        escape: fn(&mut Vec<u8>, &[u8]),
    ) {
        let mut raw = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Place(place) => {
                    raw.clear();
                    place.write(&mut raw, exchange);
                    escape(out, &raw);
                }
            }
        }
    }

    /// Appends the text as it is for `exchange`.
    pub fn write(&self, out: &mut Vec<u8>, exchange: &Exchange) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Place(place) => place.write(out, exchange),
            }
        }
    }
}

impl Placeholder {
    /// Appends what it stands for.
    fn write(&self, out: &mut Vec<u8>, exchange: &Exchange) {
        let (request, client) = (&exchange.request, &exchange.client);
        let text = match self {
            Self::Host => request.host(),
            Self::Path => request.path(),
            Self::DecodedPath => request.path_decoded(),
            Self::Query if request.has_query() => {
                out.push(b'?');
                request.query()
            }
            Self::Query => b"",
            Self::Scheme => client.scheme().as_bytes(),
            Self::Method => request.method_name(),
            Self::ClientIp => {
                if let Some(addr) = client.addr {
                    // Memory takes everything.
                    let _ = write!(out, "{addr}");
                }
                b""
            }
            Self::RequestId => exchange.request_id.as_bytes(),
            Self::User => &exchange.identity.user,
            Self::Status => {
                let _ = write!(out, "{}", exchange.response.status);
                b""
            }
            Self::Reason => reason_phrase(exchange.response.status).as_bytes(),
            Self::Message => error_page::message(exchange.response.status).as_bytes(),
            Self::Header(name) => request.headers.by_name(name.as_bytes()).unwrap_or_default(),
            Self::Cookie(name) => {
                cookie::first(&request.headers, name.as_bytes()).unwrap_or_default()
            }
            Self::Group(index) => exchange.captures.get(*index).unwrap_or_default(),
            Self::Named(name) => exchange.captures.by_name(name).unwrap_or_default(),
        };
        out.extend_from_slice(text);
    }
}

/// The name of the placeholder that `inside` begins with, if there is one for pages.
fn placeholder_of_page(inside: &[u8]) -> Option<&str> {
    /// Names of fields and cookies are not longer.
    const LONGEST: usize = 64;
    const PLAIN: [&str; 11] = [
        "host",
        "path",
        "query",
        "scheme",
        "method",
        "client_ip",
        "request_id",
        "user",
        "status",
        "reason",
        "message",
    ];
    let end = memchr::memchr(b'}', inside.get(..LONGEST).unwrap_or(inside))?;
    let name = std::str::from_utf8(inside.get(..end)?).ok()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let named = ["header.", "cookie."].iter().any(|kind| {
        let rest = name.strip_prefix(kind);
        rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(fits))
    });
    (PLAIN.contains(&name) || named).then_some(name)
}

#[cfg(test)]
mod tests {
    use quaich_proto::h1::{Limits, parse_request};

    use super::*;

    fn exchange() -> Exchange {
        let mut exchange = Exchange::default();
        let head =
            b"GET /a%20b?x=1 HTTP/1.1\r\nHost: A.test:81\r\nX-One: 1\r\nCookie: a=b; c=d\r\n\r\n";
        let limits = Limits {
            max_uri: 100,
            max_field: 100,
            max_header: 1000,
            max_headers: 10,
        };
        parse_request(head, &limits, &mut exchange.request).expect("valid");
        exchange.client.addr = Some([192, 0, 2, 7].into());
        exchange.identity.user = b"aila".to_vec();
        exchange.response.status = 404;
        exchange
    }

    #[test]
    fn every_placeholder_stands_for_its_part_of_the_exchange() {
        let exchange = exchange();
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("{scheme}://{host}{path}{query}", "http://a.test/a%20b?x=1"),
            (
                "{method} {client_ip} {user} {status}",
                "GET 192.0.2.7 aila 404",
            ),
            ("{header.x-one}{header.none}", "1"),
            ("{cookie.c}{cookie.none}", "d"),
            ("{1}{name}", ""),
            ("{{host}}", "{host}"),
            ("{host", "{host"),
            ("a}b", "a}b"),
        ] {
            let mut out = Vec::new();
            Template::compile(text).write(&mut out, &exchange);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{text}");
        }
    }

    #[test]
    fn in_a_page_only_placeholders_are_no_text() {
        let exchange = exchange();
        for (page, expected) in [
            (
                "{status} {reason}: {message}",
                "404 Not Found: There is no page at this address.",
            ),
            ("b{color:red}a{}{{host}}", "b{color:red}a{}{a.test}"),
            ("{status", "{status"),
            ("{{status}", "{404"),
            (
                "{header.x-one}{header.}{header.a b}",
                "1{header.}{header.a b}",
            ),
            ("\u{e4}{host}\u{e4}", "\u{e4}a.test\u{e4}"),
        ] {
            let mut out = Vec::new();
            Template::of_page(page.as_bytes()).write_escaped(&mut out, &exchange, |out, text| {
                out.extend_from_slice(text);
            });
            assert_eq!(String::from_utf8_lossy(&out), expected, "{page}");
        }
        let mut out = Vec::new();
        Template::of_page(b"\xff{1}\xff").write(&mut out, &exchange);
        assert_eq!(out, b"\xff{1}\xff");
    }

    #[test]
    fn variables_have_the_path_decoded() {
        let mut out = Vec::new();
        let template = Template::compile("/srv{path}").with_decoded_path();
        template.write(&mut out, &exchange());
        assert_eq!(out, b"/srv/a b");
    }

    #[test]
    fn a_text_without_placeholders_is_itself() {
        let written = |text: &str| {
            let mut out = Vec::new();
            Template::compile(text).write(&mut out, &exchange());
            out
        };
        assert_eq!(written("a{{b"), b"a{b");
        assert_eq!(written(""), b"");
    }
}
