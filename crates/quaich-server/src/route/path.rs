//! Path conditions, tried on the normalised, decoded path; and mount points.

use quaich_config::model::PathPattern;
use regex::bytes::Regex;

use super::glob;

/// A compiled path condition.
#[derive(Debug)]
pub enum PathMatch {
    /// The whole path.
    Exact(Vec<u8>),
    /// With trailing slash.
    Prefix(Vec<u8>),
    /// `*` any run of bytes, `?` one byte.
    Glob(Vec<u8>),
    /// Searched for.
    Regex(Regex),
}

impl PathMatch {
    /// Fails only for a regular expression that does not compile.
    pub fn compile(pattern: &PathPattern) -> Result<Self, regex::Error> {
        Ok(match pattern {
            PathPattern::Exact(path) => Self::Exact(path.clone().into_bytes()),
            PathPattern::Prefix(path) => Self::Prefix(path.clone().into_bytes()),
            PathPattern::Glob(glob) => Self::Glob(glob.clone().into_bytes()),
            PathPattern::Regex(regex) => Self::Regex(Regex::new(regex)?),
        })
    }

    pub(super) fn compile_all(patterns: &[PathPattern]) -> Result<Vec<Self>, regex::Error> {
        patterns.iter().map(Self::compile).collect()
    }

    /// Whether a decoded path meets it.
    pub fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => exact == path,
            Self::Prefix(prefix) => {
                path.starts_with(prefix) || prefix.strip_suffix(b"/") == Some(path)
            }
            Self::Glob(pattern) => glob::matches(pattern, path),
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}

/// What is left of `path` below the mount point `prefix` (no trailing slash): it begins with a slash
/// or is empty. `None` when the path is not below it; `/x` is not a mount point of `/xy`.
pub fn strip_mount<'p>(path: &'p [u8], prefix: &[u8]) -> Option<&'p [u8]> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest[0] == b'/').then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_ends_at_a_segment() {
        assert_eq!(strip_mount(b"/m/a", b"/m"), Some(&b"/a"[..]));
        assert_eq!(strip_mount(b"/m", b"/m"), Some(&b""[..]));
        assert_eq!(strip_mount(b"/m/", b"/m"), Some(&b"/"[..]));
        assert_eq!(strip_mount(b"/mx", b"/m"), None);
        assert_eq!(strip_mount(b"/a", b""), Some(&b"/a"[..]));
    }

    #[test]
    fn a_prefix_matches_itself_without_slash_and_everything_below() {
        let pattern = PathMatch::compile(&PathPattern::Prefix("/static/".into())).unwrap();
        assert!(pattern.matches(b"/static"));
        assert!(pattern.matches(b"/static/"));
        assert!(pattern.matches(b"/static/a/b"));
        assert!(!pattern.matches(b"/statics"));
    }
}
