//! A second parser of response heads, written from the rules: slow, plain, over the whole input at
//! once. Called by the tests and by fuzzing.

use quaich_proto::h1::{BodyLength, Limits, ResponseHead, parse_response};
use quaich_proto::method::Method;

use crate::reference::{Fields, Wrong, elements, read_field, read_framing, values};

/// Bytes of a status line for which there is room beside the header.
const STATUS_LINE: usize = 1024;

/// What a good head says.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    length: usize,
    status: u16,
    fields: Fields,
    body: BodyLength,
    keep_alive: bool,
}

/// `None` for a head without an end.
fn parse(input: &[u8], limits: &Limits, method: Method) -> Option<Result<Meaning, ()>> {
    let mut lines: Vec<&[u8]> = Vec::new();
    let mut at = 0;
    loop {
        let Some(end) = input[at..].iter().position(|&b| b == b'\n') else {
            let is_wrong =
                read_lines(&lines, limits).is_none() || at > limits.max_header + STATUS_LINE;
            return is_wrong.then_some(Err(()));
        };
        let line = &input[at..at + end];
        at += end + 1;
        match line.strip_suffix(b"\r") {
            None => return Some(Err(())),
            Some(b"") if !lines.is_empty() => break,
            Some(line) => lines.push(line),
        }
    }
    if at > limits.max_header + STATUS_LINE {
        return Some(Err(()));
    }
    let read = read_lines(&lines, limits);
    let meaning = read.and_then(|(is_old, status, fields)| {
        let (body, keep_alive, fields) = read_meaning(is_old, status, fields, method)?;
        Some(Meaning {
            length: at,
            status,
            fields,
            body,
            keep_alive,
        })
    });
    Some(meaning.ok_or(()))
}

/// Version, status and fields, of lines that are all good.
fn read_lines(lines: &[&[u8]], limits: &Limits) -> Option<(bool, u16, Fields)> {
    let Some((first, fields)) = lines.split_first() else {
        return Some((false, 0, Vec::new()));
    };
    let text: String = first.iter().map(|&b| char::from(b)).collect();
    let (is_old, rest) = match text.strip_prefix("HTTP/1.1 ") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("HTTP/1.0 ")?),
    };
    let (status, phrase) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_status = status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit());
    let status = status
        .parse()
        .ok()
        .filter(|status| is_status && (100..600).contains(status))?;
    if phrase.chars().any(|c| c < ' ' && c != '\t' || c == '\x7f') {
        return None;
    }
    if fields.len() > limits.max_headers || fields.iter().any(|f| f.len() > limits.max_field) {
        return None;
    }
    let fields: Option<Fields> = fields.iter().map(|line| read_field(line)).collect();
    Some((is_old, status, fields?))
}

fn read_meaning(
    is_old: bool,
    status: u16,
    mut fields: Fields,
    method: Method,
) -> Option<(BodyLength, bool, Fields)> {
    let mut wrong = Wrong::new();
    let said = read_framing(&fields, is_old, &mut wrong);
    let options: Vec<String> = values(&fields, "connection")
        .into_iter()
        .flat_map(elements)
        .collect();
    let has = |option: &str| options.iter().any(|o| o == option);
    if !wrong.is_empty() || has("content-length") {
        return None;
    }
    let mut keep_alive = !has("close") && (!is_old || has("keep-alive"));
    let is_bare = status < 200 || status == 204;
    if is_bare {
        keep_alive &= matches!(said, BodyLength::Empty | BodyLength::Known(0));
        fields.retain(|(name, _)| {
            !name.eq_ignore_ascii_case(b"content-length")
                && !name.eq_ignore_ascii_case(b"transfer-encoding")
        });
    }
    let body = match said {
        _ if is_bare || status == 304 || method == Method::Head => BodyLength::Empty,
        BodyLength::Empty => BodyLength::UntilClose,
        said => said,
    };
    Some((body, keep_alive && body != BodyLength::UntilClose, fields))
}

/// What the parser and this one disagree about.
pub fn disagreement(input: &[u8], limits: &Limits, method: Method) -> Option<String> {
    let mut head = ResponseHead::new();
    let parsed = parse_response(input, limits, &method, &mut head);
    let expected = parse(input, limits, method);
    let fields = head
        .headers
        .iter()
        .map(|(_, name, value)| (name.to_vec(), value.to_vec()));
    let meaning = |length| Meaning {
        length,
        status: head.status,
        fields: fields.collect(),
        body: head.body,
        keep_alive: head.keep_alive,
    };
    let is_long = input.len() > limits.max_header + STATUS_LINE;
    let agree = match (&expected, parsed) {
        (Some(Ok(expected)), Ok(Some(length))) => meaning(length) == *expected,
        (Some(Err(())), Err(_)) | (None, Ok(None)) => true,
        // What is no beginning of a status line, or too much, is refused before its end.
        (None, Err(_)) => !b"HTTP/1.".starts_with(&input[..input.len().min(7)]) || is_long,
        _ => false,
    };
    (!agree).then(|| {
        format!(
            "{parsed:?}, expected {expected:?}: {}",
            input.escape_ascii()
        )
    })
}
