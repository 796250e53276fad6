//! Path and host patterns: reading them, and whether one covers another.
//!
//! `covers` answers "does every value that `b` matches also match `a`"; when unsure it says no.

use crate::model::{HostPattern, PathPattern, TextPattern};

/// Reads a path condition.
///
/// `/static/*` is everything below `/static/` and `/static` itself; other `*` and `?` make a glob,
/// `~` a regular expression, everything else is one exact path.
pub(crate) fn path(text: &str) -> Result<PathPattern, String> {
    if let Some(expression) = text.strip_prefix('~') {
        return regex(expression).map(PathPattern::Regex);
    }
    if text == "*" {
        return Ok(PathPattern::Glob(text.to_owned()));
    }
    if !text.starts_with('/') && !text.starts_with('*') {
        return Err("a path begins with `/`, a regular expression with `~`".into());
    }
    if text.contains(['#', '\0']) {
        return Err("a path holds no `#` and no NUL; they never reach a server".into());
    }
    match text.strip_suffix('*') {
        Some(head) if head.ends_with('/') && !head.contains(['*', '?']) => {
            Ok(PathPattern::Prefix(head.to_owned()))
        }
        _ if text.contains(['*', '?']) => Ok(PathPattern::Glob(text.to_owned())),
        _ => Ok(PathPattern::Exact(text.to_owned())),
    }
}

/// What texts may fill in of a match: `0` is the whole of it; `1` of a prefix is what is below it;
/// groups of a regular expression have numbers, and names if they were given some.
pub(crate) fn groups(pattern: &PathPattern) -> Vec<String> {
    match pattern {
        PathPattern::Exact(_) | PathPattern::Glob(_) => vec!["0".into()],
        PathPattern::Prefix(_) => vec!["0".into(), "1".into()],
        PathPattern::Regex(regex) => {
            let Ok(regex) = regex::bytes::Regex::new(regex) else {
                return Vec::new();
            };
            let numbers = (0..regex.captures_len()).map(|number| number.to_string());
            let names = regex.capture_names().flatten().map(str::to_owned);
            numbers.chain(names).collect()
        }
    }
}

/// Reads what a value must look like: a glob, or a regular expression behind `~`.
pub(crate) fn value(text: &str) -> Result<TextPattern, String> {
    match text.strip_prefix('~') {
        Some(expression) => regex(expression).map(TextPattern::Regex),
        None => Ok(TextPattern::Glob(text.to_owned())),
    }
}

/// The text that `value` reads back to the same pattern.
pub(crate) fn show_value(pattern: &TextPattern) -> String {
    match pattern {
        TextPattern::Glob(glob) => glob.clone(),
        TextPattern::Regex(regex) => format!("~{regex}"),
    }
}

fn regex(text: &str) -> Result<String, String> {
    match regex::bytes::Regex::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(regex_reason(&error)),
    }
}

/// Why it is none, in one line.
pub(crate) fn regex_reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("the compiled expression is larger than {limit} bytes")
        }
        // The crate draws the expression in several lines; its last line is the reason.
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!(
                "not a regular expression: {}",
                last.trim_start_matches("error: ")
            )
        }
    }
}

/// The text that `path` reads back to the same pattern.
pub(crate) fn show_path(pattern: &PathPattern) -> String {
    match pattern {
        PathPattern::Exact(path) | PathPattern::Glob(path) => path.clone(),
        PathPattern::Prefix(head) => format!("{head}*"),
        PathPattern::Regex(regex) => format!("~{regex}"),
    }
}

/// Whether `text` matches a glob of `*` (any run) and `?` (one byte).
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b) if *b == b'?' || *b == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// Whether a path lies at or below a directory written with its slash.
fn below(head: &str, path: &str) -> bool {
    path.starts_with(head) || head.strip_suffix('/') == Some(path)
}

