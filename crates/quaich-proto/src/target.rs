//! Request targets: paths with one normal form, and authorities (RFC 3986, RFC 9110 section 4.2).
//! Used by the request parser.
//!
//! Routes match the normal form and upstreams receive it, so that no second reading of a path can
//! lead past a rule. A path that reads differently after one more decoding is refused, not repaired.

use crate::octets::{PCHAR, TARGET, UNRESERVED, hex, holds_only};

/// What a target is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Bytes before the question mark.
    pub path_length: usize,
    /// Whether the path is its own normal form and its own decoded form.
    pub is_normal: bool,
}

/// Finds the end of the path of `target`, which begins with a slash, and whether the path needs
/// work. `None` when there is a byte that no target may hold.
pub fn scan(target: &[u8]) -> Option<Form> {
    let mut path_length = target.len();
    let mut is_normal = true;
    let mut before = 0;
    for (at, &byte) in target.iter().enumerate() {
        if byte == b'?' {
            path_length = at;
            break;
        }
        is_normal &= match byte {
            // A segment that begins with a dot, such as `.well-known`, gets the closer look too.
            b'/' | b'.' => before != b'/',
            _ => PCHAR[usize::from(byte)],
        };
        if !TARGET[usize::from(byte)] {
            return None;
        }
        before = byte;
    }
    let query = target.get(path_length..).unwrap_or_default();
    holds_only(query, &TARGET).then_some(Form {
        path_length,
        is_normal,
    })
}

/// Appends the normal form of `path`: `.` and `..` resolved, slashes merged, percent-encoding
/// canonical (unreserved bytes plain, others in upper case; what is reserved keeps the form it came
/// in). `None` for a path without a safe one: one that climbs above the root, has a backslash or an
/// encoded control byte, puts parameters on a dot segment, or hides a dot segment or an empty one
/// behind an encoded slash. Nothing is appended then.
pub fn normalise(path: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    let done = normalise_onto(path, out, start);
    if done.is_none() {
        out.truncate(start);
    }
    done
}

fn normalise_onto(path: &[u8], out: &mut Vec<u8>, start: usize) -> Option<()> {
    out.push(b'/');
    let mut segments = path
        .strip_prefix(b"/")?
        .split(|&byte| byte == b'/')
        .peekable();
    while let Some(segment) = segments.next() {
        let begin = out.len();
        encode_segment(segment, out)?;
        match out.get(begin..)? {
            // `//`, and the end after a slash.
            b"" | b"." => out.truncate(begin),
            b".." => {
                out.truncate(begin);
                climb(out, start)?;
            }
            canonical => {
                let more = segments.peek().is_some();
                if hides_structure(canonical) || more && canonical.ends_with(SLASH) {
                    return None;
                }
                if more {
                    out.push(b'/');
                }
            }
        }
    }
    Some(())
}

/// Removes the last segment; the text from `start` ends in a slash before and after.
fn climb(out: &mut Vec<u8>, start: usize) -> Option<()> {
    let parent = out
        .get(start..out.len().checked_sub(1)?)?
        .iter()
        .rposition(|&b| b == b'/')?;
    out.truncate(start + parent + 1);
    Some(())
}

/// Appends a segment with canonical percent-encoding.
fn encode_segment(segment: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = segment;
    while let Some((&first, after)) = rest.split_first() {
        let (byte, plain) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                let byte = hex(*high)? << 4 | hex(*low)?;
                (byte, UNRESERVED[usize::from(byte)])
            }
            (b'%', _) => return None,
            _ => {
                rest = after;
                (first, PCHAR[usize::from(first)])
            }
        };
        // Servers that take a backslash for a slash are not rare enough, encoded or not.
        if byte < b' ' || byte == 0x7f || byte == b'\\' {
            return None;
        }
        if plain {
            out.push(byte);
        } else {
            push_escape(out, byte);
        }
    }
    Some(())
}

/// A slash that is data, in the normal form.
const SLASH: &[u8] = b"%2F";

