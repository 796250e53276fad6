//! Floods of HTTP/2 frames: each ends its connection within a stated count, costs no upstream more
//! than a hundred requests, and leaves nothing behind.

use std::time::Duration;

use quaich_testkit::h2::{Block, Event, Frame, H2Client, PREFACE, code, flag, setting};
use quaich_testkit::{Origin, Quaich, RawClient, TempSite, eventually, resident_memory};

/// One kind of flood.
struct Flood {
    name: &'static str,
    /// So many are nothing unusual.
    tolerated: u32,
    /// With so many the connection is ended.
    most: u32,
    /// So many are sent by one who does not stop.
    all: u32,
    /// Sent before the first.
    begin: fn() -> Vec<u8>,
    /// The n-th, from 0.
    nth: fn(u32) -> Vec<u8>,
    codes: &'static [u32],
}

const CALM: &[u32] = &[code::ENHANCE_YOUR_CALM];

const FLOODS: &[Flood] = &[
    Flood {
        name: "H01 rapid reset",
        // At once; over a minute it is 200.
        tolerated: 19,
        most: 201,
        all: 10_000,
        begin: Vec::new,
        nth: |n| bytes(&[request(n), Frame::rst_stream(2 * n + 1, code::CANCEL)]),
        codes: CALM,
    },
    Flood {
        name: "H02 made resets",
        tolerated: 0,
        most: 101,
        all: 10_000,
        begin: Vec::new,
        nth: |n| bytes(&[request(n), Frame::window_update(2 * n + 1, 0)]),
        // An increment of 0 is an error by itself.
        codes: &[code::ENHANCE_YOUR_CALM, code::PROTOCOL_ERROR],
    },
    Flood {
        name: "H02 made resets by a window that is too large",
        tolerated: 20,
        most: 101,
        all: 10_000,
        begin: Vec::new,
        nth: |n| bytes(&[upload(n), Frame::window_update(2 * n + 1, (1 << 31) - 1)]),
        codes: CALM,
    },
    Flood {
        name: "H03 CONTINUATION",
        tolerated: 0,
        most: 9,
        all: 10_000,
        begin: || bytes(&[request(0).without(flag::END_HEADERS)]),
        nth: |n| {
            let field = Block::new().field(format!("x-{n}"), "y".repeat(80));
            bytes(&[Frame::continuation(1, field)])
        },
        codes: CALM,
    },
    Flood {
        name: "H04 empty CONTINUATION",
        tolerated: 0,
        most: 9,
        all: 200_000,
        begin: || bytes(&[request(0).without(flag::END_HEADERS)]),
        nth: |_| bytes(&[Frame::continuation(1, [])]),
        codes: CALM,
    },
    Flood {
        name: "H05 PING",
        tolerated: 90,
        most: 1_001,
        all: 200_000,
        begin: Vec::new,
        nth: |n| bytes(&[Frame::ping(u64::from(n).to_be_bytes())]),
        codes: CALM,
    },
    Flood {
        name: "H06 SETTINGS",
        tolerated: 40,
        most: 51,
        all: 200_000,
        begin: Vec::new,
        nth: |n| bytes(&[Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, n)])]),
        codes: CALM,
    },
    Flood {
        name: "H07 HPACK bomb",
        tolerated: 0,
        most: 11,
        all: 200,
        begin: || bytes(&[Frame::headers(1, bomb()).end()]),
        nth: |n| {
            let block = (0..4000).fold(Block::get(), |block, _| block.index(62));
            bytes(&[Frame::headers(2 * n + 3, block).end()])
        },
        codes: CALM,
    },
    Flood {
        name: "H08 empty DATA",
        tolerated: 20,
        most: 101,
        all: 200_000,
        begin: || bytes(&[upload(0)]),
        nth: |_| bytes(&[Frame::data(1, [])]),
        codes: CALM,
    },
    Flood {
        name: "H09 one-byte DATA",
        tolerated: 500,
        most: 10_000,
        all: 60_000,
        begin: || bytes(&[upload(0)]),
        nth: |_| bytes(&[Frame::data(1, [b'x'])]),
        codes: CALM,
    },
    Flood {
        name: "H10 PRIORITY",
        tolerated: 500,
        most: 1_001,
        all: 200_000,
        begin: Vec::new,
        nth: |n| bytes(&[Frame::priority(2 * (n % 500) + 1, 0)]),
        codes: CALM,
    },
];

fn bytes(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::encode).collect()
}

/// The n-th GET.
fn request(n: u32) -> Frame {
    Frame::headers(2 * n + 1, Block::get()).end()
}

