//! What makes a request malformed: RFC 9113 section 8, RFC 8441.

use quaich_testkit::h2::{Block, Event, Frame, H2Client, code};

use super::Expect::{Malformed, MalformedOrGoAway, Status};
use super::{Case, Subject, case, closed, open, run};

/// A GET with one more field.
fn with(client: &mut H2Client, name: &str, value: impl AsRef<[u8]>) -> u32 {
    client.begin(&Block::get().field(name, value), true)
}

/// A request of exactly these fields.
fn of(client: &mut H2Client, fields: &[(&str, &str)]) -> u32 {
    let add = |block: Block, (name, value): &(&str, &str)| block.field(name, value);
    client.begin(&fields.iter().fold(Block::new(), add), true)
}

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const PATH: (&str, &str) = (":path", "/");
const AUTHORITY: (&str, &str) = (":authority", "test");

const FRAMING: &[Case] = &[
    case("8.1", "HEADERS in the middle of a body", Malformed, |c| {
        let stream = open(c);
        c.frame(&Frame::headers(stream, Block::new().field("x", "y")));
        c.frame(&Frame::data(stream, b"x".to_vec()).end());
        stream
    }),
    case("8.1", "trailers", Status(200), |c| {
        let stream = open(c);
        c.frame(&Frame::data(stream, b"x".to_vec()));
        c.send_block(stream, &Block::new().field("x", "y"), true);
        stream
    }),
    case("8.1", "pseudo-fields in trailers", Malformed, |c| {
        let stream = open(c);
        c.frame(&Frame::data(stream, b"x".to_vec()));
        c.send_block(stream, &Block::new().field(":method", "GET"), true);
        stream
    }),
    case("8.1.1", "less than content-length", Malformed, |c| {
        let stream = c.begin(&Block::post().field("content-length", "4"), false);
        c.frame(&Frame::data(stream, b"abc".to_vec()).end());
        stream
    }),
    case("8.1.1", "more than content-length (H15)", Malformed, |c| {
        let stream = c.begin(&Block::post().field("content-length", "3"), false);
        c.frame(&Frame::data(stream, b"abcde".to_vec()).end());
        stream
    }),
    case(
        "8.1.1",
        "more than content-length over two frames",
        Malformed,
        |c| {
            let stream = c.begin(&Block::post().field("content-length", "3"), false);
            c.frame(&Frame::data(stream, b"abc".to_vec()));
            c.frame(&Frame::data(stream, b"d".to_vec()).end());
            stream
        },
    ),
    case(
        "8.1.1",
        "an end that comes alone and too early (H23)",
        Malformed,
        |c| {
            let stream = c.begin(&Block::post().field("content-length", "4"), false);
            c.frame(&Frame::data(stream, b"abc".to_vec()));
            c.frame(&Frame::data(stream, []).end());
            stream
        },
    ),
    case("8.1.1", "trailers that come too early", Malformed, |c| {
        let stream = c.begin(&Block::post().field("content-length", "4"), false);
        c.frame(&Frame::data(stream, b"abc".to_vec()));
        c.send_block(stream, &Block::new().field("x", "y"), true);
        stream
    }),
    case("8.1.1", "a content-length and no body", Malformed, |c| {
        c.begin(&Block::post().field("content-length", "4"), true)
    }),
    case("8.1.1", "exactly content-length", Status(200), |c| {
        let stream = c.begin(&Block::post().field("content-length", "4"), false);
        c.frame(&Frame::data(stream, b"abc".to_vec()));
        c.frame(&Frame::data(stream, b"d".to_vec()));
        c.frame(&Frame::data(stream, []).end());
        stream
    }),
    case("8.1.1", "two values of content-length", Malformed, |c| {
        let block = Block::post().field("content-length", "3");
        let stream = c.begin(&block.field("content-length", "4"), false);
        c.frame(&Frame::data(stream, b"abc".to_vec()).end());
        stream
    }),
    case(
        "8.1.1",
        "a content-length that is no number",
        Malformed,
        |c| {
            let stream = c.begin(&Block::post().field("content-length", "+3"), false);
            c.frame(&Frame::data(stream, b"abc".to_vec()).end());
            stream
        },
    ),
];

