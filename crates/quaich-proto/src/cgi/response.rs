//! The head of a response as CGI programs write it (RFC 3875 section 6): fields, of which `Status`
//! is the status; or a head of HTTP/1 with its status line, which uWSGI and others send instead.
//!
//! Called for every answer over uwsgi, FastCGI and SCGI. As strict as `h1` but for one thing: lines
//! of a CGI head may end with LF alone.

use crate::h1::{
    self, BadResponse, BodyLength, Limits, MAX_STATUS_LINE, ResponseHead, Version, parse_field,
    parse_status, parse_status_line,
};
use crate::headers::HeaderId;
use crate::method::Method;

/// Parses a head from the start of `input`, in the way of [`h1::parse_response`]. Without a length
/// the body goes on until the server ends it.
pub fn parse_response(
    input: &[u8],
    limits: &Limits,
    method: &Method,
    head: &mut ResponseHead,
) -> Result<Option<usize>, BadResponse> {
    if head.scanned == 0 || head.is_over || head.scanned > input.len() {
        head.clear();
        // Until a status line is seen.
        head.version = Version::Http10;
    }
    let parsed = parse_lines(input, limits, *method, head);
    head.is_over = !matches!(parsed, Ok(None));
    parsed
}

fn parse_lines(
    input: &[u8],
    limits: &Limits,
    method: Method,
    head: &mut ResponseHead,
) -> Result<Option<usize>, BadResponse> {
    let most = limits.max_header + MAX_STATUS_LINE;
    loop {
        let fresh = input.get(head.scanned..).unwrap_or_default();
        let found = memchr::memchr(b'\n', fresh).map(|at| head.scanned + at);
        let end = found.unwrap_or(input.len());
        if end >= most {
            return Err(BadResponse::TooLarge);
        }
        if found.is_none() {
            head.scanned = end;
            return Ok(None);
        }
        let line = input.get(head.line..end).unwrap_or_default();
        let is_first = head.line == 0;
        head.line = end + 1;
        head.scanned = end + 1;
        let is_http = input.starts_with(b"HTTP/");
        let line = match line.strip_suffix(b"\r") {
            Some(line) => line,
            None if is_http => return Err(BadResponse::LineEnd),
            None => line,
        };
        if line.is_empty() {
            conclude(head, method, is_http)?;
            return Ok(Some(end + 1));
        }
        match is_first && is_http {
            true => status_line(line, head)?,
            false => parse_field(line, limits, head)?,
        }
    }
}

/// uWSGI writes the version of the client's request here, whatever it is; the message is one of
/// HTTP/1.1 all the same.
fn status_line(line: &[u8], head: &mut ResponseHead) -> Result<(), BadResponse> {
    match line.split_at_checked(9) {
        Some((b"HTTP/2.0 " | b"HTTP/3.0 ", rest)) => {
            head.version = Version::Http11;
            parse_status(rest, head)
        }
        _ => parse_status_line(line, head),
    }
}

/// All lines are there.
fn conclude(head: &mut ResponseHead, method: Method, is_http: bool) -> Result<(), BadResponse> {
    if !is_http {
        // Without any field it is no answer, and whatever follows no body.
        if head.headers.is_empty() {
            return Err(BadResponse::StatusLine);
        }
        head.status = match status_field(head)? {
            Some(status) => status,
            None if head.headers.contains(HeaderId::Location) => 302,
            None => 200,
        };
        head.headers.remove_name(b"status");
    }
    h1::frame(head, method)?;
    // Even HTTP/1.0 of a server that is not asked in HTTP says nothing of the connection.
    if head.body == BodyLength::UntilClose {
        head.keep_alive = false;
    }
    Ok(())
}

/// What `Status` says; two of them have no single meaning.
fn status_field(head: &ResponseHead) -> Result<Option<u16>, BadResponse> {
    let mut values = head
        .headers
        .iter()
        .filter(|(id, name, _)| *id == HeaderId::Other && name.eq_ignore_ascii_case(b"status"))
        .map(|(_, _, value)| value);
    let (Some(value), None) = (values.next(), values.next()) else {
        return match head.headers.by_name(b"status") {
            Some(_) => Err(BadResponse::StatusLine),
            None => Ok(None),
        };
    };
    let mut status = ResponseHead::new();
    parse_status(value, &mut status)?;
    Ok(Some(status.status))
}