/// The n-th POST, whose body is still to come.
fn upload(n: u32) -> Frame {
    Frame::headers(2 * n + 1, Block::post())
}

/// A request whose block puts an entry of almost the whole table's size into it.
fn bomb() -> Block {
    Block::get().indexed_field("x", "y".repeat(3900))
}

fn serve(origin: &Origin) -> Quaich {
    let toml = format!("threads = 1\n[site.main]\nproxy = \"{}\"\n", origin.url());
    Quaich::serve(TempSite::new(), &toml)
}

fn connect(quaich: &Quaich) -> H2Client {
    H2Client::over(quaich.raw())
}

/// What ends a flood: GOAWAY with its code, or the connection's end.
fn goaway(client: &mut H2Client) -> Option<u32> {
    let event = client.wait("GOAWAY", |event| {
        matches!(event, Event::GoAway { code, .. } if *code != code::NO_ERROR)
            || matches!(event, Event::Pong(opaque) if opaque == b"behind  ")
            || *event == Event::Closed
    });
    match event {
        Event::GoAway { code, .. } => Some(code),
        Event::Pong(_) => panic!("the connection goes on"),
        _ => None,
    }
}

#[test]
fn every_flood_ends_its_connection_within_the_stated_count() {
    let origin = Origin::ok();
    let quaich = serve(&origin);
    for flood in FLOODS {
        let before = origin.requests().len();
        let mut client = connect(&quaich);
        let mut sent = (flood.begin)();
        for n in 0..flood.most {
            sent.extend((flood.nth)(n));
        }
        client.bytes(sent).frame(&Frame::ping(*b"behind  "));
        let code = goaway(&mut client);
        let code = code.unwrap_or_else(|| panic!("{}: no GOAWAY", flood.name));
        assert!(flood.codes.contains(&code), "{}: GOAWAY {code}", flood.name);
        client.wait("the end", |event| *event == Event::Closed);
        let hits = origin.requests().len() - before;
        assert!(hits <= 100, "{}: {hits} requests went on", flood.name);
    }
    quaich.get("/").expect_status(200);
}

#[test]
fn what_is_nothing_unusual_is_tolerated() {
    let origin = Origin::ok();
    let quaich = serve(&origin);
    for flood in FLOODS.iter().filter(|flood| flood.tolerated > 0) {
        let mut client = connect(&quaich);
        let mut sent = (flood.begin)();
        for n in 0..flood.tolerated {
            sent.extend((flood.nth)(n));
        }
        client.bytes(sent);
        assert!(client.is_alive(), "{}", flood.name);
        // Streams above those of the flood.
        let stream = 2 * flood.all + 101;
        client.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535)]));
        client.frame(&Frame::headers(stream, Block::get()).end());
        assert_eq!(client.response(stream).status, 200, "{}", flood.name);
    }
}

#[test]
fn a_header_list_over_the_limit_costs_only_its_request() {
    let origin = Origin::ok();
    let quaich = serve(&origin);
    let mut client = connect(&quaich);
    for _ in 0..3 {
        let block = (0..6).fold(Block::get(), |block, n| {
            block.field(format!("x-{n}"), "y".repeat(7000))
        });
        let stream = client.begin(&block, true);
        assert_eq!(client.response(stream).status, 431);
        let next = client.get("/");
        assert_eq!(client.response(next).status, 200);
    }
}

/// Sends a flood without an end, by a client that reads nothing; waits until it is stopped.
fn overrun(quaich: &Quaich, flood: &Flood) {
    let mut raw = quaich.raw();
    raw.send(PREFACE).send(Frame::settings(&[]).encode());
    raw.send((flood.begin)());
    let mut part = Vec::new();
    for n in 0..flood.all {
        part.extend((flood.nth)(n));
        if part.len() > 16 * 1024 {
            if !raw.try_send(&part) {
                break;
            }
            part.clear();
        }
    }
    let _ = raw.try_send(&part);
    // The end of the connection, whatever was said before.
    raw.rest();
}

#[test]
fn a_flood_that_does_not_stop_is_stopped_and_costs_no_memory() {
    let origin = Origin::ok();
    let quaich = serve(&origin);
    for flood in FLOODS {
        overrun(&quaich, flood);
    }
    let before = resident_memory(quaich.front());
    let hits = origin.requests().len();
    for flood in FLOODS {
        overrun(&quaich, flood);
        let more = origin.requests().len() - hits;
        assert!(more <= 100 * FLOODS.len(), "{more} requests went on");
    }
    let grown = resident_memory(quaich.front()).saturating_sub(before);
    assert!(
        grown <= 1 << 20,
        "{grown} bytes more after the second round"
    );
    assert_eq!(quaich.status()["front"]["counters"]["panics"], 0);
    quaich.get("/").expect_status(200);
}

