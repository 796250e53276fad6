//! HTTP/2 to upstreams: one connection for many exchanges, flow control, trailers, WebSockets, and
//! what becomes of streams that the server refuses, resets or leaves unfinished.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use quaich_testkit::h2::{
    Block, Event, Frame, H2Client, H2Origin, H2Peer, H2Request, code, setting,
};
use quaich_testkit::{End, Origin, Quaich, Response, TempSite};

/// Passes everything to the origin, from one thread.
fn to(origin: &H2Origin, keys: &str) -> Quaich {
    Quaich::serve(
        TempSite::new(),
        &format!(
            "threads = 1\n[upstream.up]\nservers = [\"{}\"]\n{keys}\n\
             [site.main]\nupstream = \"up\"\n",
            origin.url()
        ),
    )
}

fn post(quaich: &Quaich) -> Response {
    quaich.request("POST", "/", "", b"once")
}

/// Notes each request; tells how many came.
fn counted(
    answer: impl Fn(&mut H2Peer, &H2Request, usize) + Send + Sync + 'static,
) -> (H2Origin, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let origin = H2Origin::answering(move |peer, request| {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        answer(peer, request, number);
    });
    (origin, count)
}

#[test]
fn a_request_arrives_as_http2_writes_it() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let origin = H2Origin::answering(move |peer, request| {
        let _ = tell.lock().unwrap().send(request.clone());
        peer.answer(request.stream, "ok");
    });
    let quaich = to(&origin, "");
    let fields = "TE: trailers, x\r\nX-One: 1\r\nConnection: X-Mine\r\nX-Mine: 2\r\n\
                  Proxy-Authorization: Basic eA==\r\nCookie: a=1; b=2\r\n";
    quaich
        .request("GET", "/p/%C3%A4?q=1&r", fields, b"")
        .expect_status(200)
        .expect_body("ok");
    let request: H2Request = told.recv().unwrap();
    assert_eq!(request.header(":method"), Some("GET"));
    assert_eq!(request.header(":scheme"), Some("http"));
    assert_eq!(request.header(":path"), Some("/p/%C3%A4?q=1&r"));
    assert_eq!(request.header(":authority"), Some("test"));
    assert_eq!(request.header("te"), Some("trailers"));
    assert_eq!(request.header("x-one"), Some("1"));
    assert_eq!(request.header("cookie"), Some("a=1; b=2"));
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.header("x-forwarded-proto"), Some("http"));
    assert!(request.header("x-request-id").is_some());
    for gone in ["host", "connection", "x-mine", "proxy-authorization"] {
        assert_eq!(request.header(gone), None, "{gone}");
    }
    assert!(request.end, "a request without a body ends with its head");
}

