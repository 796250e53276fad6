//! `max_conns`: requests that wait for room, in which order, and for how long.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use quaich_testkit::{Origin, Quaich, RawClient, eventually};

use super::{counter, serve, server};

/// Answers a request each time it is told to.
struct Held {
    origin: Origin,
    go: Sender<()>,
    most: Arc<AtomicUsize>,
}

impl Held {
    fn start() -> Self {
        let (go, gate) = channel();
        let gate = Mutex::new(gate);
        let most = Arc::new(AtomicUsize::new(0));
        let (running, most_seen) = (AtomicUsize::new(0), most.clone());
        let origin = Origin::start(move |conversation| {
            while conversation.request().is_some() {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most_seen.fetch_max(now, Ordering::SeqCst);
                if gate.lock().unwrap().recv().is_err() {
                    return;
                }
                running.fetch_sub(1, Ordering::SeqCst);
                conversation.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        Self { origin, go, most }
    }

    fn answer(&self, count: usize) {
        (0..count).for_each(|_| self.go.send(()).unwrap());
    }
}

fn ask(quaich: &Quaich, client: &str, target: &str) -> RawClient {
    let mut raw = quaich.raw();
    raw.send(format!(
        "GET {target} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n"
    ));
    raw
}

fn wait_until_queued(quaich: &Quaich, count: u64) {
    eventually("requests in the queue", || {
        (counter(quaich, "queued") == count).then_some(())
    });
}

#[test]
fn a_server_never_has_more_than_max_conns() {
    let held = [Held::start(), Held::start()];
    let servers = held
        .each_ref()
        .map(|held| server(&held.origin, "max_conns = 2"));
    let quaich = serve("queue_timeout = \"60s\"", &servers);
    let mut clients: Vec<_> = (0..20)
        .map(|n| ask(&quaich, "10.0.0.1", &format!("/{n}")))
        .collect();
    wait_until_queued(&quaich, 16);
    held.iter().for_each(|held| held.answer(20));
    for client in &mut clients {
        client.response().expect_status(200);
    }
    for held in &held {
        assert_eq!(held.most.load(Ordering::SeqCst), 2);
    }
    assert_eq!(counter(&quaich, "queued"), 0);
    assert_eq!(counter(&quaich, "upstream_queued"), 16);
    // The wait stands in the log.
    let waited = quaich.log().wait_for("\"queue_ms\":");
    assert!(waited.contains("\"status\":200"), "{waited}");
}

#[test]
fn clients_take_turns_whoever_asks_more() {
    let held = Held::start();
    let quaich = serve(
        "queue_timeout = \"60s\"",
        &[server(&held.origin, "max_conns = 1")],
    );
    let mut clients = vec![ask(&quaich, "10.0.0.1", "/first")];
    held.origin.wait_for_requests(1);
    for n in 0..20 {
        clients.push(ask(&quaich, "10.0.0.1", &format!("/{n}")));
        wait_until_queued(&quaich, n + 1);
    }
    clients.push(ask(&quaich, "10.0.0.2", "/other"));
    wait_until_queued(&quaich, 21);
    held.answer(22);
    for client in &mut clients {
        client.response().expect_status(200);
    }
    let requests = held.origin.requests();
    let order: Vec<&str> = requests.iter().map(|request| request.target()).collect();
    assert_eq!(order[..4], ["/first", "/0", "/other", "/1"], "{order:?}");
    assert_eq!(order.last(), Some(&"/19"), "those of one client in order");
}

#[test]
fn who_waits_too_long_or_finds_no_room_is_told_to_come_back() {
    let held = Held::start();
    let quaich = serve(
        "max_queue = 1\nqueue_timeout = \"500ms\"",
        &[server(&held.origin, "max_conns = 1")],
    );
    let mut first = ask(&quaich, "10.0.0.1", "/first");
    held.origin.wait_for_requests(1);
    let mut second = ask(&quaich, "10.0.0.1", "/second");
    wait_until_queued(&quaich, 1);
    let refused = quaich.get("/third");
    refused.expect_status(503);
    assert!(refused.header("retry-after").is_some());
    quaich.log().wait_for("queue_full");
    second.response().expect_status(503);
    quaich.log().wait_for("queue_timeout");
    held.answer(1);
    first.response().expect_status(200);
    assert_eq!(
        held.origin.requests().len(),
        1,
        "the others never reached it"
    );
    assert_eq!(counter(&quaich, "upstream_queue_full"), 1);
    assert_eq!(counter(&quaich, "upstream_queue_timeouts"), 1);
}

#[test]
fn a_client_that_leaves_the_queue_never_reaches_a_server() {
    let held = Held::start();
    let quaich = serve(
        "queue_timeout = \"60s\"",
        &[server(&held.origin, "max_conns = 1")],
    );
    let mut first = ask(&quaich, "10.0.0.1", "/first");
    held.origin.wait_for_requests(1);
    let gone = ask(&quaich, "10.0.0.1", "/gone");
    let mut last = ask(&quaich, "10.0.0.2", "/last");
    wait_until_queued(&quaich, 2);
    gone.reset();
    wait_until_queued(&quaich, 1);
    held.answer(2);
    first.response().expect_status(200);
    last.response().expect_status(200);
    let requests = held.origin.requests();
    let targets: Vec<&str> = requests.iter().map(|request| request.target()).collect();
    assert_eq!(targets, ["/first", "/last"]);
}
