//! Conditions that routes and acls share: paths, methods, fields.

use crate::lower::fields::{Fields, Word};
use crate::lower::{Lower, pattern};
use crate::model::{FieldMatch, PathPattern};

/// Path patterns of `path`; absent: none.
pub(crate) fn paths(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Vec<PathPattern> {
    let words = fields.texts(cx, "path").unwrap_or_default();
    let read = |word: &Word| match pattern::path(&word.0) {
        Ok(path) => Some(path),
        Err(reason) => {
            cx.bad_word("path", word, reason);
            None
        }
    };
    words.iter().filter_map(read).collect()
}

/// The words of `method`; absent: none.
pub(crate) fn methods(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Vec<String> {
    let words = fields.texts(cx, "method").unwrap_or_default();
    for word in &words {
        if !is_token(&word.0) {
            cx.bad_word("method", word, "expected a method such as \"GET\"");
        } else if word.0.chars().any(|c| c.is_ascii_lowercase()) {
            let reason = format!(
                "methods are case-sensitive: write \"{}\"",
                word.0.to_uppercase()
            );
            cx.bad_word("method", word, reason);
        }
    }
    words.into_iter().map(|word| word.0).collect()
}

/// A token of RFC 9110 5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(fits)
}

/// The pairs of `key`. Names of header fields are put into lower case.
pub(crate) fn matches(cx: &mut Lower<'_>, fields: &Fields<'_>, key: &str) -> Vec<FieldMatch> {
    let mut found: Vec<FieldMatch> = Vec::new();
    for (mut name, value) in fields.pairs(cx, key) {
        if name.0.is_empty() || (key != "query" && !is_token(&name.0)) {
            let what = match key {
                "header" => "expected the name of a field",
                "cookie" => "expected the name of a cookie",
                _ => "expected the name of a parameter",
            };
            cx.bad_word(key, &name, what);
            continue;
        }
        let written = name.0.clone();
        if key == "header" {
            name.0.make_ascii_lowercase();
        }
        match pattern::value(&value.0) {
            Err(reason) => cx.bad_word(&written, &value, reason),
            Ok(_) if found.iter().any(|field| field.name == name.0) => {
                let reason = "the names of header fields do not differ by case";
                cx.bad_word(key, &name, reason);
            }
            Ok(value) => found.push(FieldMatch {
                name: name.0,
                value,
            }),
        }
    }
    found
}
