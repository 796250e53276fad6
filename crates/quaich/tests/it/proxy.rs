//! The reverse proxy: pool, streaming, fields, error pages, several servers, unix sockets.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use quaich_testkit::{Conversation, End, Origin, Quaich, TempSite};

fn to(origin: &Origin, keys: &str) -> Quaich {
    to_all(&[origin], keys)
}

/// Passes everything to these origins; `keys` are lines of the upstream's table.
fn to_all(origins: &[&Origin], keys: &str) -> Quaich {
    let urls: Vec<String> = origins.iter().map(|o| format!("\"{}\"", o.url())).collect();
    let servers = urls.join(", ");
    Quaich::serve(
        TempSite::new(),
        &format!("[upstream.up]\nservers = [{servers}]\n{keys}\n[site.main]\nupstream = \"up\"\n"),
    )
}

/// An address that refuses connections.
fn refusing() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    format!("http://{}", listener.local_addr().expect("it is bound"))
}

#[test]
fn upstream_connections_are_used_again() {
    let origin = Origin::ok();
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    for _ in 0..50 {
        client.get("/").expect_body("ok");
    }
    for _ in 0..50 {
        quaich.get("/").expect_body("ok");
    }
    // One for each front thread at most.
    assert!(
        origin.connections() <= 4,
        "{} connections",
        origin.connections()
    );
}

#[test]
fn without_keepalive_each_request_closes_its_connection_and_the_client_keeps_its_own() {
    let origin = Origin::ok();
    let quaich = to(&origin, "keepalive = 0");
    let mut client = quaich.raw();
    for n in 1..=5 {
        let answer = client.get("/");
        answer.expect_body("ok");
        assert_eq!(answer.header("connection"), None);
        let request = origin.wait_for_requests(n);
        assert_eq!(request.header("connection"), Some("close"));
        assert_eq!(origin.connections(), n);
    }
}

