//! Active checks: what they ask, what they conclude, and which servers then get requests.

use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use quaich_testkit::h2::H2Origin;
use quaich_testkit::{Origin, Peer, Quaich, TempSite, eventually};
use serde_json::Value;

/// A server that answers `/healthz` with a status that the test changes, and all else with its
/// name.
struct Patient {
    origin: Origin,
    health: Arc<AtomicU16>,
}

impl Patient {
    fn new(name: &'static str) -> Self {
        let health = Arc::new(AtomicU16::new(200));
        let status = health.clone();
        let origin = Origin::answering(move |request| {
            let (status, body) = match request.target() {
                "/healthz" => (status.load(Ordering::SeqCst), "version 7 of it"),
                _ => (200, name),
            };
            let length = body.len();
            format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
        });
        Self { origin, health }
    }

    fn becomes(&self, status: u16) {
        self.health.store(status, Ordering::SeqCst);
    }

    fn checks(&self) -> usize {
        let requests = self.origin.requests();
        requests.iter().filter(|r| r.target() == "/healthz").count()
    }
}

/// Passes everything to servers called `a`, `b` ...; `keys` are lines of the upstream's table.
pub(crate) fn to(urls: &[String], keys: &str) -> Quaich {
    let server = |(url, id)| format!("[[upstream.up.server]]\nurl = \"{url}\"\nid = \"{id}\"\n");
    let servers: String = urls.iter().zip('a'..='z').map(server).collect();
    Quaich::serve(
        TempSite::new(),
        &format!("[upstream.up]\n{keys}\n{servers}[site.main]\nupstream = \"up\"\n"),
    )
}

fn to_patients(patients: &[&Patient], keys: &str) -> Quaich {
    let urls: Vec<String> = patients.iter().map(|p| p.origin.url()).collect();
    to(&urls, keys)
}

/// The status of the server called `name`.
pub(crate) fn server(quaich: &Quaich, name: &str) -> Value {
    let status = quaich.status();
    let servers = status["upstreams"][0]["servers"].as_array().cloned();
    let mut servers = servers.unwrap_or_default().into_iter();
    let found = servers.find(|server| server["name"] == name);
    found.unwrap_or_else(|| panic!("no server {name}: {status:#}"))
}

/// Waits until the server called `name` is in this state.
pub(crate) fn wait_for_state(quaich: &Quaich, name: &str, state: &str) -> Value {
    eventually(&format!("{name} is {state}"), || {
        let server = server(quaich, name);
        (server["state"] == state).then_some(server)
    })
}

/// Who answers `count` requests, sorted.
pub(crate) fn who(quaich: &Quaich, count: usize) -> String {
    let mut names: Vec<String> = (0..count).map(|_| quaich.get("/").text()).collect();
    names.sort();
    names.concat()
}

#[test]
fn a_server_is_down_after_fall_failures_and_up_after_rise_successes() {
    let (a, b) = (Patient::new("a"), Patient::new("b"));
    let keys = "health = { path = \"/healthz\", every = \"50ms\", fall = 3, rise = 2 }";
    let quaich = to_patients(&[&a, &b], keys);
    wait_for_state(&quaich, "a", "up");
    wait_for_state(&quaich, "b", "up");
    assert_eq!(who(&quaich, 4), "aabb");

    let before = a.checks();
    a.becomes(500);
    let down = quaich.log().wait_for("a server is down");
    assert!(down.contains("3 checks in a row: status 500"), "{down}");
    assert!(a.checks() >= before + 3);
    assert_eq!(who(&quaich, 6), "bbbbbb");
    let status = server(&quaich, "a");
    assert_eq!(status["state"], "down", "{status}");
    assert_eq!(status["last_check"]["well"], false, "{status}");
    assert_eq!(status["last_check"]["what"], "status 500", "{status}");

    a.becomes(204);
    let up = quaich.log().wait_for("a server is up");
    assert!(up.contains("2 checks in a row: status 204"), "{up}");
    assert_eq!(who(&quaich, 4), "aabb");
    assert_eq!(server(&quaich, "a")["changes"], 2);
    // Each change is told once.
    let text = quaich.log().text();
    assert_eq!(text.matches("a server is").count(), 2, "{text}");
}