/// Sends a hundred streams that are wrong in the n-th way, and leaves.
fn a_hundred_bad_streams(quaich: &Quaich, n: u32) {
    let mut client = connect(quaich);
    for _ in 0..100 {
        let stream = client.stream();
        let frames = match n % 5 {
            0 => vec![Frame::headers(stream, Block::get().field("connection", "x")).end()],
            1 => vec![
                Frame::headers(stream, Block::post().field("content-length", "3")),
                Frame::data(stream, b"12345".to_vec()).end(),
            ],
            2 => vec![
                Frame::headers(stream, Block::get()).end(),
                Frame::rst_stream(stream, code::CANCEL),
            ],
            3 => vec![
                Frame::headers(stream, Block::post()),
                Frame::window_update(stream, (1 << 31) - 1),
            ],
            // Never ended: the connection's end takes it along.
            _ => vec![Frame::headers(stream, Block::post())],
        };
        client.frames(&frames);
    }
    client.frame(&Frame::ping(*b"behind  "));
    client.wait("the last of them", |event| {
        matches!(event, Event::Pong(_) | Event::GoAway { .. } | Event::Closed)
    });
    if n.is_multiple_of(2) {
        client.reset_connection();
    }
}

#[test]
fn a_hundred_thousand_bad_streams_leave_nothing_behind() {
    let origin = Origin::ok();
    let quaich = serve(&origin);
    let front = quaich.front();
    let settled = || {
        eventually("all connections closed", || {
            let status = quaich.status();
            (status["front"]["connections"] == 0).then_some(())
        });
    };
    // Until the allocator has what it needs at the peak of all this.
    for n in 0..1000 {
        a_hundred_bad_streams(&quaich, n);
    }
    settled();
    let (memory, descriptors) = (resident_memory(front), descriptors(front));
    for n in 0..1000 {
        a_hundred_bad_streams(&quaich, n);
    }
    settled();
    let grown = resident_memory(front).saturating_sub(memory);
    assert!(
        grown <= 512 << 10,
        "{grown} bytes more after 100,000 streams"
    );
    // Kept connections to the upstream may be a few more or less.
    let more = self::descriptors(front).saturating_sub(descriptors);
    assert!(more <= 40, "{more} descriptors more");
    assert_eq!(quaich.status()["front"]["counters"]["panics"], 0);
    assert_eq!(quaich.front(), front, "the same process as before");
    quaich.get("/").expect_status(200);
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// H21: a hundred answers of 1 MB that nobody reads.
#[test]
fn answers_that_nobody_reads_cost_a_bounded_amount_and_no_worker() {
    let app = "def application(environ, start_response):\n    \
               start_response('200 OK', [('Content-Type', 'text/plain')])\n    \
               return [b'x' * (1 if environ['PATH_INFO'] == '/' else 1_000_000)]\n";
    let site = TempSite::new();
    site.write("app.py", app);
    let server = "threads = 1\nwrite_timeout = \"2s\"";
    let quaich = Quaich::serve(
        site,
        &crate::apps::config("workers = 1\nthreads = 1", server),
    );
    quaich.get("/large").expect_status(200);
    let before = resident_memory(quaich.front());
    let raw = RawClient::connect(quaich.addr());
    let mut client = H2Client::with_settings(raw, &[(setting::INITIAL_WINDOW_SIZE, 0)]);
    client.stop_reading();
    let streams: Vec<u32> = (0..100).map(|_| client.get("/large")).collect();
    // The only worker is free for others.
    quaich.get("/").expect_body("x");
    // All of them are given up: without progress a stream, or the connection, is ended.
    client.raw().patience(Duration::from_secs(20));
    let mut open = streams.len();
    while open > 0 {
        match client.event() {
            Event::Reset { .. } => open -= 1,
            Event::GoAway { .. } | Event::Closed => break,
            _ => {}
        }
    }
    let grown = resident_memory(quaich.front()).saturating_sub(before);
    // Each answer keeps 256 KiB in memory and the rest on disk, as it does in HTTP/1.1; the
    // connection itself holds no more than 1 MiB.
    assert!(
        grown <= 30 << 20,
        "{grown} bytes for answers that nobody reads"
    );
    quaich.get("/").expect_body("x");
}
