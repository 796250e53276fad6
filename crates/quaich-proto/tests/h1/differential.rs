//! The parser against the reference: for heads that are good but for some accident, both say the
//! same, and where a head is refused, the status is one that the reference finds a reason for.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use quaich_proto::h1::Limits;
use quaich_proto::method::Method;

use crate::agreement::disagreement;
use crate::outcome::LIMITS;
use crate::properties::messages;
use crate::reference::{self, Verdict};
use crate::response_reference;

const TIGHT: Limits = Limits {
    max_uri: 24,
    max_field: 40,
    max_header: 120,
    max_headers: 4,
};

const METHODS: &[&str] = &["GET", "POST", "OPTIONS", "CONNECT", "get", "M-SEARCH"];

const TARGETS: &[&str] = &[
    "/",
    "/a/b.c?d=e",
    "/a/../b",
    "/a%2fb/%2E%2e/c",
    "/%61|b//c/.",
    "*",
    "/..;x/",
    "/a?%zz?",
    "http://a.test/x",
    "HTTPS://A.test.:443?q",
    "http://a.test",
    "/x%2f..%2fy",
    "/caf%c3%A9;v=1",
    "/a%2F/b",
    "/a/%2Fb",
    "/%5c",
    "/a%2F%2Fb%2F",
    "/.%3b/",
    "/a/...",
    "/%2525",
];

const VERSIONS: &[&str] = &["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0"];

/// Fields that most heads can have.
const HARMLESS: &[&str] = &[
    "Content-Length: 5",
    "Connection: Keep-Alive, x-a",
    "Expect: 100-Continue",
    "X-A: b",
    "X_A: b",
    "Proxy: http://evil.test",
    "Cookie: a=b; c=\"d\"",
    "Accept: */*;q=0.8",
    "X:",
    "X-Bytes: \u{e9}",
    "TE: trailers",
    "Upgrade: websocket",
];

const FIELDS: &[&str] = &[
    "Host: a.test",
    "Host: a.test:80",
    "hOST: \t[::1]:8080 ",
    "Host: b..test",
    "Host:",
    "Content-Length: 5",
    "Content-Length: 0",
    "content-length: 18446744073709551616",
    "Content-Length: +1",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: chunked,",
    "Connection: close",
    "Connection: Keep-Alive, x-a",
    "Connection: upgrade",
    "Connection: X-Forwarded-For",
    "Connection: x, COOKIE",
    "Upgrade: websocket",
    "Upgrade: h2c",
    "Upgrade: a, b",
    "Expect: 100-Continue",
    "Expect: something",
    "X-A: b",
    "X_A: b",
    "Proxy: http://evil.test",
    "Cookie: a=b; c=\"d\"",
    "Accept: */*;q=0.8",
    "X:",
    "X-Bytes: \u{e9}",
    "TE: trailers",
];

const ACCIDENTS: &[&[u8]] = &[
    b"\r", b"\n", b"\r\n", b" ", b"\t", b"\0", b"\x7f", b"\x0b", b"\x80", b":", b",", b";", b"/",
    b"..", b"%", b"%2f", b"%00", b"#", b"?", b"\\", b"@", b"[", b"0", b"X", b"_", b"\"",
];