/// Appends the line that a CGI head begins with.
pub fn status(out: &mut Vec<u8>, status: u16) {
    out.extend_from_slice(b"Status: ");
    h1::decimal(out, status.into());
    out.push(b' ');
    out.extend_from_slice(h1::reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_uri: 0,
        max_field: 100,
        max_header: 300,
        max_headers: 3,
    };

    fn parse(input: &[u8]) -> Result<(u16, BodyLength, usize), BadResponse> {
        let mut head = ResponseHead::new();
        let parsed = parse_response(input, &LIMITS, &Method::Get, &mut head);
        let mut split = ResponseHead::new();
        let bytewise = (0..=input.len())
            .map(|end| parse_response(&input[..end], &LIMITS, &Method::Get, &mut split))
            .find(|parsed| !matches!(parsed, Ok(None)));
        assert_eq!(bytewise.unwrap_or(Ok(None)), parsed, "byte by byte");
        let count = parsed?.expect("a whole head");
        assert!(head.headers.by_name(b"status").is_none());
        Ok((head.status, head.body, count))
    }

    #[test]
    fn a_head_has_a_status_whichever_way_it_says_it() {
        use BodyLength::*;
        for (input, expected) in [
            (
                &b"Status: 404 Not Found\r\nA: b\r\n\r\n"[..],
                (404, UntilClose),
            ),
            (b"Status: 201\nA: b\n\n", (201, UntilClose)),
            (b"A: b\nstatus: 299 odd\r\n\n", (299, UntilClose)),
            (b"Content-Type: text/plain\n\n", (200, UntilClose)),
            (b"Location: /x\n\n", (302, UntilClose)),
            (b"Location: /x\nStatus: 201 Created\n\n", (201, UntilClose)),
            (b"Content-Length: 4\n\n", (200, Known(4))),
            (b"Status: 204 No Content\nA: b\n\n", (204, Empty)),
            (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", (200, UntilClose)),
            (b"HTTP/1.0 404 Not Found\r\n\r\n", (404, UntilClose)),
            (b"HTTP/2.0 200 OK\r\n\r\n", (200, UntilClose)),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                (200, Chunked),
            ),
        ] {
            let mut with_body = input.to_vec();
            with_body.extend_from_slice(b"body: \n\n");
            let parsed = parse(&with_body);
            assert_eq!(
                parsed,
                Ok((expected.0, expected.1, input.len())),
                "{}",
                input.escape_ascii()
            );
        }
    }

    #[test]
    fn what_has_no_single_meaning_is_refused() {
        use BadResponse::*;
        for (input, expected) in [
            (&b"\n"[..], StatusLine),
            (b"\r\n\r\n", StatusLine),
            (b"hello world\n\n", Field),
            (b"Status: 200 O\rK\n\n", Field),
            (b"A: b\0\n\n", Field),
            (b"A: b\n c\n\n", Field),
            (b"A : b\n\n", Field),
            (b"Status: 200\nStatus: 200\n\n", StatusLine),
            (b"Status: 2000\n\n", StatusLine),
            (b"Status: 99\n\n", StatusLine),
            (b"Status: 600 x\n\n", StatusLine),
            (b"Status: OK\n\n", StatusLine),
            (b"HTTP/2 200 OK\r\n\r\n", StatusLine),
            (b"HTTP/1.1 200 OK\n\n", LineEnd),
            (b"HTTP/1.1 200 OK\r\nA: b\n\r\n", LineEnd),
            (b"Content-Length: 1\nContent-Length: 2\n\n", Framing),
            (b"Transfer-Encoding: chunked\n\n", Framing),
            (b"A: b\nA: b\nA: b\nA: b\n\n", TooLarge),
        ] {
            assert_eq!(parse(input), Err(expected), "{}", input.escape_ascii());
        }
        let long = [b"A: ".as_slice(), &[b'a'; 98], b"\n\n"].concat();
        assert_eq!(parse(&long), Err(TooLarge));
        let endless = vec![b'a'; 2000];
        assert_eq!(parse(&endless), Err(TooLarge));
    }

    #[test]
    fn a_written_status_is_read_back() {
        let mut out = Vec::new();
        status(&mut out, 207);
        out.extend_from_slice(b"\r\n");
        assert_eq!(parse(&out), Ok((207, BodyLength::UntilClose, out.len())));
    }
}
