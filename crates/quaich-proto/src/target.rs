//! Request targets: paths with one normal form, and authorities (RFC 3986, RFC 9110 section 4.2).
//!
//! Routes match the normal form and upstreams receive it, so that no second reading of a path can
//! lead past a rule.

/// What a target is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Bytes before the question mark.
    pub path_length: usize,
    /// Whether the path is its own normal form and its own decoded form.
    pub is_normal: bool,
}

/// Finds the end of the path and whether it needs work. `None` when the target holds a byte that no
/// target may hold.
pub fn scan(target: &[u8]) -> Option<Form> {
    let mut path_length = target.len();
    let mut is_normal = true;
    let mut before = 0;
    for (at, &byte) in target.iter().enumerate() {
        match byte {
            b'?' => {
                path_length = at;
                break;
            }
            0..=b' ' | b'#' | b'\\' | 0x7f.. => return None,
            b'%' | b';' => is_normal = false,
            b'/' | b'.' if before == b'/' => is_normal = false,
            _ if !is_plain(byte) => is_normal = false,
            _ => {}
        }
        before = byte;
    }
    let query = &target[path_length..];
    let query_valid = query.iter().all(|&byte| byte > b' ' && byte < 0x7f && byte != b'#');
    query_valid.then_some(Form { path_length, is_normal })
}

/// Unreserved, sub-delims, `:`, `@` and `/`: what stands in a path without being encoded.
fn is_plain(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@/".contains(&byte)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Appends the normal form of `path`: `.` and `..` resolved, slashes merged, percent-encoding
/// canonical (unreserved bytes plain, others in upper case). `None` for a path without a safe one:
/// one that climbs above the root, hides a dot segment behind an encoded slash or a path parameter,
/// or encodes a control byte.
pub fn normalise(path: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    let mut segments = path.split(|&byte| byte == b'/').skip(1).peekable();
    let mut canonical = Vec::with_capacity(64);
    out.push(b'/');
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        canonical.clear();
        encode_segment(segment, &mut canonical)?;
        match canonical.as_slice() {
            // `//` and the end after a slash.
            b"" | b"." => {}
            b".." => climb(out, start)?,
            _ => {
                out.extend_from_slice(&canonical);
                if !last {
                    out.push(b'/');
                }
            }
        }
    }
    Some(())
}

/// Removes the last segment; the text ends in a slash before and after.
fn climb(out: &mut Vec<u8>, start: usize) -> Option<()> {
    let parent = out.get(start..out.len() - 1)?.iter().rposition(|&byte| byte == b'/')?;
    out.truncate(start + parent + 1);
    Some(())
}

fn encode_segment(segment: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut hidden = Vec::new();
    let mut rest = segment;
    let mut escaped_slash = false;
    while let Some((&first, after)) = rest.split_first() {
        let byte = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high)? << 4 | hex(*low)?,
            (b'%', _) => return None,
            _ => first,
        };
        let escaped = first == b'%';
        if byte < b' ' || byte == 0x7f {
            return None;
        }
        rest = if escaped { &after[2..] } else { after };
        escaped_slash |= byte == b'/';
        hidden.push(byte);
        // What is reserved keeps its form: `%2F` is data, `/` is structure.
        if is_unreserved(byte) || !escaped && is_plain(byte) {
            out.push(byte);
        } else {
            push_escape(out, byte);
        }
    }
    let climbs = |part: &[u8]| matches!(part, b"." | b"..");
    let bad_inside = escaped_slash && hidden.split(|&byte| byte == b'/').any(climbs);
    let bad_parameter = hidden.starts_with(b"..;") || hidden.starts_with(b".;");
    (!bad_inside && !bad_parameter).then_some(())
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[
        b'%',
        DIGITS[usize::from(byte >> 4)],
        DIGITS[usize::from(byte & 15)],
    ]);
}

fn hex(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Appends `path`, which is in its normal form, percent-decoded.
pub fn decode(path: &[u8], out: &mut Vec<u8>) {
    let mut rest = path;
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                out.push(first);
                rest = after;
            }
        }
    }
}

/// Splits `http://authority/path?query`: authority, and the rest from its slash or question mark.
pub fn split_absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let has = |scheme: &[u8]| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let rest = if has(b"http://") {
        &target[7..]
    } else if has(b"https://") {
        &target[8..]
    } else {
        return None;
    };
    let end = rest.iter().position(|&byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, origin) = rest.split_at(end);
    (!authority.is_empty()).then_some((authority, origin))
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
            _ => text.iter().position(|&byte| byte == b':').unwrap_or(text.len()),
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

    /// Whether both name the same host and port.
    pub fn is_same(&self, other: &Authority<'_>) -> bool {
        let (a, b) = (self.port.unwrap_or(80), other.port.unwrap_or(80));
        a == b && self.host().eq_ignore_ascii_case(other.host())
    }
}

fn parse_port(digits: &[u8]) -> Option<Option<u16>> {
    if digits.is_empty() {
        return Some(None);
    }
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().map(Some)
}

/// A registered name or an IPv4 address: letters, digits, `-`, `.`, `_`, with no empty label but one
/// trailing dot.
fn is_name(host: &[u8]) -> bool {
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !host.is_empty()
        && host.len() <= 255
        && host.iter().all(valid)
        && host[0] != b'.'
        && !host.windows(2).any(|pair| pair == b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(path: &str) -> Option<String> {
        let mut out = Vec::new();
        normalise(path.as_bytes(), &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn paths_have_one_normal_form() {
        for (path, expected) in [
            ("/", Some("/")),
            ("/x/../deny", Some("/deny")),
            ("/x/%2e%2e/deny", Some("/deny")),
            ("/%64eny", Some("/deny")),
            ("//deny", Some("/deny")),
            ("/./deny", Some("/deny")),
            ("/a/.", Some("/a/")),
            ("/a/..", Some("/")),
            ("/a/b/", Some("/a/b/")),
            ("/a//", Some("/a/")),
            ("/x/..;/deny", None),
            ("/x%2f..%2fdeny", None),
            ("/q%00.png", None),
            ("/%zz", None),
            ("/%2", None),
            ("/../../etc/passwd", None),
            ("/q%0d%0aX:y", None),
            ("/x/%252e%252e/deny", Some("/x/%252e%252e/deny")),
            ("/a%2fb", Some("/a%2Fb")),
            ("/%c3%a9", Some("/%C3%A9")),
            ("/a;v=1", Some("/a;v=1")),
            ("/a|b", Some("/a%7Cb")),
        ] {
            assert_eq!(normal(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn hosts_are_checked() {
        for (text, expected) in [
            ("example.org", Some(("example.org", None))),
            ("example.org.:8080", Some(("example.org", Some(8080)))),
            ("[::1]:80", Some(("[::1]", Some(80)))),
            ("t.test evil", None),
            ("t.test/evil", None),
            ("t.test@evil:80", None),
            ("[::1", None),
            ("a:99999", None),
            ("a:+1", None),
            ("", None),
            ("..", None),
        ] {
            let parsed = Authority::parse(text.as_bytes());
            let parsed = parsed.as_ref().map(|a| (std::str::from_utf8(a.host()).unwrap(), a.port()));
            assert_eq!(parsed, expected, "{text}");
        }
    }
}
