//! Many slow clients beside normal ones: nobody else waits for them.

use std::time::{Duration, Instant};

use quaich_testkit::{Quaich, RawClient};

use crate::apps;

/// How many of each kind. The whole-size figure is the bench's; this finds the mistake that makes
/// one slow client hold a worker or the event loop.
const CROWD: usize = 150;

const LARGE: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    if environ["PATH_INFO"] == "/large":
        return [b"x" * 1_000_000]
    environ["wsgi.input"].read()
    return [b"ok"]
"#;

/// The 99th percentile of this many requests of one normal client.
fn p99(quaich: &Quaich, requests: usize) -> Duration {
    let mut client = quaich.raw();
    let mut times: Vec<Duration> = (0..requests)
        .map(|_| {
            let begun = Instant::now();
            client.get("/").expect_status(200);
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[requests * 99 / 100]
}

/// Clients that have begun a request and will not end it soon.
fn slow_senders(quaich: &Quaich) -> Vec<RawClient> {
    let senders = (0..CROWD).map(|n| {
        let mut client = quaich.raw();
        match n % 2 {
            0 => client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "),
            _ => client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbegun"),
        };
        client
    });
    senders.collect()
}

/// Clients that ask for much and read nothing.
fn slow_readers(quaich: &Quaich) -> Vec<RawClient> {
    let readers = (0..CROWD).map(|_| {
        let mut client = quaich.raw();
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
        client.head();
        client
    });
    readers.collect()
}

#[test]
fn slow_clients_do_not_slow_down_a_normal_one() {
    let quaich = apps::serve_with(LARGE, "workers = 2\nthreads = 1");
    let alone = p99(&quaich, 300);
    let mut senders = slow_senders(&quaich);
    let mut readers = slow_readers(&quaich);
    let among_them = p99(&quaich, 300);
    // Other tests run on the same machine: a floor below which a difference says nothing.
    let allowed = (alone * 2).max(Duration::from_millis(100));
    assert!(
        among_them <= allowed,
        "p99 {among_them:?} among slow clients, {alone:?} alone"
    );
    // All of them are served in the end.
    for client in &mut readers {
        assert_eq!(client.exactly(1_000_000).len(), 1_000_000);
    }
    senders[1]
        .send("x".repeat(100_000 - 5))
        .response()
        .expect_status(200);
    senders[0].send("y\r\n\r\n").response().expect_status(200);
}
