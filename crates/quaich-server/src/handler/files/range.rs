//! `Range` (RFC 9110 §14): which bytes of a representation the client asks for.
//!
//! `answer` calls it for GET. It must never yield a span outside the representation, overlapping
//! spans, or more than `MAX_RANGES` of them.

use std::ops::Range;

/// Ranges in one request; a request for more gets the whole representation.
pub(super) const MAX_RANGES: usize = 16;

/// What a `Range` field asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything: the field is malformed, of another unit, or asks for too many pieces.
    Whole,
    /// Nothing that exists: 416.
    Nothing,
    /// These bytes, never empty, no two overlapping. In the order asked for, unless some
    /// overlapped: then in ascending order.
    Spans(Vec<Range<u64>>),
}

/// One element of a range set.
enum Element {
    Span(Range<u64>),
    Unsatisfiable,
    Malformed,
}

/// Reads the field value `text` for a representation of `size` bytes.
pub(super) fn parse(text: &[u8], size: u64) -> Wanted {
    let Some(set) = range_set(text) else {
        return Wanted::Whole;
    };
    let mut spans = Vec::new();
    let mut elements = 0;
    for element in set.split(|byte| *byte == b',') {
        let element = element.trim_ascii();
        if element.is_empty() {
            continue;
        }
        elements += 1;
        if elements > MAX_RANGES {
            return Wanted::Whole;
        }
        match self::element(element, size) {
            Element::Span(span) => spans.push(span),
            Element::Unsatisfiable => {}
            Element::Malformed => return Wanted::Whole,
        }
    }
    match (elements, spans.is_empty()) {
        (0, _) => Wanted::Whole,
        (_, true) => Wanted::Nothing,
        _ => Wanted::Spans(merged(spans)),
    }
}

fn range_set(text: &[u8]) -> Option<&[u8]> {
    let (unit, set) = text.split_at_checked(b"bytes=".len())?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(set)
}

fn element(text: &[u8], size: u64) -> Element {
    let mut ends = text.splitn(2, |byte| *byte == b'-');
    let (Some(first), Some(last)) = (ends.next(), ends.next()) else {
        return Element::Malformed;
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Element::Malformed,
        (Some(first), Some(last)) => span(first, last.saturating_add(1).min(size)),
        (Some(first), None) if last.is_empty() => span(first, size),
        // A suffix of an empty representation is that representation, which no Content-Range can
        // express: it is sent whole.
        (None, Some(_)) if first.is_empty() && size == 0 => Element::Malformed,
        (None, Some(length)) if first.is_empty() => span(size.saturating_sub(length), size),
        _ => Element::Malformed,
    }
}

fn span(start: u64, end: u64) -> Element {
    if start < end {
        Element::Span(start..end)
    } else {
        Element::Unsatisfiable
    }
}

/// Decimal digits only; numbers too large for us mean "past the end".
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0_u64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    Some(value)
}

fn merged(spans: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut sorted = spans.clone();
    sorted.sort_unstable_by_key(|span| (span.start, span.end));
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for span in sorted {
        match joined.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => joined.push(span),
        }
    }
    if joined.len() == spans.len() {
        spans
    } else {
        joined
    }
}
