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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(list: &[(u64, u64)]) -> Wanted {
        Wanted::Spans(list.iter().map(|(start, end)| *start..*end).collect())
    }

    #[test]
    fn range_sets_follow_rfc_9110() {
        let cases: [(&str, u64, Wanted); 27] = [
            ("bytes=0-0", 10, spans(&[(0, 1)])),
            ("bytes=2-5", 10, spans(&[(2, 6)])),
            ("bytes=2-", 10, spans(&[(2, 10)])),
            ("bytes=2-99", 10, spans(&[(2, 10)])),
            ("bytes=-3", 10, spans(&[(7, 10)])),
            ("bytes=-99", 10, spans(&[(0, 10)])),
            ("BYTES=0-1", 10, spans(&[(0, 2)])),
            ("bytes=0-1, 4-5", 10, spans(&[(0, 2), (4, 6)])),
            ("bytes=, 0-1 ,,", 10, spans(&[(0, 2)])),
            ("bytes=8-9,0-1", 10, spans(&[(8, 10), (0, 2)])),
            ("bytes=0-4,3-6", 10, spans(&[(0, 7)])),
            ("bytes=0-,0-,0-", 10, spans(&[(0, 10)])),
            ("bytes=0-1,50-60", 10, spans(&[(0, 2)])),
            ("bytes=0-18446744073709551616", 10, spans(&[(0, 10)])),
            ("bytes=10-", 10, Wanted::Nothing),
            ("bytes=-0", 10, Wanted::Nothing),
            ("bytes=99999999999999999999-", 10, Wanted::Nothing),
            ("bytes=0-", 0, Wanted::Nothing),
            ("bytes=-5", 0, Wanted::Whole),
            ("bytes=5-2", 10, Wanted::Whole),
            ("bytes=a-2", 10, Wanted::Whole),
            ("bytes=1-2x", 10, Wanted::Whole),
            ("bytes=-", 10, Wanted::Whole),
            ("bytes=+1-2", 10, Wanted::Whole),
            ("bytes=", 10, Wanted::Whole),
            ("lines=0-1", 10, Wanted::Whole),
            ("bytes 0-1", 10, Wanted::Whole),
        ];
        for (text, size, wanted) in cases {
            assert_eq!(parse(text.as_bytes(), size), wanted, "{text}");
        }
    }

    #[test]
    fn more_than_sixteen_ranges_get_the_whole() {
        let set = |count: usize| {
            let ranges: Vec<_> = (0..count)
                .map(|at| format!("{}-{}", at * 4, at * 4))
                .collect();
            format!("bytes={}", ranges.join(","))
        };
        let Wanted::Spans(spans) = parse(set(MAX_RANGES).as_bytes(), 1000) else {
            panic!()
        };
        assert_eq!(spans.len(), MAX_RANGES);
        assert_eq!(parse(set(MAX_RANGES + 1).as_bytes(), 1000), Wanted::Whole);
        let attack = format!("bytes={}", vec!["0-"; 10_000].join(","));
        assert_eq!(parse(attack.as_bytes(), 1000), Wanted::Whole);
    }

    fn within_bounds(wanted: &Wanted, size: u64) {
        let Wanted::Spans(spans) = wanted else { return };
        assert!(!spans.is_empty() && spans.len() <= MAX_RANGES);
        let mut sorted = spans.clone();
        sorted.sort_by_key(|span| span.start);
        assert!(
            sorted
                .iter()
                .all(|span| span.start < span.end && span.end <= size)
        );
        assert!(sorted.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }

    /// One element of a set: `first-last`, either end possibly missing.
    fn element() -> impl Strategy<Value = String> {
        let end = || {
            prop_oneof![
                Just(String::new()),
                (0_u64..40).prop_map(|end| end.to_string())
            ]
        };
        (end(), end()).prop_map(|(first, last)| format!("{first}-{last}"))
    }

    proptest! {
        #[test]
        fn no_input_yields_spans_out_of_bounds(text in ".{0,60}", size: u64) {
            within_bounds(&parse(text.as_bytes(), size), size);
            within_bounds(&parse(format!("bytes={text}").as_bytes(), size), size);
        }

        #[test]
        fn spans_cover_exactly_the_bytes_asked_for(
            set in proptest::collection::vec((0_u64..40, 0_u64..10), 1..=MAX_RANGES),
            size in 1_u64..40,
        ) {
            let text: Vec<_> = set.iter().map(|(at, more)| format!("{at}-{}", at + more)).collect();
            let wanted = parse(format!("bytes={}", text.join(",")).as_bytes(), size);
            within_bounds(&wanted, size);
            for byte in 0..size {
                let asked = set.iter().any(|(at, more)| (*at..=at + more).contains(&byte));
                let sent = match &wanted {
                    Wanted::Spans(spans) => spans.iter().any(|span| span.contains(&byte)),
                    Wanted::Nothing => false,
                    Wanted::Whole => panic!("a well-formed set was ignored"),
                };
                prop_assert_eq!(asked, sent);
            }
        }

        #[test]
        fn sets_of_any_elements_stay_in_bounds(
            set in proptest::collection::vec(element(), 0..20),
            size in 0_u64..40,
        ) {
            within_bounds(&parse(format!("bytes={}", set.join(",")).as_bytes(), size), size);
        }
    }
}
