//! A request in all the ways in which somebody behind quaich may read it, so that no rule is dodged by
//! encoding.

use std::borrow::Cow;

use quaich_proto::h1::RequestHead;

/// An app may decode once more than it should, and what it calls may again.
const ROUNDS: usize = 3;

/// The readings of one request.
pub(super) struct Views<'r> {
    /// Of the path: normalised and decoded, decoded further, as it was sent.
    pub(super) paths: Vec<Cow<'r, [u8]>>,
    /// Of the query, in every way in which it falls into parameters.
    pub(super) parameters: Vec<Parameter>,
}

/// A parameter of the query.
pub(super) struct Parameter {
    /// The readings of its name.
    pub(super) names: Vec<Vec<u8>>,
    /// The readings of its value.
    pub(super) values: Vec<Vec<u8>>,
}

impl<'r> Views<'r> {
    pub(super) fn new(request: &'r RequestHead) -> Self {
        let decoded = request.path_decoded();
        let mut paths = vec![Cow::Borrowed(decoded)];
        further(decoded, |reading| {
            paths.push(Cow::Owned(merged(&reading)));
            paths.push(Cow::Owned(resolved(&reading)));
            paths.push(Cow::Owned(reading));
        });
        let target = request.target();
        let end = memchr::memchr(b'?', target).unwrap_or(target.len());
        paths.push(Cow::Borrowed(target.get(..end).unwrap_or_default()));
        Self {
            paths,
            parameters: parameters(request.query()),
        }
    }
}

/// Gives what `text` reads as after each further decoding, while that changes it.
fn further(text: &[u8], mut give: impl FnMut(Vec<u8>)) {
    let mut last = text.to_vec();
    for _ in 0..ROUNDS {
        let next = unescaped(&last);
        if next == last {
            return;
        }
        give(next.clone());
        last = next;
    }
}

/// Most take an ampersand alone for the end of a parameter, some a semicolon as well: a rule must see
/// what either takes for the value.
fn parameters(query: &[u8]) -> Vec<Parameter> {
    let mut all = Vec::new();
    split(query, b"&", &mut all);
    if query.contains(&b';') {
        split(query, b"&;", &mut all);
    }
    all
}

fn split(query: &[u8], ends: &[u8], all: &mut Vec<Parameter>) {
    let pairs = query.split(|byte| ends.contains(byte));
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (name, value) = pair.split_at(equals);
        all.push(Parameter {
            names: readings(name),
            values: readings(value.get(1..).unwrap_or_default()),
        });
    }
}

/// A plus sign is a space to those who read forms, and itself to all others.
fn readings(text: &[u8]) -> Vec<Vec<u8>> {
    let mut readings = Vec::new();
    let mut add = |text: Vec<u8>| {
        further(&text, |reading| readings.push(reading));
        readings.push(text);
    };
    if text.contains(&b'+') {
        add(plus_as_space(text));
    }
    add(text.to_vec());
    readings
}

fn plus_as_space(text: &[u8]) -> Vec<u8> {
    let plain = |&byte: &u8| if byte == b'+' { b' ' } else { byte };
    text.iter().map(plain).collect()
}

/// Percent-encoding undone once; what is malformed stays.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let byte = match (first, after) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)).map(|(h, l)| h << 4 | l),
            _ => None,
        };
        out.push(byte.unwrap_or(first));
        rest = match byte {
            Some(_) => after.get(2..).unwrap_or_default(),
            None => after,
        };
    }
    out
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// The same with runs of slashes as one.
fn merged(path: &[u8]) -> Vec<u8> {
    let mut out = path.to_vec();
    out.dedup_by(|next, before| *next == b'/' && *before == b'/');
    out
}

/// The same with dot segments resolved, empty ones left out and parameters of dot segments ignored;
/// a backslash is a slash to some. Above the root is the root.
fn resolved(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut is_folder = true;
    for segment in path.split(|byte| b"/\\".contains(byte)) {
        let end = memchr::memchr(b';', segment).unwrap_or(segment.len());
        let plain = segment.get(..end).unwrap_or_default();
        is_folder = matches!(plain, b"." | b"..") || segment.is_empty();
        match plain {
            b".." => {
                kept.pop();
            }
            _ if is_folder => {}
            _ => kept.push(segment),
        }
    }
    let mut out = Vec::with_capacity(path.len() + 1);
    for segment in &kept {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    if is_folder {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quaich_proto::target;

    use super::*;

    #[test]
    fn parameters_are_read_as_forms_are_and_further() {
        let text = |readings: &[Vec<u8>]| {
            let texts = readings.iter().map(|text| String::from_utf8_lossy(text));
            texts.collect::<Vec<_>>().join("|")
        };
        let shown = |query: &str| {
            let read = parameters(query.as_bytes());
            let pair = |p: &Parameter| format!("{} = {}", text(&p.names), text(&p.values));
            read.iter().map(pair).collect::<Vec<_>>()
        };
        assert_eq!(
            shown("a=1+2&b=%2541&&c&%64=%zz"),
            ["a = 1 2|1+2", "b = %41|A|%2541", "c = ", "d|%64 = %zz"]
        );
        assert_eq!(
            shown("a=1;b=2&c"),
            ["a = 1;b=2", "c = ", "a = 1", "b = 2", "c = "]
        );
        assert_eq!(shown(""), [""; 0]);
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_is_found(text: Vec<u8>, rounds in 1_usize..=3) {
            let mut encoded = text.clone();
            for _ in 0..rounds {
                let escapes = encoded.iter().map(|byte| format!("%{byte:02x}"));
                encoded = escapes.collect::<String>().into_bytes();
            }
            let mut found = encoded == text;
            further(&encoded, |reading| found |= reading == text);
            prop_assert!(found);
        }

        /// What the parser of requests takes is resolved as it does.
        #[test]
        fn dot_segments_are_resolved_as_those_of_requests(path in "(/|/[.]{1,3}|/[a-z]|[.]|[a-z]){0,8}") {
            let path = format!("/{path}");
            let mut out = Vec::new();
            if target::normalise(path.as_bytes(), &mut out).is_some() {
                prop_assert_eq!(resolved(path.as_bytes()), out);
            }
        }
    }
}
