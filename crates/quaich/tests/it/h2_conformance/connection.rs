//! Preface, frames as such, SETTINGS, PING, GOAWAY: RFC 9113 sections 3.4, 4, 5.4, 5.5, 6.5-6.8.

use quaich_testkit::h2::{Block, Event, Frame, H2Client, PREFACE, code, flag, kind, setting};

use super::Expect::{Fine, GoAway, ResetOrGoAway};
use super::{Case, Subject, case, closed, held, open, run};

const PROTOCOL: &[u32] = &[code::PROTOCOL_ERROR];
const FRAME_SIZE: &[u32] = &[code::FRAME_SIZE_ERROR];

const FORM: &[Case] = &[
    case("4.1", "a frame of an unknown type is ignored", Fine, |c| {
        c.frame(&Frame::new(0xbb, 0xff, 0, b"whatever".to_vec()));
        0
    }),
    case("5.5", "so is one on an open stream", Fine, |c| {
        let stream = open(c);
        c.frame(&Frame::new(0xbb, 0xff, stream, b"whatever".to_vec()));
        c.frame(&Frame::data(stream, b"x".to_vec()).end());
        stream
    }),
    case(
        "5.5",
        "but not inside of a header block",
        GoAway(PROTOCOL),
        |c| {
            let stream = c.stream();
            let begun = Frame::headers(stream, Block::get()).without(flag::END_HEADERS);
            c.frames(&[begun, Frame::new(0xbb, 0, 0, [])]);
            0
        },
    ),
    case("4.1", "flags without a meaning are ignored", Fine, |c| {
        c.frame(&Frame::ping(*b"12345678").with(0x56));
        c.frame(&Frame::settings(&[]).with(0x56));
        0
    }),
    case(
        "4.1",
        "the reserved bit of a stream is ignored",
        Fine,
        |c| {
            let stream = c.stream();
            let frame = Frame::headers(stream | 1 << 31, Block::get());
            c.frame(&frame.end());
            let response = c.response(stream);
            assert_eq!(response.status, 200);
            0
        },
    ),
    case("4.2", "DATA of the largest size is taken", Fine, |c| {
        let stream = open(c);
        c.frame(&Frame::data(stream, vec![0; 16_384]).end());
        assert_eq!(c.response(stream).status, 200);
        stream
    }),
    case(
        "4.2",
        "DATA that is too large",
        ResetOrGoAway(FRAME_SIZE),
        |c| {
            let stream = open(c);
            c.frame(&Frame::data(stream, vec![0; 16_385]).end());
            stream
        },
    ),
    case(
        "4.2",
        "HEADERS that are too large",
        GoAway(FRAME_SIZE),
        |c| {
            let stream = c.stream();
            let block = Block::get().field("x", "y".repeat(16_400));
            c.frame(&Frame::headers(stream, block).end());
            stream
        },
    ),
    case(
        "4.2",
        "SETTINGS that are too large",
        GoAway(FRAME_SIZE),
        |c| {
            c.frame(&Frame::settings(&[(0xff, 0); 2731]));
            0
        },
    ),
];

#[test]
fn frames_have_a_form() {
    run(FORM);
}

