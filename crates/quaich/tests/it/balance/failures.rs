//! What becomes of requests whose server fails: sent to another one, or not, and never twice when that
//! does harm.

use std::collections::HashSet;
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use quaich_testkit::{Origin, Peer, Quaich, Signal, TempSite, python};

use super::{counter, serve, server};

/// A server that writes down the target of every `POST` before it answers.
const SERVER: &str = r#"
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave in one piece: what has begun cannot be asked for again.
    wbufsize = 65536
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.command == "POST":
            os.write(1, f"post {self.path}\n".encode())
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    do_POST = do_GET
    def log_message(self, *args):
        pass

class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

server = Server(("127.0.0.1", 0), Handler)
print("port", server.server_address[1], flush=True)
server.serve_forever()
"#;

#[test]
fn a_server_that_is_killed_under_load_costs_no_idempotent_request() {
    let site = TempSite::new();
    site.write("server.py", SERVER);
    let peers: Vec<Peer> = (0..4)
        .map(|_| Peer::start(Command::new(python()).arg(site.join("server.py"))))
        .collect();
    let servers: Vec<String> = peers
        .iter()
        .map(|peer| {
            let line = peer.log().wait_for("port ");
            let port = line.trim_start_matches("port ").trim();
            format!("url = \"http://127.0.0.1:{port}\"")
        })
        .collect();
    let quaich = serve("", &servers);
    let (done, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for client_number in 0..8 {
            let (quaich, done, failed) = (&quaich, &done, &failed);
            scope.spawn(move || {
                let mut client = quaich.raw();
                for n in 0..150 {
                    client.get("/").expect_status(200);
                    let id = format!("/{client_number}-{n}");
                    client.send(format!(
                        "POST {id} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nonce"
                    ));
                    let status = client.response().status;
                    assert!(status == 200 || status == 502, "{status}");
                    failed.fetch_add(usize::from(status == 502), Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        quaich_testkit::eventually("load", || (done.load(Ordering::SeqCst) > 200).then_some(()));
        Quaich::signal_process(peers[1].pid(), Signal::KILL);
    });
    // Those that were on their way to the server when it died, and no other.
    let failed = failed.into_inner();
    assert!(failed <= 32, "{failed} POSTs have failed");
    let seen = quaich_testkit::eventually("every POST that was answered at a server", || {
        let logs: Vec<String> = peers.iter().map(|peer| peer.log().text()).collect();
        let lines = logs.iter().flat_map(|log| log.lines());
        let posts: Vec<String> = lines
            .filter(|line| line.starts_with("post "))
            .map(str::to_owned)
            .collect();
        (posts.len() >= 1200 - failed).then_some(posts)
    });
    let mut once = HashSet::new();
    for line in seen {
        assert!(once.insert(line.clone()), "{line} was sent twice");
    }
}

/// An address at which nothing listens.
fn dead() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("url = \"http://{}\"", listener.local_addr().unwrap())
}

#[test]
fn what_was_never_sent_goes_to_another_server_whatever_the_method() {
    let origin = Origin::ok();
    let quaich = serve("passive = false", &[dead(), server(&origin, "")]);
    for _ in 0..6 {
        quaich.request("POST", "/", "", b"once").expect_status(200);
    }
    assert_eq!(origin.requests().len(), 6);
    assert!(counter(&quaich, "upstream_retries") >= 1);
}

#[test]
fn backups_take_over_while_no_other_server_is_there() {
    let (spare, main) = (Origin::ok(), Origin::ok());
    let servers = [server(&spare, "backup = true"), server(&main, "")];
    let quaich = serve("", &servers);
    for _ in 0..5 {
        quaich.get("/").expect_status(200);
    }
    assert_eq!((spare.requests().len(), main.requests().len()), (0, 5));
    let quaich = serve("", &[server(&spare, "backup = true"), dead()]);
    for _ in 0..5 {
        quaich.get("/").expect_status(200);
    }
    assert_eq!(spare.requests().len(), 5);
}

#[test]
fn a_lone_server_that_is_dead_is_tried_again_after_a_pause() {
    let quaich = serve(
        "retry_after = \"0s\"\nconnect_timeout = \"300ms\"",
        &[dead()],
    );
    let start = std::time::Instant::now();
    quaich.get("/").expect_status(502);
    assert!(start.elapsed().as_millis() >= 250, "{:?}", start.elapsed());
    quaich.log().wait_for("connect_failed");
    assert_eq!(counter(&quaich, "upstream_retries"), 1);
}

fn answering(status: &str) -> Origin {
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
    Origin::answering(move |_| answer.clone().into_bytes())
}

#[test]
fn statuses_that_are_named_are_asked_again_elsewhere() {
    let (busy, well) = (answering("503 Busy"), Origin::ok());
    let servers = [server(&busy, ""), server(&well, "")];
    let quaich = serve("retry_on = [\"503\"]", &servers);
    for _ in 0..10 {
        quaich.get("/").expect_status(200).expect_body("ok");
    }
    assert_eq!(busy.requests().len(), 5);
    let posts: Vec<u16> = (0..10)
        .map(|_| quaich.request("POST", "/", "", b"once").status)
        .collect();
    assert_eq!(posts.iter().filter(|status| **status == 503).count(), 5);
    assert_eq!(busy.requests().len() + well.requests().len(), 5 + 10 + 10);
    // Nobody else is there: the client gets what there is.
    let quaich = serve("retry_on = [\"503\"]", &servers[..1]);
    quaich.get("/").expect_status(503).expect_body("no");
}

#[test]
fn a_late_server_is_given_up_for_another_one_only_where_that_is_wanted() {
    let silent = || {
        Origin::start(|conversation| {
            conversation.request();
            while !conversation.read().is_empty() {}
        })
    };
    let (late, well) = (silent(), Origin::ok());
    let servers = [server(&late, ""), server(&well, "")];
    let keys = "timeout = \"300ms\"\npassive = false\nretry_on = [\"timeout\"]";
    let quaich = serve(keys, &servers);
    for _ in 0..2 {
        quaich.get("/").expect_status(200);
    }
    late.wait_for_requests(1);
    let posts: Vec<u16> = (0..2)
        .map(|_| quaich.request("POST", "/", "", b"once").status)
        .collect();
    assert!(posts.contains(&504), "{posts:?}");
    let quaich = serve("timeout = \"300ms\"\npassive = false", &servers);
    let gets: Vec<u16> = (0..2).map(|_| quaich.get("/").status).collect();
    assert!(gets.contains(&504), "{gets:?}");
    quaich.log().wait_for("response_timeout");
}
