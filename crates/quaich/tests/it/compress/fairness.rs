//! Large bodies: nobody else waits for them, and they take little memory.

use std::sync::mpsc::channel;
use std::time::Duration;

use quaich_testkit::{Origin, Quaich, Request, TempSite, Transport};

use super::decode::decode;
use super::text;

#[test]
fn another_request_is_answered_while_a_body_is_being_compressed() {
    let (sent, was_sent) = channel();
    let sent = std::sync::Mutex::new(sent);
    let body = text(300_000);
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_some() {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
            conversation.write(format!(
                "{head}Content-Length: {}\r\n\r\n{body}",
                body.len()
            ));
            let sent = sent.lock().expect("nobody has failed with it");
            let _ = sent.send(());
        }
    });
    // The slowest level there is: a second or more for this body.
    let toml = format!(
        "threads = 1\n[[site.main.route]]\npath = \"/quick\"\nrespond = {{ body = \"quick\" }}\n\
         [[site.main.route]]\nproxy = \"{}\"\ncompress = {{ codings = [\"br\"], br = 11 }}\n",
        origin.url()
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let mut slow = quaich.raw();
    slow.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n");
    let patience = Duration::from_secs(30);
    was_sent.recv_timeout(patience).expect("the origin answers");
    // By the second, the body has certainly been read.
    for _ in 0..2 {
        quaich.get("/quick").expect_body("quick");
    }
    assert!(
        !slow.answered_within(Duration::from_millis(1)),
        "the others were answered after the body that was being compressed"
    );
    slow.patience(Duration::from_secs(60));
    let answer = slow.response();
    answer.expect_header("content-encoding", "br");
    assert_eq!(
        decode("br", &answer.body),
        (text(300_000).into_bytes(), true)
    );
}

#[test]
fn a_hundred_megabytes_pass_through_little_memory_while_others_are_answered() {
    const PIECES: usize = 1600;
    let piece = text(65_536);
    let size = piece.len();
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_some() {
            conversation.write(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n",
            );
            let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
            for _ in 0..PIECES {
                if !conversation.write(&chunk) {
                    return;
                }
            }
            conversation.write("0\r\n\r\n");
        }
    });
    let toml = format!(
        "threads = 1\n[[site.main.route]]\npath = \"/quick\"\nrespond = {{ body = \"quick\" }}\n\
         [[site.main.route]]\nproxy = \"{}\"\n",
        origin.url()
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let mut caller = Transport::Http1.connect(quaich.addr(), "test");
    caller.begin(&Request::get("/").field("accept-encoding", "zstd"));
    // It has begun and cannot have ended: its rest waits for us.
    caller.body(1);
    for _ in 0..20 {
        quaich.get("/quick").expect_body("quick");
    }
    let answer = caller.answer();
    assert!(answer.complete);
    let (plain, ended) = decode("zstd", &answer.body);
    assert!(ended && plain.len() == PIECES * size);
    let status = format!("/proc/{}/status", quaich.front());
    let status = std::fs::read_to_string(status).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    assert!(peak.is_some_and(|kib| kib < 80 * 1024), "{peak:?} KiB");
}
