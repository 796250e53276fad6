//! Conditions on header fields, cookies and query parameters: of those with the name, one has a
//! value that fits.

use quaich_config::model::{FieldMatch, TextPattern};
use quaich_proto::h1::RequestHead;
use regex::bytes::{Regex, RegexBuilder};

use super::{cookie, glob};

/// What a value must look like.
#[derive(Debug)]
pub(super) enum Value {
    Glob(Vec<u8>),
    Regex(Regex),
}

/// A name and what its value must look like.
#[derive(Debug)]
pub(super) struct Field {
    name: Vec<u8>,
    value: Value,
}

impl Value {
    pub(super) fn compile(pattern: &TextPattern) -> Result<Self, regex::Error> {
        Ok(match pattern {
            TextPattern::Glob(glob) => Self::Glob(glob.clone().into_bytes()),
            TextPattern::Regex(regex) => Self::Regex(Regex::new(regex)?),
        })
    }

    /// The same for what knows no case.
    pub(super) fn compile_caseless(pattern: &TextPattern) -> Result<Self, regex::Error> {
        Ok(match pattern {
            TextPattern::Glob(glob) => Self::Glob(glob.to_ascii_lowercase().into_bytes()),
            TextPattern::Regex(regex) => {
                Self::Regex(RegexBuilder::new(regex).case_insensitive(true).build()?)
            }
        })
    }

    pub(super) fn fits(&self, text: &[u8]) -> bool {
        match self {
            Self::Glob(pattern) => glob::matches(pattern, text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

impl Field {
    pub(super) fn compile(field: &FieldMatch) -> Result<Self, regex::Error> {
        Ok(Self {
            name: field.name.clone().into_bytes(),
            value: Value::compile(&field.value)?,
        })
    }

    pub(super) fn compile_all(fields: &[FieldMatch]) -> Result<Vec<Self>, regex::Error> {
        fields.iter().map(Self::compile).collect()
    }

    /// Whether the request has such a header field.
    pub(super) fn in_header(&self, request: &RequestHead) -> bool {
        request
            .headers
            .iter()
            .any(|(_, name, value)| name.eq_ignore_ascii_case(&self.name) && self.value.fits(value))
    }

    /// Whether the request has such a cookie (RFC 6265 section 5.4).
    pub(super) fn in_cookies(&self, request: &RequestHead) -> bool {
        let mut values = cookie::values(&request.headers, &self.name);
        values.any(|value| self.value.fits(value))
    }

    /// Whether a query has such a parameter. It is read as forms are encoded.
    pub(super) fn in_query(&self, query: &[u8]) -> bool {
        query.split(|&byte| byte == b'&').any(|pair| {
            let (name, value) = halves(pair);
            if is_plain(pair) {
                return name == self.name && self.value.fits(value);
            }
            decode(name) == self.name && self.value.fits(&decode(value))
        })
    }
}

/// What stands before and behind the first `=`.
fn halves(pair: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'=', pair) {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, &[]),
    }
}

/// Whether decoding would change nothing.
fn is_plain(text: &[u8]) -> bool {
    memchr::memchr2(b'%', b'+', text).is_none()
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

    fn field(name: &str, value: &str) -> Field {
        let value = match value.strip_prefix('~') {
            Some(regex) => TextPattern::Regex(regex.into()),
            None => TextPattern::Glob(value.into()),
        };
        let name = name.into();
        Field::compile(&FieldMatch { name, value }).expect("a pattern")
    }

    #[test]
    fn parameters_are_decoded_before_they_are_compared() {
        assert!(field("b", "x y").in_query(b"a=1&b=x%20y"));
        assert!(field("b", "x y").in_query(b"b=1&b=x+y"));
        assert!(field("a", "*").in_query(b"%61=1"));
        assert!(field("a", "").in_query(b"a"));
        assert!(!field("a", "*").in_query(b"ab=1"));
        assert!(field("a", "%zz").in_query(b"a=%zz"));
        assert!(!field("a", "*").in_query(b""));
        assert!(field("a", "~^[0-9]+$").in_query(b"a=x&a=12"));
        assert!(!field("a", "~^[0-9]+$").in_query(b"a=12x"));
    }
}
