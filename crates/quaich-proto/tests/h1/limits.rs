//! Every bound of a head and of a chunked body: one below passes, the bound passes, one above has
//! its own status and its own reason.

use quaich_proto::h1::{Limits, RejectReason, RequestHead, parse_request};

use crate::outcome::dechunk;

const SMALL: Limits = Limits {
    max_uri: 100,
    max_field: 50,
    max_header: 200,
    max_headers: 5,
};

/// Parses a whole head, and again byte by byte; both must agree.
fn verdict(input: &str) -> Result<(), RejectReason> {
    let mut head = RequestHead::new();
    let whole = parse_request(input.as_bytes(), &SMALL, &mut head);
    let mut head = RequestHead::new();
    let bytewise = (0..=input.len())
        .map(|end| parse_request(&input.as_bytes()[..end], &SMALL, &mut head))
        .find(|parsed| !matches!(parsed, Ok(None)));
    assert_eq!(bytewise, Some(whole));
    let taken = whole.map_err(|reject| reject.reason)?;
    assert_eq!(taken, Some(input.len()));
    Ok(())
}

fn check(reason: RejectReason, status: u16, bound: usize, input: impl Fn(usize) -> String) {
    assert_eq!(verdict(&input(bound - 1)), Ok(()));
    assert_eq!(verdict(&input(bound)), Ok(()));
    assert_eq!(verdict(&input(bound + 1)), Err(reason));
    assert_eq!(reason.status(), status);
}

#[test]
fn a_target_beyond_its_bound_is_414() {
    check(RejectReason::UriTooLong, 414, SMALL.max_uri, |length| {
        format!(
            "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
            "q".repeat(length - 1)
        )
    });
}

#[test]
fn a_field_beyond_its_bound_is_431() {
    check(
        RejectReason::FieldTooLarge,
        431,
        SMALL.max_field,
        |length| {
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
                "x".repeat(length - 3)
            )
        },
    );
}

#[test]
fn a_header_beyond_its_bound_is_431() {
    check(
        RejectReason::HeaderTooLarge,
        431,
        SMALL.max_header,
        |length| {
            // Four lines of 47 bytes with their ends, and what is left.
            let line = format!("X: {}\r\n", "x".repeat(42));
            let rest = length - 4 * line.len() - "H: \r\n".len();
            let rest = format!("H: {}\r\n", "h".repeat(rest));
            format!("GET / HTTP/1.0\r\n{}{rest}\r\n", line.repeat(4))
        },
    );
}

#[test]
fn fields_beyond_their_number_are_431_dropped_ones_counted() {
    check(
        RejectReason::TooManyFields,
        431,
        SMALL.max_headers,
        |count| {
            format!(
                "GET / HTTP/1.0\r\n{}a_b: y\r\n\r\n",
                "X: y\r\n".repeat(count - 1)
            )
        },
    );
}

#[test]
fn what_is_too_long_is_refused_before_its_end_has_come() {
    for (input, reason) in [
        (
            format!("GET /{}", "q".repeat(200)),
            RejectReason::UriTooLong,
        ),
        ("M".repeat(40), RejectReason::BadMethod),
        (
            format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(60)),
            RejectReason::FieldTooLarge,
        ),
    ] {
        assert_eq!(verdict(&input), Err(reason));
    }
}

#[test]
fn a_body_read_by_chunks_has_bounds_too() {
    let refusal = |body: &str| {
        dechunk(body.as_bytes(), &[])
            .err()
            .map(|reject| reject.reason)
    };
    let size = |digits| format!("{:0>digits$}\r\nx\r\n0\r\n\r\n", 1);
    assert_eq!(refusal(&size(16)), None);
    assert_eq!(refusal(&size(17)), Some(RejectReason::ChunkTooLarge));
    let extended = |bytes| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(bytes));
    assert_eq!(refusal(&extended(256)), None);
    assert_eq!(refusal(&extended(257)), Some(RejectReason::ChunkTooLarge));
    // The bound is of one chunk, not of the body.
    assert_eq!(
        refusal(&format!(
            "1;{0}\r\nx\r\n1;{0}\r\nx\r\n0\r\n\r\n",
            "e".repeat(200)
        )),
        None
    );
    let trailers = |count: usize| format!("0\r\n{}\r\n", "X: y\r\n".repeat(count));
    assert_eq!(refusal(&trailers(16)), None);
    assert_eq!(refusal(&trailers(17)), Some(RejectReason::TrailerTooLarge));
    let trailer = |bytes: usize| format!("0\r\nX: {}\r\n\r\n", "y".repeat(bytes - 3));
    assert_eq!(refusal(&trailer(8192)), None);
    assert_eq!(refusal(&trailer(8193)), Some(RejectReason::TrailerTooLarge));
}
