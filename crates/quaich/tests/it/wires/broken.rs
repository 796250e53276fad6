//! Answers that are none, or break off, over uwsgi, SCGI and FastCGI.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quaich_testkit::{End, Origin, Quaich, TempSite};

use super::scripted::{fastcgi_answer, record, server, url};

fn in_front_of(scheme: &str, origin: &Origin, keys: &str) -> Quaich {
    let toml = format!(
        "threads = 1\n[upstream.up]\nservers = [\"{}\"]\n{keys}\n[site.main]\nupstream = \"up\"\n",
        url(scheme, origin)
    );
    Quaich::serve(TempSite::new(), &toml)
}

/// The status, and whether all seemed well; `None` when the client got no answer at all.
fn seen(quaich: &Quaich) -> Option<(u16, String, bool)> {
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.response_or_end()?;
    Some((response.status, response.text(), response.complete))
}

/// Each request is answered with the beginning of `answer` of which the path says the length.
fn cut(scheme: &'static str, answer: &'static [u8], end: End) -> (Origin, Arc<AtomicUsize>) {
    let length = Arc::new(AtomicUsize::new(0));
    let shown = length.clone();
    let origin = server(scheme, move |_| {
        (answer[..shown.load(Ordering::SeqCst)].to_vec(), end)
    });
    (origin, length)
}

#[test]
fn an_answer_cut_at_any_byte_never_looks_complete() {
    const LENGTH: &[u8] = b"Status: 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    const TO_THE_END: &[u8] = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nhello";
    for scheme in ["uwsgi", "scgi"] {
        for (answer, known) in [(LENGTH, true), (TO_THE_END, false)] {
            let head = answer.len() - 5;
            for end in [End::Fin, End::Reset] {
                let (origin, length) = cut(scheme, answer, end);
                let quaich = in_front_of(scheme, &origin, "retries = 0");
                for at in 0..answer.len() {
                    length.store(at, Ordering::SeqCst);
                    // Without a length, an orderly end is the end.
                    let may_be_whole = !known && end == End::Fin && at >= head;
                    let what = format!("{scheme} {end:?} cut at {at} of {}", answer.len());
                    match seen(&quaich) {
                        Some((200, _, complete)) => assert_eq!(complete, may_be_whole, "{what}"),
                        Some((status, ..)) => assert_eq!(status, 502, "{what}"),
                        None => {}
                    }
                }
            }
        }
    }
}

#[test]
fn a_fastcgi_answer_is_whole_with_its_last_record_only() {
    let answer = fastcgi_answer(b"Status: 200 OK\r\n\r\nhello");
    let answer: &'static [u8] = answer.leak();
    for end in [End::Fin, End::Reset] {
        let (origin, length) = cut("fastcgi", answer, end);
        let quaich = in_front_of("fastcgi", &origin, "retries = 0");
        for at in 0..answer.len() {
            length.store(at, Ordering::SeqCst);
            match seen(&quaich) {
                Some((200, _, complete)) => assert!(!complete, "{end:?} cut at {at}"),
                Some((status, ..)) => assert_eq!(status, 502, "{end:?} cut at {at}"),
                None => {}
            }
        }
        length.store(answer.len(), Ordering::SeqCst);
        if end == End::Fin {
            assert_eq!(seen(&quaich), Some((200, "hello".into(), true)));
        }
    }
}

/// Heads of CGI, and what the client sees: the status, and the body of a good one.
const HEADS: &[(&[u8], u16, &str)] = &[
    (b"Status: 200 OK\r\nA: b\r\n\r\nx", 200, "x"),
    (b"Content-Type: text/plain\n\nx", 200, "x"),
    (b"Status: 404 Not Found\n\nx", 404, "x"),
    (b"Location: /next\n\n", 302, ""),
    (b"Status: 201 Created\nLocation: /next\n\n", 201, ""),
    (b"HTTP/1.1 200 OK\r\n\r\nx", 200, "x"),
    (b"HTTP/1.0 403 No\r\n\r\nx", 403, "x"),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        200,
        "x",
    ),
    (b"Status: 200\nContent-Length: 1\n\nxyz", 200, "x"),
    (b"Status: 204 No Content\n\nbody", 204, ""),
    (b"Status: 304\nETag: \"x\"\n\n", 304, ""),
    (b"Status: 200 O\rK\n\nx", 502, ""),
    (b"A: b\0\n\nx", 502, ""),
    (b"A: b\n folded\n\nx", 502, ""),
    (b"A : b\n\nx", 502, ""),
    (b"\n\nx", 502, ""),
    (b"no head at all", 502, ""),
    (b"<html>\n\n", 502, ""),
    (b"Status: 2000\n\nx", 502, ""),
    (b"Status: 200\nStatus: 500\n\nx", 502, ""),
    (
        b"HTTP/1.1 101 Yes\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        502,
        "",
    ),
    (b"HTTP/1.1 200 OK\n\nx", 502, ""),
    (b"Content-Length: 1\nContent-Length: 2\n\nx", 502, ""),
    (b"Transfer-Encoding: chunked\n\n0\r\n\r\n", 502, ""),
    (b"", 502, ""),
];

