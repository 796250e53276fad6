//! Every limit of `[server]` that concerns a request: at it, one below it, one beyond it.

use std::fmt::Write as _;
use std::time::Duration;

use quaich_testkit::{Origin, Quaich, RawClient, TempSite};

/// Passes everything to `origin`, with these lines of `[server]`.
fn limited(server: &str, origin: &Origin) -> Quaich {
    let toml = format!("{server}\n[site.main]\nproxy = \"{}\"\n", origin.url());
    Quaich::serve(TempSite::new(), &toml)
}

fn status_of(quaich: &Quaich, request: &str) -> u16 {
    quaich.raw().send(request).response().status
}

#[test]
fn max_uri_is_the_longest_target() {
    let origin = Origin::ok();
    let quaich = limited("max_uri = \"1KiB\"", &origin);
    for (length, expected) in [(1023, 200), (1024, 200), (1025, 414)] {
        let target = format!("/{}", "a".repeat(length - 1));
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(
            status_of(&quaich, &request),
            expected,
            "a target of {length} bytes"
        );
    }
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn max_headers_is_the_largest_number_of_fields() {
    let origin = Origin::ok();
    let quaich = limited("max_headers = 20", &origin);
    for (count, expected) in [(19, 200), (20, 200), (21, 431)] {
        let mut request = "GET / HTTP/1.1\r\nHost: a\r\n".to_string();
        for n in 1..count {
            let _ = write!(request, "X-{n}: y\r\n");
        }
        assert_eq!(
            status_of(&quaich, &(request + "\r\n")),
            expected,
            "{count} fields"
        );
    }
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn max_header_is_the_size_of_all_fields_together() {
    let origin = Origin::ok();
    let quaich = limited("max_header = \"4KiB\"", &origin);
    for (size, expected) in [(4095, 200), (4096, 200), (4097, 431)] {
        let mut fields = "Host: a\r\n".to_string();
        while fields.len() < 3000 {
            let _ = write!(fields, "X-Filler: {}\r\n", "f".repeat(100));
        }
        let rest = size - fields.len() - "X-Rest: \r\n".len();
        let _ = write!(fields, "X-Rest: {}\r\n", "r".repeat(rest));
        assert_eq!(fields.len(), size);
        let request = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        assert_eq!(
            status_of(&quaich, &request),
            expected,
            "{size} bytes of fields"
        );
    }
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn max_body_is_the_longest_body_however_it_is_framed() {
    let origin = Origin::ok();
    let quaich = limited("max_body = \"1KiB\"", &origin);
    for (length, expected) in [(1023, 200), (1024, 200), (1025, 413)] {
        let body = "b".repeat(length);
        assert_eq!(
            quaich.request("POST", "/", "", body.as_bytes()).status,
            expected
        );
        let chunked = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n\
             0\r\n\r\n"
        );
        assert_eq!(
            status_of(&quaich, &chunked),
            expected,
            "{length} bytes in chunks"
        );
    }
}

#[test]
fn a_route_may_have_a_limit_of_its_own() {
    let origin = Origin::ok();
    let route = format!(
        "max_body = \"1KiB\"\n[[site.main.route]]\npath = \"/upload\"\nmax_body = \"1MiB\"\n\
         proxy = \"{0}\"\n[[site.main.route]]\nproxy = \"{0}\"\n",
        origin.url()
    );
    let quaich = Quaich::serve(TempSite::new(), &route);
    let body = vec![b'b'; 100 * 1024];
    quaich
        .request("POST", "/upload", "", &body)
        .expect_status(200);
    quaich.request("POST", "/", "", &body).expect_status(413);
}

#[test]
fn keepalive_requests_ends_a_connection_with_notice() {
    let origin = Origin::ok();
    let quaich = limited("keepalive_requests = 3", &origin);
    let mut client = quaich.raw();
    for _ in 0..2 {
        assert_ne!(client.get("/").header("connection"), Some("close"));
    }
    client
        .get("/")
        .expect_status(200)
        .expect_header("connection", "close");
    client.expect_closed();
}

#[test]
fn header_timeout_ends_a_head_that_does_not_come() {
    let origin = Origin::ok();
    let quaich = limited("header_timeout = \"300ms\"", &origin);
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
    client.response().expect_status(408);
    client.expect_closed();
    assert_eq!(origin.connections(), 0);
}

#[test]
fn header_timeout_is_for_the_whole_head_not_for_each_byte() {
    let origin = Origin::ok();
    let quaich = limited("header_timeout = \"500ms\"", &origin);
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
    while !client.answered_within(Duration::from_millis(50)) {
        client.send("y");
    }
    client.response().expect_status(408);
}

#[test]
fn body_timeout_ends_a_body_that_stops() {
    let origin = Origin::ok();
    let quaich = limited("body_timeout = \"300ms\"", &origin);
    let mut client = quaich.raw();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this");
    client.response().expect_status(408);
    client.expect_closed();
}

#[test]
fn keepalive_closes_an_idle_connection() {
    let origin = Origin::ok();
    let quaich = limited("keepalive = \"300ms\"", &origin);
    let mut client = quaich.raw();
    client.get("/").expect_status(200);
    client.expect_closed();
}

#[test]
fn write_timeout_ends_a_connection_that_nobody_reads() {
    let origin = Origin::start(|conversation| {
        if conversation.request().is_some() {
            conversation.write("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
            let block = vec![b'x'; 1 << 20];
            while conversation.write(&block) {}
            // The record of the end, which the test waits for.
            while !conversation.read().is_empty() {}
        }
    });
    let quaich = limited("write_timeout = \"500ms\"", &origin);
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_for_ends(1);
    drop(client);
}

#[test]
fn max_per_ip_leaves_room_for_others_by_refusing_the_next() {
    let origin = Origin::ok();
    let quaich = limited("max_per_ip = 3", &origin);
    let mut held: Vec<RawClient> = (0..3).map(|_| quaich.raw()).collect();
    for client in &mut held {
        client.get("/").expect_status(200);
    }
    let mut fourth = quaich.raw();
    fourth.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = String::from_utf8_lossy(&fourth.rest()).into_owned();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 503"),
        "{answer}"
    );
    held[0].get("/").expect_status(200);
}

#[test]
fn a_connection_beyond_the_limit_waits_and_is_not_refused() {
    let toml = "[server]\nlisten = [\"127.0.0.1:0\"]\nmax_connections = 2\n\
                [[site.main.route]]\nstatus = 204\n";
    let quaich = Quaich::serve_exactly(TempSite::new(), toml);
    let mut first = quaich.raw();
    let mut second = quaich.raw();
    first.get("/").expect_status(204);
    second.get("/").expect_status(204);
    let mut third = quaich.raw();
    third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!third.answered_within(Duration::from_millis(100)));
    drop(first);
    third.response().expect_status(204);
}
