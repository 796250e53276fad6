//! What holds for every input: no split changes the outcome, a path's normal form is final, and what
//! is written is read back.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use quaich_proto::h1::{
    LAST_CHUNK, RequestHead, ResponseHead, chunk_head, field, parse_request, parse_response,
    status_line,
};
use quaich_proto::headers::HeaderId;
use quaich_proto::method::Method;
use quaich_proto::target::{append_decoded, normalise, scan};

use crate::outcome::{LIMITS, dechunk, of_request, of_response};

/// Pieces that make heads and bodies, good ones and bad ones, next to plain noise.
const PIECES: &[&[u8]] = &[
    b"GET ",
    b"POST ",
    b"OPTIONS ",
    b"/",
    b"/a/../b",
    b"%2e%2e",
    b"%2f",
    b"*",
    b"?q",
    b" HTTP/1.1\r\n",
    b" HTTP/1.0\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 204\r\n",
    b"Host: a.test\r\n",
    b"Host: ",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: x\r\n",
    b"Expect: 100-continue\r\n",
    b"X_A: b\r\n",
    b"X: ",
    b" ",
    b"\t",
    b":",
    b";",
    b"=",
    b"\"",
    b",",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"5;a=b\r\nhello\r\n",
    b"hello",
    b"0\r\nT: r\r\n\r\n",
    b"\0",
    b"\x80",
    b"http://a.test",
    b"chunked",
    b"1",
    b"f",
];

/// Header lines, most of them good by themselves.
const LINES: &[&[u8]] = &[
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: x\r\n",
    b"Expect: 100-continue\r\n",
    b"X_A: b\r\n",
    b"X: \t\x80 \r\n",
    b"X:\r\n",
    b"Host: b.test\r\n",
    b" folded\r\n",
];

/// Ends of a head, one of them missing.
const ENDS: &[&[u8]] = &[b"\r\n", b"\r\n", b"\r\n", b""];

/// Beginnings that get a message past its first lines more often than chance.
const BEGINNINGS: &[&[u8]] = &[
    b"",
    b"GET / HTTP/1.1\r\nHost: a.test\r\n",
    b"POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n",
    b"POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n",
];

/// Bytes that are like messages now and then.
pub(crate) fn messages() -> impl Strategy<Value = Vec<u8>> {
    let piece = || {
        prop_oneof![
            12 => select(PIECES).prop_map(<[u8]>::to_vec),
            1 => vec(any::<u8>(), 0..4),
        ]
    };
    let line = prop_oneof![
        6 => select(LINES).prop_map(<[u8]>::to_vec),
        1 => piece(),
    ];
    let end = select(ENDS).prop_map(<[u8]>::to_vec);
    let beginning = select(BEGINNINGS).prop_map(<[u8]>::to_vec);
    (beginning, vec(line, 0..4), end, vec(piece(), 0..8)).prop_map(
        |(beginning, lines, end, rest)| [beginning, lines.concat(), end, rest.concat()].concat(),
    )
}

fn cuts() -> impl Strategy<Value = Vec<Index>> {
    vec(any::<Index>(), 0..6)
}

fn places(cuts: &[Index], length: usize) -> Vec<usize> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(length + 1)).collect();
    places.sort_unstable();
    places
}

/// Paths with much that a normaliser stumbles over.
fn paths() -> impl Strategy<Value = String> {
    let piece = select(&[
        "/", "/", "//", ".", "..", "%2e", "%2E", "%2f", "%252f", ";", "%3b", "a", "b", "%61",
        "%c3%a9", "%", "%5c", "|", "~", "%7E", "+", "%00", "%20",
    ]);
    vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn normal(path: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    normalise(path, &mut out)?;
    Some(out)
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let mut text = path.to_vec();
    append_decoded(&mut text, 0);
    text.split_off(path.len())
}

fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').skip(1)
}

fn field_name() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9-]{0,12}".prop_filter("neither dropped nor meaningful", |name| {
        HeaderId::from_name(name.as_bytes()) == HeaderId::Other
            && !name.eq_ignore_ascii_case("proxy")
    })
}

