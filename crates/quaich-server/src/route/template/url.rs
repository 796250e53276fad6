//! Texts that are URLs or paths: what is filled in is encoded, and cannot lead elsewhere than the text
//! says.

use quaich_proto::target::{Part, append_encoded};

use super::{Piece, Placeholder, Template};
use crate::exchange::Exchange;

/// Which part of a URL comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Nothing is there yet: this may become a path, never a scheme.
    Begin,
    /// Directly behind `//`.
    Host,
    /// Behind a part of a host.
    HostEnd,
    Path,
    Query,
}

impl Template {
    /// Appends the text as it is for `exchange`, as a URL or path: `{path}` and `{query}` as they are
    /// forwarded, everything else percent-encoded for the part of the URL in which it stands. In a
    /// path, slashes stay. A value never becomes a scheme or host, nor a part of a host but its first
    /// label: behind a host begins the path. Behind a `?` in the text, `{query}` adds to the query
    /// there, unless the text makes it the end of a URL that is a value there.
    pub fn write_url(&self, out: &mut Vec<u8>, exchange: &Exchange) {
        let start = out.len();
        let mut pair = Pair::default();
        for piece in &self.pieces {
            let place = match piece {
                Piece::Text(text) => {
                    out.extend_from_slice(text);
                    pair.text(text);
                    continue;
                }
                Piece::Place(place) => place,
            };
            let next = next(out.get(start..).unwrap_or_default());
            let in_url = pair.place(place);
            match place {
                Placeholder::Query if !in_url => query(out, exchange, next),
                Placeholder::Path if next != Next::Query => {
                    path(out, exchange.request.path(), |out, path| {
                        out.extend_from_slice(path);
                    });
                }
                Placeholder::Host | Placeholder::Scheme if next != Next::Query => {
                    place.write(out, exchange);
                }
                _ => {
                    let mut value = Vec::new();
                    place.write(&mut value, exchange);
                    fill(out, &value, next);
                }
            }
        }
    }
}

/// The pair of the query that the text is in, as the text alone tells: nothing that a client sends
/// decides whether its query becomes pairs.
#[derive(Debug, Default)]
struct Pair {
    /// The text has begun a query.
    has_begun: bool,
    /// The name has ended.
    has_value: bool,
    /// Nothing stands behind the `=` yet.
    is_empty: bool,
    /// The value is a path or a URL so far.
    is_url: bool,
}

impl Pair {
    fn text(&mut self, text: &[u8]) {
        for &byte in text {
            match byte {
                b'?' if !self.has_begun => self.has_begun = true,
                b'&' if self.has_begun => {
                    *self = Self {
                        has_begun: true,
                        ..Self::default()
                    }
                }
                b'=' if self.has_begun && !self.has_value => {
                    (self.has_value, self.is_empty) = (true, true);
                    continue;
                }
                b'/' => self.is_url |= self.has_value,
                _ => {}
            }
            self.is_empty = false;
        }
    }

    /// Whether the value that `place` adds to is a URL, or becomes one.
    fn place(&mut self, place: &Placeholder) -> bool {
        let is_target = matches!(place, Placeholder::Path | Placeholder::Query);
        self.is_url |= self.is_empty && is_target;
        self.is_empty = false;
        self.is_url
    }
}

fn fill(out: &mut Vec<u8>, value: &[u8], next: Next) {
    match next {
        Next::Query => append_encoded(out, value, Part::Query),
        Next::Host => append_encoded(out, value, Part::Label),
        Next::HostEnd if value.is_empty() => {}
        Next::HostEnd => {
            if !value.starts_with(b"/") {
                out.push(b'/');
            }
            path(out, value, |out, value| {
                append_encoded(out, value, Part::Path)
            });
        }
        Next::Path => path(out, value, |out, value| {
            append_encoded(out, value, Part::Path)
        }),
        Next::Begin => path(out, value, |out, value| {
            // A colon in the first segment would end a scheme (RFC 3986 section 4.2).
            let first = memchr::memchr(b'/', value).unwrap_or(value.len());
            let (first, rest) = value.split_at(first);
            for (index, part) in first.split(|&byte| byte == b':').enumerate() {
                if index > 0 {
                    out.extend_from_slice(b"%3A");
                }
                append_encoded(out, part, Part::Path);
            }
            append_encoded(out, rest, Part::Path);
        }),
    }
}

/// Writes a path without a second slash at its begin: two of them begin a host.
fn path(out: &mut Vec<u8>, value: &[u8], write: impl FnOnce(&mut Vec<u8>, &[u8])) {
    let slashes = value.iter().take_while(|&&byte| byte == b'/').count();
    let kept = match (slashes, out.last()) {
        (0, _) => 0,
        (_, Some(b'/')) => slashes,
        _ => slashes - 1,
    };
    write(out, value.get(kept..).unwrap_or_default());
}

fn query(out: &mut Vec<u8>, exchange: &Exchange, next: Next) {
    let request = &exchange.request;
    if !request.has_query() {
        return;
    }
    match (next, out.last()) {
        (Next::Query, _) if request.query().is_empty() => return,
        (Next::Query, Some(b'?' | b'&')) => {}
        (Next::Query, _) => out.push(b'&'),
        _ => out.push(b'?'),
    }
    out.extend_from_slice(request.query());
}

