//! Which answers are worth a coding: by media type and size. Asked for each answer, so it compares
//! bytes and does nothing else.

use quaich_config::model;

/// What `types` and `min` say.
#[derive(Debug)]
pub struct Eligible {
    min: u64,
    types: Vec<Type>,
}

/// One entry of `types`, in lower case.
#[derive(Debug)]
enum Type {
    /// All types.
    Any,
    /// This one.
    Exact(Box<[u8]>),
    /// What begins with the first and ends with the second.
    Between(Box<[u8]>, Box<[u8]>),
}

impl Eligible {
    /// `None` when nothing is to be compressed.
    pub fn new(settings: &model::Compress) -> Option<Self> {
        settings.is_on().then(|| Self {
            min: settings.min,
            types: settings.types.iter().map(|text| Type::new(text)).collect(),
        })
    }

    /// Whether a body of `length` bytes, if that is known, is large enough.
    pub fn takes_size(&self, length: Option<u64>) -> bool {
        length.is_none_or(|length| length >= self.min.max(1))
    }

    /// Whether a body with this `Content-Type` gains by a coding.
    pub fn takes_type(&self, content_type: &[u8]) -> bool {
        let end = memchr::memchr(b';', content_type).unwrap_or(content_type.len());
        let essence = content_type.get(..end).unwrap_or_default().trim_ascii();
        self.types.iter().any(|one| one.matches(essence))
    }
}

impl Type {
    fn new(text: &str) -> Self {
        if text == "*/*" {
            return Self::Any;
        }
        match text.split_once('*') {
            Some((start, end)) => Self::Between(start.as_bytes().into(), end.as_bytes().into()),
            None => Self::Exact(text.as_bytes().into()),
        }
    }

    fn matches(&self, essence: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => essence.eq_ignore_ascii_case(name),
            Self::Between(start, end) => {
                let starts = essence.get(..start.len());
                let rest = essence.get(start.len()..).unwrap_or_default();
                let ends = rest
                    .len()
                    .checked_sub(end.len())
                    .and_then(|at| rest.get(at..));
                starts.is_some_and(|text| text.eq_ignore_ascii_case(start))
                    && ends.is_some_and(|text| text.eq_ignore_ascii_case(end))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_match_by_name_family_and_suffix_in_any_case() {
        let eligible = Eligible::new(&model::Compress::default()).expect("it is on");
        for (content_type, expected) in [
            ("text/html", true),
            ("Text/HTML; charset=utf-8", true),
            ("text/event-stream", true),
            ("application/json;charset=utf-8", true),
            ("application/problem+JSON", true),
            ("application/rss+xml", true),
            ("image/svg+xml", true),
            ("font/ttf", true),
            ("font/woff2", false),
            ("image/png", false),
            ("application/octet-stream", false),
            ("application/grpc", false),
            ("application/+json", true),
            ("application/json5", false),
            ("text", false),
            ("", false),
            (";", false),
        ] {
            let found = eligible.takes_type(content_type.as_bytes());
            assert_eq!(found, expected, "{content_type}");
        }
        let all = Eligible {
            min: 0,
            types: vec![Type::new("*/*")],
        };
        assert!(all.takes_type(b"x/y"));
    }

    #[test]
    fn only_a_size_that_is_known_can_be_too_small() {
        let eligible = Eligible::new(&model::Compress::default()).expect("it is on");
        for (length, expected) in [
            (None, true),
            (Some(0), false),
            (Some(1023), false),
            (Some(1024), true),
        ] {
            assert_eq!(eligible.takes_size(length), expected, "{length:?}");
        }
        let smallest = Eligible {
            min: 0,
            types: Vec::new(),
        };
        assert!(!smallest.takes_size(Some(0)) && smallest.takes_size(Some(1)));
    }
}
