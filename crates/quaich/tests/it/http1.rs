//! HTTP/1 as a client sees it: connections, framing, methods, forms of the target.

use quaich_testkit::{Framing, Origin, Quaich, TempSite};

/// Answers `/hello` by itself and passes everything else on.
fn front_of(origin: &Origin) -> Quaich {
    serve(&format!("[site.main]\nproxy = \"{}\"\n", origin.url()), "")
}

fn serve(more: &str, server: &str) -> Quaich {
    let hello =
        "[[site.main.route]]\npath = \"/hello\"\nrespond = { status = 200, body = \"hi\" }\n";
    Quaich::serve(TempSite::new(), &format!("{server}\n{more}\n{hello}"))
}

/// An origin that answers with the request's target.
fn echo_target() -> Origin {
    Origin::answering(|request| {
        let body = request.target().to_string();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    })
}

#[test]
fn keeps_the_connection_and_names_itself() {
    let quaich = serve("", "");
    let mut client = quaich.raw();
    for _ in 0..3 {
        let response = client.get("/hello");
        response
            .expect_status(200)
            .expect_body("hi")
            .expect_header("server", "quaich");
        assert_eq!(response.framing, Framing::Length);
        assert!(
            response
                .header("date")
                .is_some_and(|date| date.ends_with(" GMT"))
        );
        assert_ne!(response.header("connection"), Some("close"));
    }
}

#[test]
fn closes_when_the_client_asks_for_it() {
    let quaich = serve("", "");
    let mut client = quaich.raw();
    client.send("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    client
        .response()
        .expect_body("hi")
        .expect_header("connection", "close");
    client.expect_closed();
}

#[test]
fn answers_pipelined_requests_in_their_order() {
    let origin = echo_target();
    let quaich = front_of(&origin);
    let mut client = quaich.raw();
    let mut sent = String::new();
    for n in 0..30 {
        let target = if n % 3 == 0 {
            "/hello".to_string()
        } else {
            format!("/{n}")
        };
        sent.push_str(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    client.send(sent);
    for n in 0..30 {
        let expected = if n % 3 == 0 {
            "hi".to_string()
        } else {
            format!("/{n}")
        };
        client.response().expect_status(200).expect_body(&expected);
    }
}

#[test]
fn answers_pipelined_requests_behind_a_body() {
    let origin = echo_target();
    let quaich = front_of(&origin);
    let mut client = quaich.raw();
    client.send(
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
         POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
         GET /c HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    for target in ["/a", "/b", "/c"] {
        client.response().expect_status(200).expect_body(target);
    }
    let bodies: Vec<Vec<u8>> = origin.requests().into_iter().map(|r| r.body).collect();
    assert_eq!(bodies, [b"hello".to_vec(), b"abc".to_vec(), b"".to_vec()]);
}

#[test]
fn head_has_the_fields_of_get_and_no_body() {
    let quaich = serve("", "");
    let mut client = quaich.raw();
    client.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    client
        .response_to("HEAD")
        .expect_status(200)
        .expect_header("content-length", "2");
    client.get("/hello").expect_body("hi");
}

#[test]
fn http_1_0_is_closed_unless_it_asks_to_stay() {
    let quaich = serve("", "");
    let mut client = quaich.raw();
    client.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client
        .response()
        .expect_body("hi")
        .expect_header("connection", "keep-alive");
    client.send("GET /hello HTTP/1.0\r\n\r\n");
    client.response().expect_body("hi");
    client.expect_closed();
}

#[test]
fn http_1_0_never_receives_chunks() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec()
    });
    let quaich = front_of(&origin);
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let response = client.response();
    response.expect_status(200).expect_body("abc");
    assert_ne!(response.framing, Framing::Chunked);
}

#[test]
fn the_absolute_form_names_the_host_and_is_reduced_for_the_upstream() {
    let origin = echo_target();
    let quaich = front_of(&origin);
    let mut client = quaich.raw();
    client.send("GET http://shop.test/a?b=c HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    client.response().expect_status(200).expect_body("/a?b=c");
    assert_eq!(origin.requests()[0].header("host"), Some("shop.test"));
}

#[test]
fn options_asterisk_is_answered_by_quaich_itself() {
    let origin = Origin::ok();
    let quaich = front_of(&origin);
    let mut client = quaich.raw();
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    let status = client.response().status;
    assert!([200, 204, 400].contains(&status), "{status}");
    assert_eq!(origin.connections(), 0);
}

#[test]
fn connect_is_refused() {
    let origin = Origin::ok();
    let quaich = front_of(&origin);
    let mut client = quaich.raw();
    client.send("CONNECT t:80 HTTP/1.1\r\nHost: t:80\r\n\r\n");
    client.response().expect_status(405);
    assert_eq!(origin.connections(), 0);
}

#[test]
fn sends_100_continue_and_keeps_the_expectation_to_itself() {
    let origin = Origin::ok();
    let quaich = front_of(&origin);
    let mut client = quaich.raw();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().status, 100);
    client.send("hello").response().expect_status(200);
    let request = origin.wait_for_requests(1);
    assert_eq!(request.body, b"hello");
    assert_eq!(request.header("expect"), None);
}

#[test]
fn sends_no_100_continue_when_the_body_is_refused() {
    let origin = Origin::ok();
    let quaich = serve(
        &format!("[site.main]\nproxy = \"{}\"\n", origin.url()),
        "max_body = \"4B\"",
    );
    let mut client = quaich.raw();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().status, 413);
    assert_eq!(origin.connections(), 0);
}

