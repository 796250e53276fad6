//! Streams and the frames that make them: RFC 9113 sections 5.1, 6.1-6.4, 6.10.

use quaich_testkit::h2::{Block, Event, Frame, H2Client, code, flag, kind};

use super::Expect::{Fine, GoAway, Reset, ResetOrGoAway, Status};
use super::{Case, Subject, case, closed, held, open, run};

const PROTOCOL: &[u32] = &[code::PROTOCOL_ERROR];
const FRAME_SIZE: &[u32] = &[code::FRAME_SIZE_ERROR];
const CLOSED: &[u32] = &[code::STREAM_CLOSED];
/// Section 5.1 names one code, the rule of the frame the other.
const CLOSED_OR_PROTOCOL: &[u32] = &[code::STREAM_CLOSED, code::PROTOCOL_ERROR];

const IDLE: &[Case] = &[
    case("5.1", "DATA on an idle stream", GoAway(PROTOCOL), |c| {
        c.frame(&Frame::data(1, b"x".to_vec()).end());
        0
    }),
    case(
        "5.1",
        "RST_STREAM on an idle stream",
        GoAway(PROTOCOL),
        |c| {
            c.frame(&Frame::rst_stream(1, code::CANCEL));
            0
        },
    ),
    case(
        "5.1",
        "WINDOW_UPDATE on an idle stream",
        GoAway(PROTOCOL),
        |c| {
            c.frame(&Frame::window_update(1, 100));
            0
        },
    ),
    case(
        "5.1",
        "CONTINUATION on an idle stream",
        GoAway(PROTOCOL),
        |c| {
            c.frame(&Frame::continuation(1, Block::get()).with(flag::END_HEADERS));
            0
        },
    ),
    case("5.1", "PRIORITY on an idle stream", Fine, |c| {
        c.frame(&Frame::priority(1, 0));
        c.frame(&Frame::priority(999, 0));
        0
    }),
    case(
        "5.1",
        "DATA on an idle stream of the server's",
        GoAway(PROTOCOL),
        |c| {
            c.frame(&Frame::data(2, b"x".to_vec()));
            0
        },
    ),
    case(
        "5.1",
        "RST_STREAM on an idle stream of the server's",
        GoAway(PROTOCOL),
        |c| {
            c.frame(&Frame::rst_stream(2, code::CANCEL));
            0
        },
    ),
];

#[test]
fn idle_streams_take_headers_and_priority_only() {
    run(IDLE);
}

const HALF_CLOSED: &[Case] = &[
    case(
        "5.1",
        "DATA behind END_STREAM",
        ResetOrGoAway(CLOSED),
        |c| {
            let stream = held(c);
            c.frame(&Frame::data(stream, b"x".to_vec()).end());
            stream
        },
    ),
    case(
        "5.1",
        "HEADERS behind END_STREAM",
        ResetOrGoAway(CLOSED),
        |c| {
            let stream = held(c);
            c.frame(&Frame::headers(stream, Block::get()).end());
            stream
        },
    ),
    case(
        "5.1",
        "CONTINUATION behind END_STREAM",
        GoAway(CLOSED_OR_PROTOCOL),
        |c| {
            let stream = held(c);
            c.frame(&Frame::continuation(stream, Block::get()).with(flag::END_HEADERS));
            0
        },
    ),
    case("5.1", "WINDOW_UPDATE behind END_STREAM", Status(200), |c| {
        let stream = held(c);
        c.frame(&Frame::window_update(stream, 1000));
        stream
    }),
    case("5.1", "PRIORITY behind END_STREAM", Fine, |c| {
        let stream = held(c);
        c.frame(&Frame::priority(stream, 0));
        stream
    }),
    case("5.1", "RST_STREAM behind END_STREAM", Fine, |c| {
        let stream = held(c);
        c.frame(&Frame::rst_stream(stream, code::CANCEL));
        0
    }),
];

#[test]
fn half_closed_streams_take_no_more_of_a_message() {
    run(HALF_CLOSED);
}

