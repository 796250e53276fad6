//! What every path that a pattern matches begins or ends with, so that most patterns need not be
//! tried. Never wrong, at times unknown.

use quaich_config::model::PathPattern;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{Hir, Look};

/// Longest literal that is worth looking up.
const LONGEST: usize = 32;

/// Most literals of one expression: `~^/(a|b|c)` has three.
const MOST: usize = 16;

/// What is known of the paths that a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    /// They are this one.
    Whole(Vec<u8>),
    /// They are this one, or begin with it and a slash.
    Below(Vec<u8>),
    /// They begin with one of these.
    Heads(Vec<Vec<u8>>),
    /// They end with one of these.
    Tails(Vec<Vec<u8>>),
    /// Nothing.
    Unknown,
}

impl Literal {
    pub(super) fn of(pattern: &PathPattern) -> Self {
        match pattern {
            PathPattern::Exact(path) => Self::Whole(path.clone().into_bytes()),
            PathPattern::Prefix(path) => {
                Self::Below(path.strip_suffix('/').unwrap_or(path).as_bytes().to_vec())
            }
            PathPattern::Glob(glob) => Self::of_glob(glob.as_bytes()),
            PathPattern::Regex(regex) => Self::of_regex(regex),
        }
    }

    fn of_glob(glob: &[u8]) -> Self {
        let special = |byte: &u8| matches!(byte, b'*' | b'?');
        let head = glob.iter().position(special).unwrap_or(glob.len());
        let tail = glob.iter().rposition(special).map_or(0, |at| at + 1);
        let (head, tail) = (glob.get(..head), glob.get(tail..));
        let (head, tail) = (head.unwrap_or_default(), tail.unwrap_or_default());
        if head.len() > tail.len() {
            Self::Heads(vec![head.to_vec()])
        } else if !tail.is_empty() {
            Self::Tails(vec![tail.to_vec()])
        } else {
            Self::Unknown
        }
    }

    /// The configuration's own check has compiled it before: what cannot be read is unknown.
    fn of_regex(regex: &str) -> Self {
        let parsed = ParserBuilder::new().utf8(false).build().parse(regex);
        let Ok(hir) = parsed else {
            return Self::Unknown;
        };
        let looks = hir.properties();
        let heads = looks.look_set_prefix().contains(Look::Start);
        let heads = heads.then(|| literals(&hir, ExtractKind::Prefix)).flatten();
        let tails = looks.look_set_suffix().contains(Look::End);
        let tails = tails.then(|| literals(&hir, ExtractKind::Suffix)).flatten();
        let shortest = |all: &[Vec<u8>]| all.iter().map(Vec::len).min().unwrap_or_default();
        match (heads, tails) {
            (Some(heads), Some(tails)) if shortest(&tails) > shortest(&heads) => Self::Tails(tails),
            (Some(heads), _) => Self::Heads(heads),
            (None, Some(tails)) => Self::Tails(tails),
            (None, None) => Self::Unknown,
        }
    }
}

/// What every match begins or ends with one of; `None` = anything.
fn literals(hir: &Hir, kind: ExtractKind) -> Option<Vec<Vec<u8>>> {
    let mut extractor = Extractor::new();
    let is_head = matches!(kind, ExtractKind::Prefix);
    extractor.kind(kind).limit_total(MOST);
    let mut found = extractor.extract(hir);
    if is_head {
        found.keep_first_bytes(LONGEST);
    } else {
        found.keep_last_bytes(LONGEST);
    }
    found.dedup();
    let literals = found.literals()?;
    let usable = literals.len() <= MOST && literals.iter().all(|literal| !literal.is_empty());
    let bytes = |literal: &regex_syntax::hir::literal::Literal| literal.as_bytes().to_vec();
    (usable && !literals.is_empty()).then(|| literals.iter().map(bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(regex: &str) -> Literal {
        Literal::of(&PathPattern::Regex(regex.into()))
    }

    fn heads(texts: &[&str]) -> Literal {
        Literal::Heads(texts.iter().map(|text| text.as_bytes().to_vec()).collect())
    }

    fn tails(texts: &[&str]) -> Literal {
        Literal::Tails(texts.iter().map(|text| text.as_bytes().to_vec()).collect())
    }

    #[test]
    fn anchored_expressions_have_literals() {
        assert_eq!(of("^/v[a-z]+/"), heads(&["/v"]));
        assert_eq!(of("^/v[12]/"), heads(&["/v1/", "/v2/"]));
        assert_eq!(of("^/(shop|blog)/"), heads(&["/shop/", "/blog/"]));
        assert_eq!(of(r"\.php$"), tails(&[".php"]));
        assert_eq!(of(r"^/x-.*\.html$"), tails(&[".html"]));
        assert_eq!(of("^/$"), heads(&["/"]));
        for unknown in ["x", "(?m)^/x", "^", "$", "^(/a|.*)", "a|^b", "^/a|b", ""] {
            assert_eq!(of(unknown), Literal::Unknown, "{unknown}");
        }
    }

    #[test]
    fn of_a_glob_the_longer_end_counts() {
        let of = |glob: &str| Literal::of(&PathPattern::Glob(glob.into()));
        assert_eq!(of("/shop-*"), heads(&["/shop-"]));
        assert_eq!(of("*.php"), tails(&[".php"]));
        assert_eq!(of("/*.html"), tails(&[".html"]));
        assert_eq!(of("*"), Literal::Unknown);
        assert_eq!(of("*a*"), Literal::Unknown);
    }
}