#[test]
fn sends_no_100_continue_to_a_client_that_does_not_wait_for_it() {
    let origin = Origin::ok();
    let quaich = front_of(&origin);
    let mut client = quaich.raw();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhe");
    client.send("llo");
    assert_eq!(client.head().status, 200);
    assert_eq!(origin.wait_for_requests(1).body, b"hello");
}

#[test]
fn an_answer_before_the_awaited_100_continue_says_that_the_connection_ends() {
    let quaich = serve("", "");
    let mut client = quaich.raw();
    client.send(
        "GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    );
    client
        .response()
        .expect_body("hi")
        .expect_header("connection", "close");
    client.expect_closed();
}

#[test]
fn chunked_bodies_arrive_whole_without_extensions_and_trailers() {
    let origin = Origin::ok();
    let quaich = front_of(&origin);
    let mut client = quaich.raw();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send_bytewise("5;a=b\r\nhello\r\n06\r\n world\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
    client.response().expect_status(200);
    let request = origin.wait_for_requests(1);
    assert_eq!(String::from_utf8_lossy(&request.body), "hello world");
    assert!(!String::from_utf8_lossy(&origin.raw()).contains("6.6.6.6"));
    client.get("/next").expect_status(200);
}

#[test]
fn a_client_that_has_finished_sending_still_gets_its_answer() {
    let origin = echo_target();
    let quaich = front_of(&origin);
    let mut client = quaich.raw();
    client
        .send("GET /last HTTP/1.1\r\nHost: a\r\n\r\n")
        .half_close();
    client.response().expect_status(200).expect_body("/last");
    client.expect_closed();
}

#[test]
fn a_request_may_arrive_one_byte_at_a_time() {
    let origin = echo_target();
    let quaich = front_of(&origin);
    let mut client = quaich.raw();
    client.send_bytewise("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    client.response().expect_status(200).expect_body("/a");
    assert_eq!(origin.wait_for_requests(1).body, b"abc");
}

#[test]
fn fields_that_could_be_mistaken_for_others_never_reach_the_upstream() {
    let origin = Origin::ok();
    let quaich = front_of(&origin);
    let fields = "X_Forwarded_For: 6.6.6.6\r\nProxy: http://evil\r\nContent_Length: 9\r\n\
                  Connection: X-Secret\r\nX-Secret: hidden\r\nX-Kept: yes\r\n";
    quaich.request("GET", "/", fields, b"").expect_status(200);
    let request = origin.wait_for_requests(1);
    for gone in ["x_forwarded_for", "proxy", "content_length", "x-secret"] {
        assert_eq!(request.header(gone), None, "{gone} in\n{}", request.head);
    }
    assert_eq!(request.header("x-kept"), Some("yes"));
}

#[test]
fn an_upgrade_to_cleartext_http_2_is_ignored() {
    let origin = Origin::ok();
    let quaich = front_of(&origin);
    let fields =
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    quaich.request("GET", "/", fields, b"").expect_status(200);
    let request = origin.wait_for_requests(1);
    assert_eq!(request.header("upgrade"), None);
    assert_eq!(request.header("http2-settings"), None);
}
