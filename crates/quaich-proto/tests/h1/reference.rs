//! A second request parser, written from the rules and not from the first one: slow, plain, over the
//! whole input at once. It names every status that the input deserves, so that the order in which a
//! parser looks does not matter.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use quaich_proto::h1::{BodyLength, Limits};

use crate::path_reference::{normal_path, split_query};

/// What a good head says.
#[derive(Debug, PartialEq, Eq)]
pub struct Meaning {
    pub length: usize,
    pub method: Vec<u8>,
    pub path: Vec<u8>,
    pub decoded: Vec<u8>,
    pub query: Option<Vec<u8>>,
    pub host: Vec<u8>,
    pub port: Option<u16>,
    pub fields: Fields,
    pub dropped: u16,
    pub body: BodyLength,
    pub keep_alive: bool,
    pub expect_continue: bool,
    pub upgrade: bool,
}

#[derive(Debug)]
pub enum Verdict {
    Good(Box<Meaning>),
    /// The statuses of everything that is wrong.
    Bad(BTreeSet<u16>),
    /// The head has no end, and no line that has an end is wrong. `maybe` when the last line could
    /// be refused before its end.
    Unfinished {
        maybe: bool,
    },
}

/// Names and values, in order.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;
/// Statuses.
pub type Wrong = BTreeSet<u16>;

/// Where path and query come from, and the authority of an absolute target with its default port.
struct Target {
    origin: Vec<u8>,
    authority: Option<(String, u16)>,
}

pub fn parse(input: &[u8], limits: &Limits) -> Verdict {
    let skipped = if input.starts_with(b"\r\n") { 2 } else { 0 };
    let mut wrong = Wrong::new();
    let mut lines: Vec<&[u8]> = Vec::new();
    let mut rest = &input[skipped..];
    loop {
        let Some(end) = rest.iter().position(|&b| b == b'\n') else {
            check_lines(&lines, limits, &mut wrong);
            return if wrong.is_empty() {
                Verdict::Unfinished {
                    maybe: could_be_refused(rest, &lines, limits),
                }
            } else {
                Verdict::Bad(wrong)
            };
        };
        let line = &rest[..end];
        rest = &rest[end + 1..];
        match line {
            [] | [.., 0..=12 | 14..] => {
                // Nothing behind a line end of the wrong kind has a meaning.
                lines.push(line);
                check_lines(&lines, limits, &mut wrong);
                wrong.insert(400);
                return Verdict::Bad(wrong);
            }
            [b'\r'] if !lines.is_empty() => break,
            [line @ .., _] => lines.push(line),
        }
    }
    check_lines(&lines, limits, &mut wrong);
    let meaning = meaning(&lines, input.len() - rest.len(), &mut wrong);
    match meaning {
        Some(meaning) if wrong.is_empty() => Verdict::Good(Box::new(meaning)),
        _ => Verdict::Bad(wrong),
    }
}

/// Whether a line without its end may be refused: for its length, or as no beginning of a request.
fn could_be_refused(line: &[u8], lines: &[&[u8]], limits: &Limits) -> bool {
    match lines {
        [] => line.len() > 32 || !matches!(line, [] | [b'\r']) && !is_tchar(line[0]),
        [_, fields @ ..] => {
            let before: usize = fields.iter().map(|line| line.len() + 2).sum();
            line.len() > limits.max_field || before + line.len() + 2 > limits.max_header
        }
    }
}

/// What is wrong with single lines, and with their number and size.
fn check_lines(lines: &[&[u8]], limits: &Limits, wrong: &mut Wrong) {
    let Some((first, fields)) = lines.split_first() else {
        return;
    };
    let words: Vec<&[u8]> = first.split(|&b| b == b' ').collect();
    if first.len() > limits.max_uri + 32 + 2 + 8 {
        wrong.insert(414);
    }
    if words
        .get(1)
        .is_some_and(|target| target.len() > limits.max_uri)
    {
        wrong.insert(414);
    }
    match words[..] {
        [method, target, version] => {
            if method.is_empty() || method.len() > 32 || !method.iter().all(|&b| is_tchar(b)) {
                wrong.insert(400);
            }
            if method.iter().any(u8::is_ascii_lowercase) {
                wrong.insert(400);
            }
            if method == b"CONNECT" {
                wrong.insert(405);
            }
            check_version(version, wrong);
            match read_target(method, target) {
                None => _ = wrong.insert(400),
                Some(target) if target.origin == b"*" => {}
                Some(target) if normal_path(&target.origin).is_none() => _ = wrong.insert(400),
                Some(_) => {}
            }
        }
        _ => _ = wrong.insert(400),
    }
    let mut size = 0;
    for (number, line) in fields.iter().enumerate() {
        size += line.len() + 2;
        if line.len() > limits.max_field || size > limits.max_header || number >= limits.max_headers
        {
            wrong.insert(431);
        }
        if read_field(line).is_none() {
            wrong.insert(400);
        }
    }
}

