//! What is learnt from requests: ejection, probes of servers that cannot be connected to, and that
//! clients notice nothing of it.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use quaich_testkit::{Conversation, Origin, Peer, Quaich, RawClient, TempSite, eventually, python};

use crate::health::{server, to, wait_for_state, who};

/// Breaks off in place of an answer while `ill`.
fn moody(name: &'static str, ill: &Arc<AtomicBool>) -> Origin {
    let ill = ill.clone();
    Origin::start(move |conversation: &mut Conversation| {
        while conversation.request().is_some() {
            if ill.load(Ordering::SeqCst) {
                return;
            }
            let length = name.len();
            conversation.write(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}"
            ));
        }
    })
}

/// An address that refuses connections.
fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound")
}

/// A process that serves the folder of `site` at `addr`.
fn file_server(site: &TempSite, addr: SocketAddr) -> Peer {
    let peer = Peer::start(
        Command::new(python())
            .args(["-u", "-m", "http.server", "--bind", "127.0.0.1"])
            .arg(addr.port().to_string())
            .current_dir(site.path()),
    );
    peer.log().wait_for("Serving HTTP");
    peer
}

fn posts(quaich: &Quaich, count: usize) -> Vec<u16> {
    let mut statuses: Vec<u16> = (0..count)
        .map(|_| quaich.request("POST", "/", "", b"x").status)
        .collect();
    statuses.sort_unstable();
    statuses
}

#[test]
fn a_server_that_fails_requests_is_ejected_and_comes_back() {
    let ill = Arc::new(AtomicBool::new(true));
    let (a, b) = (moody("a", &ill), moody("b", &Arc::default()));
    let keys = "passive = { errors = 3, eject = \"2s\" }";
    let quaich = to(&[a.url(), b.url()], keys);
    // A body that was sent is not sent again: each failure is seen by its client.
    let statuses = posts(&quaich, 20);
    assert_eq!(
        statuses.iter().filter(|s| **s == 502).count(),
        3,
        "{statuses:?}"
    );
    let ejected = quaich.log().wait_for("a server is ejected");
    assert!(
        ejected.contains("3 requests in a row have failed"),
        "{ejected}"
    );
    let status = server(&quaich, "a");
    assert_eq!(
        (&status["state"], &status["ejections"]),
        (&"ejected".into(), &1.into())
    );
    ill.store(false, Ordering::SeqCst);
    let back = quaich.log().wait_for("a server is up");
    assert!(back.contains("its time is over"), "{back}");
    assert_eq!(who(&quaich, 4), "aabb");
}

#[test]
fn a_restart_that_breaks_off_many_requests_is_one_failure() {
    const AT_ONCE: usize = 12;
    let waiting = Arc::new(std::sync::Barrier::new(AT_ONCE));
    let origin = Origin::start(move |conversation: &mut Conversation| {
        while let Some(request) = conversation.request() {
            if request.method() == "POST" {
                // All are there, and all are broken off.
                waiting.wait();
                return;
            }
            conversation.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
        }
    });
    // Ejection would be possible: another one takes requests.
    let b = moody("b", &Arc::default());
    let quaich = to(
        &[origin.url(), b.url()],
        "passive = { errors = 2, eject = \"1h\" }",
    );
    let clients: Vec<RawClient> = (0..2 * AT_ONCE)
        .map(|_| {
            let mut client = quaich.raw();
            client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
            client
        })
        .collect();
    let statuses = clients
        .into_iter()
        .map(|mut client| client.response().status);
    assert_eq!(statuses.filter(|status| *status == 502).count(), AT_ONCE);
    let status = server(&quaich, "a");
    assert_eq!(status["failed"], AT_ONCE);
    assert_eq!(
        (&status["state"], &status["ejections"]),
        (&"up".into(), &0.into())
    );
    assert_eq!(who(&quaich, 4), "aabb");
}

#[test]
fn no_more_servers_are_ejected_than_may_be() {
    let ill = Arc::new(AtomicBool::new(true));
    let origins = ["a", "b", "c", "d"].map(|name| moody(name, &ill));
    let urls = origins.each_ref().map(Origin::url);
    let quaich = to(
        &urls,
        "passive = { errors = 2, eject = \"1h\", max_ejected = \"50%\" }",
    );
    let statuses = posts(&quaich, 40);
    assert!(statuses.iter().all(|status| *status == 502), "{statuses:?}");
    let count = |state: &str| {
        let names = ["a", "b", "c", "d"].into_iter();
        names
            .filter(|name| server(&quaich, name)["state"] == state)
            .count()
    };
    assert_eq!((count("ejected"), count("up")), (2, 2));
}

#[test]
fn an_ejected_server_with_checks_comes_back_only_when_one_succeeds() {
    let ill = Arc::new(AtomicBool::new(true));
    let (a, b) = (moody("a", &ill), moody("b", &Arc::default()));
    let status = Arc::new(AtomicUsize::new(200));
    let now = status.clone();
    let doctor = Origin::answering(move |_| {
        let status = now.load(Ordering::SeqCst);
        format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").into_bytes()
    });
    let port = doctor.addr().port();
    // Ordinary checks never take a server down here.
    let keys = format!(
        "health = {{ path = \"/\", port = {port}, every = \"50ms\", fall = 1000 }}\n\
         passive = {{ errors = 2, eject = \"50ms\" }}"
    );
    let quaich = to(&[a.url(), b.url()], &keys);
    wait_for_state(&quaich, "a", "up");
    wait_for_state(&quaich, "b", "up");
    status.store(500, Ordering::SeqCst);
    posts(&quaich, 6);
    quaich.log().wait_for("a server is ejected");
    let asked = doctor.requests().len();
    doctor.wait_for_requests(asked + 10);
    assert_eq!(server(&quaich, "a")["state"], "ejected");
    status.store(200, Ordering::SeqCst);
    let up = quaich.log().wait_for("a server is up");
    assert!(
        up.contains("its time is over, and a check succeeds: status 200"),
        "{up}"
    );
}