const CLOSED_STREAMS: &[Case] = &[
    case(
        "5.1",
        "DATA behind RST_STREAM",
        ResetOrGoAway(CLOSED),
        |c| {
            let stream = open(c);
            c.frame(&Frame::rst_stream(stream, code::CANCEL));
            c.frame(&Frame::data(stream, b"x".to_vec()).end());
            stream
        },
    ),
    case(
        "5.1",
        "HEADERS behind RST_STREAM",
        ResetOrGoAway(CLOSED),
        |c| {
            let stream = open(c);
            c.frame(&Frame::rst_stream(stream, code::CANCEL));
            c.frame(&Frame::headers(stream, Block::get()).end());
            stream
        },
    ),
    case(
        "5.1",
        "CONTINUATION behind RST_STREAM",
        GoAway(CLOSED_OR_PROTOCOL),
        |c| {
            let stream = open(c);
            c.frame(&Frame::rst_stream(stream, code::CANCEL));
            c.frame(&Frame::continuation(stream, Block::get()).with(flag::END_HEADERS));
            0
        },
    ),
    case(
        "5.1",
        "DATA behind the end of both sides",
        ResetOrGoAway(CLOSED),
        |c| {
            let stream = closed(c);
            c.frame(&Frame::data(stream, b"x".to_vec()).end());
            stream
        },
    ),
    case(
        "5.1",
        "HEADERS behind the end of both sides",
        GoAway(CLOSED_OR_PROTOCOL),
        |c| {
            let stream = closed(c);
            c.frame(&Frame::headers(stream, Block::get()).end());
            0
        },
    ),
    case(
        "5.1",
        "CONTINUATION behind the end of both sides",
        GoAway(CLOSED_OR_PROTOCOL),
        |c| {
            let stream = closed(c);
            c.frame(&Frame::continuation(stream, Block::get()).with(flag::END_HEADERS));
            0
        },
    ),
    case(
        "5.1",
        "PRIORITY, WINDOW_UPDATE and RST_STREAM behind the end of both",
        Fine,
        |c| {
            let stream = closed(c);
            c.frame(&Frame::priority(stream, 0));
            c.frame(&Frame::window_update(stream, 1));
            c.frame(&Frame::rst_stream(stream, code::CANCEL));
            0
        },
    ),
];

#[test]
fn closed_streams_stay_closed() {
    run(CLOSED_STREAMS);
}

const IDENTIFIERS: &[Case] = &[
    case(
        "5.1.1",
        "an even stream of a client",
        GoAway(PROTOCOL),
        |c| {
            c.frame(&Frame::headers(2, Block::get()).end());
            0
        },
    ),
    case(
        "5.1.1",
        "a stream below one that was used",
        GoAway(CLOSED_OR_PROTOCOL),
        |c| {
            c.frame(&Frame::headers(5, Block::get()).end());
            c.frame(&Frame::headers(3, Block::get()).end());
            0
        },
    ),
    case("5.1.1", "streams that are skipped", Fine, |c| {
        c.stream();
        c.stream();
        let stream = c.get("/");
        assert_eq!(c.response(stream).status, 200);
        0
    }),
];

#[test]
fn stream_identifiers_only_grow() {
    run(IDENTIFIERS);
}

#[test]
fn streams_beyond_the_announced_number_are_refused_alone() {
    let subject = Subject::start();
    let mut client = H2Client::over(subject.connect());
    let most = client.settings().iter().find(|(id, _)| *id == 3);
    let most = most.map(|(_, most)| *most).expect("a number is announced");
    assert!(most <= 200, "{most} streams");
    let streams: Vec<u32> = (0..most).map(|_| open(&mut client)).collect();
    let refused = client.get("/");
    let Event::Reset { stream, code } = client.of_stream(refused) else {
        panic!("stream {refused} is one too many");
    };
    assert_eq!(stream, refused);
    assert!(
        [code::PROTOCOL_ERROR, code::REFUSED_STREAM].contains(&code),
        "{code}"
    );
    for stream in streams {
        client.frame(&Frame::data(stream, b"x".to_vec()).end());
        assert_eq!(client.response(stream).status, 200);
    }
    let next = client.get("/");
    assert_eq!(client.response(next).status, 200);
}

