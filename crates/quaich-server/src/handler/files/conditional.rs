//! Conditional requests (RFC 9110 §13): whether a representation is sent, known, or refused.
//!
//! `answer` calls it for GET and HEAD with the validators of the representation chosen. It must
//! never fail a request because of a malformed date: such a field counts as absent.

use std::time::UNIX_EPOCH;

use quaich_proto::headers::{HeaderId, Headers};

/// What the preconditions of a request amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send it.
    Send,
    /// 304: the client has it.
    NotModified,
    /// 412.
    Failed,
}

/// What a representation is compared by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validators<'a> {
    /// Strong entity tag with its quotes.
    pub(super) etag: &'a [u8],
    /// Seconds since 1970.
    pub(super) modified: i64,
}

/// Whether the request holds any field that makes more of it than a plain one: preconditions or
/// `Range`. One pass over the fields, for the common case of none.
pub(super) fn is_plain(headers: &Headers) -> bool {
    !headers.iter().any(|(id, _, _)| {
        matches!(
            id,
            HeaderId::Range
                | HeaderId::IfRange
                | HeaderId::IfMatch
                | HeaderId::IfNoneMatch
                | HeaderId::IfModifiedSince
                | HeaderId::IfUnmodifiedSince
        )
    })
}

/// Evaluates the preconditions in the order of RFC 9110 §13.2.2, steps 1 to 4.
pub(super) fn evaluate(headers: &Headers, of: Validators<'_>) -> Verdict {
    if headers.contains(HeaderId::IfMatch) {
        if !listed(headers, HeaderId::IfMatch, |tag| tag == of.etag) {
            return Verdict::Failed;
        }
    } else if date(headers, HeaderId::IfUnmodifiedSince).is_some_and(|date| of.modified > date) {
        return Verdict::Failed;
    }
    if headers.contains(HeaderId::IfNoneMatch) {
        let weak_match = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag) == of.etag;
        if listed(headers, HeaderId::IfNoneMatch, weak_match) {
            return Verdict::NotModified;
        }
    } else if date(headers, HeaderId::IfModifiedSince).is_some_and(|date| of.modified <= date) {
        return Verdict::NotModified;
    }
    Verdict::Send
}

/// The `Range` value to honour, if any: one field, and `If-Range` agrees (RFC 9110 §13.1.5).
pub(super) fn range<'h>(headers: &'h Headers, of: Validators<'_>) -> Option<&'h [u8]> {
    let mut fields = headers.get_all(HeaderId::Range);
    let range = fields.next()?;
    if fields.next().is_some() {
        return None;
    }
    match headers.get(HeaderId::IfRange) {
        None => Some(range),
        Some(tag) if tag.starts_with(b"\"") => (tag == of.etag).then_some(range),
        // A date is a strong validator only when it is the very one that was sent.
        Some(date) => (parse_date(date) == Some(of.modified)).then_some(range),
    }
}

/// Whether a list of entity tags holds `*` or a tag that `matches`.
fn listed(headers: &Headers, field: HeaderId, matches: impl Fn(&[u8]) -> bool) -> bool {
    headers
        .get_all(field)
        .any(|value| value == b"*" || Tags(value).any(&matches))
}

/// The entity tags of a list, `W/` and quotes included; ends at the first malformed element.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let separators = self
            .0
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b','))
            .count();
        let rest = self.0.get(separators..)?;
        let prefix = if rest.starts_with(b"W/") { 2 } else { 0 };
        let opaque = rest.get(prefix..)?.strip_prefix(b"\"")?;
        let length = opaque.iter().position(|byte| *byte == b'"')?;
        let (tag, after) = rest.split_at_checked(prefix + length + 2)?;
        self.0 = after;
        Some(tag)
    }
}

fn date(headers: &Headers, field: HeaderId) -> Option<i64> {
    headers.get(field).and_then(parse_date)
}