#[test]
fn many_exchanges_share_one_connection() {
    const AT_ONCE: usize = 8;
    // Answers the last request first, once all are there.
    let origin = H2Origin::start(&[], |peer| {
        let requests: Vec<_> = (0..AT_ONCE).map_while(|_| peer.request()).collect();
        for request in requests.iter().rev() {
            let path = request.header(":path").unwrap_or_default().to_owned();
            peer.answer(request.stream, &path);
        }
        while peer.request().is_some() {}
    });
    let quaich = to(&origin, "");
    let mut clients: Vec<_> = (0..AT_ONCE)
        .map(|n| {
            let mut client = quaich.raw();
            client.send(format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"));
            client
        })
        .collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.response().expect_body(&format!("/{n}"));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_second_connection_is_opened_when_the_first_has_no_stream_left() {
    let settings = [(setting::MAX_CONCURRENT_STREAMS, 1)];
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    // The first connection answers its second request only: the one after the first has gone.
    let origin = H2Origin::start(&settings, move |peer| {
        while let Some(request) = peer.request() {
            if request.header(":path") == Some("/wait") {
                let _ = tell.lock().unwrap().send(());
            } else {
                peer.answer(request.stream, "ok");
            }
        }
    });
    let quaich = to(&origin, "");
    // The server's settings are known from the first answer on.
    quaich.get("/").expect_body("ok");
    let mut waiting = quaich.raw();
    waiting.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    told.recv().unwrap();
    quaich.get("/").expect_body("ok");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn a_refused_stream_is_tried_again_even_when_it_is_a_post() {
    let (origin, count) = counted(|peer, request, number| {
        if number == 0 {
            let refused = Frame::rst_stream(request.stream, code::REFUSED_STREAM);
            peer.line.frame(&refused);
        } else {
            peer.answer(request.stream, "done");
        }
    });
    post(&to(&origin, ""))
        .expect_status(200)
        .expect_body("done");
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[test]
fn streams_beyond_a_goaway_are_tried_again_on_a_new_connection() {
    let origin = H2Origin::answering(|peer, request| {
        if peer.number == 0 {
            peer.line.frame(&Frame::goaway(0, code::NO_ERROR));
        } else {
            peer.answer(request.stream, "done");
        }
    });
    post(&to(&origin, ""))
        .expect_status(200)
        .expect_body("done");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn streams_before_a_goaway_are_finished_and_new_ones_go_elsewhere() {
    let origin = H2Origin::answering(|peer, request| {
        if peer.number == 0 {
            let last = Frame::goaway(request.stream, code::NO_ERROR);
            peer.line.frame(&last);
        }
        peer.answer(request.stream, &peer.number.to_string());
    });
    let quaich = to(&origin, "");
    quaich.get("/").expect_body("0");
    quaich.get("/").expect_body("1");
    quaich.get("/").expect_body("1");
}

#[test]
fn a_stream_that_a_goaway_took_and_that_broke_off_is_not_sent_twice() {
    let origin = H2Origin::start(&[], |peer| {
        if let Some(request) = peer.request() {
            let last = Frame::goaway(request.stream, code::NO_ERROR);
            peer.line.frame(&last);
        }
    });
    post(&to(&origin, "")).expect_status(502);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_reset_before_the_answer_is_a_502_and_is_not_tried_again() {
    let (origin, count) = counted(|peer, request, _| {
        let reset = Frame::rst_stream(request.stream, code::INTERNAL_ERROR);
        peer.line.frame(&reset);
    });
    let quaich = to(&origin, "");
    quaich.get("/").expect_status(502);
    assert_eq!(count.load(Ordering::SeqCst), 1);
    quaich.log().wait_for("upstream_reset");
    // It was the stream, not the connection.
    quaich.get("/").expect_status(502);
    assert_eq!(origin.connections(), 1);
}

/// Sends a request whose answer breaks off, and shows what the client got of it.
fn cut(break_off: impl Fn(&mut H2Peer, u32) + Send + Sync + 'static) -> String {
    let origin = H2Origin::start(&[], move |peer| {
        if let Some(request) = peer.request() {
            break_off(peer, request.stream);
        }
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    String::from_utf8_lossy(&client.rest()).into_owned()
}

#[test]
fn an_answer_that_breaks_off_never_looks_whole() {
    let shown = cut(|peer, stream| {
        peer.head(stream, false);
        peer.line.data(stream, b"part", false);
        // Sent on before the end comes.
        peer.line.is_alive();
        let reset = Frame::rst_stream(stream, code::INTERNAL_ERROR);
        peer.line.frame(&reset);
        while peer.line.event() != Event::Closed {}
    });
    assert!(!shown.ends_with("0\r\n\r\n"), "{shown}");
    let shown = cut(|peer, stream| {
        peer.head(stream, false);
        peer.line.data(stream, b"part", false);
    });
    assert!(!shown.ends_with("0\r\n\r\n"), "{shown}");
    let shown = cut(|peer, stream| {
        let head = Block::new().field(":status", "200");
        let head = head.field("content-length", "10");
        peer.line.send_block(stream, &head, false);
        peer.line.data(stream, b"part", true);
        while peer.line.event() != Event::Closed {}
    });
    // All of it may have been there before any of it was sent on.
    let is_page = shown.starts_with("HTTP/1.1 502");
    assert!(
        is_page || shown.ends_with("Content-Length: 10\r\n\r\npart"),
        "{shown}"
    );
}

#[test]
fn a_head_beyond_the_limit_is_a_502() {
    let (origin, _) = counted(|peer, request, _| {
        let long = "x".repeat(9_000);
        let mut head = Block::new().field(":status", "200");
        for n in 0..10 {
            head = head.field(format!("x-{n}"), &long);
        }
        peer.line.send_block(request.stream, &head, true);
    });
    to(&origin, "").get("/").expect_status(502);
}

#[test]
fn early_hints_reach_the_client_and_signs_of_life_do_not() {
    let (origin, _) = counted(|peer, request, _| {
        for status in ["100", "102", "103"] {
            let hints = Block::new()
                .field(":status", status)
                .field("link", "</a.css>");
            peer.line.send_block(request.stream, &hints, false);
        }
        peer.answer(request.stream, "ok");
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let hints = client.head();
    assert_eq!(
        (hints.status, hints.header("link")),
        (103, Some("</a.css>"))
    );
    client.response().expect_status(200).expect_body("ok");
}

#[test]
fn trailers_reach_a_client_that_takes_them() {
    let (origin, _) = counted(|peer, request, _| {
        peer.head(request.stream, false);
        peer.line.data(request.stream, b"ok", false);
        let trailers = Block::new().field("x-sum", "42");
        peer.line.send_block(request.stream, &trailers, true);
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, close\r\nTE: trailers\r\n\r\n");
    let shown = String::from_utf8_lossy(&client.rest()).into_owned();
    assert!(
        shown.ends_with("2\r\nok\r\n0\r\nx-sum: 42\r\n\r\n"),
        "{shown}"
    );
}

#[test]
fn a_client_that_leaves_cancels_its_stream_and_no_other() {
    let (tell, told) = channel();
    let tell: Mutex<Sender<(u32, u32)>> = Mutex::new(tell);
    let (begun_tell, begun) = channel();
    let begun_tell = Mutex::new(begun_tell);
    let origin = H2Origin::start(&[], move |peer| {
        loop {
            match peer.line.event() {
                Event::Headers { stream, fields, .. } => {
                    let wait = fields.contains(&(":path".into(), "/wait".into()));
                    if wait {
                        let _ = begun_tell.lock().unwrap().send(stream);
                    } else {
                        peer.answer(stream, "ok");
                    }
                }
                Event::Reset { stream, code } => {
                    let _ = tell.lock().unwrap().send((stream, code));
                }
                Event::Closed => return,
                _ => {}
            }
        }
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    let stream = begun.recv().unwrap();
    client.reset();
    assert_eq!(told.recv().unwrap(), (stream, code::CANCEL));
    quaich.get("/").expect_body("ok");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_reader_that_stops_holds_back_its_own_stream_only() {
    // More than the windows of quaich and the buffers of the kernel take.
    const SIZE: usize = 32 * 1024 * 1024;
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let origin = H2Origin::start(&[], move |peer| {
        let mut flood = None;
        let mut sent = 0;
        loop {
            match peer.line.event() {
                Event::Headers { stream, fields, .. } => {
                    let large = fields.contains(&(":path".into(), "/large".into()));
                    if large {
                        peer.head(stream, false);
                        // As much as the window of the stream allows without a word from quaich.
                        let window = peer.line.settings().iter();
                        let window = window.clone().find(|(id, _)| *id == 4).unwrap().1;
                        assert!(window <= 256 * 1024, "{window}");
                        sent += window as usize;
                        peer.line.data(stream, &vec![b'x'; window as usize], false);
                        flood = Some(stream);
                    } else {
                        let _ = tell.lock().unwrap().send(sent);
                        peer.answer(stream, "ok");
                    }
                }
                Event::Window { stream, by } if Some(stream) == flood && sent < SIZE => {
                    let piece = (by as usize).min(SIZE - sent);
                    sent += piece;
                    peer.line.data(stream, &vec![b'x'; piece], sent == SIZE);
                }
                Event::Closed => return,
                _ => {}
            }
        }
    });
    let quaich = to(&origin, "");
    let mut slow = quaich.raw();
    slow.send("GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(slow.head().status, 200);
    for _ in 0..20 {
        quaich.get("/small").expect_body("ok");
        assert!(
            told.recv().unwrap() < SIZE,
            "nothing held the large one back"
        );
    }
    let body = slow.rest();
    assert!(body.len() > SIZE && body.ends_with(b"0\r\n\r\n"));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn small_messages_that_nobody_reads_end_no_other_stream() {
    let origin = H2Origin::answering(|peer, request| {
        if request.header(":path") == Some("/many") {
            peer.head(request.stream, false);
            // They fill the window of the stream only in part.
            let frames: Vec<_> = (0..20_000)
                .map(|_| Frame::data(request.stream, *b"message\r\n"))
                .collect();
            peer.line.frames(&frames);
            peer.line.frame(&Frame::data(request.stream, *b"").end());
        } else {
            peer.answer(request.stream, "ok");
        }
    });
    let quaich = to(&origin, "");
    // Its window takes next to nothing.
    let settings = [(setting::INITIAL_WINDOW_SIZE, 100)];
    let mut slow = H2Client::with_settings(quaich.raw(), &settings);
    slow.stop_reading();
    let stream = slow.get("/many");
    let head = slow.of_stream(stream);
    assert!(matches!(head, Event::Headers { .. }), "{head:?}");
    for _ in 0..10 {
        quaich.get("/").expect_body("ok");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn requests_of_old_and_careless_clients_can_be_put() {
    let origin = H2Origin::answering(|peer, request| {
        let path = request.header(":path").unwrap_or_default().to_owned();
        peer.answer(request.stream, &path);
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    client.send("GET /old HTTP/1.0\r\n\r\n");
    client.response().expect_status(200).expect_body("/old");
    let mut client = quaich.raw();
    client.send("GET /?q=<a>&r=\"{}\" HTTP/1.1\r\nHost: a\r\n\r\n");
    client
        .response()
        .expect_status(200)
        .expect_body("/?q=%3Ca%3E&r=%22%7B%7D%22");
}

#[test]
fn request_bodies_flow_as_the_server_takes_them() {
    const SIZE: usize = 3 * 1024 * 1024;
    let (origin, _) = counted(|peer, request, _| {
        let mut length = 0;
        loop {
            match peer.line.of_stream(request.stream) {
                Event::Data { bytes, end, .. } => {
                    length += bytes.len();
                    if end {
                        break;
                    }
                }
                Event::Headers { .. } => break,
                other => panic!("{other:?}"),
            }
        }
        peer.answer(request.stream, &length.to_string());
    });
    let quaich = to(&origin, "");
    quaich
        .request("POST", "/", "", &vec![b'x'; SIZE])
        .expect_body(&SIZE.to_string());
    let mut client = quaich.raw();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..100 {
        client.send("a\r\n0123456789\r\n");
    }
    client.send("0\r\n\r\n");
    client.response().expect_body("1000");
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let (origin, _) = counted(|peer, request, _| {
        peer.answer(request.stream, "enough");
        let done = Frame::rst_stream(request.stream, code::NO_ERROR);
        peer.line.frame(&done);
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    client.response().expect_status(200).expect_body("enough");
    drop(client);
    quaich.get("/").expect_body("enough");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_server_that_does_not_answer_is_a_504_and_asked_whether_it_lives() {
    let (origin, _) = counted(|peer, request, _| {
        if request.header(":path") != Some("/late") {
            peer.answer(request.stream, "ok");
        }
    });
    let quaich = to(&origin, "timeout = \"300ms\"");
    quaich.get("/late").expect_status(504);
    quaich.get("/").expect_status(200);
    assert_eq!(origin.connections(), 1);
}

const WEBSOCKET: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// Sends back what comes on a stream, and its end.
fn echo(peer: &mut H2Peer, stream: u32) {
    while let Event::Data { bytes, end, .. } = peer.line.of_stream(stream) {
        peer.line.data(stream, &bytes, end);
        if end {
            break;
        }
    }
}

#[test]
fn a_websocket_goes_to_http2_by_extended_connect() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let settings = [(setting::ENABLE_CONNECT_PROTOCOL, 1)];
    let origin = H2Origin::start(&settings, move |peer| {
        while let Some(request) = peer.request() {
            let stream = request.stream;
            let _ = tell.lock().unwrap().send(request);
            peer.head(stream, false);
            echo(peer, stream);
        }
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    client.send(WEBSOCKET);
    let head = client.head();
    assert_eq!(head.status, 101);
    assert_eq!(
        head.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(head.header("upgrade"), Some("websocket"));
    let request: H2Request = told.recv().unwrap();
    assert_eq!(request.header(":method"), Some("CONNECT"));
    assert_eq!(request.header(":protocol"), Some("websocket"));
    assert_eq!(request.header(":path"), Some("/chat"));
    assert_eq!(request.header("sec-websocket-version"), Some("13"));
    assert_eq!(request.header("sec-websocket-key"), None);
    for n in 0..50_u8 {
        client.send([n, 0, 255]);
        assert_eq!(client.exactly(3), [n, 0, 255]);
    }
    client.half_close();
    client.expect_closed();
}

#[test]
fn a_server_without_extended_connect_gets_no_websocket() {
    let (origin, count) = counted(|peer, request, _| peer.answer(request.stream, "?"));
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    client.send(WEBSOCKET);
    client.response().expect_status(502);
    assert_eq!(count.load(Ordering::SeqCst), 0);
    quaich.log().wait_for("no_extended_connect");
}

/// Asks for a WebSocket as HTTP/2 does; its stream.
fn connect(client: &mut H2Client) -> u32 {
    let ask = Block::new()
        .field(":method", "CONNECT")
        .field(":protocol", "websocket")
        .field(":scheme", "http")
        .field(":path", "/chat")
        .field(":authority", "test")
        .field("sec-websocket-version", "13");
    client.begin(&ask, false)
}

/// What came back of `hello`, and that the end of one half is the end of the other.
fn greet(client: &mut H2Client, stream: u32) {
    let head = client.of_stream(stream);
    let Event::Headers { fields, end, .. } = &head else {
        panic!("{head:?}");
    };
    assert_eq!(fields[0], (":status".into(), "200".into()), "{fields:?}");
    assert!(!end);
    let named = |name| fields.iter().any(|(known, _)| known == name);
    assert!(!named("sec-websocket-accept") && !named("upgrade") && !named("connection"));
    for _ in 0..20 {
        client.data(stream, b"hello", false);
        let mut back = Vec::new();
        while back.len() < 5 {
            match client.of_stream(stream) {
                Event::Data { bytes, .. } => back.extend(bytes),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(back, b"hello");
    }
    client.data(stream, b"", true);
    let last = client.of_stream(stream);
    assert!(matches!(&last, Event::Data { end: true, .. }), "{last:?}");
}

#[test]
fn a_websocket_over_http2_goes_to_an_http1_server() {
    let origin = Origin::start(|conversation| {
        let Some(request) = conversation.request_head() else {
            return;
        };
        // The example of RFC 6455 has no key of ours: the proof is made by a library.
        let key = request.header("sec-websocket-key").unwrap_or_default();
        assert_eq!(key.len(), 24);
        conversation.write(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            proof(key)
        ));
        loop {
            let bytes = conversation.read();
            if bytes.is_empty() || !conversation.write(&bytes) {
                break;
            }
        }
        conversation.end(End::Fin);
    });
    let toml = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let mut client = H2Client::over(quaich.raw());
    let stream = connect(&mut client);
    greet(&mut client, stream);
    let request = origin.wait_for_requests(1);
    assert_eq!((request.method(), request.target()), ("GET", "/chat"));
    assert_eq!(request.header("upgrade"), Some("websocket"));
    assert_eq!(request.header("connection"), Some("upgrade"));
    assert_eq!(request.header("sec-websocket-version"), Some("13"));
}

/// By Python, which every test environment has.
fn proof(key: &str) -> String {
    let script = "import base64, hashlib, sys\n\
        key = sys.argv[1] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'\n\
        print(base64.b64encode(hashlib.sha1(key.encode()).digest()).decode(), end='')";
    let mut python = std::process::Command::new(quaich_testkit::python());
    let out = python.args(["-c", script, key]).output().expect("python");
    String::from_utf8(out.stdout).expect("base64")
}

#[test]
fn a_server_that_does_not_prove_its_websocket_is_a_502() {
    let origin = Origin::scripted(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
            .to_vec(),
        End::Keep,
    );
    let toml = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let mut client = H2Client::over(quaich.raw());
    let stream = connect(&mut client);
    assert_eq!(client.response(stream).status, 502);
}

#[test]
fn a_websocket_goes_through_http2_on_both_sides() {
    let settings = [(setting::ENABLE_CONNECT_PROTOCOL, 1)];
    let origin = H2Origin::start(&settings, |peer| {
        while let Some(request) = peer.request() {
            assert_eq!(request.header("sec-websocket-key"), None);
            peer.head(request.stream, false);
            echo(peer, request.stream);
        }
    });
    let quaich = to(&origin, "");
    let mut client = H2Client::over(quaich.raw());
    let stream = connect(&mut client);
    greet(&mut client, stream);
}

#[test]
fn trailers_pass_both_ways() {
    let (origin, _) = counted(|peer, request, _| {
        let mut body = Vec::new();
        let mut sum = None;
        loop {
            match peer.line.of_stream(request.stream) {
                Event::Data { bytes, end, .. } => {
                    body.extend(bytes);
                    if end {
                        break;
                    }
                }
                Event::Headers { fields, .. } => {
                    sum = fields.into_iter().find(|(name, _)| name == "x-sum");
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        peer.head(request.stream, false);
        peer.line.data(request.stream, &body, false);
        let (_, sum) = sum.expect("the trailers of the request");
        let trailers = Block::new().field("x-back", sum);
        peer.line.send_block(request.stream, &trailers, true);
    });
    let quaich = to(&origin, "");
    let mut client = H2Client::over(quaich.raw());
    let block = client.request("POST", "/").field("te", "trailers");
    let stream = client.begin(&block, false);
    client.data(stream, b"body", false);
    let trailers = Block::new().field("x-sum", "42");
    client.send_block(stream, &trailers, true);
    let response = client.response(stream);
    assert_eq!(response.status, 200);
    assert_eq!(response.body, b"body");
    assert_eq!(response.trailers, [("x-back".into(), "42".into())]);
}

#[test]
fn a_stream_that_its_client_resets_is_cancelled_at_the_server() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let origin = H2Origin::start(&[], move |peer| {
        loop {
            match peer.line.event() {
                Event::Headers { stream, .. } => peer.head(stream, false),
                Event::Reset { stream, code } => {
                    let _ = tell.lock().unwrap().send((stream, code));
                }
                Event::Closed => return,
                _ => {}
            }
        }
    });
    let quaich = to(&origin, "");
    let mut client = H2Client::over(quaich.raw());
    // Before the answer is there to be sent on, and while its body is awaited.
    for n in 0..10_u32 {
        let stream = client.get("/");
        let head = client.of_stream(stream);
        assert!(matches!(head, Event::Headers { .. }), "{head:?}");
        client.frame(&Frame::rst_stream(stream, code::CANCEL));
        assert_eq!(told.recv().unwrap(), (2 * n + 1, code::CANCEL));
    }
    assert_eq!(origin.connections(), 1);
}