const DATA_AND_HEADERS: &[Case] = &[
    case("6.1", "DATA on no stream", GoAway(PROTOCOL), |c| {
        c.frame(&Frame::data(0, b"x".to_vec()));
        0
    }),
    case("6.1", "DATA with padding", Status(200), |c| {
        let stream = open(c);
        c.frame(&Frame::data(stream, b"x".to_vec()).padded(20, 20));
        c.frame(&Frame::data(stream, []).padded(0, 0));
        c.frame(&Frame::data(stream, []).padded(255, 255).end());
        stream
    }),
    case(
        "6.1",
        "DATA with more padding than there is",
        GoAway(PROTOCOL),
        |c| {
            let stream = open(c);
            c.frame(&Frame::data(stream, b"x".to_vec()).padded(6, 4).end());
            0
        },
    ),
    case(
        "6.1",
        "DATA with padding and no room for its length",
        GoAway(&[1, 6]),
        |c| {
            let stream = open(c);
            c.frame(&Frame::data(stream, []).with(flag::PADDED));
            0
        },
    ),
    case("6.1", "empty DATA ends a stream", Status(200), |c| {
        let stream = open(c);
        c.frame(&Frame::data(stream, []).end());
        stream
    }),
    case("6.2", "HEADERS on no stream", GoAway(PROTOCOL), |c| {
        c.frame(&Frame::headers(0, Block::get()).end());
        0
    }),
    case(
        "6.2",
        "HEADERS with padding and priority",
        Status(200),
        |c| {
            let stream = c.stream();
            let frame = Frame::headers(stream, Block::get()).depending(0);
            c.frame(&frame.padded(9, 9).end());
            stream
        },
    ),
    case(
        "6.2",
        "HEADERS with more padding than there is",
        GoAway(PROTOCOL),
        |c| {
            let stream = c.stream();
            c.frame(&Frame::headers(stream, Block::get()).padded(200, 1).end());
            0
        },
    ),
    case(
        "6.2",
        "HEADERS with half a priority",
        GoAway(&[1, 6]),
        |c| {
            let stream = c.stream();
            let frame = Frame::headers(stream, [0, 0, 0]);
            c.frame(&frame.with(flag::PRIORITY).end());
            0
        },
    ),
    case(
        "6.2",
        "the header block of another stream in between",
        GoAway(PROTOCOL),
        |c| {
            let (one, two) = (c.stream(), c.stream());
            c.frame(&Frame::headers(one, Block::get()).without(flag::END_HEADERS));
            c.frame(&Frame::headers(two, Block::get()).end());
            0
        },
    ),
    case("6.2", "DATA in between", GoAway(PROTOCOL), |c| {
        let (one, two) = (open(c), c.stream());
        c.frame(&Frame::headers(two, Block::get()).without(flag::END_HEADERS));
        c.frame(&Frame::data(one, b"x".to_vec()));
        0
    }),
];

#[test]
fn data_and_headers_keep_to_their_form() {
    run(DATA_AND_HEADERS);
}

