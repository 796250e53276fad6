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
    /// Parameters of the query: their name, and the readings of their value.
    pub(super) parameters: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
}

impl<'r> Views<'r> {
    pub(super) fn new(request: &'r RequestHead) -> Self {
        let decoded = request.path_decoded();
        let mut paths = vec![Cow::Borrowed(decoded)];
        further(decoded, |reading| {
            paths.push(Cow::Owned(merged(&reading)));
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

fn parameters(query: &[u8]) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    // Some servers take a semicolon for an ampersand.
    let pairs = query.split(|byte| b"&;".contains(byte));
    let pair = |pair: &[u8]| {
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (name, value) = pair.split_at(equals);
        let plain = plus_as_space(value.get(1..).unwrap_or_default());
        let mut readings = vec![plain.clone()];
        further(&plain, |reading| readings.push(reading));
        (unescaped(&plus_as_space(name)), readings)
    };
    let kept = pairs.filter(|pair| !pair.is_empty());
    kept.map(pair).collect()
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_read_as_forms_are_and_once_more() {
        let read = parameters(b"a=1+2&b=%2541&&c;d=%zz");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let shown: Vec<(String, Vec<String>)> = read
            .iter()
            .map(|(name, values)| (text(name), values.iter().map(|v| text(v)).collect()))
            .collect();
        let expected = [
            ("a", vec!["1 2"]),
            ("b", vec!["%2541", "%41", "A"]),
            ("c", vec![""]),
            ("d", vec!["%zz"]),
        ];
        for ((name, values), (wanted, readings)) in shown.iter().zip(expected) {
            assert_eq!(
                (name.as_str(), values),
                (wanted, &readings.iter().map(|r| (*r).to_owned()).collect())
            );
        }
        assert_eq!(shown.len(), 4);
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
    }
}
