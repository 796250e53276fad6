//! Flow control: RFC 9113 sections 5.2 and 6.9.

use quaich_testkit::h2::{Event, Frame, H2Client, code, kind, setting};

use super::Expect::{Fine, GoAway, Reset, ResetOrGoAway, Status};
use super::{Case, Subject, case, open, run};

const FLOW: &[u32] = &[code::FLOW_CONTROL_ERROR];

const WINDOWS: &[Case] = &[
    case(
        "6.9",
        "an increment of 0 on a stream",
        ResetOrGoAway(&[code::PROTOCOL_ERROR]),
        |c| {
            let stream = open(c);
            c.frame(&Frame::window_update(stream, 0));
            stream
        },
    ),
    case(
        "6.9",
        "an increment of 0 on the connection",
        GoAway(&[code::PROTOCOL_ERROR]),
        |c| {
            c.frame(&Frame::window_update(0, 0));
            0
        },
    ),
    case(
        "6.9",
        "another length",
        GoAway(&[code::FRAME_SIZE_ERROR]),
        |c| {
            c.frame(&Frame::new(kind::WINDOW_UPDATE, 0, 0, [0, 0, 1]));
            0
        },
    ),
    case(
        "6.9",
        "another length on a stream",
        GoAway(&[code::FRAME_SIZE_ERROR]),
        |c| {
            let stream = open(c);
            c.frame(&Frame::new(kind::WINDOW_UPDATE, 0, stream, [0, 0, 1]));
            0
        },
    ),
    case("6.9", "the reserved bit is ignored", Fine, |c| {
        c.frame(&Frame::window_update(0, 5 | 1 << 31));
        0
    }),
    case(
        "6.9.1",
        "a window beyond 2^31-1 on the connection",
        GoAway(FLOW),
        |c| {
            c.frame(&Frame::window_update(0, (1 << 31) - 1));
            0
        },
    ),
    case(
        "6.9.1",
        "a window beyond 2^31-1 on a stream",
        Reset(FLOW),
        |c| {
            let stream = open(c);
            c.frame(&Frame::window_update(stream, (1 << 31) - 1));
            stream
        },
    ),
    case(
        "6.9.2",
        "a window beyond 2^31-1 by SETTINGS",
        GoAway(FLOW),
        |c| {
            let stream = open(c);
            c.frame(&Frame::window_update(stream, 1 << 30));
            c.frame(&Frame::settings(&[(
                setting::INITIAL_WINDOW_SIZE,
                (1 << 31) - 1,
            )]));
            0
        },
    ),
    case(
        "6.9.2",
        "the later of two initial windows counts",
        Status(200),
        |c| {
            let pairs = [
                (setting::INITIAL_WINDOW_SIZE, 1),
                (setting::INITIAL_WINDOW_SIZE, 100),
            ];
            c.frame(&Frame::settings(&pairs));
            c.get("/")
        },
    ),
];

#[test]
fn window_updates_are_checked() {
    run(WINDOWS);
}

/// The next DATA of a stream.
fn data(client: &mut H2Client, of: u32) -> (Vec<u8>, bool) {
    let event = client.wait(
        "DATA",
        |event| matches!(event, Event::Data { stream, .. } if *stream == of),
    );
    match event {
        Event::Data { bytes, end, .. } => (bytes, end),
        other => panic!("{other:?}"),
    }
}

/// All the DATA of a stream up to now: a PING goes behind it.
fn data_so_far(client: &mut H2Client, of: u32) -> Vec<u8> {
    client.frame(&Frame::ping(*b"so far  "));
    let mut body = Vec::new();
    loop {
        match client.event() {
            Event::Data { stream, bytes, .. } if stream == of => body.extend(bytes),
            Event::Pong(_) => return body,
            Event::Closed => panic!("the connection ended"),
            _ => {}
        }
    }
}

/// Waits for the head of an answer.
fn head(client: &mut H2Client, of: u32) {
    client.wait(
        "HEADERS",
        |event| matches!(event, Event::Headers { stream, .. } if *stream == of),
    );
}