#[test]
fn a_server_that_fails_now_and_then_stays_up() {
    let failing = Arc::new(AtomicU16::new(0));
    let turn = failing.clone();
    // Two failures in three checks: never three in a row.
    let origin = Origin::answering(move |_| {
        let status = match turn.fetch_add(1, Ordering::SeqCst) % 3 {
            0 => 200,
            _ => 500,
        };
        format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").into_bytes()
    });
    let keys = "health = { path = \"/healthz\", every = \"10ms\" }";
    let quaich = to(&[origin.url()], keys);
    origin.wait_for_requests(30);
    let server = server(&quaich, "a");
    assert_eq!(
        (&server["state"], &server["changes"]),
        (&"up".into(), &0.into())
    );
}

#[test]
fn the_first_check_decides_alone_and_without_a_server_the_answer_is_503() {
    let a = Patient::new("a");
    a.becomes(503);
    let keys = "health = { path = \"/healthz\", every = \"50ms\", fall = 3 }";
    let quaich = to_patients(&[&a], keys);
    let down = quaich.log().wait_for("a server is down");
    assert!(down.contains("1 check: status 503"), "{down}");
    let answer = quaich.get("/");
    answer.expect_status(503);
    answer.expect_header("retry-after", "1");
    answer.expect_header("cache-control", "no-store");
    quaich.log().wait_for("no_server");
    a.becomes(200);
    quaich.log().wait_for("a server is up");
    quaich.get("/").expect_body("a");
}

#[test]
fn with_initial_down_a_server_waits_for_its_first_check() {
    let (go, wait): (_, Receiver<()>) = channel();
    let wait = Mutex::new(wait);
    let origin = Origin::answering(move |request| {
        if request.target() == "/healthz" {
            // Ends when the test is over, too.
            let _ = wait.lock().expect("one check at a time").recv();
        }
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na".to_vec()
    });
    let keys = "health = { path = \"/healthz\", initial = \"down\", timeout = \"20s\" }";
    let quaich = to(&[origin.url()], keys);
    origin.wait_for_requests(1);
    quaich.get("/").expect_status(503);
    assert_eq!(server(&quaich, "a")["state"], "checking");
    go.send(()).expect("the origin waits");
    quaich.log().wait_for("a server is up");
    quaich.get("/").expect_body("a");
}

#[test]
fn a_check_asks_as_it_is_told_and_looks_at_the_body() {
    let a = Patient::new("a");
    let keys = "health = { path = \"/healthz\", every = \"50ms\", expect = \"200-204,404\", \
                body = \"~version [0-9]+ of\", host = \"shop.example\" }";
    let quaich = to_patients(&[&a], keys);
    wait_for_state(&quaich, "a", "up");
    let request = a.origin.wait_for_requests(1);
    assert_eq!(
        request.head,
        "GET /healthz HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: quaich-check\r\nConnection: close"
    );
    a.becomes(302);
    let down = quaich.log().wait_for("a server is down");
    assert!(down.contains("status 302"), "{down}");
    a.becomes(404);
    quaich.log().wait_for("a server is up");

    let keys = "health = { path = \"/healthz\", every = \"50ms\", body = \"version 8\" }";
    let quaich = to_patients(&[&a], keys);
    let down = quaich.log().wait_for("a server is down");
    assert!(down.contains("status 404"), "{down}");
    a.becomes(200);
    eventually("the body is looked at", || {
        let what = server(&quaich, "a")["last_check"]["what"].to_string();
        what.contains("the body does not hold").then_some(())
    });
}