/// Whether the segment begins with an encoded slash, or reads after decoding as several of which
/// one is a dot segment, with or without parameters. `%2F%2F` inside is left alone: addresses are
/// put into paths that way.
fn hides_structure(canonical: &[u8]) -> bool {
    let dotted = |part: &[u8]| {
        let after = part.strip_prefix(b"..").or_else(|| part.strip_prefix(b"."));
        after.is_some_and(|after| {
            after.is_empty() || after.starts_with(b";") || after.starts_with(b"%3B")
        })
    };
    if canonical.starts_with(SLASH) {
        return true;
    }
    let mut rest = canonical;
    loop {
        let slash = memchr::memmem::find(rest, SLASH);
        let (part, after) = rest.split_at(slash.unwrap_or(rest.len()));
        if dotted(part) {
            return true;
        }
        match after.get(SLASH.len()..) {
            Some(after) if slash.is_some() => rest = after,
            _ => return false,
        }
    }
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let (high, low) = (
        DIGITS[usize::from(byte >> 4)],
        DIGITS[usize::from(byte & 15)],
    );
    out.extend_from_slice(&[b'%', high, low]);
}

/// What a text becomes a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A path: slashes stay.
    Path,
    /// A value in a query: slashes stay, everything that has a meaning there is encoded.
    Query,
    /// One label of a host, or anything else that must stay in one piece.
    Label,
}

/// Appends `text`, percent-encoded so that nothing in it can leave that part of a URL.
pub fn append_encoded(out: &mut Vec<u8>, text: &[u8], part: Part) {
    for &byte in text {
        let plain = match part {
            Part::Path => byte == b'/' || PCHAR[usize::from(byte)],
            Part::Query => byte == b'/' || UNRESERVED[usize::from(byte)],
            Part::Label => UNRESERVED[usize::from(byte)],
        };
        if plain {
            out.push(byte);
        } else {
            push_escape(out, byte);
        }
    }
}

/// Appends the part of `text` from `start` on, percent-decoded; an escape that is none stays.
pub fn append_decoded(text: &mut Vec<u8>, start: usize) {
    let end = text.len();
    let mut at = start;
    while at < end {
        let (byte, length) = match text.get(at..end) {
            Some([b'%', high, low, ..]) => match hex(*high).zip(hex(*low)) {
                Some((high, low)) => (high << 4 | low, 3),
                None => (b'%', 1),
            },
            Some([byte, ..]) => (*byte, 1),
            _ => return,
        };
        text.push(byte);
        at += length;
    }
}

/// Splits `http://authority/path?query`: authority, its default port, and the rest from its slash or
/// question mark. `None` for another scheme or no authority.
pub fn split_absolute(target: &[u8]) -> Option<(&[u8], u16, &[u8])> {
    let after = |scheme: &[u8]| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let (rest, port) = match after(b"http://") {
        Some(rest) => (rest, 80),
        None => (after(b"https://")?, 443),
    };
    let end = rest
        .iter()
        .position(|&byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let (authority, origin) = rest.split_at(end);
    (!authority.is_empty()).then_some((authority, port, origin))
}

/// A host with or without port, checked.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a> {
    host: &'a [u8],
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Parses `host`, `host:port`, `[v6]` or `[v6]:port`; no user information, no escapes.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let split = match text {
            [b'[', ..] => text.iter().position(|&byte| byte == b']')? + 1,
            _ => text
                .iter()
                .position(|&byte| byte == b':')
                .unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(split);
        let port = match port {
            [] => None,
            [b':', digits @ ..] if digits.len() <= 5 => parse_port(digits)?,
            _ => return None,
        };
        let valid = match host {
            [b'[', inside @ .., b']'] => std::str::from_utf8(inside)
                .is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok()),
            _ => is_name(host),
        };
        valid.then_some(Self { host, port })
    }

    /// The host without port and trailing dot, in the case it was sent in.
    pub fn host(&self) -> &'a [u8] {
        self.host.strip_suffix(b".").unwrap_or(self.host)
    }

    /// The port, if one was named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether both name the same host and port, where none means `default`.
    pub fn is_same(&self, other: &Authority<'_>, default: u16) -> bool {
        let (a, b) = (self.port.unwrap_or(default), other.port.unwrap_or(default));
        a == b && self.host().eq_ignore_ascii_case(other.host())
    }
}

fn parse_port(digits: &[u8]) -> Option<Option<u16>> {
    if digits.is_empty() {
        return Some(None);
    }
    crate::octets::decimal(digits)?.try_into().ok().map(Some)
}