fn check_version(version: &[u8], wrong: &mut Wrong) {
    let text = String::from_utf8_lossy(version);
    if text == "HTTP/1.1" || text == "HTTP/1.0" {
        return;
    }
    let numbers = text
        .strip_prefix("HTTP/")
        .and_then(|rest| rest.split_once('.'));
    let digit = |part: &str| part.len() == 1 && part.as_bytes()[0].is_ascii_digit();
    let known = numbers.is_some_and(|(major, minor)| digit(major) && digit(minor));
    wrong.insert(if known { 505 } else { 400 });
}

pub fn read_field(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let colon = line.iter().position(|&b| b == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().all(|&b| is_tchar(b)) {
        return None;
    }
    if value.iter().any(|&b| b < 32 && b != b'\t' || b == 127) {
        return None;
    }
    let is_blank = |b: &u8| *b == b' ' || *b == b'\t';
    let start = value
        .iter()
        .position(|b| !is_blank(b))
        .unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|b| !is_blank(b))
        .map_or(start, |at| at + 1);
    Some((name.to_vec(), value[start..end].to_vec()))
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn read_target(method: &[u8], target: &[u8]) -> Option<Target> {
    if !target
        .iter()
        .all(|&b| (0x21..=0x7e).contains(&b) && b != b'#')
    {
        return None;
    }
    if target == b"*" && method == b"OPTIONS" {
        return Some(Target {
            origin: b"*".to_vec(),
            authority: None,
        });
    }
    if target.starts_with(b"/") {
        return Some(Target {
            origin: target.to_vec(),
            authority: None,
        });
    }
    let text = std::str::from_utf8(target).ok()?;
    let (scheme, rest) = text.split_once("://")?;
    let port = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, origin) = rest.split_at(end);
    read_authority(authority)?;
    let origin = match origin {
        "" if method == b"OPTIONS" => "*".to_owned(),
        _ if origin.starts_with('/') => origin.to_owned(),
        _ => format!("/{origin}"),
    };
    Some(Target {
        origin: origin.into_bytes(),
        authority: Some((authority.to_owned(), port)),
    })
}

/// Host in lower case, and the port.
fn read_authority(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.rfind(']') {
        Some(at) => text.split_at(at + 1),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some("") => None,
        Some(digits) if digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        _ => return None,
    };
    let host = host.to_ascii_lowercase();
    if let Some(inside) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        inside.parse::<Ipv6Addr>().ok()?;
        return Some((host, port));
    }
    let host = host.strip_suffix('.').unwrap_or(&host).to_owned();
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    (host.len() < 255 && host.split('.').all(is_label)).then_some((host, port))
}

pub fn elements(value: &[u8]) -> Vec<String> {
    let text: String = value.iter().map(|&b| char::from(b)).collect();
    text.split(',')
        .map(|part| part.trim_matches([' ', '\t']).to_ascii_lowercase())
        .collect()
}

pub fn values<'f>(fields: &'f [(Vec<u8>, Vec<u8>)], name: &str) -> Vec<&'f [u8]> {
    let named = fields
        .iter()
        .filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
    named.map(|(_, value)| &value[..]).collect()
}

/// What the head says as a whole. `None` only when something is wrong.
fn meaning(lines: &[&[u8]], length: usize, wrong: &mut Wrong) -> Option<Meaning> {
    let words: Vec<&[u8]> = lines[0].split(|&b| b == b' ').collect();
    let is_old = words.last() == Some(&&b"HTTP/1.0"[..]);
    let all: Vec<_> = lines[1..]
        .iter()
        .filter_map(|line| read_field(line))
        .collect();
    let is_dropped = |name: &[u8]| name.contains(&b'_') || name.eq_ignore_ascii_case(b"proxy");
    let (dropped, fields): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(name, _)| is_dropped(name));
    let body = read_framing(&fields, is_old, wrong);
    let has_body = !matches!(body, BodyLength::Empty | BodyLength::Known(0));
    let link = read_link(&fields, is_old, has_body, wrong);
    let [method, target, _] = words[..] else {
        return None;
    };
    let target = read_target(method, target)?;
    let (host, port) = read_host(&fields, target.authority, is_old, wrong)?;
    let (path, decoded, query) = if target.origin == b"*" {
        (b"*".to_vec(), b"*".to_vec(), None)
    } else {
        let (path, decoded) = normal_path(&target.origin)?;
        (path, decoded, split_query(&target.origin).1)
    };
    Some(Meaning {
        length,
        method: method.to_vec(),
        path,
        decoded,
        query,
        host: host.into_bytes(),
        port,
        fields,
        dropped: u16::try_from(dropped.len()).ok()?,
        body,
        keep_alive: link.keep_alive,
        expect_continue: link.expect_continue,
        upgrade: link.upgrade,
    })
}