#[test]
fn a_check_can_go_to_another_port_and_use_head() {
    let (a, beside) = (Patient::new("a"), Patient::new("beside"));
    let port = beside.origin.addr().port();
    let keys = format!("health = {{ path = \"/healthz\", method = \"HEAD\", port = {port} }}");
    let quaich = to_patients(&[&a], &keys);
    wait_for_state(&quaich, "a", "up");
    assert_eq!(beside.origin.wait_for_requests(1).method(), "HEAD");
    assert_eq!(a.checks(), 0);
}

#[test]
fn a_check_over_http_1_0_sends_the_bytes_that_haproxy_sends() {
    let head = |origin: &Origin| {
        origin.wait_for_requests(1);
        let raw = origin.raw();
        let end = raw
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .expect("a head")
            + 4;
        String::from_utf8_lossy(&raw[..end]).into_owned()
    };
    let ours = Origin::ok();
    let keys = "health = { path = \"/check.txt\", method = \"HEAD\", version = \"1.0\" }";
    let _quaich = to(&[ours.url()], keys);
    assert_eq!(head(&ours), "HEAD /check.txt HTTP/1.0\r\n\r\n");
    if !std::path::Path::new("/usr/sbin/haproxy").exists() {
        eprintln!("skipped: HAProxy is not installed (apt-get install haproxy)");
        return;
    }
    let theirs = Origin::ok();
    let site = TempSite::new();
    let config = format!(
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n\
         listen x\n  bind unix@{}/x.sock\n  option httpchk HEAD /check.txt HTTP/1.0\n  \
         server a {} check\n",
        site.path().display(),
        theirs.addr(),
    );
    let file = site.write("haproxy.cfg", config);
    let _haproxy = Peer::start(
        Command::new("/usr/sbin/haproxy")
            .arg("-db")
            .arg("-f")
            .arg(file),
    );
    assert_eq!(head(&theirs), head(&ours));
}

#[test]
fn without_a_path_a_check_connects() {
    let site = TempSite::new();
    let path = site.join("a.sock");
    let url = format!("http+unix:{}", path.display());
    let origin = Origin::start_unix(&path, |conversation| drop(conversation.request()));
    let quaich = to(
        &[url],
        "health = { every = \"50ms\", rise = 1, fall = 2 }\nretry_after = \"0s\"",
    );
    wait_for_state(&quaich, "a", "up");
    drop(origin);
    let down = quaich.log().wait_for("a server is down");
    assert!(
        down.contains("2 checks in a row: connection refused"),
        "{down}"
    );
    std::fs::remove_file(&path).expect("the socket is there");
    let _origin = Origin::start_unix(&path, |conversation| drop(conversation.request()));
    let up = quaich.log().wait_for("a server is up");
    assert!(up.contains("connected"), "{up}");
}

#[test]
fn a_check_over_the_proxy_protocol_is_for_nobody() {
    let a = Patient::new("a");
    let quaich = to_patients(
        &[&a],
        "send_proxy = \"v1\"\nhealth = { path = \"/healthz\" }",
    );
    let request = a.origin.wait_for_requests(1);
    let begin = "PROXY UNKNOWN\r\nGET /healthz HTTP/1.1\r\n";
    assert!(request.head.starts_with(begin), "{}", request.head);
    wait_for_state(&quaich, "a", "up");
}

#[test]
fn a_server_that_speaks_http2_only_is_checked_so() {
    let origin = H2Origin::answering(|peer, request| {
        let well = request.header(":path") == Some("/healthz");
        peer.answer(request.stream, if well { "all is well" } else { "a" });
    });
    let keys = "health = { path = \"/healthz\", body = \"is well\", initial = \"down\" }";
    let quaich = to(&[origin.url()], keys);
    let up = quaich.log().wait_for("a server is up");
    assert!(up.contains("1 check: status 200"), "{up}");
    quaich.get("/").expect_body("a");
}