const SETTINGS: &[Case] = &[
    case(
        "6.5",
        "an acknowledgement with content",
        GoAway(FRAME_SIZE),
        |c| {
            c.frame(&Frame::settings(&[(setting::MAX_FRAME_SIZE, 16_384)]).with(flag::ACK));
            0
        },
    ),
    case("6.5", "SETTINGS on a stream", GoAway(PROTOCOL), |c| {
        c.frame(&Frame::new(kind::SETTINGS, 0, 1, []));
        0
    }),
    case(
        "6.5",
        "a length that is no multiple of 6",
        GoAway(FRAME_SIZE),
        |c| {
            c.frame(&Frame::new(kind::SETTINGS, 0, 0, [0, 3, 0]));
            0
        },
    ),
    case(
        "6.5.2",
        "ENABLE_PUSH other than 0 and 1",
        GoAway(PROTOCOL),
        |c| setting_of(c, setting::ENABLE_PUSH, 2),
    ),
    case(
        "6.5.2",
        "INITIAL_WINDOW_SIZE beyond 2^31-1",
        GoAway(&[code::FLOW_CONTROL_ERROR]),
        |c| setting_of(c, setting::INITIAL_WINDOW_SIZE, 1 << 31),
    ),
    case(
        "6.5.2",
        "MAX_FRAME_SIZE below 16,384",
        GoAway(PROTOCOL),
        |c| setting_of(c, setting::MAX_FRAME_SIZE, 16_383),
    ),
    case(
        "6.5.2",
        "MAX_FRAME_SIZE beyond 2^24-1",
        GoAway(PROTOCOL),
        |c| setting_of(c, setting::MAX_FRAME_SIZE, 1 << 24),
    ),
    case(
        "8441 3",
        "ENABLE_CONNECT_PROTOCOL other than 0 and 1",
        GoAway(PROTOCOL),
        |c| setting_of(c, setting::ENABLE_CONNECT_PROTOCOL, 2),
    ),
    case("6.5.2", "an unknown setting is ignored", Fine, |c| {
        setting_of(c, 0xabcd, 7)
    }),
    case("6.5.2", "the largest values that are allowed", Fine, |c| {
        setting_of(c, setting::MAX_FRAME_SIZE, (1 << 24) - 1);
        setting_of(c, setting::INITIAL_WINDOW_SIZE, (1 << 31) - 1);
        setting_of(c, setting::HEADER_TABLE_SIZE, u32::MAX);
        setting_of(c, setting::MAX_CONCURRENT_STREAMS, 0)
    }),
    case("6.5.3", "every SETTINGS is acknowledged", Fine, |c| {
        for _ in 0..3 {
            c.frame(&Frame::settings(&[]));
        }
        // And one for the SETTINGS of the preface.
        for _ in 0..4 {
            c.wait("SETTINGS ACK", |e| *e == Event::SettingsAck);
        }
        0
    }),
];

#[test]
fn settings_are_checked_and_acknowledged() {
    run(SETTINGS);
}

fn setting_of(client: &mut H2Client, id: u16, value: u32) -> u32 {
    client.frame(&Frame::settings(&[(id, value)]));
    0
}

const OTHERS: &[Case] = &[
    case("6.7", "PING comes back as it was", Fine, |c| {
        c.frame(&Frame::ping(*b"\0\x01\xfe\xffabcd"));
        c.wait("PING ACK", |e| *e == Event::Pong(*b"\0\x01\xfe\xffabcd"));
        0
    }),
    case(
        "6.7",
        "an acknowledgement of PING is not answered",
        Fine,
        |c| {
            c.frame(&Frame::ping(*b"unasked!").with(flag::ACK));
            c.frame(&Frame::ping(*b"question"));
            let answer = c.wait("PING ACK", |e| matches!(e, Event::Pong(_)));
            assert_eq!(answer, Event::Pong(*b"question"));
            0
        },
    ),
    case("6.7", "PING on a stream", GoAway(PROTOCOL), |c| {
        c.frame(&Frame::new(kind::PING, 0, 1, *b"12345678"));
        0
    }),
    case("6.7", "PING of another length", GoAway(FRAME_SIZE), |c| {
        c.frame(&Frame::new(kind::PING, 0, 0, *b"1234567"));
        0
    }),
    case("6.8", "GOAWAY on a stream", GoAway(PROTOCOL), |c| {
        let mut frame = Frame::goaway(0, 0);
        frame.stream = 1;
        c.frame(&frame);
        0
    }),
    case("6.8", "GOAWAY that is too short", GoAway(FRAME_SIZE), |c| {
        c.frame(&Frame::new(kind::GOAWAY, 0, 0, [0, 0, 0, 0]));
        0
    }),
    case("6.6", "PUSH_PROMISE of a client", GoAway(PROTOCOL), |c| {
        let stream = held(c);
        c.frame(&Frame::push_promise(stream, 2, Block::get()));
        0
    }),
    case(
        "6.6",
        "PUSH_PROMISE of a client, on no stream",
        GoAway(PROTOCOL),
        |c| {
            c.frame(&Frame::push_promise(0, 2, Block::get()));
            0
        },
    ),
    case(
        "7",
        "an unknown error code means nothing special",
        Fine,
        |c| {
            let stream = held(c);
            c.frame(&Frame::rst_stream(stream, 0xabcd_0123));
            0
        },
    ),
];

