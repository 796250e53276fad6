//! A second reading of request heads, slow and plain, against which every accepted head is held:
//! what the parser lets through must have the end and the framing that this finds.

use quaich_proto::h1::BodyLength;

/// Where the head ends and what follows, or `None` for a head with any fault this reading knows.
pub(crate) fn read(input: &[u8]) -> Option<(usize, BodyLength)> {
    let text: String = input.iter().map(|&byte| char::from(byte)).collect();
    let (leading, rest) = match text.strip_prefix("\r\n") {
        Some(rest) => (2, rest),
        None => (0, &text[..]),
    };
    let length = rest.find("\r\n\r\n")?;
    let head = &rest[..length];
    let lines: Vec<&str> = head.split("\r\n").collect();
    let control = |c: char| (c < ' ' && c != '\t') || c == '\x7f';
    if lines
        .iter()
        .any(|line| line.is_empty() || line.contains(control))
    {
        return None;
    }
    let words: Vec<&str> = lines[0].split(' ').collect();
    let [method, target, version @ ("HTTP/1.0" | "HTTP/1.1")] = words[..] else {
        return None;
    };
    if !is_token(method) || target.is_empty() || !target.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let mut fields = Vec::new();
    for line in &lines[1..] {
        let (name, value) = line.split_once(':')?;
        if !is_token(name) {
            return None;
        }
        fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t'])));
    }
    let all = |wanted: &str| -> Vec<&str> {
        fields
            .iter()
            .filter(|(name, _)| name == wanted)
            .map(|(_, value)| *value)
            .collect()
    };
    // Each byte became one `char`, which is not one byte of the text.
    let end = leading + head.chars().count() + 4;
    match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => Some((end, BodyLength::Empty)),
        ([digits], []) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some((end, BodyLength::Known(digits.parse().ok()?)))
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") && version == "HTTP/1.1" => {
            Some((end, BodyLength::Chunked))
        }
        _ => None,
    }
    .filter(|_| all("host").len() <= 1 && (version == "HTTP/1.0" || all("host").len() == 1))
}

fn is_token(text: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(valid)
}
