//! Path patterns that say what they caught.

use std::sync::Arc;

use quaich_config::model::PathPattern;
use regex::bytes::Regex;

use super::path::PathMatch;
use crate::exchange::captures::Captures;

/// A compiled path pattern.
#[derive(Debug)]
pub struct CapturingPath {
    pattern: Pattern,
    names: Arc<[Option<Box<str>>]>,
}

#[derive(Debug)]
enum Pattern {
    /// With trailing slash; group 1 is what is below it.
    Prefix(Vec<u8>),
    Regex(Regex),
    Other(PathMatch),
}

impl CapturingPath {
    /// Compiles `pattern`. Fails only for a regular expression that does not compile, which the
    /// configuration's own check has refused before.
    pub fn compile(pattern: &PathPattern) -> Result<Self, regex::Error> {
        let pattern = match pattern {
            PathPattern::Prefix(path) => Pattern::Prefix(path.clone().into_bytes()),
            PathPattern::Regex(regex) => Pattern::Regex(Regex::new(regex)?),
            other => Pattern::Other(PathMatch::compile(other)?),
        };
        let names = match &pattern {
            Pattern::Regex(regex) => {
                let names = regex.capture_names();
                names.map(|name| name.map(Into::into)).collect()
            }
            Pattern::Prefix(_) => [None, None].into(),
            Pattern::Other(_) => [None].into(),
        };
        Ok(Self { pattern, names })
    }

    /// Whether `path`, normalised and decoded, matches. If so, `captures` holds what was caught.
    pub fn capture(&self, path: &[u8], captures: &mut Captures) -> bool {
        match &self.pattern {
            Pattern::Prefix(prefix) => {
                let below = match path.strip_prefix(prefix.as_slice()) {
                    Some(below) => below,
                    None if prefix.strip_suffix(b"/") == Some(path) => b"",
                    None => return false,
                };
                captures.set([path, below].into_iter(), &self.names);
            }
            Pattern::Regex(regex) => {
                let Some(found) = regex.captures(path) else {
                    return false;
                };
                let groups = found
                    .iter()
                    .map(|group| group.map_or(&b""[..], |g| g.as_bytes()));
                captures.set(groups, &self.names);
            }
            Pattern::Other(pattern) => {
                if !pattern.matches(path) {
                    return false;
                }
                captures.set([path].into_iter(), &self.names);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_pattern_says_what_it_caught() {
        let mut captures = Captures::default();
        let compile = |pattern| CapturingPath::compile(&pattern).expect("compiles");
        let prefix = compile(PathPattern::Prefix("/a/".into()));
        assert!(prefix.capture(b"/a/b/c", &mut captures));
        assert_eq!(captures.get(1), Some(&b"b/c"[..]));
        assert!(prefix.capture(b"/a", &mut captures));
        assert_eq!(captures.get(1), Some(&b""[..]));
        assert!(!prefix.capture(b"/ab", &mut captures));
        let regex = compile(PathPattern::Regex("^/(x)?(?P<id>[0-9]+)$".into()));
        assert!(regex.capture(b"/7", &mut captures));
        assert_eq!(
            (captures.get(1), captures.by_name("id")),
            (Some(&b""[..]), Some(&b"7"[..]))
        );
        assert!(!regex.capture(b"/y", &mut captures));
        let exact = compile(PathPattern::Exact("/a".into()));
        assert!(exact.capture(b"/a", &mut captures) && !exact.capture(b"/b", &mut captures));
        assert_eq!((captures.get(0), captures.get(1)), (Some(&b"/a"[..]), None));
    }
}
