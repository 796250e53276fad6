//! Character classes of HTTP as byte tables. Used by every parser of this crate; never decides what
//! a message means.

/// A set of byte values.
pub(crate) type Class = [bool; 256];

const fn class(members: &[u8], visible: bool, obs_text: bool) -> Class {
    let mut set = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        set[byte] = (visible && byte > 0x20 && byte < 0x7f) || (obs_text && byte >= 0x80);
        byte += 1;
    }
    let mut at = 0;
    while at < members.len() {
        set[members[at] as usize] = true;
        at += 1;
    }
    set
}

const fn without(mut set: Class, members: &[u8]) -> Class {
    let mut at = 0;
    while at < members.len() {
        set[members[at] as usize] = false;
        at += 1;
    }
    set
}

/// `tchar` (RFC 9110 section 5.6.2).
pub(crate) static TOKEN: Class = without(class(b"", true, false), b"\"(),/:;<=>?@[\\]{}");
/// What a field value may hold: VCHAR, SP, HTAB, obs-text (RFC 9110 section 5.5).
pub(crate) static VALUE: Class = class(b" \t", true, true);
/// What a request target may hold before any closer look. Wider than RFC 3986: browsers send
/// `|`, `^`, `[` and others raw, mostly in queries. `#` is not part of a target.
pub(crate) static TARGET: Class = without(class(b"", true, false), b"#");
/// Bytes of a path that stand for themselves in the canonical form: `pchar` without `%`
/// (RFC 3986 section 3.3).
pub(crate) static PCHAR: Class = without(class(b"", true, false), b"\"#%/<>?[\\]^`{|}");
/// `unreserved` (RFC 3986 section 2.3): its percent-encoding means the same as itself.
pub(crate) static UNRESERVED: Class = without(PCHAR, b"!$&'()*+,;=:@");

/// The length of the longest beginning of `bytes` that is all in `set`.
#[inline]
pub(crate) fn span(bytes: &[u8], set: &Class) -> usize {
    bytes
        .iter()
        .position(|&byte| !set[usize::from(byte)])
        .unwrap_or(bytes.len())
}

/// `value` without the SP and HTAB around it (OWS, RFC 9110 section 5.6.3).
#[inline]
pub(crate) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether every byte is in `set`.
#[inline]
pub(crate) fn holds_only(bytes: &[u8], set: &Class) -> bool {
    span(bytes, set) == bytes.len()
}

/// Whether `bytes` are a field value. Reads all of it: without an early end the compiler makes it a
/// few vector instructions, and values are good but for attacks.
#[inline]
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    let valid = |byte: u8| (byte >= 0x20) & (byte != 0x7f) | (byte == b'\t');
    bytes.iter().fold(true, |all, &byte| all & valid(byte))
}

/// Whether `bytes` is a token.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && holds_only(bytes, &TOKEN)
}

/// The value of an ASCII hex digit.
#[inline]
pub(crate) const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The decimal number in `digits`: one or more ASCII digits and nothing else, within `u64`.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &digit| {
        let value = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_letters_digits_and_fifteen_marks() {
        let members: Vec<u8> = (0..=255).filter(|&b| TOKEN[usize::from(b)]).collect();
        let marks = b"!#$%&'*+-.^_`|~";
        assert_eq!(members.len(), 62 + marks.len());
        assert!(marks.iter().all(|b| members.contains(b)));
    }

    #[test]
    fn unreserved_is_letters_digits_and_four_marks() {
        let members: Vec<u8> = (0..=255).filter(|&b| UNRESERVED[usize::from(b)]).collect();
        assert_eq!(members.len(), 62 + 4);
        assert!(b"-._~".iter().all(|b| members.contains(b)));
        assert!(b"!$&'()*+,;=:@".iter().all(|&b| PCHAR[usize::from(b)]));
    }

    #[test]
    fn a_value_is_what_its_bytes_are() {
        for byte in 0..=255 {
            assert_eq!(
                is_value(&[b'a', byte]),
                VALUE[usize::from(byte)],
                "{byte:#x}"
            );
        }
    }

    #[test]
    fn decimal_refuses_signs_blanks_and_overflow() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in [
            &b""[..],
            b"18446744073709551616",
            b"+5",
            b"-1",
            b"0x5",
            b"5 ",
            b"5, 5",
        ] {
            assert_eq!(decimal(bad), None);
        }
    }
}