#[test]
fn ping_goaway_and_push_promise_keep_to_their_form() {
    run(OTHERS);
}

#[test]
fn streams_in_flight_finish_behind_a_goaway_of_the_client() {
    let subject = Subject::start();
    for (what, code) in [("NO_ERROR", code::NO_ERROR), ("an unknown one", 0xabcd)] {
        let mut client = H2Client::over(subject.connect());
        let stream = held(&mut client);
        client.frame(&Frame::goaway(0, code));
        client.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535)]));
        assert_eq!(client.response(stream).body, b"hello", "{what}");
        client.raw().half_close();
        client.wait("the end", |event| *event == Event::Closed);
    }
}

#[test]
fn the_preface_is_demanded() {
    let subject = Subject::start();
    // Section 3.4: an invalid one is a connection error; GOAWAY may be left out.
    let wrong: [(&str, &[u8]); 2] = [
        ("another method", b"PRJ * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("another end", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"),
    ];
    for (what, preface) in wrong {
        let mut raw = subject.connect();
        raw.send(preface).send(Frame::settings(&[]).encode());
        let answer = String::from_utf8_lossy(&raw.rest()).into_owned();
        // Whoever spoke like that may have meant HTTP/1.
        assert!(!answer.contains(" 200 "), "{what}: {answer:?}");
    }
    let not_settings = [
        ("PING", Frame::ping(*b"12345678")),
        ("HEADERS", Frame::headers(1, Block::get()).end()),
        ("SETTINGS ACK", Frame::settings_ack()),
    ];
    for (what, first) in not_settings {
        let mut client = H2Client::silent(subject.connect());
        client.bytes(PREFACE).frame(&first);
        let is_end = |e: &Event| matches!(e, Event::GoAway { .. } | Event::Closed | Event::Pong(_));
        match client.wait("a connection error", is_end) {
            Event::GoAway { code, .. } => assert_eq!(code, code::PROTOCOL_ERROR, "{what} first"),
            Event::Closed => {}
            other => panic!("{what} first: {other:?}"),
        }
    }
}

#[test]
fn the_preface_may_come_in_any_pieces_and_with_the_first_request() {
    let subject = Subject::start();
    let mut whole = PREFACE.to_vec();
    whole.extend(Frame::settings(&[]).encode());
    whole.extend(Frame::headers(1, Block::get()).end().encode());
    for cut in 1..whole.len() {
        let mut client = H2Client::silent(subject.connect());
        client.bytes(&whole[..cut]).bytes(&whole[cut..]);
        assert!(
            matches!(client.event(), Event::Settings(_)),
            "SETTINGS first"
        );
        assert_eq!(client.response(1).status, 200, "cut at {cut}");
    }
    let mut client = H2Client::silent(subject.connect());
    client.raw().send_bytewise(&whole);
    assert_eq!(client.response(1).status, 200, "byte by byte");
}

#[test]
fn a_reset_is_never_answered_with_a_reset() {
    let subject = Subject::start();
    let mut client = H2Client::over(subject.connect());
    let streams = [
        held(&mut client),
        open(&mut client),
        closed_once_open(&mut client),
    ];
    for stream in streams {
        client.frame(&Frame::rst_stream(stream, code::CANCEL));
    }
    client.frame(&Frame::ping(*b"behind  "));
    loop {
        match client.event() {
            Event::Reset { stream, .. } => panic!("stream {stream} was reset in return"),
            Event::Pong(_) => break,
            _ => {}
        }
    }
}

fn closed_once_open(client: &mut H2Client) -> u32 {
    client.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535)]));
    closed(client)
}