/// What happens to a good head.
#[derive(Clone, Debug)]
enum Accident {
    Insert(Index, &'static [u8]),
    Replace(Index, u8),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

fn accident() -> impl Strategy<Value = Accident> {
    let at = any::<Index>;
    prop_oneof![
        6 => (at(), select(ACCIDENTS)).prop_map(|(at, bytes)| Accident::Insert(at, bytes)),
        3 => (at(), any::<u8>()).prop_map(|(at, byte)| Accident::Replace(at, byte)),
        2 => (at(), 1..4_usize).prop_map(|(at, count)| Accident::Remove(at, count)),
        1 => (at(), 1..60_usize).prop_map(|(at, count)| Accident::Repeat(at, count)),
        1 => at().prop_map(Accident::Cut),
    ]
}

fn suffer(head: &mut Vec<u8>, accident: &Accident) {
    if head.is_empty() {
        return;
    }
    let range = |at: &Index, count: usize| {
        let at = at.index(head.len());
        at..(at + count).min(head.len())
    };
    match accident {
        Accident::Insert(at, bytes) => {
            let at = at.index(head.len());
            head.splice(at..at, bytes.iter().copied());
        }
        Accident::Replace(at, byte) => {
            let at = at.index(head.len());
            head[at] = *byte;
        }
        Accident::Remove(at, count) => _ = head.drain(range(at, *count)),
        Accident::Repeat(at, count) => {
            let range = range(at, *count);
            let again = head[range.clone()].to_vec();
            head.splice(range.start..range.start, again);
        }
        Accident::Cut(at) => head.truncate(at.index(head.len())),
    }
}

fn heads() -> impl Strategy<Value = Vec<u8>> {
    let host = prop_oneof![4 => Just(Some("Host: a.test")), 1 => Just(None)];
    let line = (select(METHODS), select(TARGETS), select(VERSIONS));
    let field = prop_oneof![3 => select(HARMLESS), 1 => select(FIELDS)];
    let fields = vec(field, 0..5);
    let accidents = prop_oneof![2 => vec(accident(), 0..1), 3 => vec(accident(), 1..4)];
    (line, host, fields, accidents).prop_map(
        |((method, target, version), host, fields, accidents)| {
            let mut text = format!("{method} {target} {version}\r\n");
            for field in host.iter().chain(&fields) {
                text.push_str(field);
                text.push_str("\r\n");
            }
            text.push_str("\r\n");
            let mut head = text.into_bytes();
            for accident in &accidents {
                suffer(&mut head, accident);
            }
            head
        },
    )
}

const STATUS_LINES: &[&str] = &[
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 304 ",
    "HTTP/1.1 101 Switching Protocols",
    "HTTP/1.1 600 Beyond",
];

fn responses() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![3 => select(HARMLESS), 1 => select(FIELDS)];
    let accidents = prop_oneof![2 => vec(accident(), 0..1), 3 => vec(accident(), 1..4)];
    (select(STATUS_LINES), vec(field, 0..5), accidents).prop_map(|(line, fields, accidents)| {
        let mut head = format!("{line}\r\n{}\r\n\r\n", fields.join("\r\n")).into_bytes();
        for accident in &accidents {
            suffer(&mut head, accident);
        }
        head
    })
}

fn compare(input: &[u8], limits: &Limits) -> Result<(), TestCaseError> {
    match disagreement(input, limits) {
        None => Ok(()),
        Some(what) => Err(TestCaseError::fail(what)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_parser_agrees_with_the_reference(input in heads()) {
        compare(&input, &LIMITS)?;
    }

    #[test]
    fn the_parser_agrees_with_the_reference_at_tight_limits(input in heads()) {
        compare(&input, &TIGHT)?;
    }

    #[test]
    fn the_parser_agrees_with_the_reference_on_odd_pieces(input in messages()) {
        compare(&input, &LIMITS)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_response_parser_agrees_with_its_reference(
        input in prop_oneof![3 => responses(), 1 => messages()],
        method in select(&[Method::Get, Method::Head]),
    ) {
        for limits in [&LIMITS, &TIGHT] {
            prop_assert_eq!(response_reference::disagreement(&input, limits, method), None);
        }
    }
}

/// A comparison proves nothing when all inputs are refused.
#[test]
fn the_inputs_that_are_compared_are_good_bad_and_unfinished() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut counts = [0; 3];
    for _ in 0..2000 {
        let input = heads()
            .new_tree(&mut runner)
            .expect("heads can be made")
            .current();
        counts[match reference::parse(&input, &LIMITS) {
            Verdict::Good(_) => 0,
            Verdict::Bad(_) => 1,
            Verdict::Unfinished { .. } => 2,
        }] += 1;
    }
    assert!(
        counts.iter().all(|&count| count > 50),
        "good, bad, unfinished: {counts:?}"
    );
}