fn field_value() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("a value byte", |b| *b >= 0x20 && *b != 0x7f);
    vec(byte, 0..30).prop_map(|value| value.trim_ascii().to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_split_changes_what_becomes_of_a_request(input in messages(), cuts in cuts()) {
        let whole = of_request(&input, &[]);
        prop_assert_eq!(&of_request(&input, &places(&cuts, input.len())), &whole);
        let each: Vec<usize> = (0..input.len()).collect();
        prop_assert_eq!(of_request(&input, &each), whole);
    }

    #[test]
    fn no_split_changes_what_becomes_of_a_response(input in messages(), cuts in cuts()) {
        let whole = of_response(&input, &[]);
        prop_assert_eq!(&of_response(&input, &places(&cuts, input.len())), &whole);
        let each: Vec<usize> = (0..input.len()).collect();
        prop_assert_eq!(of_response(&input, &each), whole);
    }

    #[test]
    fn a_normal_form_is_final_and_has_one_reading(path in paths()) {
        if let Some(form) = normal(path.as_bytes()) {
            prop_assert_eq!(normal(&form), Some(form.clone()));
            let decoded = decoded(&form);
            prop_assert!(form.starts_with(b"/") && !form.windows(2).any(|pair| pair == b"//"));
            prop_assert!(decoded.iter().all(|&byte| byte >= 0x20 && byte != 0x7f && byte != b'\\'));
            for text in [&form, &decoded] {
                for segment in segments(text) {
                    prop_assert!(!matches!(segment, b"." | b".."), "{:?}", path);
                    prop_assert!(!segment.starts_with(b"..;") && !segment.starts_with(b".;"));
                }
            }
        }
    }

    #[test]
    fn a_path_taken_as_normal_is_what_normalising_gives(path in paths()) {
        let form = scan(path.as_bytes());
        if form.is_some_and(|form| form.is_normal) {
            prop_assert_eq!(normal(path.as_bytes()), Some(path.clone().into_bytes()));
            prop_assert_eq!(decoded(path.as_bytes()), path.into_bytes());
        }
    }

    #[test]
    fn an_upstream_reads_the_path_that_was_matched(path in paths(), query in "[a-z/%.]{0,5}") {
        let head_of = |target: &[u8]| {
            let input = [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
            let mut head = RequestHead::new();
            parse_request(&input, &LIMITS, &mut head).ok().map(|_| head)
        };
        if let Some(first) = head_of(format!("{path}?{query}").as_bytes()) {
            let forwarded = [first.path(), b"?", first.query()].concat();
            let second = head_of(&forwarded).expect("what is forwarded is valid");
            prop_assert_eq!(second.path(), first.path());
            prop_assert_eq!(second.path_decoded(), first.path_decoded());
            prop_assert_eq!(second.query(), query.as_bytes());
        }
    }

    #[test]
    fn chunks_written_are_the_body_read(
        pieces in vec(vec(any::<u8>(), 1..300), 0..6),
        cuts in cuts(),
        after in vec(any::<u8>(), 0..5),
    ) {
        let mut wire = Vec::new();
        for piece in &pieces {
            chunk_head(&mut wire, piece.len());
            wire.extend_from_slice(piece);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(LAST_CHUNK);
        wire.extend_from_slice(&after);
        let places = places(&cuts, wire.len());
        let (body, rest, complete) = dechunk(&wire, &places).unwrap();
        prop_assert!(complete);
        prop_assert_eq!(body, pieces.concat());
        prop_assert_eq!(rest, &after[..]);
    }

    #[test]
    fn a_response_written_is_the_response_read(
        status in 200_u16..600,
        fields in vec((field_name(), field_value()), 0..8),
    ) {
        let mut wire = Vec::new();
        status_line(&mut wire, status);
        for (name, value) in &fields {
            field(&mut wire, name.as_bytes(), value);
        }
        wire.extend_from_slice(b"\r\n");
        let mut head = ResponseHead::new();
        let taken = parse_response(&wire, &LIMITS, &Method::Get, &mut head);
        prop_assert_eq!(taken, Ok(Some(wire.len())));
        prop_assert_eq!(head.status, status);
        let read: Vec<_> = head.headers.iter().map(|(_, name, value)| (name, value)).collect();
        let written: Vec<_> = fields.iter().map(|(n, v)| (n.as_bytes(), &v[..])).collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn fields_that_are_pushed_are_read_back(fields in vec((field_name(), field_value()), 0..8)) {
        let mut wire = b"GET / HTTP/1.0\r\n".to_vec();
        let mut pushed = quaich_proto::headers::Headers::new();
        for (name, value) in &fields {
            pushed.push(name.as_bytes(), value).unwrap();
        }
        let begin = wire.len();
        for (_, name, value) in pushed.iter() {
            field(&mut wire, name, value);
        }
        prop_assert_eq!(pushed.wire_size(), wire.len() - begin);
        wire.extend_from_slice(b"\r\n");
        let mut head = RequestHead::new();
        prop_assert_eq!(parse_request(&wire, &LIMITS, &mut head), Ok(Some(wire.len())));
        prop_assert!(head.headers.iter().eq(pushed.iter()));
    }

    #[test]
    fn a_head_that_was_used_before_gives_what_a_new_one_gives(
        before in messages(),
        input in messages(),
    ) {
        let (mut used, mut new) = (RequestHead::new(), RequestHead::new());
        let _ = parse_request(&before, &LIMITS, &mut used);
        used.clear();
        prop_assert_eq!(
            parse_request(&input, &LIMITS, &mut used),
            parse_request(&input, &LIMITS, &mut new)
        );
        prop_assert_eq!(used.path(), new.path());
        prop_assert_eq!(used.host(), new.host());
        prop_assert_eq!(used.query(), new.query());
        prop_assert!(used.headers.iter().eq(new.headers.iter()));
        prop_assert_eq!(used.body, new.body);
    }
}

#[test]
fn nothing_that_a_head_held_before_becomes_part_of_a_message() {
    let mut request = RequestHead::new();
    request.headers.push(b"Host", b"other.test").unwrap();
    let wire = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    assert_eq!(
        parse_request(wire, &LIMITS, &mut request),
        Ok(Some(wire.len()))
    );
    assert_eq!(request.headers.len(), 1);
    let mut response = ResponseHead::new();
    response.headers.push(b"Content-Length", b"9").unwrap();
    let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(
        parse_response(wire, &LIMITS, &Method::Get, &mut response),
        Ok(Some(wire.len()))
    );
    assert_eq!(response.headers.len(), 1);
}