const PRIORITY_AND_RESET: &[Case] = &[
    case("6.3", "PRIORITY on no stream", GoAway(PROTOCOL), |c| {
        c.frame(&Frame::priority(0, 1));
        0
    }),
    case(
        "6.3",
        "PRIORITY of another length",
        ResetOrGoAway(FRAME_SIZE),
        |c| {
            let stream = open(c);
            c.frame(&Frame::new(kind::PRIORITY, 0, stream, [0, 0, 0, 0]));
            stream
        },
    ),
    case("6.3", "PRIORITY in a header block", GoAway(PROTOCOL), |c| {
        let stream = c.stream();
        c.frame(&Frame::headers(stream, Block::get()).without(flag::END_HEADERS));
        c.frame(&Frame::priority(stream, 0));
        0
    }),
    case(
        "5.3.2",
        "priorities that depend on nothing there is",
        Status(200),
        |c| {
            let stream = c.stream();
            let frame = Frame::headers(stream, Block::get()).depending(1_000_001 | 1 << 31);
            c.frame(&frame.end());
            stream
        },
    ),
    case("6.4", "RST_STREAM on no stream", GoAway(PROTOCOL), |c| {
        c.frame(&Frame::rst_stream(0, code::CANCEL));
        0
    }),
    case(
        "6.4",
        "RST_STREAM of another length",
        GoAway(FRAME_SIZE),
        |c| {
            let stream = held(c);
            c.frame(&Frame::new(kind::RST_STREAM, 0, stream, [0, 0, 0]));
            0
        },
    ),
];

#[test]
fn priority_and_rst_stream_keep_to_their_form() {
    run(PRIORITY_AND_RESET);
}

const CONTINUATION: &[Case] = &[
    case("6.10", "a block in several frames", Status(200), |c| {
        let stream = c.stream();
        let block = Vec::from(Block::get().field("x-more", "y".repeat(50)));
        let (one, rest) = block.split_at(1);
        let (two, three) = rest.split_at(30);
        c.frame(&Frame::headers(stream, one).without(flag::END_HEADERS).end());
        c.frame(&Frame::continuation(stream, two));
        c.frame(&Frame::continuation(stream, three).with(flag::END_HEADERS));
        stream
    }),
    case(
        "6.10",
        "CONTINUATION of another stream",
        GoAway(PROTOCOL),
        |c| {
            let stream = c.stream();
            c.frame(&Frame::headers(stream, Block::get()).without(flag::END_HEADERS));
            c.frame(&Frame::continuation(stream + 2, Block::new()).with(flag::END_HEADERS));
            0
        },
    ),
    case("6.10", "CONTINUATION on no stream", GoAway(PROTOCOL), |c| {
        let stream = c.stream();
        c.frame(&Frame::headers(stream, Block::get()).without(flag::END_HEADERS));
        c.frame(&Frame::continuation(0, Block::new()).with(flag::END_HEADERS));
        0
    }),
    case(
        "6.10",
        "CONTINUATION behind the end of the block",
        GoAway(PROTOCOL),
        |c| {
            let stream = c.begin(&Block::post(), false);
            c.frame(&Frame::continuation(stream, Block::new()).with(flag::END_HEADERS));
            0
        },
    ),
    case("6.10", "CONTINUATION behind DATA", GoAway(PROTOCOL), |c| {
        let stream = open(c);
        c.frame(&Frame::data(stream, b"x".to_vec()));
        c.frame(&Frame::continuation(stream, Block::new()).with(flag::END_HEADERS));
        0
    }),
    case(
        "6.10",
        "a PING in place of CONTINUATION",
        GoAway(PROTOCOL),
        |c| {
            let stream = c.stream();
            c.frame(&Frame::headers(stream, Block::get()).without(flag::END_HEADERS));
            c.frame(&Frame::ping(*b"12345678"));
            0
        },
    ),
];

#[test]
fn continuation_continues() {
    run(CONTINUATION);
}

#[test]
fn the_last_stream_of_all_is_served() {
    let subject = Subject::start();
    let mut client = H2Client::over(subject.connect());
    let last = (1 << 31) - 1;
    client.frame(&Frame::headers(last, Block::get()).end());
    assert_eq!(client.response(last).status, 200);
}

#[test]
fn a_reset_of_one_stream_is_none_of_the_others() {
    run(&[case(
        "5.4.2",
        "a stream error",
        Reset(&[code::FLOW_CONTROL_ERROR]),
        |c| {
            let (one, two) = (open(c), open(c));
            c.frame(&Frame::window_update(one, (1 << 31) - 1));
            c.frame(&Frame::data(two, b"x".to_vec()).end());
            assert_ne!(c.response(two).status, 0);
            one
        },
    )]);
}
