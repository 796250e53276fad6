//! Cookies of a request: found, taken out, freed of a mark. Pure; called by `sticky`.
//!
//! Cookies end at `;` and, as RFC 2965 had it and HAProxy still reads, at `,`, but not inside of
//! quotes. What is not taken out stays as it came, byte for byte.

/// What stands before the value of the app's cookie, behind the name of the server.
pub(super) const MARK: u8 = b'~';

/// The values of the cookies `name` in a `Cookie` field, in order.
pub(super) fn values<'f>(field: &'f [u8], name: &'f [u8]) -> impl Iterator<Item = &'f [u8]> {
    crumbs(field).filter_map(move |crumb| crumb.value_of(name))
}

/// Writes `field` without the cookies `name` to `out`; nothing when no other is left.
pub(super) fn without(field: &[u8], name: &[u8], out: &mut Vec<u8>) {
    let mut gap = false;
    for crumb in crumbs(field) {
        if crumb.value_of(name).is_some() {
            trim_end(out);
            gap = true;
        } else if !gap {
            out.extend(crumb.delimiter);
            out.extend_from_slice(crumb.text);
        } else if !crumb.text.trim_ascii().is_empty() {
            if !out.is_empty() {
                out.extend(crumb.delimiter);
                out.push(b' ');
            }
            out.extend_from_slice(crumb.text.trim_ascii_start());
            gap = false;
        }
    }
}

/// Writes `field` to `out` with what stands before the mark in cookies `name` taken away, mark
/// included.
pub(super) fn unmarked(field: &[u8], name: &[u8], out: &mut Vec<u8>) {
    for crumb in crumbs(field) {
        out.extend(crumb.delimiter);
        match crumb.value_of(name).and_then(split_mark) {
            Some((_, rest)) => {
                out.extend(crumb.text.iter().take_while(|b| b.is_ascii_whitespace()));
                out.extend_from_slice(name);
                out.push(b'=');
                out.extend_from_slice(rest);
            }
            None => out.extend_from_slice(crumb.text),
        }
    }
}

/// What stands before the first mark of a value, and behind it. What begins with a quote was not
/// marked here: the mark stands before the quotes of the app, and one inside of them is the app's.
pub(super) fn split_mark(value: &[u8]) -> Option<(&[u8], &[u8])> {
    if value.first() == Some(&b'"') {
        return None;
    }
    let (server, rest) = value.split_at(memchr::memchr(MARK, value)?);
    Some((server, rest.get(1..).unwrap_or_default()))
}

/// What a cookie field holds between two delimiters.
struct Crumb<'f> {
    /// Before it; the first has none.
    delimiter: Option<u8>,
    text: &'f [u8],
}

impl<'f> Crumb<'f> {
    fn value_of(&self, name: &[u8]) -> Option<&'f [u8]> {
        let (left, right) = self.text.split_at(memchr::memchr(b'=', self.text)?);
        let value = right.get(1..).unwrap_or_default();
        (left.trim_ascii() == name).then(|| value.trim_ascii())
    }
}

fn crumbs(field: &[u8]) -> impl Iterator<Item = Crumb<'_>> {
    let mut rest = Some((None, field));
    std::iter::from_fn(move || {
        let (delimiter, from) = rest.take()?;
        let (text, after) = from.split_at(end(from));
        if let Some((next, after)) = after.split_first() {
            rest = Some((Some(*next), after));
        }
        Some(Crumb { delimiter, text })
    })
}

/// The index of the first delimiter outside of quotes, else the length.
fn end(text: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (index, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' | b',' if !quoted => return index,
            _ => {}
        }
    }
    text.len()
}

fn trim_end(out: &mut Vec<u8>) {
    let kept = out.trim_ascii_end().len();
    out.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(field: &str) -> String {
        let mut out = Vec::new();
        without(field.as_bytes(), b"S", &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_cookie_is_taken_out_and_the_others_stay_as_they_are() {
        for (field, expected) in [
            ("a=1; S=x; b=2", "a=1; b=2"),
            ("S=x; b=2", "b=2"),
            ("a=1; S=x", "a=1"),
            ("S=x", ""),
            ("S=x;", ""),
            ("S=x; S=y", ""),
            ("a=1;S=x;b=2", "a=1; b=2"),
            ("a=1 ;  S = x ;  b=2", "a=1; b=2"),
            ("a=1;b = 2;  c", "a=1;b = 2;  c"),
            ("a=1; S=x; S=y; b=2; S=z; c=3", "a=1; b=2; c=3"),
            ("a=\"1; S=x\"; S=\"y;z\"; b", "a=\"1; S=x\"; b"),
            ("a=\"1\\\"; S=x\"", "a=\"1\\\"; S=x\""),
            ("a=1, S=x, b=2", "a=1, b=2"),
            ("s=1; SS=x; S; b", "s=1; SS=x; S; b"),
            ("", ""),
        ] {
            assert_eq!(left(field), expected, "{field:?}");
        }
    }

    #[test]
    fn values_are_found_in_order_without_blanks() {
        let found: Vec<_> = values(b"S=1; a=2; S = 3 ;SS=4; S", b"S").collect();
        assert_eq!(found, [b"1", b"3"]);
    }

    #[test]
    fn the_mark_is_taken_away_where_there_is_one() {
        for (field, expected) in [
            ("a=1; S=one~abc; b=2", "a=1; S=abc; b=2"),
            ("S=~abc", "S=abc"),
            ("S=abc; S=one~a~b", "S=abc; S=a~b"),
            ("s=one~abc", "s=one~abc"),
            ("S=one~\"abc\"; b", "S=\"abc\"; b"),
            ("S=\"one~abc\"; b", "S=\"one~abc\"; b"),
        ] {
            let mut out = Vec::new();
            unmarked(field.as_bytes(), b"S", &mut out);
            assert_eq!(out, expected.as_bytes());
        }
    }
}
