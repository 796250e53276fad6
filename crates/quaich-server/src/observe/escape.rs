//! Bytes from outside as log text: one event stays one line, and a terminal that shows the log
//! obeys nobody but its user.
//!
//! Called for every field of the access log and every message; nothing else may write bytes of a
//! request or of an app into a log.

/// Bytes of one value that a log line shows; what is beyond is replaced by `...`.
pub(super) const FIELD_CAP: usize = 8 * 1024;

const HEX: &[u8; 16] = b"0123456789abcdef";

fn plain(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\'
}

/// True for a value that can be copied as it is. No early exit: the loop is vectorised so.
fn all_plain(value: &[u8]) -> bool {
    value.iter().fold(true, |clean, &byte| clean & plain(byte))
}

/// Appends `value` to a text line: `"` and `\` get a backslash, everything that is not printable
/// ASCII becomes `\xHH`.
pub(super) fn text(out: &mut Vec<u8>, value: &[u8]) {
    let (value, cut) = capped(value);
    if all_plain(value) {
        out.extend_from_slice(value);
    } else {
        value.iter().for_each(|&byte| text_byte(out, byte));
    }
    mark_cut(out, cut);
}

/// As [`text`], and a space becomes `\x20`: for a field that no quotes enclose.
pub(super) fn word(out: &mut Vec<u8>, value: &[u8]) {
    let (value, cut) = capped(value);
    for &byte in value {
        if byte == b' ' {
            hex_byte(out, byte)
        } else {
            text_byte(out, byte)
        }
    }
    mark_cut(out, cut);
}

/// Appends `value` as the inside of a JSON string: well-formed UTF-8 is kept, a byte that is not
/// part of it becomes `\u00XX`, and so do all control characters.
pub(super) fn json(out: &mut Vec<u8>, value: &[u8]) {
    let (value, cut) = capped(value);
    if all_plain(value) {
        out.extend_from_slice(value);
    } else {
        for chunk in value.utf8_chunks() {
            chunk.valid().chars().for_each(|c| json_char(out, c));
            chunk
                .invalid()
                .iter()
                .for_each(|&byte| unicode_escape(out, u32::from(byte)));
        }
    }
    mark_cut(out, cut);
}

/// Appends a line for people: printable Unicode and tabs are kept, controls become `\xHH`.
pub(super) fn human(out: &mut Vec<u8>, value: &[u8]) {
    let (value, cut) = capped(value);
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c != '\t' && is_unsafe(c) {
                c.encode_utf8(&mut [0; 4])
                    .bytes()
                    .for_each(|byte| hex_byte(out, byte));
            } else {
                push_char(out, c);
            }
        }
        chunk.invalid().iter().for_each(|&byte| hex_byte(out, byte));
    }
    mark_cut(out, cut);
}

fn capped(value: &[u8]) -> (&[u8], bool) {
    match value.get(..FIELD_CAP) {
        Some(head) if value.len() > FIELD_CAP => (head, true),
        _ => (value, false),
    }
}

fn mark_cut(out: &mut Vec<u8>, cut: bool) {
    if cut {
        out.extend_from_slice(b"...");
    }
}

/// Controls (C0, DEL, C1), line separators, and the marks that reorder text on a screen.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn text_byte(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        0x20..0x7f => out.push(byte),
        _ => hex_byte(out, byte),
    }
}

fn hex_byte(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(&[b'\\', b'x', hex(byte >> 4), hex(byte)]);
}

fn json_char(out: &mut Vec<u8>, c: char) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        _ if is_unsafe(c) => unicode_escape(out, u32::from(c)),
        _ => push_char(out, c),
    }
}

fn push_char(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// `code` is below 0x10000: all that [`is_unsafe`] names is.
fn unicode_escape(out: &mut Vec<u8>, code: u32) {
    let [_, _, high, low] = code.to_be_bytes();
    out.extend_from_slice(b"\\u");
    out.extend_from_slice(&[hex(high >> 4), hex(high), hex(low >> 4), hex(low)]);
}

fn hex(nibble: u8) -> u8 {
    HEX[usize::from(nibble & 15)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(f: fn(&mut Vec<u8>, &[u8]), value: &[u8]) -> String {
        let mut out = Vec::new();
        f(&mut out, value);
        String::from_utf8(out).expect("escaped text is UTF-8")
    }

    #[test]
    fn text_escapes_quotes_backslashes_controls_and_bytes_above_ascii() {
        assert_eq!(run(text, b"/plain?x=1"), "/plain?x=1");
        assert_eq!(
            run(text, b"a\"b\\c\r\n\x1b[0m\xff"),
            r#"a\"b\\c\x0d\x0a\x1b[0m\xff"#
        );
        assert_eq!(run(word, b"a b"), r"a\x20b");
    }

    #[test]
    fn json_keeps_unicode_and_escapes_what_is_not() {
        assert_eq!(run(json, "größe \"x\"\n".as_bytes()), r#"größe \"x\"\n"#);
        assert_eq!(run(json, b"\xff\x00\x9b"), "\\u00ff\\u0000\\u009b");
        assert_eq!(run(json, "\u{9b}\u{202e}".as_bytes()), "\\u009b\\u202e");
    }

    #[test]
    fn human_keeps_unicode_and_tabs_but_no_terminal_command() {
        assert_eq!(
            run(human, "ü\t\u{1b}[2J\u{9b}".as_bytes()),
            "ü\t\\x1b[2J\\xc2\\x9b"
        );
    }

    #[test]
    fn a_long_value_is_cut_at_the_cap() {
        let long = vec![b'a'; FIELD_CAP + 1];
        for f in [text, word, json, human] {
            let shown = run(f, &long);
            assert_eq!(shown.len(), FIELD_CAP + 3);
            assert!(shown.ends_with("a..."));
            assert_eq!(run(f, &long[1..]).len(), FIELD_CAP);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_stay_on_one_line_without_controls(value: Vec<u8>) {
            for f in [text, word, json] {
                prop_assert!(!run(f, &value).chars().any(char::is_control));
            }
        }

        #[test]
        fn json_reads_back_as_the_same_text(value: String) {
            let line = format!("\"{}\"", run(json, value.as_bytes()));
            prop_assert_eq!(serde_json::from_str::<String>(&line).expect("JSON"), value);
        }
    }
}