#[test]
fn a_uwsgi_server_is_pinged_and_asked_for_pages() {
    if !std::path::Path::new("/usr/bin/uwsgi").exists() {
        eprintln!(
            "skipped: uWSGI is not installed (apt-get install uwsgi-core uwsgi-plugin-python3)"
        );
        return;
    }
    let site = TempSite::new();
    site.write(
        "app.py",
        "def application(environ, start):\n    \
         well = environ['PATH_INFO'] == '/health z' and environ['QUERY_STRING'] == 'a=1'\n    \
         start('200 OK' if well else '404 Not Found', [('Content-Type', 'text/plain')])\n    \
         return [b'host ' + environ['HTTP_HOST'].encode()]\n",
    );
    let socket = site.join("uwsgi.sock");
    let server = Peer::start(
        Command::new("/usr/bin/uwsgi")
            .args([
                "--plugin",
                "python3,ping",
                "--master",
                "--need-app",
                "--wsgi-file",
                "app.py",
            ])
            .arg("--socket")
            .arg(&socket)
            .current_dir(site.path()),
    );
    server.log().wait_for("spawned uWSGI worker 1");
    let url = format!("uwsgi+unix:{}", socket.display());
    for (keys, what) in [
        (
            "health = { path = \"/health%20z?a=1\", body = \"host me\", host = \"me\", initial = \"down\" }",
            "status 200",
        ),
        ("health = { type = \"ping\", initial = \"down\" }", "pong"),
    ] {
        let quaich = to(std::slice::from_ref(&url), keys);
        let up = quaich.log().wait_for("a server is up");
        assert!(up.contains(what), "{up}");
    }
    let keys = "health = { path = \"/other\" }";
    let quaich = to(std::slice::from_ref(&url), keys);
    let down = quaich.log().wait_for("a server is down");
    assert!(down.contains("status 404"), "{down}");
}

#[test]
fn an_agent_says_how_its_server_is() {
    let (a, b) = (Patient::new("a"), Patient::new("b"));
    let line = Arc::new(Mutex::new("up ready 100%"));
    let said = line.clone();
    let agent = Origin::start(move |conversation| {
        let line = *said.lock().expect("nobody panics here");
        conversation.write(line);
    });
    let says = |line_: &'static str| *line.lock().expect("nobody panics here") = line_;
    // Both servers have the same agent: they are on one machine.
    let port = agent.addr().port();
    let keys = format!("health = {{ type = \"agent\", port = {port}, every = \"50ms\" }}");
    let quaich = to_patients(&[&a, &b], &keys);
    wait_for_state(&quaich, "a", "up");

    says("drain\n");
    wait_for_state(&quaich, "a", "drain");
    says("ready 250%\r\n");
    assert_eq!(wait_for_state(&quaich, "a", "up")["weight"], 3);
    says("down#disk full\n");
    let down = quaich.log().wait_for("a server is down");
    assert!(down.contains("its agent says down: disk"), "{down}");
    wait_for_state(&quaich, "a", "down");
    wait_for_state(&quaich, "b", "down");
    quaich.get("/").expect_status(503);
    // Only the agent can undo that: other words, and silence, do not.
    says("50%\n");
    for name in ["a", "b"] {
        eventually("the agent was asked again", || {
            let server = server(&quaich, name);
            (server["last_check"]["what"] == "50%").then_some(())
        });
    }
    assert_eq!(server(&quaich, "a")["state"], "down");
    says("up\n");
    wait_for_state(&quaich, "a", "up");
    wait_for_state(&quaich, "b", "up");
    drop(agent);
    eventually("the agent is gone", || {
        let last = &server(&quaich, "a")["last_check"];
        (last["what"] == "connection refused").then_some(())
    });
    assert_eq!(server(&quaich, "a")["state"], "up");
    assert_eq!(who(&quaich, 4), "aabb");
}
