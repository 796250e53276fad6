//! What becomes of a connection's bytes, as one line of text, whatever the pieces they come in.

use std::fmt::Write as _;

use quaich_proto::h1::{
    BodyLength, ChunkStep, ChunkedDecoder, Limits, Reject, RequestHead, ResponseHead,
    parse_request, parse_response,
};
use quaich_proto::method::Method;

pub const LIMITS: Limits = Limits {
    max_uri: 8192,
    max_field: 8192,
    max_header: 32_768,
    max_headers: 100,
};

/// Calls `parse` with ever longer beginnings of `input`, ending at each of `cuts` and at the end.
fn feed<E>(
    input: &[u8],
    cuts: &[usize],
    mut parse: impl FnMut(&[u8]) -> Result<Option<usize>, E>,
) -> Result<Option<usize>, E> {
    for &cut in cuts.iter().chain([&input.len()]) {
        if let Some(count) = parse(&input[..cut])? {
            return Ok(Some(count));
        }
    }
    Ok(None)
}

/// The body, the bytes after it, and whether it is complete.
type Body<'a> = (Vec<u8>, &'a [u8], bool);

fn read_body<'a>(
    length: BodyLength,
    rest: &'a [u8],
    at: usize,
    cuts: &[usize],
) -> Result<Body<'a>, Reject> {
    match length {
        BodyLength::Empty => Ok((Vec::new(), rest, true)),
        BodyLength::UntilClose => Ok((rest.to_vec(), &[], false)),
        BodyLength::Known(length) => {
            let take = usize::try_from(length).unwrap().min(rest.len());
            Ok((rest[..take].to_vec(), &rest[take..], take as u64 == length))
        }
        BodyLength::Chunked => {
            let cuts: Vec<usize> = cuts.iter().filter_map(|cut| cut.checked_sub(at)).collect();
            dechunk(rest, &cuts)
        }
    }
}

/// Decodes a chunked body that comes in pieces cut at `cuts`.
pub fn dechunk<'a>(input: &'a [u8], cuts: &[usize]) -> Result<Body<'a>, Reject> {
    let mut decoder = ChunkedDecoder::new();
    let (mut body, mut at) = (Vec::new(), 0);
    for &cut in cuts.iter().chain([&input.len()]) {
        while at < cut {
            let piece = &input[at..cut];
            at += match decoder.decode(piece)? {
                ChunkStep::NeedMore { consumed } => {
                    assert_eq!(consumed, piece.len(), "nothing is left lying");
                    consumed
                }
                ChunkStep::Data {
                    start,
                    end,
                    consumed,
                } => {
                    assert!(start < end && end == consumed, "data is never empty");
                    body.extend_from_slice(&piece[start..end]);
                    consumed
                }
                ChunkStep::Done { consumed } => {
                    return Ok((body, &input[at + consumed..], true));
                }
            };
        }
    }
    Ok((body, &input[at..], false))
}

fn refusal(reject: Reject) -> String {
    assert_eq!(reject.status, reject.reason.status());
    format!("{} {}", reject.status, reject.reason.label())
}

/// What a server makes of `input` up to the end of the first request.
pub fn of_request(input: &[u8], cuts: &[usize]) -> String {
    let mut head = RequestHead::new();
    let taken = match feed(input, cuts, |bytes| {
        parse_request(bytes, &LIMITS, &mut head)
    }) {
        Ok(Some(taken)) => taken,
        Ok(None) => return "unfinished".to_owned(),
        Err(reject) => return refusal(reject),
    };
    let (body, rest, complete) = match read_body(head.body, &input[taken..], taken, cuts) {
        Ok(parts) => parts,
        Err(reject) => return refusal(reject),
    };
    let mut line = format!(
        "{} {} body=\"{}\" rest={} dropped={}",
        head.method_name().escape_ascii(),
        head.path().escape_ascii(),
        body.escape_ascii(),
        rest.len(),
        head.dropped_fields,
    );
    finish(&mut line, complete, head.keep_alive);
    line
}

/// What a proxy makes of `input` as the response to a GET.
pub fn of_response(input: &[u8], cuts: &[usize]) -> String {
    let mut head = ResponseHead::new();
    let parse = |bytes: &[u8]| parse_response(bytes, &LIMITS, &Method::Get, &mut head);
    let taken = match feed(input, cuts, parse) {
        Ok(Some(taken)) => taken,
        Ok(None) => return "unfinished".to_owned(),
        Err(bad) => return format!("502 {}", bad.label()),
    };
    let (body, rest, complete) = match read_body(head.body, &input[taken..], taken, cuts) {
        Ok(parts) => parts,
        Err(reject) => return format!("502 {}", reject.reason.label()),
    };
    let mut line = format!(
        "{} body=\"{}\" rest={}",
        head.status,
        body.escape_ascii(),
        rest.len()
    );
    finish(&mut line, complete, head.keep_alive);
    line
}

fn finish(line: &mut String, complete: bool, keep_alive: bool) {
    write!(line, "{}", if complete { "" } else { " unfinished" }).unwrap();
    write!(line, "{}", if keep_alive { "" } else { " close" }).unwrap();
}
