//! The patterns of a rule: a glob, or `~` and a regular expression.

use regex::bytes::{Regex, RegexBuilder};

/// Bytes of a pattern.
const LONGEST: usize = 4096;
/// Bytes that a compiled expression may have.
const SIZE: usize = 1 << 20;

/// A pattern, ready to be asked. Takes time that grows with the text alone.
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Compiles `text`. The error is for people.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        Self::compile(text, of_glob)
    }

    /// The same for a path: `/a/*` is also `/a`, as in routes and acls.
    pub(super) fn of_path(text: &str) -> Result<Self, String> {
        Self::compile(text, of_path_glob)
    }

    fn compile(text: &str, glob: fn(&str) -> String) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a pattern is empty; `*` is any text".to_owned());
        }
        if text.len() > LONGEST {
            return Err(format!("a pattern is longer than {LONGEST} bytes"));
        }
        let expression = match text.strip_prefix('~') {
            Some(expression) => expression.to_owned(),
            None => glob(text),
        };
        let mut builder = RegexBuilder::new(&expression);
        // `.` is any byte: one that is no UTF-8, or a line end, must not lead past a rule.
        builder.unicode(false).dot_matches_new_line(true);
        let compiled = builder.size_limit(SIZE).dfa_size_limit(SIZE).build();
        compiled.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => format!("`{text}` is too large when compiled"),
            error => format!("`{text}` is no regular expression: {error}"),
        })
    }

    /// Whether it holds for `text`: a glob for all of it, an expression anywhere in it.
    pub(super) fn holds(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }
}

/// `*` any run of bytes, `?` one byte, everything else itself.
fn of_glob(glob: &str) -> String {
    format!(r"\A{}\z", inside(glob))
}

/// The same, but what is below a folder is the folder as well.
fn of_path_glob(glob: &str) -> String {
    match glob.strip_suffix("/*") {
        Some(folder) => format!(r"\A{}(?:/.*)?\z", inside(folder)),
        None => of_glob(glob),
    }
}

fn inside(glob: &str) -> String {
    let mut expression = String::new();
    for c in glob.chars() {
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            c => expression.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    expression
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(pattern: &str, text: &[u8]) -> bool {
        Pattern::new(pattern).expect("a pattern").holds(text)
    }

    #[test]
    fn globs_hold_for_all_of_a_text_and_expressions_for_a_part() {
        assert!(holds("/a/*", b"/a/b/c"));
        assert!(!holds("/a/*", b"x/a/b"));
        assert!(holds("a.c", b"a.c") && !holds("a.c", b"abc"));
        assert!(holds("*\u{e4}?", "x\u{e4}y".as_bytes()));
        assert!(holds("~b+", b"abbc") && !holds("~^b", b"ab"));
        assert!(holds("~(?i)SELECT.*from", b"select\xff\n FROM"));
        assert!(holds("*x*", b"\xff\nx\0"));
    }

    #[test]
    fn what_is_below_a_folder_is_the_folder_as_well() {
        let holds =
            |glob: &str, path: &[u8]| Pattern::of_path(glob).expect("a pattern").holds(path);
        for path in [&b"/a"[..], b"/a/", b"/a/b/c", b"/a/\xff\n"] {
            assert!(holds("/a/*", path) && holds("/?/*", path));
        }
        assert!(!holds("/a/*", b"/ab") && !holds("/a/*", b"/") && holds("/*", b"/"));
        assert!(!Pattern::new("/a/*").expect("a pattern").holds(b"/a"));
    }

    #[test]
    fn what_is_no_pattern_or_too_large_is_refused_with_its_reason() {
        let error = |text: &str| Pattern::new(text).err().unwrap_or_default();
        assert!(error("").contains("is empty"));
        assert!(error("~(").contains("`~(` is no regular expression"));
        assert!(error("~(?:a{1000}){1000}").contains("too large"));
        assert!(error(&"a".repeat(5000)).contains("longer than 4096"));
    }

    proptest! {
        #[test]
        fn every_text_is_a_glob_that_holds_for_itself(text in "[^*?~]{1,40}") {
            prop_assert!(holds(&text, text.as_bytes()));
            prop_assert!(!holds(&text, b""));
        }

        #[test]
        fn nothing_panics(pattern in ".{0,40}", text: Vec<u8>) {
            if let Ok(pattern) = Pattern::new(&pattern) {
                pattern.holds(&text);
            }
        }
    }
}
