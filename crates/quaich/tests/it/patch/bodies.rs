//! Bodies that a rule looked at and let through, to the byte, to whoever reads them next.

use quaich_testkit::h2::{Block, Ended, Event, Frame, H2Client};
use quaich_testkit::{End, Origin, Quaich, TempSite, websocket_accept};

use super::{add, echo, hits, to};
use crate::apps;

/// A head and its body, and what of the request a server gets after its head.
const FRAMED: [(&str, &str, &str); 4] = [
    ("Content-Length: 5", "hello", "hello"),
    ("Content-Length: 0", "", ""),
    (
        "Transfer-Encoding: chunked",
        "3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        "hello",
    ),
    ("Transfer-Encoding: chunked", "0\r\n\r\n", ""),
];

#[test]
fn a_server_gets_one_message_with_one_framing() {
    let origin = echo();
    let quaich = to(&origin);
    add(&quaich, &["--body", "~evil"]);
    for (framing, sent, body) in FRAMED {
        let mut client = quaich.raw();
        let post =
            |path: &str| format!("POST {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{sent}");
        let before = origin.raw().len();
        // Two at once: what follows a body that was looked at is the next request, not a part of it.
        client.send(format!("{}{}", post("/one"), post("/two")));
        for _ in 0..2 {
            client.response().expect_status(200).expect_body(body);
        }
        let raw = origin.raw();
        let raw = String::from_utf8_lossy(&raw[before..]).into_owned();
        for (path, next) in [("/one", Some("POST /two")), ("/two", None)] {
            let begin = raw.find(&format!("POST {path} ")).expect("the request");
            let end = next.and_then(|next| raw.find(next)).unwrap_or(raw.len());
            expect_framed(&raw[begin..end], framing, body);
        }
    }
    assert_eq!(hits(&quaich), 0);
}

/// Judges the bytes of one request that a server got.
#[track_caller]
fn expect_framed(request: &str, framing: &str, body: &str) {
    let (head, rest) = request.split_once("\r\n\r\n").expect("a head");
    let head = head.to_ascii_lowercase();
    let count = |field: &str| head.matches(&format!("\r\n{field}:")).count();
    if framing.starts_with("Content-Length") {
        assert_eq!(
            (count("content-length"), count("transfer-encoding")),
            (1, 0),
            "{head}"
        );
        assert_eq!(rest, body);
        return;
    }
    assert_eq!(
        (count("content-length"), count("transfer-encoding")),
        (0, 1),
        "{head}"
    );
    let mut plain = String::new();
    let mut rest = rest;
    loop {
        let (size, after) = rest.split_once("\r\n").expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size and nothing else");
        plain.push_str(&after[..size]);
        rest = after[size..]
            .strip_prefix("\r\n")
            .expect("the end of a chunk");
        if size == 0 {
            break;
        }
    }
    assert_eq!((plain.as_str(), rest), (body, ""));
}

/// A request of HTTP/2 with this body in pieces, with or without its length.
fn post(client: &mut H2Client, pieces: &[&[u8]], says_length: bool) -> u32 {
    let mut block = client.request("POST", "/x");
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    if says_length {
        block = block.field("content-length", length.to_string());
    }
    let stream = client.begin(&block, pieces.is_empty());
    for (at, piece) in pieces.iter().enumerate() {
        client.data(stream, piece, at + 1 == pieces.len());
    }
    stream
}

const SUM: &str = "
def application(environ, start_response):
    body = environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'%d %d' % (len(body), sum(body))]
";

#[test]
fn an_app_gets_all_of_a_body_over_http2() {
    let site = TempSite::new();
    site.write("app.py", SUM);
    let app = apps::table("workers = 1\nthreads = 1");
    let quaich = Quaich::serve(site, &format!("{app}[site.main]\napp = \"main\"\n"));
    let rule = ["--body", "~evil", "--body-limit", "64KiB"];
    add(&quaich, &rule);
    let mut client = H2Client::over(quaich.raw());
    let large: Vec<u8> = (0..60_000_u32).map(|n| (n % 97) as u8).collect();
    for says_length in [true, false] {
        for body in [&b""[..], b"h", b"hello", &large] {
            let (first, second) = body.split_at(body.len() / 2);
            let pieces: &[&[u8]] = if body.is_empty() {
                &[]
            } else {
                &[first, second]
            };
            let stream = post(&mut client, pieces, says_length);
            let answer = client.response(stream);
            let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
            let expected = format!("{} {sum}", body.len());
            assert_eq!(String::from_utf8_lossy(&answer.body), expected);
        }
        let stream = post(&mut client, &[b"so ev", b"il"], says_length);
        assert_eq!(client.response(stream).status, 403);
    }
    assert_eq!(hits(&quaich), 2);
}

#[test]
fn a_dry_run_lets_bodies_pass_that_it_counts() {
    let origin = echo();
    let quaich = to(&origin);
    add(
        &quaich,
        &["--body", "~evil", "--body-limit", "1KiB", "--dry-run"],
    );
    let long = "g".repeat(200_000);
    // The pattern, and more than is looked at.
    for body in ["so evil", &long] {
        let answer = quaich.request("POST", "/x", "", body.as_bytes());
        answer.expect_status(200).expect_body(body);
    }
    quaich
        .request("POST", "/x", "", b"good")
        .expect_status(200)
        .expect_body("good");
    assert_eq!(hits(&quaich), 2);
    let counters = &quaich.status()["front"]["counters"];
    assert_eq!(counters["patched"], 0);
    assert_eq!(counters["patch_dry_run"], 2);
}

#[test]
fn a_websocket_passes_a_rule_for_bodies() {
    let origin = Origin::start(|conversation| {
        let Some(request) = conversation.request_head() else {
            return;
        };
        let key = request.header("sec-websocket-key").unwrap_or_default();
        conversation.write(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            websocket_accept(key)
        ));
        let bytes = conversation.read();
        conversation.write(&bytes);
        conversation.end(End::Fin);
    });
    let quaich = to(&origin);
    add(&quaich, &["--body", "~evil"]);

    let mut client = quaich.raw();
    client.send(
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(client.head().status, 101);
    client.send("evil");
    assert_eq!(client.exactly(4), b"evil");

    let mut client = H2Client::over(quaich.raw());
    let block = Block::new()
        .field(":method", "CONNECT")
        .field(":protocol", "websocket")
        .field(":scheme", client.scheme())
        .field(":path", "/chat")
        .field(":authority", "test")
        .field("sec-websocket-version", "13");
    let stream = client.begin(&block, false);
    assert!(matches!(
        client.of_stream(stream),
        Event::Headers { end: false, .. }
    ));
    client.data(stream, b"evil", false);
    client.frame(&Frame::data(stream, []).end());
    let answer = client.response(stream);
    assert_eq!(
        (answer.body.as_slice(), answer.ended),
        (&b"evil"[..], Ended::Whole)
    );
}