#[test]
fn messages_are_framed_as_they_say() {
    run(FRAMING);
}

const FIELDS: &[Case] = &[
    case("8.2", "an upper-case name (H14)", MalformedOrGoAway, |c| {
        with(c, "X-Upper", "y")
    }),
    case("8.2.1", "a name with a space", MalformedOrGoAway, |c| {
        with(c, "x y", "z")
    }),
    case("8.2.1", "a name with a colon", MalformedOrGoAway, |c| {
        with(c, "x:y", "z")
    }),
    case("8.2.1", "a name with NUL", MalformedOrGoAway, |c| {
        with(c, "x\0y", "z")
    }),
    case("8.2.1", "a name with DEL", MalformedOrGoAway, |c| {
        with(c, "x\x7fy", "z")
    }),
    case("8.2.1", "a name beyond ASCII", MalformedOrGoAway, |c| {
        with(c, "x\u{e9}", "z")
    }),
    case("8.2.1", "a name with CR LF", MalformedOrGoAway, |c| {
        with(c, "x\r\ny", "z")
    }),
    case("8.2.1", "an empty name", MalformedOrGoAway, |c| {
        with(c, "", "z")
    }),
    case(
        "8.2.1",
        "a value with CR LF (H13)",
        MalformedOrGoAway,
        |c| with(c, "x", "y\r\ninjected: yes"),
    ),
    case("8.2.1", "a value with LF", MalformedOrGoAway, |c| {
        with(c, "x", "y\nz")
    }),
    case("8.2.1", "a value with CR", MalformedOrGoAway, |c| {
        with(c, "x", "y\rz")
    }),
    case("8.2.1", "a value with NUL", MalformedOrGoAway, |c| {
        with(c, "x", "y\0z")
    }),
    case(
        "8.2.1",
        "a value that begins with a space",
        Malformed,
        |c| with(c, "x", " y"),
    ),
    case("8.2.1", "a value that ends with a tab", Malformed, |c| {
        with(c, "x", "y\t")
    }),
    case("8.2.1", "an empty value", Status(200), |c| with(c, "x", "")),
    case("8.2.1", "a value beyond ASCII", Status(200), |c| {
        with(c, "x", b"\xe9\xff")
    }),
    case("8.2.2", "connection (H12)", Malformed, |c| {
        with(c, "connection", "keep-alive")
    }),
    case("8.2.2", "proxy-connection", Malformed, |c| {
        with(c, "proxy-connection", "keep-alive")
    }),
    case("8.2.2", "keep-alive", Malformed, |c| {
        with(c, "keep-alive", "timeout=5")
    }),
    case("8.2.2", "transfer-encoding (H11)", Malformed, |c| {
        let stream = c.begin(&Block::post().field("transfer-encoding", "chunked"), false);
        c.frame(&Frame::data(stream, b"0\r\n\r\n".to_vec()).end());
        stream
    }),
    case("8.2.2", "upgrade", Malformed, |c| {
        with(c, "upgrade", "websocket")
    }),
    case("8.2.2", "te: trailers", Status(200), |c| {
        with(c, "te", "trailers")
    }),
    case("8.2.2", "any other te", Malformed, |c| {
        with(c, "te", "trailers, gzip")
    }),
    case("8.2.2", "transfer-encoding in trailers", Malformed, |c| {
        let stream = open(c);
        let block = Block::new().field("transfer-encoding", "chunked");
        c.send_block(stream, &block, true);
        stream
    }),
];

#[test]
fn fields_keep_to_their_form() {
    run(FIELDS);
}