#[test]
fn no_more_is_sent_than_the_stream_allows() {
    let subject = Subject::start();
    let mut client = H2Client::over(subject.connect());
    client.stop_reading();
    client.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1)]));
    let stream = client.get("/");
    head(&mut client, stream);
    assert_eq!(data(&mut client, stream), (b"h".to_vec(), false));
    client.frame(&Frame::window_update(stream, 2));
    assert_eq!(data(&mut client, stream), (b"el".to_vec(), false));
    // Others go on meanwhile.
    let other = client.get("/");
    assert_eq!(data(&mut client, other).0, b"h");
    client.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 10)]));
    assert_eq!(data(&mut client, stream), (b"lo".to_vec(), true));
    assert_eq!(data(&mut client, other), (b"ello".to_vec(), true));
}

#[test]
fn a_window_can_become_negative() {
    let subject = Subject::start();
    let mut client = H2Client::over(subject.connect());
    client.stop_reading();
    client.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 3)]));
    let stream = client.get("/");
    assert_eq!(data(&mut client, stream), (b"hel".to_vec(), false));
    // 3 were sent, 2 are allowed: the window is -1, then 0, then 1.
    client.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 2)]));
    client.frame(&Frame::window_update(stream, 1));
    assert_eq!(data_so_far(&mut client, stream), b"");
    client.frame(&Frame::window_update(stream, 1));
    assert_eq!(data(&mut client, stream), (b"l".to_vec(), false));
}

#[test]
fn no_more_is_sent_than_the_connection_allows() {
    let subject = Subject::start();
    let mut client = H2Client::over(subject.connect());
    client.stop_reading();
    client.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 20)]));
    let stream = client.get("/large");
    let mut body = Vec::new();
    while body.len() < 65_535 {
        body.extend(data(&mut client, stream).0);
    }
    assert_eq!(body.len(), 65_535);
    // A head needs no window.
    let other = client.get("/");
    head(&mut client, other);
    assert_eq!(data_so_far(&mut client, stream), b"");
    client.frame(&Frame::window_update(0, 1 << 20));
    while body.len() < 200_000 {
        body.extend(data(&mut client, stream).0);
    }
    assert_eq!(data(&mut client, other), (b"hello".to_vec(), true));
}

#[test]
fn a_frame_is_no_larger_than_the_client_takes() {
    let subject = Subject::start();
    for (most, said) in [(16_384, None), (20_000, Some(20_000))] {
        let mut client = H2Client::over(subject.connect());
        if let Some(said) = said {
            client.frame(&Frame::settings(&[(setting::MAX_FRAME_SIZE, said)]));
        }
        let stream = client.get("/large");
        let mut whole = 0;
        while whole < 200_000 {
            let part = data(&mut client, stream).0.len();
            assert!(part <= most, "{part} bytes in a frame");
            whole += part;
        }
    }
}

#[test]
fn a_client_that_exceeds_its_window_is_stopped() {
    let subject = Subject::start();
    let mut client = H2Client::over(subject.connect());
    let block = client.request("POST", "/stuck");
    let stream = client.begin(&block, false);
    let frame = Frame::data(stream, vec![0; 16_384]).encode();
    // Nobody takes these 32 MiB; a window never was wider than a few.
    for _ in 0..2048 {
        client.bytes(&frame);
    }
    let ended = client.wait("an error", |event| {
        matches!(
            event,
            Event::Reset { .. } | Event::GoAway { .. } | Event::Closed
        )
    });
    match ended {
        Event::Reset { code, .. } | Event::GoAway { code, .. } => {
            assert_eq!(code, code::FLOW_CONTROL_ERROR);
        }
        // What was sent behind GOAWAY can make a reset of it.
        _ => assert!(client.raw().was_reset()),
    }
}

#[test]
fn padding_counts_as_data() {
    let subject = Subject::start();
    let mut client = H2Client::over(subject.connect());
    let stream = open(&mut client);
    // Of 1,256 bytes 256 are padding: a window of 256 KiB would be used up by them alone if it were
    // not opened for them again.
    for n in 0..1200 {
        assert!(client.make_room(stream, 1256), "no room for frame {n}");
        client.frame(&Frame::data(stream, [0; 1000]).padded(255, 255));
        client.spend(stream, 1256);
    }
    client.frame(&Frame::data(stream, []).end());
    assert_eq!(client.response(stream).status, 200);
}
