//! What only FastCGI has: connections that are kept, refusals, STDERR, ABORT_REQUEST.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use quaich_testkit::{End, Origin, Quaich, TempSite};

use super::scripted::{Line, fastcgi_answer, record, server, url};

fn serve(servers: &[&Origin], keys: &str) -> Quaich {
    let urls: Vec<String> = servers
        .iter()
        .map(|origin| url("fastcgi", origin))
        .collect();
    let toml = format!(
        "threads = 1\n[upstream.up]\nservers = {urls:?}\n{keys}\n[site.main]\nupstream = \"up\"\n"
    );
    Quaich::serve(TempSite::new(), &toml)
}

const OK: &[u8] = b"Content-Type: text/x\n\nok";

/// Keeps the connection if it is asked to.
fn keeping(more: &'static [u8]) -> Origin {
    server("fastcgi", move |request| {
        let end = if request.marks.0 & 1 == 1 {
            End::Keep
        } else {
            End::Fin
        };
        ([fastcgi_answer(OK), more.to_vec()].concat(), end)
    })
}

#[test]
fn a_connection_carries_one_request_after_the_other() {
    let origin = keeping(b"");
    let quaich = serve(&[&origin], "keepalive = 1");
    for n in 0..20 {
        let body = "x".repeat(n * 10_000);
        quaich
            .request("POST", "/", "", body.as_bytes())
            .expect_body("ok");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn without_keepalive_the_server_closes_each_connection() {
    let origin = keeping(b"");
    let quaich = serve(&[&origin], "");
    for _ in 0..3 {
        quaich.get("/").expect_body("ok");
    }
    assert_eq!(origin.connections(), 3);
}

#[test]
fn what_follows_an_answer_reaches_nobody() {
    let poison = fastcgi_answer(b"Content-Type: text/x\n\npoison");
    let origin = keeping(poison.leak());
    let quaich = serve(&[&origin], "keepalive = 8");
    for _ in 0..5 {
        quaich.get("/").expect_status(200).expect_body("ok");
    }
    assert_eq!(origin.connections(), 5);
}

#[test]
fn a_server_that_has_too_much_to_do_passes_the_request_on() {
    for status in [1, 2] {
        let busy = server("fastcgi", move |_| {
            (record(3, &[0, 0, 0, 0, status, 0, 0, 0]), End::Fin)
        });
        let idle = keeping(b"");
        let quaich = serve(&[&busy, &idle], "retries = 1");
        for _ in 0..4 {
            quaich.request("POST", "/", "", b"x").expect_body("ok");
        }
        let alone = serve(&[&busy], "retries = 0");
        alone.get("/").expect_status(502);
    }
}

#[test]
fn what_an_app_complains_about_is_logged() {
    let origin = server("fastcgi", |_| {
        let answer = [
            record(7, b"first line\nsecond "),
            record(6, OK),
            record(7, b"line\x1b[31m"),
            record(3, &[0; 8]),
        ];
        (answer.concat(), End::Fin)
    });
    let quaich = serve(&[&origin], "");
    quaich.get("/").expect_body("ok");
    quaich.log().wait_for("a server says: first line");
    let line = quaich.log().wait_for("a server says: second line");
    assert!(!line.contains('\x1b'), "{line}");
}

#[test]
fn complaints_are_no_answer() {
    let origin = Origin::start(|conversation| {
        let mut line = Line::new(conversation);
        let complaint = record(7, &b"so much to say\n".repeat(2000));
        if line.request("fastcgi").is_some() {
            while line.conversation.write(&complaint) {}
        }
    });
    let quaich = serve(&[&origin], "retries = 0\ntimeout = \"500ms\"");
    quaich.get("/").expect_status(504);
    quaich.log().wait_for("response_timeout");
    let log = quaich.log().text();
    let lines = log.lines().filter(|line| line.contains("so much to say"));
    assert!((1..=8 * 1024 / 14 + 1).contains(&lines.count()));
}

#[test]
fn a_client_that_leaves_is_told_to_the_server() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let origin = Origin::start(move |conversation| {
        let mut line = Line::new(conversation);
        let Some(_request) = line.request("fastcgi") else {
            return;
        };
        line.conversation
            .write(record(6, b"Content-Type: text/x\n\nbegun"));
        let after = line.record().map(|(kind, ..)| kind);
        let _ = tell.lock().expect("no thread panics").send(after);
    });
    let quaich = serve(&[&origin], "");
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.until("begun");
    client.reset();
    assert_eq!(
        told.recv().expect("the origin lives"),
        Some(2),
        "ABORT_REQUEST"
    );
}

#[test]
fn a_piece_of_an_answer_is_not_held_back() {
    let origin = Origin::start(|conversation| {
        let mut line = Line::new(conversation);
        line.request("fastcgi");
        line.conversation
            .write(record(6, b"Content-Type: text/x\n\none"));
        // Goes on when the client has seen the first piece: it sends another request then.
        line.request("fastcgi");
    });
    let quaich = serve(&[&origin], "");
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.until("one");
}

#[test]
fn a_websocket_has_no_place_in_fastcgi() {
    let origin = keeping(b"");
    let quaich = serve(&[&origin], "");
    let fields = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    quaich.request("GET", "/", fields, b"").expect_status(501);
}