const PSEUDO: &[Case] = &[
    case("8.3", "an unknown pseudo-field", MalformedOrGoAway, |c| {
        with(c, ":test", "x")
    }),
    case(
        "8.3",
        "an unknown pseudo-field in its place",
        MalformedOrGoAway,
        |c| of(c, &[METHOD, SCHEME, PATH, AUTHORITY, (":test", "x")]),
    ),
    case("8.3", ":status in a request", Malformed, |c| {
        of(c, &[METHOD, SCHEME, PATH, AUTHORITY, (":status", "200")])
    }),
    case("8.3", "a pseudo-field behind a field", Malformed, |c| {
        of(c, &[METHOD, SCHEME, AUTHORITY, ("x", "y"), PATH])
    }),
    case("8.3", "two of :method", Malformed, |c| {
        of(c, &[METHOD, METHOD, SCHEME, PATH, AUTHORITY])
    }),
    case("8.3", "two of :scheme", Malformed, |c| {
        of(c, &[METHOD, SCHEME, SCHEME, PATH, AUTHORITY])
    }),
    case("8.3", "two of :path (H16)", Malformed, |c| {
        of(c, &[METHOD, SCHEME, PATH, PATH, AUTHORITY])
    }),
    case("8.3", "two of :authority", Malformed, |c| {
        of(c, &[METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY])
    }),
    case("8.3.1", "no :method", Malformed, |c| {
        of(c, &[SCHEME, PATH, AUTHORITY])
    }),
    case("8.3.1", "no :scheme", Malformed, |c| {
        of(c, &[METHOD, PATH, AUTHORITY])
    }),
    case("8.3.1", "no :path (H20)", Malformed, |c| {
        of(c, &[METHOD, SCHEME, AUTHORITY])
    }),
    case("8.3.1", "an empty :path", Malformed, |c| {
        of(c, &[METHOD, SCHEME, (":path", ""), AUTHORITY])
    }),
    case("8.3.1", "a :path without a slash", Malformed, |c| {
        of(c, &[METHOD, SCHEME, (":path", "index"), AUTHORITY])
    }),
    case("8.3.1", "a :path with spaces (H17)", Malformed, |c| {
        of(c, &[METHOD, SCHEME, (":path", "/ HTTP/1.1"), AUTHORITY])
    }),
    case("8.3.1", "a :path with CR LF", MalformedOrGoAway, |c| {
        of(c, &[METHOD, SCHEME, (":path", "/\r\nx: y"), AUTHORITY])
    }),
    case("8.3.1", "a :path with a fragment", Malformed, |c| {
        of(c, &[METHOD, SCHEME, (":path", "/#fragment"), AUTHORITY])
    }),
    case("8.3.1", "a whole URL for :path", Malformed, |c| {
        of(c, &[METHOD, SCHEME, (":path", "http://other/"), AUTHORITY])
    }),
    case("8.3.1", "* for :path of a GET", Malformed, |c| {
        of(c, &[METHOD, SCHEME, (":path", "*"), AUTHORITY])
    }),
    case(
        "8.3.1",
        "a :method with spaces (H18)",
        MalformedOrGoAway,
        |c| of(c, &[(":method", "GET / HTTP"), SCHEME, PATH, AUTHORITY]),
    ),
    case("8.3.1", "an empty :method", MalformedOrGoAway, |c| {
        of(c, &[(":method", ""), SCHEME, PATH, AUTHORITY])
    }),
    case("8.3.1", "an empty :scheme", MalformedOrGoAway, |c| {
        of(c, &[METHOD, (":scheme", ""), PATH, AUTHORITY])
    }),
    case("8.3.1", "a :scheme with spaces", MalformedOrGoAway, |c| {
        of(c, &[METHOD, (":scheme", "ht tp"), PATH, AUTHORITY])
    }),
    case("8.3.1", "host in place of :authority", Status(200), |c| {
        of(c, &[METHOD, SCHEME, PATH, ("host", "test")])
    }),
    case(
        "8.3.1",
        "host that says the same as :authority",
        Status(200),
        |c| of(c, &[METHOD, SCHEME, PATH, AUTHORITY, ("host", "test")]),
    ),
    case(
        "8.3.1",
        "host that says another than :authority (H19)",
        Malformed,
        |c| of(c, &[METHOD, SCHEME, PATH, AUTHORITY, ("host", "other")]),
    ),
    case("8.3.1", "neither :authority nor host", Malformed, |c| {
        of(c, &[METHOD, SCHEME, PATH])
    }),
    case("8.3.1", "two of host", Malformed, |c| {
        of(
            c,
            &[METHOD, SCHEME, PATH, ("host", "test"), ("host", "test")],
        )
    }),
    case("8.3.1", "a user in :authority", Malformed, |c| {
        of(c, &[METHOD, SCHEME, PATH, (":authority", "me@test")])
    }),
    case("8.3.1", "a comma in :authority (H22)", Malformed, |c| {
        of(c, &[METHOD, SCHEME, PATH, (":authority", "test, other")])
    }),
    case("8.3.1", "an empty :authority", Malformed, |c| {
        of(c, &[METHOD, SCHEME, PATH, (":authority", "")])
    }),
    case("8.3.1", "a slash in :authority", Malformed, |c| {
        of(c, &[METHOD, SCHEME, PATH, (":authority", "test/other")])
    }),
];