fn next(text: &[u8]) -> Next {
    if memchr::memchr2(b'?', b'#', text).is_some() {
        return Next::Query;
    }
    let scheme = memchr::memmem::find(text, b"://").map(|at| at + 3);
    let host = match (text, scheme) {
        ([], _) => return Next::Begin,
        (_, Some(at)) if !text.get(..at - 3).unwrap_or_default().contains(&b'/') => at,
        ([b'/', b'/', ..], _) => 2,
        _ => return Next::Path,
    };
    match text.get(host..).unwrap_or_default() {
        [] => Next::Host,
        rest if rest.contains(&b'/') => Next::Path,
        _ => Next::HostEnd,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quaich_proto::h1::{Limits, parse_request};

    use super::*;

    fn filled(template: &str, target: &str, caught: &[u8]) -> String {
        let mut exchange = Exchange::default();
        let head = format!("GET {target} HTTP/1.1\r\nHost: a.test:81\r\n\r\n");
        let limits = Limits {
            max_uri: 100,
            max_field: 100,
            max_header: 1000,
            max_headers: 10,
        };
        parse_request(head.as_bytes(), &limits, &mut exchange.request).expect("valid");
        let names: Arc<[_]> = [None, Some("name".into())].into();
        exchange
            .captures
            .set([&b""[..], caught].into_iter(), &names);
        let mut out = Vec::new();
        Template::compile(template).write_url(&mut out, &exchange);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn values_are_encoded_for_the_part_in_which_they_stand() {
        for (template, target, caught, expected) in [
            (
                "https://{host}{path}{query}",
                "/a%20b?x=1",
                "",
                "https://a.test/a%20b?x=1",
            ),
            (
                "/new/{1}",
                "/",
                "a/b c?d#e%f&g",
                "/new/a/b%20c%3Fd%23e%25f&g",
            ),
            ("/new/{1}", "/", "ä\r\n\0\\", "/new/%C3%A4%0D%0A%00%5C"),
            ("/x?q={1}", "/", "a/b&c=d+e %", "/x?q=a/b%26c%3Dd%2Be%20%25"),
            ("/x?q={name}#y", "/", "1", "/x?q=1#y"),
            (
                "/x?next={path}{query}",
                "/a%20b?x=1",
                "",
                "/x?next=/a%2520b%3Fx%3D1",
            ),
            (
                "/in?next={path}{query}",
                "/goto?next=//evil.test&b=2",
                "",
                "/in?next=/goto%3Fnext%3D//evil.test%26b%3D2",
            ),
            (
                "/in?a=1&next=https://{host}{path}{query}&b=2{query}",
                "/c?d=%0A",
                "",
                "/in?a=1&next=https://a.test/c%3Fd%3D%250A&b=2&d=%0A",
            ),
            ("/in?next=/app{query}", "/?a", "", "/in?next=/app%3Fa"),
            ("/in?old={query}", "/?a&b", "", "/in?old=%3Fa%26b"),
            ("/in?next=/a?b=c{query}", "/?d", "", "/in?next=/a?b=c%3Fd"),
            ("/in?a=/b&{query}", "/?d", "", "/in?a=/b&d"),
            ("/in?id={1}{query}", "/?d", "/7", "/in?id=/7&d"),
            ("/x{query}", "/a", "", "/x"),
            ("/x{query}", "/a?", "", "/x?"),
            ("/x?a=1{query}", "/a?b=2", "", "/x?a=1&b=2"),
            ("/x?a=1&{query}", "/a?b=2", "", "/x?a=1&b=2"),
            ("/x?a=1{query}", "/a?", "", "/x?a=1"),
            ("/x?{query}", "/a?b", "", "/x?b"),
            (
                "https://{1}.example.org/",
                "/",
                "shop",
                "https://shop.example.org/",
            ),
            ("{path}", "/a:b", "", "/a:b"),
        ] {
            assert_eq!(
                filled(template, target, caught.as_bytes()),
                expected,
                "{template}"
            );
        }
    }

    #[test]
    fn no_value_leads_to_a_host_that_the_text_does_not_name() {
        for (template, caught, expected) in [
            ("/{1}", "/evil.test", "/evil.test"),
            ("/{1}", "///evil.test", "/evil.test"),
            ("/{1}", "\\evil.test", "/%5Cevil.test"),
            ("{1}", "//evil.test/x", "/evil.test/x"),
            ("{1}", "/\\evil.test", "/%5Cevil.test"),
            ("{1}", "https://evil.test", "https%3A//evil.test"),
            ("{1}", "javascript:x", "javascript%3Ax"),
            (
                "https://a.test{1}",
                ".evil.test",
                "https://a.test/.evil.test",
            ),
            (
                "https://a.test{1}",
                "@evil.test/",
                "https://a.test/@evil.test/",
            ),
            (
                "https://a.test{1}",
                ":80@evil.test/",
                "https://a.test/:80@evil.test/",
            ),
            ("https://a.test{1}", "//x", "https://a.test/x"),
            ("https://a.test{1}", "", "https://a.test"),
            (
                "https://{1}.a.test/",
                "evil.test/",
                "https://evil.test%2F.a.test/",
            ),
            (
                "https://{1}.a.test/",
                "x@evil.test:80#",
                "https://x%40evil.test%3A80%23.a.test/",
            ),
            ("//a.test{1}", ".evil.test", "//a.test/.evil.test"),
            ("/x/{1}", "://evil.test", "/x/://evil.test"),
        ] {
            assert_eq!(
                filled(template, "/", caught.as_bytes()),
                expected,
                "{template}"
            );
        }
    }
}
