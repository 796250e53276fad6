//! The conditions of one route. All must hold.

use quaich_config::model::{FieldMatch, HostPattern, Route};
use quaich_proto::h1::RequestHead;

use super::path::{PathMatch, strip_mount};
use super::{glob, host};

/// The conditions of a route.
#[derive(Debug)]
pub(super) struct Matcher {
    hosts: Vec<HostPattern>,
    paths: Vec<PathMatch>,
    prefix: Vec<u8>,
    methods: Vec<String>,
    queries: Vec<FieldMatch>,
    headers: Vec<FieldMatch>,
}

impl Matcher {
    pub(super) fn compile(route: &Route) -> Result<Self, regex::Error> {
        Ok(Self {
            hosts: route.host.clone(),
            paths: route
                .path
                .iter()
                .map(PathMatch::compile)
                .collect::<Result<_, _>>()?,
            prefix: route.prefix.clone().into_bytes(),
            methods: route.method.clone(),
            queries: route.query.clone(),
            headers: route.header.clone(),
        })
    }

    /// Whether the request meets all conditions; else the name of the first that it does not meet.
    pub(super) fn matches(&self, request: &RequestHead) -> Result<(), &'static str> {
        let path = request.path_decoded();
        if !self.prefix.is_empty() && strip_mount(path, &self.prefix).is_none() {
            return Err("prefix");
        }
        if !self.paths.is_empty() && !self.paths.iter().any(|pattern| pattern.matches(path)) {
            return Err("path");
        }
        if !self.methods.is_empty() {
            let name = request.method_name();
            if !self.methods.iter().any(|method| method.as_bytes() == name) {
                return Err("method");
            }
        }
        if !self.hosts.is_empty()
            && !self
                .hosts
                .iter()
                .any(|pattern| host::matches(pattern, request.host()))
        {
            return Err("host");
        }
        if !self.headers.iter().all(|field| has_header(request, field)) {
            return Err("header");
        }
        if !self
            .queries
            .iter()
            .all(|field| has_parameter(request.query(), field))
        {
            return Err("query");
        }
        Ok(())
    }
}

fn has_header(request: &RequestHead, field: &FieldMatch) -> bool {
    request.headers.iter().any(|(_, name, value)| {
        name.eq_ignore_ascii_case(field.name.as_bytes())
            && glob::matches(field.glob.as_bytes(), value)
    })
}

fn has_parameter(query: &[u8], field: &FieldMatch) -> bool {
    query.split(|&byte| byte == b'&').any(|pair| {
        let (name, value) = match pair.iter().position(|&byte| byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        decode(name) == field.name.as_bytes()
            && glob::matches(field.glob.as_bytes(), &decode(value))
    })
}

/// Decodes a form-encoded name or value; a bad escape stands for itself.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                decoded.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    decoded
}

fn hex(byte: u8) -> Option<u8> {
    (byte as char)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, glob: &str) -> FieldMatch {
        FieldMatch {
            name: name.into(),
            glob: glob.into(),
        }
    }

    #[test]
    fn parameters_are_decoded_before_they_are_compared() {
        assert!(has_parameter(b"a=1&b=x%20y", &field("b", "x y")));
        assert!(has_parameter(b"%61=1", &field("a", "*")));
        assert!(has_parameter(b"a", &field("a", "")));
        assert!(!has_parameter(b"ab=1", &field("a", "*")));
        assert!(has_parameter(b"a=%zz", &field("a", "%zz")));
        assert!(!has_parameter(b"", &field("a", "*")));
    }
}