#[test]
fn an_answer_without_a_single_meaning_is_none() {
    for scheme in ["uwsgi", "scgi", "fastcgi"] {
        let at = Arc::new(AtomicUsize::new(0));
        let number = at.clone();
        let origin = server(scheme, move |_| {
            let (answer, ..) = HEADS[number.load(Ordering::SeqCst)];
            match scheme {
                "fastcgi" => (fastcgi_answer(answer), End::Fin),
                _ => (answer.to_vec(), End::Fin),
            }
        });
        // A kept connection could be closed just when the next request is sent.
        let quaich = in_front_of(scheme, &origin, "retries = 0\nkeepalive = 0");
        for (number, (answer, status, body)) in HEADS.iter().enumerate() {
            at.store(number, Ordering::SeqCst);
            let what = format!("{scheme} {}", answer.escape_ascii());
            let (seen_status, text, complete) = seen(&quaich).expect(&what);
            assert_eq!((seen_status, complete), (*status, true), "{what}");
            if *status != 502 {
                assert_eq!(text, *body, "{what}");
            }
        }
    }
}

#[test]
fn records_that_do_not_belong_to_the_answer_are_a_failure() {
    let head = || record(6, b"Content-Type: text/x\n\n");
    let other_id = |mut record: Vec<u8>| {
        record[3] = 2;
        record
    };
    let bad: Vec<Vec<u8>> = vec![
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        record(99, b"x"),
        record(4, b"x"),
        record(11, &[0; 8]),
        other_id(head()),
        record(3, b"short"),
        record(3, b"\0\0\0\0\x09\0\0\0"),
        record(3, b"\0\0\0\0\x03\0\0\0"),
        record(3, &[0; 8]),
        [vec![1, 6, 0, 1, 0xff, 0xff, 255, 0], vec![b'x'; 10]].concat(),
    ];
    let at = Arc::new(AtomicUsize::new(0));
    let (number, answers) = (at.clone(), bad.clone());
    let origin = server("fastcgi", move |_| {
        (answers[number.load(Ordering::SeqCst)].clone(), End::Fin)
    });
    let quaich = in_front_of("fastcgi", &origin, "retries = 0");
    for (number, answer) in bad.iter().enumerate() {
        at.store(number, Ordering::SeqCst);
        let (status, ..) = seen(&quaich).expect("an answer");
        assert_eq!(status, 502, "{}", answer.escape_ascii());
    }
}

#[test]
fn a_head_that_is_too_large_is_a_failure() {
    for scheme in ["uwsgi", "scgi", "fastcgi"] {
        let origin = server(scheme, move |_| {
            let head = format!("Status: 200\nA: {}\n\n", "a".repeat(40_000));
            match scheme {
                "fastcgi" => (fastcgi_answer(head.as_bytes()), End::Fin),
                _ => (head.into_bytes(), End::Fin),
            }
        });
        let quaich = in_front_of(scheme, &origin, "");
        assert_eq!(seen(&quaich).map(|seen| seen.0), Some(502), "{scheme}");
    }
}

#[test]
fn a_post_that_got_no_answer_is_sent_once() {
    for scheme in ["uwsgi", "scgi", "fastcgi"] {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        let origin = server(scheme, move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            (Vec::new(), End::Fin)
        });
        let quaich = in_front_of(scheme, &origin, "retries = 3");
        quaich.request("POST", "/", "", b"once").expect_status(502);
        assert_eq!(count.load(Ordering::SeqCst), 1, "{scheme}");
    }
}

#[test]
fn uwsgi_that_closes_on_large_variables_is_explained() {
    let origin = Origin::start(|conversation| {
        conversation.read();
        conversation.end(End::Fin);
    });
    let quaich = in_front_of("uwsgi", &origin, "retries = 0");
    let field = format!("X-Large: {}\r\n", "v".repeat(5000));
    quaich.request("GET", "/", &field, b"").expect_status(502);
    quaich.log().wait_for("buffer-size");
    let many: String = (0..9)
        .map(|n| format!("X-{n}: {}\r\n", "v".repeat(7900)))
        .collect();
    let toml = format!(
        "max_header = \"128KiB\"\n[site.main]\nproxy = \"{}\"\n",
        url("uwsgi", &origin)
    );
    let generous = Quaich::serve(TempSite::new(), &toml);
    generous.request("GET", "/", &many, b"").expect_status(431);
}