/// Seconds since 1970 of an HTTP date (RFC 9110 §5.6.7, all three forms); `None` when malformed or
/// outside 1970-9999.
fn parse_date(text: &[u8]) -> Option<i64> {
    let date = httpdate::parse_http_date(std::str::from_utf8(text).ok()?).ok()?;
    i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &[u8] = b"\"5f-a\"";
    const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const VALIDATORS: Validators<'_> = Validators {
        etag: ETAG,
        modified: 784_111_777,
    };

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in fields {
            headers
                .push(name.as_bytes(), value.as_bytes())
                .expect("a valid field");
        }
        headers
    }

    #[test]
    fn preconditions_follow_rfc_9110_13_2_2() {
        use Verdict::{Failed, NotModified, Send};
        let long_list = vec!["\"other\""; 1000].join(", ");
        let hit_at_end = format!("{long_list}, \"5f-a\"");
        let cases: &[(&[(&str, &str)], Verdict)] = &[
            (&[], Send),
            (&[("If-Match", "\"5f-a\"")], Send),
            (&[("If-Match", "*")], Send),
            (&[("If-Match", "\"x\", \"5f-a\"")], Send),
            (&[("If-Match", "\"x\"")], Failed),
            (&[("If-Match", "W/\"5f-a\"")], Failed),
            (&[("If-Match", "5f-a")], Failed),
            (&[("If-Unmodified-Since", AT)], Send),
            (&[("If-Unmodified-Since", BEFORE)], Failed),
            (&[("If-Unmodified-Since", "nonsense")], Send),
            (
                &[("If-Match", "\"5f-a\""), ("If-Unmodified-Since", BEFORE)],
                Send,
            ),
            (&[("If-None-Match", "\"5f-a\"")], NotModified),
            (&[("If-None-Match", "W/\"5f-a\"")], NotModified),
            (&[("If-None-Match", "*")], NotModified),
            (&[("If-None-Match", "\"a,b\",\"5f-a\"")], NotModified),
            (
                &[("If-None-Match", "\"x\""), ("If-None-Match", "\"5f-a\"")],
                NotModified,
            ),
            (&[("If-None-Match", &long_list)], Send),
            (&[("If-None-Match", &hit_at_end)], NotModified),
            (&[("If-None-Match", "\"5f-a")], Send),
            (&[("If-None-Match", "W/")], Send),
            (&[("If-None-Match", "")], Send),
            (
                &[("If-None-Match", "\"x\""), ("If-Modified-Since", AT)],
                Send,
            ),
            (&[("If-Modified-Since", AT)], NotModified),
            (&[("If-Modified-Since", AFTER)], NotModified),
            (&[("If-Modified-Since", BEFORE)], Send),
            (
                &[("If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT")],
                NotModified,
            ),
            (
                &[("If-Modified-Since", "Sun Nov  6 08:49:37 1994")],
                NotModified,
            ),
            (
                &[("If-Modified-Since", "Mon, 01 Jan 1601 00:00:00 GMT")],
                Send,
            ),
            (
                &[("If-Modified-Since", "Sat, 01 Jan 10000 00:00:00 GMT")],
                Send,
            ),
            (&[("If-Modified-Since", "")], Send),
            (
                &[("If-Match", "\"x\""), ("If-None-Match", "\"5f-a\"")],
                Failed,
            ),
        ];
        for (fields, verdict) in cases {
            assert_eq!(
                evaluate(&headers(fields), VALIDATORS),
                *verdict,
                "{fields:?}"
            );
            assert_eq!(is_plain(&headers(fields)), fields.is_empty());
        }
    }

    #[test]
    fn a_range_is_honoured_only_for_the_representation_it_was_made_for() {
        let cases: &[(&[(&str, &str)], bool)] = &[
            (&[("Range", "bytes=0-1")], true),
            (&[("Range", "bytes=0-1"), ("If-Range", "\"5f-a\"")], true),
            (&[("Range", "bytes=0-1"), ("If-Range", "W/\"5f-a\"")], false),
            (&[("Range", "bytes=0-1"), ("If-Range", "\"x\"")], false),
            (&[("Range", "bytes=0-1"), ("If-Range", AT)], true),
            (&[("Range", "bytes=0-1"), ("If-Range", BEFORE)], false),
            (&[("Range", "bytes=0-1"), ("If-Range", AFTER)], false),
            (&[("Range", "bytes=0-1"), ("If-Range", "nonsense")], false),
            (&[("Range", "bytes=0-1"), ("Range", "bytes=2-3")], false),
            (&[("If-Range", "\"5f-a\"")], false),
        ];
        for (fields, honoured) in cases {
            assert_eq!(
                range(&headers(fields), VALIDATORS).is_some(),
                *honoured,
                "{fields:?}"
            );
        }
    }
}
