//! Texts with `{placeholders}`: whether every one of them is filled in where the text is used.

use crate::lower::Lower;
use crate::lower::fields::Word;

/// Placeholders that every request can fill in; `{header.NAME}` and `{cookie.NAME}` besides.
const REQUEST: [&str; 8] = [
    "host",
    "path",
    "query",
    "scheme",
    "method",
    "client_ip",
    "request_id",
    "user",
];

/// Reports the first placeholder of `word`, the value of `key`, that is not filled in. `more` are those
/// that are beside those of every request: `status`, groups of a pattern by number or name.
pub(crate) fn check(cx: &mut Lower<'_>, key: &str, word: &Word, more: &[&str]) {
    let Some(bad) = unknown(&word.0, more) else {
        return;
    };
    let known: Vec<String> = REQUEST
        .iter()
        .chain(more)
        .map(|name| format!("{{{name}}}"))
        .collect();
    let reason = format!(
        "`{{{bad}}}` is not filled in here; {} {{header.NAME}} {{cookie.NAME}} are, and `{{{{` is a brace",
        known.join(" ")
    );
    cx.bad_word(key, word, reason);
}

fn unknown<'t>(text: &'t str, more: &[&str]) -> Option<&'t str> {
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let from = &rest[at..];
        if from.starts_with("{{") || from.starts_with("}}") {
            rest = &from[2..];
            continue;
        }
        let Some((name, behind)) = from.strip_prefix('{').and_then(|from| from.split_once('}'))
        else {
            return Some(from);
        };
        let named = ["header.", "cookie."]
            .iter()
            .any(|kind| name.strip_prefix(kind).is_some_and(|name| !name.is_empty()));
        if !(REQUEST.contains(&name) || more.contains(&name) || named) {
            return Some(name);
        }
        rest = behind;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_filled_in_is_let_through() {
        assert_eq!(unknown("{host}{{x}}{header.a}{cookie.b}", &[]), None);
        assert_eq!(unknown("{status}", &["status"]), None);
        assert_eq!(unknown("{status}", &[]), Some("status"));
        assert_eq!(unknown("{header.}", &[]), Some("header."));
        assert_eq!(unknown("a{host", &[]), Some("{host"));
        assert_eq!(unknown("a}", &[]), Some("}"));
    }
}