#[test]
fn a_server_that_is_gone_is_probed_and_gets_no_requests_meanwhile() {
    let site = TempSite::new();
    site.write("index.html", "a");
    let addr = refusing();
    let b = moody("b", &Arc::default());
    let quaich = to(
        &[format!("http://{addr}"), b.url()],
        "retry_after = \"300ms\"",
    );
    assert_eq!(who(&quaich, 50), "b".repeat(50));
    let down = quaich.log().wait_for("a server is down");
    assert!(down.contains("it cannot be connected to"), "{down}");
    let status = server(&quaich, "a");
    // One request has found out; all others were spared.
    assert_eq!(
        (&status["state"], &status["failed"]),
        (&"down".into(), &1.into())
    );
    let _a = file_server(&site, addr);
    let up = quaich.log().wait_for("a server is up");
    assert!(up.contains("a probe has reached it"), "{up}");
    assert_eq!(who(&quaich, 4), "aabb");
}

#[test]
fn the_only_server_is_tried_by_requests_so_that_a_restart_costs_no_wait() {
    let site = TempSite::new();
    site.write("index.html", "a");
    let addr = refusing();
    let quaich = to(&[format!("http://{addr}")], "retry_after = \"1h\"");
    quaich.get("/").expect_status(502);
    assert_eq!(server(&quaich, "a")["state"], "up");
    let _a = file_server(&site, addr);
    quaich.get("/").expect_body("a");
}

#[test]
fn when_all_are_gone_the_last_one_is_tried_on() {
    let site = TempSite::new();
    site.write("index.html", "x");
    let addrs = [refusing(), refusing()];
    let urls = addrs.map(|addr| format!("http://{addr}"));
    let quaich = to(&urls, "retry_after = \"1h\"");
    for _ in 0..6 {
        quaich.get("/").expect_status(502);
    }
    let states = ["a", "b"].map(|name| server(&quaich, name)["state"].to_string());
    assert_ne!(states[0], states[1], "one is out, the last is not");
    let last = usize::from(states[1] == "\"up\"");
    let _server = file_server(&site, addrs[last]);
    quaich.get("/").expect_body("x");
}

#[test]
fn killing_one_of_four_costs_no_client_anything() {
    let site = TempSite::new();
    site.write("index.html", "x");
    let addrs: Vec<SocketAddr> = (0..4).map(|_| refusing()).collect();
    let mut servers: Vec<Peer> = addrs.iter().map(|addr| file_server(&site, *addr)).collect();
    let urls: Vec<String> = addrs.iter().map(|addr| format!("http://{addr}")).collect();
    let quaich = to(&urls, "retry_after = \"200ms\"");
    let (answered, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let over = AtomicBool::new(false);
    let wait_for = |more: usize| {
        let goal = answered.load(Ordering::SeqCst) + more;
        eventually("requests are answered", || {
            (answered.load(Ordering::SeqCst) >= goal).then_some(())
        });
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let wrong = quaich.get("/").status != 200;
                    failed.fetch_add(usize::from(wrong), Ordering::SeqCst);
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        wait_for(100);
        drop(servers.pop());
        quaich.log().wait_for("a server is down");
        wait_for(100);
        servers.push(file_server(&site, addrs[3]));
        quaich.log().wait_for("a server is up");
        let before = server(&quaich, "d")["served"].as_u64();
        eventually("requests reach it again", || {
            (server(&quaich, "d")["served"].as_u64() > before).then_some(())
        });
        over.store(true, Ordering::SeqCst);
    });
    assert_eq!(failed.load(Ordering::SeqCst), 0);
    wait_for_state(&quaich, "d", "up");
}

#[test]
fn the_log_says_why_a_server_cannot_be_reached() {
    let folder = TempSite::new();
    let url = format!("unix:{}", folder.join("nobody.sock").display());
    let quaich = to(&[url], "retries = 0");
    quaich.get("/").expect_status(502);
    let line = quaich
        .log()
        .wait_for("a server cannot be reached: no such file");
    assert!(
        line.contains("upstream=up") || line.contains("\"upstream\":\"up\""),
        "{line}"
    );
}

#[test]
fn the_log_asks_for_the_protocol_of_a_server_that_closes_without_an_answer() {
    let origin = Origin::start(|_: &mut Conversation| {});
    let url = origin.url().replace("http:", "uwsgi:");
    let checked = to(
        std::slice::from_ref(&url),
        "health = { type = \"ping\", fall = 1 }",
    );
    checked.log().wait_for("its ping plugin only");
    let quaich = to(&[url], "retries = 0");
    quaich.get("/").expect_status(502);
    quaich
        .log()
        .wait_for("does it speak uwsgi, as the scheme of its URL says?");
}
