//! What becomes of bytes of the protocols of application servers, as text, whatever the pieces they
//! come in. Shared with the fuzz targets.

use std::fmt::Write as _;

use quaich_proto::cgi::{self, Variables};
use quaich_proto::fastcgi::{BadRecord, RequestReader, RequestStep, ResponseReader, ResponseStep};
use quaich_proto::h1::{self, ResponseHead};
use quaich_proto::method::Method;
use quaich_proto::{scgi, uwsgi};

const LIMITS: cgi::Limits = cgi::Limits {
    max_bytes: 4096,
    max_variables: 16,
};

const HEAD: h1::Limits = h1::Limits {
    max_uri: 0,
    max_field: 200,
    max_header: 1000,
    max_headers: 10,
};

/// Calls `parse` with ever longer beginnings of `input`, ending at each of `cuts` and at the end.
fn feed<E: std::fmt::Debug>(
    input: &[u8],
    cuts: &[usize],
    mut parse: impl FnMut(&[u8]) -> Result<Option<usize>, E>,
) -> Result<usize, String> {
    for &cut in cuts.iter().chain([&input.len()]) {
        match parse(&input[..cut]) {
            Ok(Some(count)) => return Ok(count),
            Ok(None) => {}
            Err(bad) => return Err(format!("{bad:?}")),
        }
    }
    Err("unfinished".to_owned())
}

fn shown(variables: &Variables) -> String {
    let mut text = String::new();
    for (name, value) in variables.iter() {
        write!(text, " {}={}", name.escape_ascii(), value.escape_ascii()).unwrap();
    }
    text
}

/// The head of a response of CGI.
pub fn of_cgi(input: &[u8], cuts: &[usize]) -> String {
    let mut head = ResponseHead::new();
    let parse = |bytes: &[u8]| cgi::parse_response(bytes, &HEAD, &Method::Get, &mut head);
    match feed(input, cuts, parse) {
        Err(why) => why,
        Ok(count) => {
            let mut text = format!("{count} {} {:?}", head.status, head.body);
            for (_, name, value) in head.headers.iter() {
                write!(text, " {}: {}", name.escape_ascii(), value.escape_ascii()).unwrap();
            }
            text
        }
    }
}

/// A request of uwsgi.
pub fn of_uwsgi(input: &[u8], cuts: &[usize]) -> String {
    let mut variables = Variables::new();
    let parse = |bytes: &[u8]| uwsgi::parse_request(bytes, &LIMITS, &[0], &mut variables);
    match feed(input, cuts, parse) {
        Err(why) => why,
        Ok(count) => format!("{count}{}", shown(&variables)),
    }
}

/// A request of SCGI.
pub fn of_scgi(input: &[u8], cuts: &[usize]) -> String {
    let mut variables = Variables::new();
    let parse = |bytes: &[u8]| scgi::parse_request(bytes, &LIMITS, &mut variables);
    match feed(input, cuts, parse) {
        Err(why) => why,
        Ok(count) => format!("{count}{}", shown(&variables)),
    }
}

/// Calls `step` until it has dealt with each piece of `input`.
fn pieces(
    input: &[u8],
    cuts: &[usize],
    mut step: impl FnMut(&[u8]) -> Result<usize, BadRecord>,
) -> Result<(), BadRecord> {
    let mut at = 0;
    for &cut in cuts.iter().chain([&input.len()]) {
        while at < cut {
            let consumed = step(&input[at..cut])?;
            assert!(consumed > 0 && consumed <= cut - at, "it goes on");
            at += consumed;
        }
    }
    Ok(())
}

/// What an application server of FastCGI answers to a request.
pub fn of_fastcgi_response(input: &[u8], cuts: &[usize]) -> String {
    let mut reader = ResponseReader::new(1);
    let (mut out, mut err, mut end) = (Vec::new(), Vec::new(), String::new());
    let read = pieces(input, cuts, |piece| {
        Ok(match reader.decode(piece)? {
            ResponseStep::NeedMore { consumed } => {
                assert_eq!(consumed, piece.len(), "nothing is left lying");
                consumed
            }
            ResponseStep::Stdout { start, end } => {
                assert!(start < end, "output is never empty");
                out.extend_from_slice(&piece[start..end]);
                end
            }
            ResponseStep::Stderr { start, end } => {
                err.extend_from_slice(&piece[start..end]);
                end
            }
            ResponseStep::End { consumed, status } => {
                end = format!("{status:?}");
                consumed
            }
        })
    });
    let (out, err) = (out.escape_ascii(), err.escape_ascii());
    format!("{read:?} {out} {err} {end} {}", reader.is_exact())
}

/// What a front server of FastCGI asks on one connection; each request is answered at its end.
pub fn of_fastcgi_requests(input: &[u8], cuts: &[usize]) -> String {
    let mut reader = RequestReader::new(LIMITS);
    let (mut events, mut body) = (String::new(), Vec::new());
    let read = pieces(input, cuts, |piece| {
        Ok(match reader.decode(piece)? {
            RequestStep::NeedMore { consumed } => {
                assert_eq!(consumed, piece.len(), "nothing is left lying");
                consumed
            }
            RequestStep::Head { consumed } => {
                let keep = reader.keeps_connection();
                let variables = shown(reader.variables());
                write!(events, " head {} {keep}{variables}", reader.id()).unwrap();
                consumed
            }
            RequestStep::Stdin { start, end } => {
                body.extend_from_slice(&piece[start..end]);
                end
            }
            RequestStep::StdinEnd { consumed } => {
                write!(events, " body {}", body.escape_ascii()).unwrap();
                body.clear();
                reader.next();
                consumed
            }
            RequestStep::Abort { consumed } => {
                events.push_str(" abort");
                body.clear();
                reader.next();
                consumed
            }
            RequestStep::Refuse { consumed, id, .. } => {
                write!(events, " refuse {id}").unwrap();
                consumed
            }
            RequestStep::Values { consumed } => {
                write!(events, " values{}", shown(reader.asked())).unwrap();
                consumed
            }
            RequestStep::Unknown { consumed, kind } => {
                write!(events, " unknown {kind}").unwrap();
                consumed
            }
        })
    });
    format!("{read:?}{events} {}", body.escape_ascii())
}

/// A reading of bytes that come in pieces cut at some places.
pub type Reading = fn(&[u8], &[usize]) -> String;

/// Every reading.
pub const ALL: [Reading; 5] = [
    of_cgi,
    of_uwsgi,
    of_scgi,
    of_fastcgi_response,
    of_fastcgi_requests,
];