/// A registered name or an IPv4 address: letters, digits, `-`, `.`, `_`, with no empty label but one
/// trailing dot.
fn is_name(host: &[u8]) -> bool {
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !host.is_empty()
        && host.len() <= 255
        && host.iter().all(valid)
        && !host.starts_with(b".")
        && !host.windows(2).any(|pair| pair == b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(path: &str) -> Option<String> {
        let mut out = b"before".to_vec();
        let done = normalise(path.as_bytes(), &mut out);
        assert!(
            done.is_some() || out == b"before",
            "{path} left something behind"
        );
        done?;
        Some(String::from_utf8(out.split_off(6)).unwrap())
    }

    #[test]
    fn paths_have_one_normal_form() {
        for (path, expected) in [
            ("/", "/"),
            ("/x/../deny", "/deny"),
            ("/x/%2e%2e/deny", "/deny"),
            ("/%64eny", "/deny"),
            ("//deny", "/deny"),
            ("/./deny", "/deny"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/b/../c", "/a/c"),
            ("/a/b/", "/a/b/"),
            ("/a//", "/a/"),
            ("/a//../b", "/b"),
            ("/x/%252e%252e/deny", "/x/%252e%252e/deny"),
            ("/a%2fb", "/a%2Fb"),
            ("/to/http%3a%2f%2fb.test%2f", "/to/http%3A%2F%2Fb.test%2F"),
            ("/%c3%a9", "/%C3%A9"),
            ("/a;v=1", "/a;v=1"),
            ("/a%3bv", "/a%3Bv"),
            ("/a|b", "/a%7Cb"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("/static../x", "/static../x"),
        ] {
            assert_eq!(normal(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn paths_that_could_be_read_in_two_ways_have_none() {
        for path in [
            "/..",
            "/../../etc/passwd",
            "/a/../..",
            "/x/..;/deny",
            "/x/..;v=1/deny",
            "/x/..%3b/deny",
            "/x/.;/deny",
            "/x/%2e%2e;/deny",
            "/x%2f..%2fdeny",
            "/x%2f..;/deny",
            "/x%2f.",
            "/..%2fx",
            "/%2fdeny",
            "/a/%2Fdeny",
            "/a%2F/deny",
            "/q%00.png",
            "/q%7f",
            "/q%0d%0aX:y",
            "/%zz",
            "/%2",
            "/%",
            "/a\\b",
            "/a%5cb",
            "a",
        ] {
            assert_eq!(normal(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_passes_untouched_only_when_it_is_its_own_normal_and_decoded_form() {
        for (target, length, is_normal) in [
            ("/", 1, true),
            ("/a/b.html?x=/../", 9, true),
            ("/a.b/c~d!$&'()*+,=:@-_", 22, true),
            ("/..;/x", 6, false),
            ("/a/./b", 6, false),
            ("/a//b", 5, false),
            ("/a%20b", 6, false),
            ("/a|b", 4, false),
            ("/a?%zz|\\", 2, true),
        ] {
            let form = scan(target.as_bytes());
            assert_eq!(
                form,
                Some(Form {
                    path_length: length,
                    is_normal
                }),
                "{target}"
            );
        }
        for target in ["/a b", "/a#b", "/a?b#c", "/a\x7f", "/a?\x01", "/é", "/a?é"] {
            assert_eq!(scan(target.as_bytes()), None, "{target}");
        }
    }

    #[test]
    fn hosts_are_checked() {
        for (text, expected) in [
            ("example.org", Some(("example.org", None))),
            ("example.org.:8080", Some(("example.org", Some(8080)))),
            ("a_b.test:", Some(("a_b.test", None))),
            ("127.0.0.1:80", Some(("127.0.0.1", Some(80)))),
            ("[::1]:80", Some(("[::1]", Some(80)))),
            ("t.test evil", None),
            ("t.test/evil", None),
            ("t.test@evil:80", None),
            ("t.test:80:80", None),
            ("t%2etest", None),
            ("t,test", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[fe80::1%25eth0]", None),
            ("a:65536", None),
            ("a:+1", None),
            (":80", None),
            ("", None),
            (".", None),
            ("a..b", None),
        ] {
            let parsed = Authority::parse(text.as_bytes());
            let parsed = parsed
                .as_ref()
                .map(|a| (std::str::from_utf8(a.host()).unwrap(), a.port()));
            assert_eq!(parsed, expected, "{text}");
        }
    }

    #[test]
    fn authorities_are_the_same_when_the_default_port_makes_them_so() {
        let is_same = |a: &str, b: &str, default| {
            let (a, b) = (
                Authority::parse(a.as_bytes()),
                Authority::parse(b.as_bytes()),
            );
            a.unwrap().is_same(&b.unwrap(), default)
        };
        assert!(is_same("A.test.", "a.test:80", 80));
        assert!(is_same("a.test", "a.test:443", 443));
        assert!(!is_same("a.test", "a.test:443", 80));
        assert!(!is_same("a.test", "b.test", 80));
    }
}