/// Whether `a` matches every path that `b` matches.
pub(crate) fn path_covers(a: &PathPattern, b: &PathPattern) -> bool {
    use PathPattern::{Exact, Glob, Prefix, Regex};
    match (a, b) {
        (Glob(a), _) if a == "*" => true,
        (Exact(a), Exact(b)) | (Regex(a), Regex(b)) => a == b,
        (Prefix(head), Exact(path)) => below(head, path),
        (Prefix(head), Prefix(other)) => other.starts_with(head.as_str()),
        (Prefix(head), Glob(glob)) => glob.starts_with(head.as_str()),
        (Glob(a), Glob(b)) => a == b,
        (Glob(pattern), Exact(path)) => glob(pattern, path),
        _ => false,
    }
}

/// Whether `a` matches every host that `b` matches.
pub(crate) fn host_covers(a: &HostPattern, b: &HostPattern) -> bool {
    use HostPattern::{Any, Exact, Suffix};
    match (a, b) {
        (Any, _) => true,
        (Exact(a), Exact(b)) => a == b,
        (Suffix(end), Exact(name)) => name.ends_with(end.as_str()) && name.len() > end.len(),
        (Suffix(end), Suffix(other)) => other.ends_with(end.as_str()),
        _ => false,
    }
}

/// Whether a mount point and a path pattern have no path in common.
pub(crate) fn outside(prefix: &str, pattern: &PathPattern) -> bool {
    let mount = format!("{prefix}/");
    match pattern {
        PathPattern::Exact(path) => !below(&mount, path),
        PathPattern::Prefix(head) => !head.starts_with(&mount) && !below(head, prefix),
        PathPattern::Glob(_) | PathPattern::Regex(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_star_below_a_slash_is_a_prefix() {
        assert_eq!(
            path("/static/*"),
            Ok(PathPattern::Prefix("/static/".into()))
        );
        assert_eq!(path("/*"), Ok(PathPattern::Prefix("/".into())));
        assert_eq!(path("/a*"), Ok(PathPattern::Glob("/a*".into())));
        assert_eq!(path("*.php"), Ok(PathPattern::Glob("*.php".into())));
        assert_eq!(path("/login"), Ok(PathPattern::Exact("/login".into())));
        assert_eq!(
            path("~^/v[0-9]/"),
            Ok(PathPattern::Regex("^/v[0-9]/".into()))
        );
        assert!(path("login").is_err());
        assert!(path("~(").unwrap_err().contains("unclosed group"));
    }

    #[test]
    fn globs_match_like_in_a_shell_without_the_slash_rule() {
        assert!(glob("*.php", "/a/b.php"));
        assert!(glob("/a/*/c", "/a/b/b/c"));
        assert!(glob("a?c", "abc"));
        assert!(glob("*", ""));
        assert!(!glob("a?c", "ac"));
        assert!(!glob("/a", "/ab"));
    }

    #[test]
    fn covering_is_claimed_only_when_certain() {
        let of = |text: &str| path(text).expect("a pattern");
        assert!(path_covers(&of("/a/*"), &of("/a")));
        assert!(path_covers(&of("/a/*"), &of("/a/b/*")));
        assert!(path_covers(&of("/a/*"), &of("/a/*.css")));
        assert!(path_covers(&of("*"), &of("~x")));
        assert!(path_covers(&of("*.css"), &of("/x.css")));
        assert!(!path_covers(&of("/a/*"), &of("/ab")));
        assert!(!path_covers(&of("/a/b"), &of("/a/*")));
        assert!(!path_covers(&of("~^/"), &of("/a")));
    }

    #[test]
    fn a_mount_and_a_path_beside_it_never_meet() {
        let of = |text: &str| path(text).expect("a pattern");
        assert!(outside("/x", &of("/y/*")));
        assert!(outside("/x", &of("/xy")));
        assert!(!outside("/x", &of("/x")));
        assert!(!outside("/x", &of("/x/*")));
        assert!(!outside("/x", &of("/*")));
        assert!(!outside("/x/y", &of("/x/*")));
    }
}
