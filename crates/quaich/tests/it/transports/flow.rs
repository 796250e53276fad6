//! Bodies that flow both ways at once, and exchanges that break off.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use quaich_testkit::{Conversation, End, Origin, Request, Transport};

use super::{ORIGIN_HOSTS, Row, Stage, check, never_complete, row, run};

/// Runs `exchange` over every transport to both kinds of upstream.
fn everywhere(exchange: impl Fn(Transport, &str)) {
    for host in ORIGIN_HOSTS {
        for transport in Transport::ALL {
            exchange(transport, host);
        }
    }
}

/// Sends every chunk back as it comes.
fn echo(conversation: &mut Conversation) {
    while conversation.request_head().is_some() {
        conversation.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while let Some(chunk) = conversation.chunk() {
            let head = format!("{:x}\r\n", chunk.len());
            conversation.write([head.as_bytes(), &chunk, b"\r\n"].concat());
            if chunk.is_empty() {
                break;
            }
        }
    }
}

#[test]
fn bodies_flow_both_ways_at_once() {
    let origin = Origin::start(echo);
    let stage = Stage::with_origin(&origin);
    everywhere(|transport, host| {
        let mut caller = stage.connect(transport, host);
        caller.begin(&Request::post_later("/", None).host(host));
        let mut sent = Vec::new();
        for n in 0..20_u8 {
            let piece = vec![n; 1 + usize::from(n) * 500];
            caller.send(&piece);
            sent.extend(piece);
            assert_eq!(caller.body(sent.len()), sent, "{transport:?} {host}");
        }
        caller.end();
        let answer = caller.answer();
        assert!(
            answer.complete && answer.body == sent,
            "{transport:?} {host}"
        );
    });
}

/// Answers as the target says, and ends so.
fn breaking(conversation: &mut Conversation) {
    while let Some(request) = conversation.request() {
        let (answer, end): (&[u8], End) = match request.target() {
            "/length" => (
                b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun",
                End::Fin,
            ),
            "/reset" => (
                b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun",
                End::Reset,
            ),
            "/chunks" => (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n",
                End::Fin,
            ),
            "/nothing" => (b"", End::Fin),
            "/close" => (b"HTTP/1.1 200 OK\r\n\r\nto the end", End::Fin),
            _ => (
                b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine",
                End::Keep,
            ),
        };
        conversation.write(answer);
        if end != End::Keep {
            conversation.end(end);
            return;
        }
    }
}

const BROKEN: &[Row] = &[
    row(
        "less than its length",
        || Request::get("/length"),
        never_complete,
    ),
    row("a reset", || Request::get("/reset"), never_complete),
    row("no last chunk", || Request::get("/chunks"), never_complete),
];

const UNBROKEN: &[Row] = &[
    row(
        "no answer at all",
        || Request::post("/nothing", "x"),
        |a| {
            a.expect_status(502);
        },
    ),
    row(
        "a body that ends with the connection",
        || Request::get("/close"),
        |a| {
            a.expect_status(200).expect_body("to the end");
        },
    ),
    row(
        "all is well",
        || Request::get("/"),
        |a| {
            a.expect_status(200).expect_body("fine");
        },
    ),
];

#[test]
fn an_answer_that_breaks_off_never_looks_complete() {
    let origin = Origin::start(breaking);
    let stage = Stage::with_origin(&origin);
    check(&stage, &ORIGIN_HOSTS, BROKEN);
    run(&stage, &ORIGIN_HOSTS, UNBROKEN);
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let origin = Origin::start(|conversation| {
        if conversation.request_head().is_some() {
            conversation
                .write("HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
            conversation.end(End::Fin);
            while !conversation.read().is_empty() {}
        }
    });
    let stage = Stage::with_origin(&origin);
    everywhere(|transport, host| {
        let mut caller = stage.connect(transport, host);
        caller.begin(&Request::post_later("/", Some(5_000_000)).host(host));
        caller.send(&[b'x'; 100_000]);
        let answer = caller.answer();
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (403, &b"no"[..]),
            "{transport:?} {host}"
        );
    });
}

#[test]
fn a_client_that_leaves_ends_the_exchange_behind_it() {
    // Answers without an end until nobody takes it any more, and says so.
    let (told, ended) = channel();
    let told = Mutex::new(told);
    let origin = Origin::start(move |conversation| {
        if conversation.request_head().is_some() {
            conversation.write("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
            let block = vec![b'x'; 1 << 16];
            while conversation.write(&block) {}
            let _ = told.lock().expect("no origin thread panics").send(());
        }
    });
    let stage = Stage::with_origin(&origin);
    everywhere(|transport, host| {
        let mut caller = stage.connect(transport, host);
        caller.begin(&Request::get("/").host(host));
        assert!(caller.body(100_000).len() >= 100_000);
        caller.abort();
        wait(&ended, &format!("{transport:?} {host}"));
    });
}

#[test]
fn a_client_that_leaves_in_its_upload_ends_the_exchange_behind_it() {
    let (told, events) = channel();
    let told = Mutex::new(told);
    let origin = Origin::start(move |conversation| {
        let tell = |complete| {
            let told = told.lock().expect("no origin thread panics");
            let _ = told.send(complete);
        };
        if let Some(mut request) = conversation.request_head() {
            tell(false);
            conversation.request_body(&mut request);
            tell(request.complete);
        }
    });
    let stage = Stage::with_origin(&origin);
    everywhere(|transport, host| {
        let what = format!("{transport:?} {host}");
        let mut caller = stage.connect(transport, host);
        caller.begin(&Request::post_later("/", None).host(host));
        // More than a front holds back before it asks its upstream.
        caller.send(&[b'x'; 200_000]);
        wait(&events, &what);
        caller.abort();
        let complete = wait(&events, &what);
        assert!(!complete, "{what}: the cut was passed on as an end");
    });
}

#[track_caller]
fn wait<T>(events: &Receiver<T>, what: &str) -> T {
    let come = events.recv_timeout(quaich_testkit::PATIENCE);
    come.unwrap_or_else(|_| panic!("{what}: waited in vain for the origin"))
}
