//! Another server is asked.

use std::net::TcpListener;

use quaich_testkit::{End, Origin, OriginRequest, Quaich, TempSite};

use crate::peers::nginx;

fn serve(verifier: &str, keys: &str, origin: &Origin) -> Quaich {
    let config = format!(
        "threads = 1\n[auth.sso]\nforward = {{ url = \"{verifier}/verify?x=1\", copy = [\"X-Groups\", \"Authorization\"], \
         user_from = \"X-User\", timeout = \"500ms\" {keys} }}\n\
         [site.main]\nauth = \"sso\"\nproxy = \"{}\"\n",
        origin.url()
    );
    Quaich::serve(TempSite::new(), &config)
}

fn answer(status: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// Lets in who has a cookie, sends others to the login.
fn gatekeeper(request: &OriginRequest) -> Vec<u8> {
    match request.header("cookie") {
        Some("session=1") => answer(
            "200 OK",
            "X-User: cora\r\nX-Groups: a\r\nX-Groups: b\r\nX-Other: no\r\nAuthorization: Bearer made\r\n\
             Set-Cookie: session=2; Path=/\r\n",
            "in",
        ),
        _ => answer(
            "302 Found",
            "Location: https://login.test/?to=here\r\nSet-Cookie: state=1\r\nServer: other\r\n",
            "to the login",
        ),
    }
}

#[test]
fn whom_the_server_lets_in_comes_in_as_it_says() {
    let (verifier, origin) = (Origin::answering(gatekeeper), Origin::ok());
    let quaich = serve(&verifier.url(), "", &origin);
    let fields = "Cookie: session=1\r\nX-Groups: root\r\nX-Remote-User: root\r\nX-User: me\r\n\
                  Authorization: Bearer mine\r\nX-Forwarded-Uri: /else\r\nIf-None-Match: \"x\"\r\n";
    let response = quaich.request("POST", "/a%20b?q=1", fields, b"a body");
    response.expect_status(200).expect_body("ok");
    response.expect_header("set-cookie", "session=2; Path=/");
    let asked = verifier.wait_for_requests(1);
    assert_eq!((asked.method(), asked.target()), ("GET", "/verify?x=1"));
    for (name, value) in [
        ("host", verifier.addr().to_string().as_str()),
        ("x-forwarded-method", "POST"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "test"),
        ("x-forwarded-uri", "/a%20b?q=1"),
        ("x-original-uri", "/a%20b?q=1"),
        ("x-original-url", "http://test/a%20b?q=1"),
        ("x-forwarded-for", "127.0.0.1"),
        ("authorization", "Bearer mine"),
    ] {
        assert_eq!(asked.headers(name), [value], "{name}");
    }
    for name in [
        "content-length",
        "if-none-match",
        "x-groups",
        "x-remote-user",
    ] {
        assert_eq!(asked.header(name), None, "{name}");
    }
    let request = origin.wait_for_requests(1);
    assert_eq!(request.body, b"a body");
    assert_eq!(request.headers("x-groups"), ["a", "b"]);
    assert_eq!(request.headers("x-remote-user"), ["cora"]);
    assert_eq!(request.headers("authorization"), ["Bearer made"]);
    assert_eq!(request.header("x-other"), None);
    // The next question goes over the same connection.
    quaich.request("GET", "/", fields, b"").expect_status(200);
    assert_eq!(verifier.connections(), 1);
}

/// Lets in only what is below `/public/`, as it is told, and hands out a cookie.
fn doorkeeper(request: &OriginRequest) -> Vec<u8> {
    match request.header("x-forwarded-uri") {
        Some(path) if path.starts_with("/public/") => answer(
            "200 OK",
            "X-User: cora\r\nSet-Cookie: seen=1; Path=/\r\nSet-Cookie: once=1\r\n",
            "",
        ),
        _ => answer("403 Forbidden", "Set-Cookie: seen=0; Path=/\r\n", "no"),
    }
}

#[test]
fn the_server_is_shown_the_path_that_is_served() {
    let (verifier, origin) = (Origin::answering(doorkeeper), Origin::ok());
    let quaich = serve(&verifier.url(), "", &origin);
    for (count, target) in [
        "/public/../admin?q",
        "/public/%2e%2e/admin?q",
        "/public/./..//admin?q",
    ]
    .into_iter()
    .enumerate()
    {
        quaich.get(target).expect_status(403);
        let asked = verifier.wait_for_requests(count + 1);
        for (name, value) in [
            ("x-forwarded-uri", "/admin?q"),
            ("x-original-uri", "/admin?q"),
            ("x-original-url", "http://test/admin?q"),
        ] {
            assert_eq!(asked.headers(name), [value], "{target}");
        }
    }
    assert!(origin.requests().is_empty());
    quaich.get("/x/..//public/%61%20b").expect_status(200);
    let request = origin.wait_for_requests(1);
    assert_eq!(request.target(), "/public/a%20b");
    let asked = verifier.wait_for_requests(4);
    assert_eq!(asked.header("x-forwarded-uri"), Some("/public/a%20b"));
}

#[test]
fn after_a_rewrite_the_server_is_shown_the_new_path() {
    let (verifier, origin) = (Origin::answering(doorkeeper), Origin::ok());
    let config = format!(
        "[auth.sso]\nforward = {{ url = \"{}/verify\" }}\n[site.main]\nauth = \"sso\"\n\
         [[site.main.route]]\npath = \"/public/old/*\"\n\
         rewrite = {{ path = \"/public/old/*\", to = \"/{{1}}?new\", then = \"route\" }}\nstatus = 404\n\
         [[site.main.route]]\nproxy = \"{}\"\n",
        verifier.url(),
        origin.url()
    );
    let quaich = Quaich::serve(TempSite::new(), &config);
    let refused = quaich.get("/public/old/admin");
    refused.expect_status(403).expect_body("no");
    // What the first route was told of the client is not told twice.
    assert_eq!(refused.headers("set-cookie"), ["seen=0; Path=/", "once=1"]);
    assert!(origin.requests().is_empty());
    let asked = verifier.wait_for_requests(2);
    assert_eq!(asked.headers("x-forwarded-uri"), ["/admin?new"]);
    assert_eq!(asked.headers("x-original-url"), ["http://test/admin?new"]);
    let served = quaich.get("/public/old/public/a");
    served.expect_status(200).expect_body("ok");
    let cookies = ["seen=1; Path=/", "once=1"];
    assert_eq!(served.headers("set-cookie"), cookies);
    assert_eq!(origin.wait_for_requests(1).target(), "/public/a?new");
}

#[test]
fn a_refusal_is_passed_back_as_it_is() {
    let (verifier, origin) = (Origin::answering(gatekeeper), Origin::ok());
    let quaich = serve(&verifier.url(), "", &origin);
    let response = quaich.request("POST", "/", "", b"a body");
    response.expect_status(302).expect_body("to the login");
    response.expect_header("location", "https://login.test/?to=here");
    response.expect_header("set-cookie", "state=1");
    assert_ne!(response.header("server"), Some("other"));
    quaich.request("HEAD", "/", "", b"").expect_status(302);
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let verifier =
            Origin::answering(move |_| answer(status, "WWW-Authenticate: Bearer\r\n", "no"));
        let quaich = serve(&verifier.url(), "", &origin);
        let response = quaich.get("/");
        response
            .expect_body("no")
            .expect_header("www-authenticate", "Bearer");
        assert_eq!(response.status.to_string(), status[..3]);
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn when_the_server_does_not_say_yes_or_no_nobody_comes_in() {
    let origin = Origin::ok();
    let large = "x".repeat(300 * 1024);
    let answers: [(&str, Vec<u8>); 12] = [
        ("nobody", answer("200 OK", "X-Groups: a\r\n", "")),
        ("an empty name", answer("200 OK", "X-User:\r\n", "")),
        (
            "two names",
            answer("200 OK", "X-User: cora\r\nX-User: root\r\n", ""),
        ),
        ("an error", answer("500 Internal Server Error", "", "")),
        ("not found", answer("404 Not Found", "", "")),
        (
            "not modified",
            b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec(),
        ),
        (
            "a proxy's challenge",
            answer("407 Proxy Authentication Required", "", ""),
        ),
        ("garbage", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        (
            "two lengths",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n".to_vec(),
        ),
        (
            "cut",
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx".to_vec(),
        ),
        ("nothing", Vec::new()),
        ("too large", answer("403 Forbidden", "", &large)),
    ];
    for (what, answer) in answers {
        let verifier = Origin::scripted(answer, End::Fin);
        let quaich = serve(&verifier.url(), "", &origin);
        let response = quaich.get("/");
        assert_eq!(response.status, 503, "{what}");
        assert!(response.header("retry-after").is_some(), "{what}");
        assert_eq!(
            quaich.status()["front"]["counters"]["auth_failed"],
            1,
            "{what}"
        );
    }
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    let silent = serve(&url, "", &origin);
    silent.get("/").expect_status(503);
    drop(gone);
    silent.get("/").expect_status(503);
    assert!(origin.requests().is_empty());
}

#[test]
fn a_client_that_leaves_ends_the_question() {
    let verifier = Origin::start(|conversation| {
        conversation.request();
        conversation.read();
    });
    let quaich = serve(&verifier.url(), "", &Origin::ok());
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    verifier.wait_for_requests(1);
    client.reset();
    verifier.wait_for_ends(1);
}

/// nginx tells servers apart only by 2xx, 401 and 403; what it makes 500 is 503 here, and redirects
/// are passed back.
#[test]
fn nginx_decides_the_same() {
    let verifier = Origin::answering(|request| {
        let wanted = request.header("x-want").unwrap_or("500").to_owned();
        answer(
            &format!("{wanted} X"),
            "WWW-Authenticate: Basic realm=\"n\"\r\nX-User: cora\r\n",
            "",
        )
    });
    let origin = Origin::ok();
    let site = TempSite::new();
    let server = format!(
        "location / {{ auth_request /auth; proxy_pass {}; }}\n\
         location = /auth {{ internal; proxy_pass {}/verify; proxy_pass_request_body off; \
         proxy_set_header Content-Length \"\"; }}",
        origin.url(),
        verifier.url()
    );
    let Some(_nginx) = nginx(&site, &server) else {
        return;
    };
    let quaich = serve(&verifier.url(), "", &origin);
    for status in [
        "200", "201", "202", "204", "206", "299", "401", "403", "404", "500",
    ] {
        for (method, body) in [("GET", &b""[..]), ("POST", b"a body")] {
            let length = match body.len() {
                0 => String::new(),
                length => format!("Content-Length: {length}\r\n"),
            };
            let head =
                format!("{method} /x HTTP/1.1\r\nHost: test\r\nX-Want: {status}\r\n{length}\r\n");
            let ask = |mut client: quaich_testkit::RawClient| {
                client.send([head.as_bytes(), body].concat());
                let response = client.response();
                let challenge = response.header("www-authenticate").map(str::to_owned);
                (response.status, challenge.filter(|_| status == "401"))
            };
            let ours = ask(quaich.raw());
            let mut theirs = ask(quaich_testkit::RawClient::connect_unix(
                &site.join("nginx.sock"),
            ));
            if theirs.0 == 500 {
                theirs.0 = 503;
            }
            assert_eq!(ours, theirs, "{method} {status}");
        }
    }
}