/// What a head says about its connection.
struct Link {
    keep_alive: bool,
    expect_continue: bool,
    upgrade: bool,
}

fn read_link(
    fields: &[(Vec<u8>, Vec<u8>)],
    is_old: bool,
    has_body: bool,
    wrong: &mut Wrong,
) -> Link {
    let options: Vec<String> = values(fields, "connection")
        .into_iter()
        .flat_map(elements)
        .collect();
    let has = |option: &str| options.iter().any(|o| o == option);
    const PROTECTED: &[&str] = &[
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "authorization",
        "proxy-authorization",
        "cookie",
        "range",
        "expect",
        "cache-control",
    ];
    if PROTECTED.iter().any(|name| has(name)) {
        wrong.insert(400);
    }
    let expects = values(fields, "expect");
    if expects
        .iter()
        .any(|value| !value.eq_ignore_ascii_case(b"100-continue"))
    {
        wrong.insert(417);
    }
    let mut protocols: Vec<String> = values(fields, "upgrade")
        .into_iter()
        .flat_map(elements)
        .collect();
    protocols.retain(|protocol| !protocol.is_empty());
    let upgrade = !is_old && has("upgrade") && protocols.len() == 1 && protocols[0] != "h2c";
    if upgrade && has_body {
        wrong.insert(400);
    }
    Link {
        keep_alive: !has("close") && (!is_old || has("keep-alive")),
        expect_continue: !expects.is_empty() && !is_old && has_body,
        upgrade,
    }
}

pub fn read_framing(fields: &[(Vec<u8>, Vec<u8>)], is_old: bool, wrong: &mut Wrong) -> BodyLength {
    let mut body = BodyLength::Empty;
    match values(fields, "content-length")[..] {
        [] => {}
        [value] if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
            match String::from_utf8_lossy(value).parse() {
                Ok(length) => body = BodyLength::Known(length),
                Err(_) => _ = wrong.insert(400),
            }
        }
        _ => _ = wrong.insert(400),
    }
    let codings = values(fields, "transfer-encoding");
    let [coding] = codings[..] else {
        if codings.len() > 1 {
            wrong.insert(400);
        }
        return body;
    };
    if is_old || body != BodyLength::Empty {
        wrong.insert(400);
    }
    let codings = elements(coding);
    let is_token = |coding: &String| !coding.is_empty() && coding.bytes().all(is_tchar);
    if codings != ["chunked"] {
        let (_, early) = codings.split_last().expect("splitting gives one at least");
        let broken = !codings.iter().all(is_token)
            || codings.iter().any(|coding| coding == "identity")
            || early.iter().any(|coding| coding == "chunked");
        wrong.insert(if broken { 400 } else { 501 });
    }
    BodyLength::Chunked
}

fn read_host(
    fields: &[(Vec<u8>, Vec<u8>)],
    uri: Option<(String, u16)>,
    is_old: bool,
    wrong: &mut Wrong,
) -> Option<(String, Option<u16>)> {
    let uri_host = uri.as_ref().map(|(text, _)| read_authority(text));
    let text = |value: &[u8]| value.iter().map(|&b| char::from(b)).collect::<String>();
    let host = match values(fields, "host")[..] {
        [] if is_old => uri_host.clone().unwrap_or(Some((String::new(), None))),
        [value] => read_authority(&text(value)),
        _ => None,
    };
    let default = uri.as_ref().map_or(0, |(_, port)| *port);
    let full = |(host, port): (String, Option<u16>)| (host, port.unwrap_or(default));
    let differs = uri_host.is_some_and(|uri| uri.map(full) != host.clone().map(full));
    if host.is_none() || differs {
        wrong.insert(400);
    }
    host.filter(|_| !differs)
}