#[test]
fn a_connection_with_bytes_left_over_is_not_used_again() {
    let origin = Origin::answering(|request| {
        let more = if request.target() == "/first" {
            "HTTP/1.1 200 OK\r\nX: poison\r\n\r\n"
        } else {
            ""
        };
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{more}").into_bytes()
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    client.get("/first").expect_body("ok");
    for _ in 0..10 {
        let response = client.get("/next");
        response.expect_body("ok");
        assert_eq!(response.header("x"), None, "somebody else's answer");
    }
}

#[test]
fn the_head_of_an_answer_does_not_wait_for_its_body() {
    let (go, wait) = channel();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |conversation| {
        if conversation.request().is_some() {
            conversation.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let _ = wait.lock().expect("one connection only").recv();
            conversation.write("2\r\nok\r\n0\r\n\r\n");
        }
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(client.head().status, 200);
    go.send(()).expect("the origin waits");
    assert!(client.rest().ends_with(b"2\r\nok\r\n0\r\n\r\n"));
}

#[test]
fn a_client_that_leaves_before_its_answer_leaves_the_server_too() {
    let origin = Origin::start(|conversation| {
        if conversation.request().is_some() {
            // Ends when quaich has closed.
            conversation.read();
        }
    });
    let quaich = to(&origin, "");
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let before = origin.connections();
        let mut client = quaich.raw();
        client.send(request);
        origin.wait_for_requests(before + 1);
        drop(client);
        origin.wait_for_ends(before + 1);
    }
}

#[test]
fn an_answer_is_passed_on_while_it_comes() {
    let (go, wait) = channel();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |conversation| {
        if conversation.request().is_some() {
            conversation
                .write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
            let _ = wait.lock().expect("one connection only").recv();
            conversation.write("6\r\nsecond\r\n0\r\n\r\n");
        }
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    client.until("first");
    go.send(()).expect("the origin waits");
    client.until("second");
    client.until("0\r\n\r\n");
}

#[test]
fn a_request_is_passed_on_while_it_comes_when_it_is_large() {
    let origin = Origin::ok();
    let quaich = to(&origin, "");
    let body: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 239) as u8).collect();
    quaich
        .request("PUT", "/large", "", &body)
        .expect_status(200);
    let request = origin.wait_for_requests(1);
    assert!(request.complete && request.body == body);
}

#[test]
fn large_answers_arrive_unchanged() {
    let body: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 241) as u8).collect();
    let sent = body.clone();
    let origin = Origin::answering(move |request| {
        let mut answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", sent.len()).into_bytes();
        if request.target() == "/chunked" {
            answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for block in sent.chunks(70_001) {
                answer.extend_from_slice(format!("{:X}\r\n", block.len()).as_bytes());
                answer.extend_from_slice(block);
                answer.extend_from_slice(b"\r\n");
            }
            answer.extend_from_slice(b"0\r\n\r\n");
        } else {
            answer.extend_from_slice(&sent);
        }
        answer
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    for target in ["/length", "/chunked", "/length"] {
        let response = client.get(target);
        assert!(response.complete && response.body == body, "{target}");
    }
}

#[test]
fn a_reader_that_stops_stops_the_upstream() {
    let (told, written) = channel();
    let told = Mutex::new(told);
    let origin = Origin::start(move |conversation: &mut Conversation| {
        if conversation.request().is_none() {
            return;
        }
        conversation.write("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
        let block = vec![b'x'; 1 << 20];
        let mut megabytes = 0_u32;
        while megabytes < 1024 && conversation.write(&block) {
            megabytes += 1;
        }
        let _ = told.lock().expect("one connection only").send(megabytes);
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    // The front answers others meanwhile, so it is not waiting for the reader.
    for _ in 0..10 {
        quaich.get("/bad%zz").expect_status(400);
    }
    drop(client);
    let megabytes = written.recv().expect("the origin ends");
    assert!(
        megabytes < 256,
        "{megabytes} MiB were taken from the upstream for a stopped reader"
    );
}

#[test]
fn forwarding_fields_say_who_asked_and_cannot_be_forged() {
    let origin = Origin::ok();
    let quaich = to(&origin, "");
    let fields = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nForwarded: for=6.6.6.6\r\n\
                  X-Real-IP: 6.6.6.6\r\nX-Forwarded-Host: evil\r\n";
    quaich.request("GET", "/", fields, b"").expect_status(200);
    let request = origin.wait_for_requests(1);
    assert_eq!(request.headers("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.headers("x-forwarded-proto"), ["http"]);
    assert_eq!(request.headers("x-forwarded-host"), ["test"]);
    assert_eq!(request.header("host"), Some("test"));
    assert!(
        !request.head.contains("6.6.6.6") && !request.head.contains("evil"),
        "{}",
        request.head
    );
}

#[test]
fn a_trusted_peer_may_say_who_asked() {
    let origin = Origin::ok();
    let toml = format!(
        "trust = [\"127.0.0.0/8\"]\n[site.main]\nproxy = \"{}\"\n",
        origin.url()
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let fields = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n";
    quaich.request("GET", "/", fields, b"").expect_status(200);
    let request = origin.wait_for_requests(1);
    let chain = request.headers("x-forwarded-for").join(", ");
    assert_eq!(chain, "192.0.2.7, 127.0.0.1");
    assert_eq!(request.headers("x-forwarded-proto"), ["https"]);
}

#[test]
fn hop_by_hop_fields_end_here_in_both_directions() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Up\r\nX-Up: 1\r\nKeep-Alive: timeout=5\r\n\
          Proxy-Connection: x\r\nX-End: 1\r\n\r\nok"
            .to_vec()
    });
    let quaich = to(&origin, "");
    let fields =
        "Connection: keep-alive, X-Down\r\nX-Down: 1\r\nKeep-Alive: 300\r\nTE: trailers\r\n";
    let response = quaich.request("GET", "/", fields, b"");
    for gone in ["x-up", "keep-alive", "proxy-connection"] {
        assert_eq!(response.header(gone), None, "{gone}");
    }
    response.expect_header("x-end", "1");
    let request = origin.wait_for_requests(1);
    for gone in ["x-down", "keep-alive", "te"] {
        assert_eq!(request.header(gone), None, "{gone} in\n{}", request.head);
    }
}

#[test]
fn requests_take_turns_over_the_servers() {
    let origins = [Origin::ok(), Origin::ok(), Origin::ok()];
    let quaich = to_all(&origins.each_ref(), "");
    let mut client = quaich.raw();
    for _ in 0..30 {
        client.get("/").expect_status(200);
    }
    for origin in &origins {
        assert_eq!(origin.requests().len(), 10);
    }
}

#[test]
fn a_server_that_refuses_is_passed_over() {
    let origin = Origin::ok();
    let toml = format!(
        "[upstream.up]\nservers = [\"{}\", \"{}\"]\n[site.main]\nupstream = \"up\"\n",
        refusing(),
        origin.url()
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    for _ in 0..10 {
        quaich.get("/").expect_status(200);
    }
    quaich
        .request("POST", "/", "", b"nothing was sent to the first")
        .expect_status(200);
}

#[test]
fn unix_sockets_are_servers_too() {
    let site = TempSite::new();
    let origin = Origin::start_unix(&site.join("up.sock"), |conversation| {
        while conversation.request().is_some() {
            conversation.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix");
        }
    });
    let toml = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    let quaich = Quaich::serve(site, &toml);
    quaich.get("/").expect_body("unix");
}

#[test]
fn the_path_goes_on_in_its_normal_form_and_the_query_as_it_is() {
    let origin = Origin::ok();
    let quaich = to(&origin, "");
    quaich
        .get("/a//b/./c/../%7euser/%C3%A9?x=%2e%2e/&y")
        .expect_status(200);
    assert_eq!(
        origin.wait_for_requests(1).target(),
        "/a/b/~user/%C3%A9?x=%2e%2e/&y"
    );
}

#[test]
fn a_mount_tells_the_upstream_its_prefix() {
    let origin = Origin::ok();
    let route = format!(
        "[[site.main.route]]\nprefix = \"/wiki\"\nproxy = \"{}\"\n",
        origin.url()
    );
    let quaich = Quaich::serve(TempSite::new(), &route);
    quaich.get("/wiki/page").expect_status(200);
    let request = origin.wait_for_requests(1);
    assert_eq!(request.header("x-forwarded-prefix"), Some("/wiki"));
    assert_eq!(request.target(), "/page");
    quaich.get("/wikipedia").expect_status(404);
}

#[test]
fn an_upstream_that_refuses_is_a_502_page_with_the_request_id() {
    let toml = format!("[site.main]\nproxy = \"{}\"\n", refusing());
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let page = quaich.request("GET", "/", "Accept: text/html\r\n", b"");
    page.expect_status(502);
    assert!(
        page.header("content-type")
            .is_some_and(|t| t.starts_with("text/html"))
    );
    assert!(page.text().contains("502"), "{}", page.text());
    let json = quaich.request("GET", "/", "Accept: application/json\r\n", b"");
    json.expect_status(502);
    let body = json.json();
    assert_eq!(body["status"], 502);
    assert!(
        body["request_id"].as_str().is_some_and(|id| id.len() >= 16),
        "{body}"
    );
}

#[test]
fn an_upstream_that_does_not_answer_is_a_504() {
    let origin = Origin::start(|conversation| {
        conversation.request();
        while !conversation.read().is_empty() {}
    });
    let quaich = to(&origin, "timeout = \"300ms\"");
    quaich.get("/").expect_status(504);
    origin.wait_for_ends(1);
}

#[test]
fn a_dead_pooled_connection_is_replaced_once_without_the_client_noticing() {
    // Every connection answers one request and then is reset as soon as another one is sent.
    let origin = Origin::start(|conversation| {
        if conversation.request().is_some() {
            conversation.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
        if conversation.request_head().is_some() {
            conversation.end(End::Reset);
        }
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    for _ in 0..10 {
        client.get("/").expect_status(200).expect_body("ok");
    }
}

#[test]
fn a_post_is_never_sent_twice_once_it_was_received() {
    let origin = Origin::start(|conversation| {
        if conversation.request().is_some() {
            conversation.end(End::Reset);
        }
    });
    let quaich = to(&origin, "");
    quaich
        .request("POST", "/pay", "", b"once")
        .expect_status(502);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_post_whose_head_was_received_is_never_sent_twice() {
    let origin = Origin::start(|conversation| {
        if conversation.request_head().is_some() {
            conversation.end(End::Reset);
        }
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    client.send("POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    client.response().expect_status(502);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let origin = Origin::start(|conversation| {
        if conversation.request_head().is_some() {
            conversation
                .write("HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
            conversation.end(End::Fin);
            while !conversation.read().is_empty() {}
        }
    });
    let quaich = to(&origin, "");
    let mut client = quaich.raw();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n");
    client.send(vec![b'x'; 1_000_000]);
    // Buffered or passed through: either way the client gets an honest answer and no hang.
    client.send(vec![b'x'; 4_000_000]);
    client.response().expect_status(403);
}

#[test]
fn a_connection_is_not_used_again_while_the_end_of_a_body_is_stuck_in_it() {
    let site = TempSite::new();
    let (go, wait) = channel();
    let wait = Mutex::new(wait);
    let origin = Origin::start_unix(&site.join("up.sock"), move |conversation| {
        answer_early(conversation, &wait);
    });
    let url = origin.url();
    let quaich = Quaich::serve(
        site,
        &format!("threads = 1\n[site.main]\nproxy = \"{url}\"\n"),
    );
    // A unix socket takes about 200 KB: one of these bodies ends just behind.
    for size in (6..20).map(|n| n * 16 * 1024) {
        let mut client = quaich.raw();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
        ));
        client.send(vec![b'x'; size]);
        go.send(()).expect("the origin lives");
        client.response().expect_status(200);
        go.send(()).expect("the origin lives");
        quaich.get("/next").expect_body("next");
    }
}

/// Answers a POST when told, before it reads the body, and reads that when told again.
fn answer_early(conversation: &mut Conversation, told: &Mutex<Receiver<()>>) {
    let wait = || told.lock().is_ok_and(|told| told.recv().is_ok());
    while let Some(mut request) = conversation.request_head() {
        if request.method() == "GET" {
            conversation.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext");
            continue;
        }
        wait();
        conversation.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        wait();
        // Another request in place of the missing end would be swallowed here, and never answered.
        conversation.request_body(&mut request);
    }
}

#[test]
fn a_client_that_stops_sending_is_not_the_fault_of_the_server() {
    let origin = Origin::ok();
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!(
            "body_timeout = \"1s\"\n[upstream.up]\nservers = [\"{}\"]\n\
             timeout = \"200ms\"\n[site.main]\nupstream = \"up\"\n",
            origin.url()
        ),
    );
    let mut client = quaich.raw();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbegun");
    client.response().expect_status(408);
}