#[test]
fn pseudo_fields_keep_to_their_form() {
    run(PSEUDO);
}

const CONNECT: &[Case] = &[
    case("8.5", "CONNECT is not done here", Malformed, |c| {
        of(c, &[(":method", "CONNECT"), (":authority", "test:80")])
    }),
    case("8.5", "CONNECT with :scheme and :path", Malformed, |c| {
        of(c, &[(":method", "CONNECT"), SCHEME, PATH, AUTHORITY])
    }),
    case("8.5", "CONNECT without :authority", Malformed, |c| {
        of(c, &[(":method", "CONNECT")])
    }),
    case("8441 4", ":protocol without CONNECT", Malformed, |c| {
        of(
            c,
            &[METHOD, (":protocol", "websocket"), SCHEME, PATH, AUTHORITY],
        )
    }),
    case("8441 4", ":protocol without :path (H24)", Malformed, |c| {
        let connect = (":method", "CONNECT");
        of(c, &[connect, (":protocol", "websocket"), SCHEME, AUTHORITY])
    }),
    case("8.3.1", "OPTIONS *", Status(204), |c| {
        of(
            c,
            &[(":method", "OPTIONS"), SCHEME, (":path", "*"), AUTHORITY],
        )
    }),
];

#[test]
fn connect_and_options_have_a_form_of_their_own() {
    run(CONNECT);
}

#[test]
fn data_behind_trailers_is_refused() {
    let subject = Subject::start();
    let mut client = H2Client::over(subject.connect());
    let block = client.request("POST", "/stuck");
    let stream = client.begin(&block, false);
    client.send_block(stream, &Block::new().field("x", "y"), true);
    client.frame(&Frame::data(stream, b"x".to_vec()));
    let ended = client.wait("an error", |event| {
        matches!(event, Event::Reset { .. } | Event::GoAway { .. })
    });
    match ended {
        Event::Reset { code, .. } | Event::GoAway { code, .. } => {
            assert_eq!(code, code::STREAM_CLOSED);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn answers_are_well_formed() {
    let subject = Subject::start();
    let mut client = H2Client::over(subject.connect());
    let stream = client.get("/");
    let Event::Headers { fields, .. } = client.of_stream(stream) else {
        panic!("no head");
    };
    assert_eq!(fields[0].0, ":status", "in front of all: {fields:?}");
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names.iter().filter(|n| n.starts_with(':')).count(),
        1,
        "{names:?}"
    );
    assert!(
        names.iter().all(|n| *n == n.to_ascii_lowercase()),
        "{names:?}"
    );
    for gone in ["connection", "keep-alive", "transfer-encoding", "upgrade"] {
        assert!(!names.contains(&gone), "{gone} in {names:?}");
    }
    closed(&mut client);
}
