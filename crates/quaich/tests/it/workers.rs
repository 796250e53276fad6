//! Worker processes of an app: death, replacement, queue, deadlines, recycling.

use std::time::{Duration, Instant};

use quaich_testkit::{Gate, Quaich, RawClient, Signal, TempSite, eventually, process_exists};

use crate::apps::{self, GATED, serve, serve_with};

const SLOW: &str = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";

/// The app that waits at a gate, and a client that is in it.
fn gated(keys: &str) -> (Quaich, Gate, RawClient) {
    let site = TempSite::new();
    let gate = Gate::new(&site);
    let quaich = apps::serve_site(site, GATED, keys);
    let mut client = quaich.raw();
    client.send(SLOW);
    quaich.log().wait_for("waiting at the gate");
    (quaich, gate, client)
}

#[test]
fn a_killed_worker_costs_its_client_a_prompt_502_and_nobody_else_anything() {
    let (quaich, _gate, mut client) = gated("workers = 2\nthreads = 1");
    // The other worker tells who it is; the busy one is the one that it is not.
    let free = quaich.get("/").text();
    let busy = quaich
        .workers()
        .into_iter()
        .find(|pid| format!("pid {pid}") != free);
    let busy = busy.expect("two workers run");
    let killed_at = Instant::now();
    Quaich::signal_process(busy, Signal::KILL);
    client.response().expect_status(502);
    let took = killed_at.elapsed();
    assert!(took < Duration::from_millis(100), "the 502 took {took:?}");
    quaich.get("/").expect_status(200);
    eventually("a worker in its place", || {
        let workers = quaich.workers();
        (workers.len() == 2 && !workers.contains(&busy)).then_some(())
    });
}

#[test]
fn a_request_goes_to_a_free_worker_and_never_behind_a_busy_one() {
    let (quaich, gate, mut client) = gated("workers = 2\nthreads = 1");
    for _ in 0..20 {
        quaich.get("/").expect_status(200);
    }
    gate.open();
    client.response().expect_status(200);
}

#[test]
fn a_full_queue_is_answered_at_once_with_retry_after() {
    let (quaich, gate, mut running) =
        gated("workers = 1\nthreads = 1\nqueue = 2\nqueue_timeout = \"20s\"");
    let mut waiting = [quaich.raw(), quaich.raw()];
    for client in &mut waiting {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        // Only a request that waits keeps its client waiting.
        assert!(!client.answered_within(Duration::from_millis(100)));
    }
    let refused = quaich.get("/");
    refused.expect_status(503);
    assert!(refused.header("retry-after").is_some(), "{}", refused.head);
    gate.open();
    running.response().expect_status(200);
    for client in &mut waiting {
        client.response().expect_status(200);
    }
}

#[test]
fn waiting_too_long_for_a_worker_is_a_503() {
    let (quaich, gate, mut running) = gated("workers = 1\nthreads = 1\nqueue_timeout = \"200ms\"");
    let refused = quaich.get("/");
    refused.expect_status(503);
    assert!(refused.header("retry-after").is_some(), "{}", refused.head);
    gate.open();
    running.response().expect_status(200);
}

#[test]
fn a_client_that_has_left_the_queue_costs_no_worker_anything() {
    let (quaich, gate, mut running) = gated("workers = 1\nthreads = 1\nqueue = 1");
    let mut gone = quaich.raw();
    gone.send("GET /counted HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!gone.answered_within(Duration::from_millis(50)));
    drop(gone);
    // Its place in the queue becomes free.
    let mut next = eventually("a free place in the queue", || {
        let mut client = quaich.raw();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        (!client.answered_within(Duration::from_millis(100))).then_some(client)
    });
    gate.open();
    running.response().expect_status(200);
    next.response().expect_status(200);
}

#[test]
fn a_request_that_runs_too_long_is_a_504_and_its_worker_is_replaced() {
    let (quaich, _gate, mut client) = gated("workers = 1\nthreads = 1\ntimeout = \"300ms\"");
    let stuck = quaich.workers()[0];
    client.response().expect_status(504);
    // Where it was stuck stands in the log.
    quaich.log().wait_for("app.py");
    eventually("the end of the stuck worker", || {
        (!process_exists(stuck)).then_some(())
    });
    eventually("an answer of its successor", || {
        (quaich.get("/").status == 200).then_some(())
    });
}

#[test]
fn an_exit_inside_a_request_is_answered_and_the_worker_replaced() {
    let quaich = serve(
        r#"
import os, sys

def application(environ, start_response):
    if environ["PATH_INFO"] == "/exit":
        sys.exit(3)
    if environ["PATH_INFO"] == "/die":
        os._exit(3)
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"#,
    );
    for (target, expected) in [("/exit", [500, 502]), ("/die", [502, 502])] {
        let before = quaich.get("/").text();
        let status = quaich.get(target).status;
        assert!(expected.contains(&status), "{target}: {status}");
        eventually("another worker", || {
            let answer = quaich.get("/");
            (answer.status == 200 && answer.text() != before).then_some(())
        });
    }
}

#[test]
fn max_requests_replaces_a_worker_without_a_failed_request() {
    let quaich = serve_with(GATED, "workers = 1\nthreads = 1\nmax_requests = 20");
    let mut client = quaich.raw();
    let mut pids = std::collections::BTreeSet::new();
    // A successor takes longer to start than the rest of its predecessor's requests.
    eventually("one worker after another", || {
        let response = client.get("/");
        response.expect_status(200);
        pids.insert(response.text());
        (pids.len() >= 3).then_some(())
    });
}

#[test]
fn a_request_that_no_worker_has_taken_survives_the_death_of_all() {
    let (quaich, _gate, mut running) = gated("workers = 1\nthreads = 1\nqueue_timeout = \"20s\"");
    let mut waiting = quaich.raw();
    waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!waiting.answered_within(Duration::from_millis(50)));
    Quaich::signal_process(quaich.workers()[0], Signal::KILL);
    running.response().expect_status(502);
    waiting.response().expect_status(200);
}

#[test]
fn a_worker_that_ends_by_itself_leaves_no_zombie() {
    let quaich = serve_with(GATED, "workers = 2\nthreads = 1");
    let before = quaich.workers();
    assert_eq!(before.len(), 2);
    for pid in &before {
        Quaich::signal_process(*pid, Signal::KILL);
    }
    eventually("both replaced", || {
        let now = quaich.workers();
        (now.len() == 2 && now.iter().all(|pid| !before.contains(pid))).then_some(())
    });
    for pid in before {
        let gone = || (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(());
        eventually("the dead worker is reaped", gone);
    }
}
