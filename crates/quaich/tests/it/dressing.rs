//! What answers look like when several filters have had their hands on them.

use std::time::Duration;

use quaich_testkit::{Origin, Quaich, Response, TempSite};

/// A server that answers so, whatever is asked.
fn answering(head: &'static str, body: &'static str) -> Origin {
    Origin::answering(move |_| {
        let length = body.len();
        format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
    })
}

/// The one site proxies to `origin` and has these keys; tables may come before it.
fn serve((before, keys): (&str, &str), origin: &Origin) -> Quaich {
    let url = origin.url();
    let toml = format!("{before}[site.main]\n[[site.main.route]]\nproxy = \"{url}\"\n{keys}\n");
    Quaich::serve(with_page(), &toml)
}

/// A folder with a page for errors.
fn with_page() -> TempSite {
    let site = TempSite::new();
    site.write("500.txt", "sorry");
    site
}

fn private(response: &Response) -> Vec<&str> {
    let all = response.headers("cache-control");
    all.into_iter()
        .filter(|value| value.contains("private"))
        .collect()
}

/// Long enough to be compressed.
const TEXT: &str = match str::from_utf8(&[b'x'; 4000]) {
    Ok(text) => text,
    Err(_) => "",
};

#[test]
fn a_cookie_of_a_verifier_is_in_no_shared_cache_and_past_no_guard() {
    let origin = answering("200 OK\r\nContent-Type: text/html", TEXT);
    let verifier = answering("200 OK\r\nSet-Cookie: session=2", "");
    let sso = format!("[auth.sso]\nforward = {{ url = \"{}\" }}\n", verifier.url());
    let quaich = serve(
        (
            &sso,
            "auth = \"sso\"\ncompress = { cookies = false }\nexpires = \"30d\"",
        ),
        &origin,
    );
    let answer = quaich.request("GET", "/", "Accept-Encoding: gzip\r\n", b"");
    answer
        .expect_status(200)
        .expect_header("set-cookie", "session=2");
    assert_eq!(answer.header("content-encoding"), None, "{}", answer.head);
    assert_eq!(private(&answer).len(), 1, "{}", answer.head);
}

#[test]
fn a_cookie_that_keeps_a_client_at_its_server_is_in_no_shared_cache() {
    let origin = answering("200 OK\r\nContent-Type: text/html", "ok");
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!(
            "state_dir = \"state\"\n[upstream.up]\nservers = [\"{}\"]\nsticky = {{ cookie = \"SRV\" }}\n\
             [[site.main.route]]\npath = \"/forced\"\nupstream = \"up\"\nexpires = {{ age = \"30d\", \
             force = true }}\n[[site.main.route]]\nupstream = \"up\"\nexpires = \"30d\"\n",
            origin.url()
        ),
    );
    for path in ["/", "/forced"] {
        let first = quaich.get(path);
        let cookie = first.header("set-cookie").expect("a cookie").to_owned();
        assert_eq!(private(&first).len(), 1, "{path}: {}", first.head);
        let cookie = cookie.split(';').next().unwrap_or_default();
        let known = quaich.request("GET", path, &format!("Cookie: {cookie}\r\n"), b"");
        assert_eq!(known.header("set-cookie"), None);
        assert!(private(&known).is_empty(), "{path}: {}", known.head);
    }
}

const WRONG: &str = "500 Oops\r\nAccess-Control-Allow-Origin: *\r\n\
                     Access-Control-Allow-Credentials: true\r\nSet-Cookie: a=1; Path=/sub";

#[test]
fn no_replaced_error_and_no_refusal_says_who_may_read_it_but_quaich() {
    let cors = "cors = { origins = [\"https://app.test\"] }";
    let wrong = answering(WRONG, "");
    let replaced = serve(
        (
            "",
            &format!("replace_errors = true\nerror_pages = {{ 500 = \"500.txt\" }}\n{cors}"),
        ),
        &wrong,
    );
    let refused = "401 No\r\nAccess-Control-Allow-Origin: *\r\n\
                   Access-Control-Allow-Credentials: true";
    let verifier = answering(refused, "no");
    let sso = format!("[auth.sso]\nforward = {{ url = \"{}\" }}\n", verifier.url());
    let refused = serve((&sso, &format!("auth = \"sso\"\n{cors}")), &Origin::ok());
    for (quaich, status) in [(&replaced, 500), (&refused, 401)] {
        for (asks, said) in [
            ("https://evil.test", &[][..]),
            ("https://app.test", &["https://app.test"][..]),
        ] {
            let answer = quaich.request("GET", "/", &format!("Origin: {asks}\r\n"), b"");
            answer.expect_status(status);
            assert_eq!(answer.headers("access-control-allow-origin"), said);
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
    }
}

#[test]
fn what_the_operator_says_of_other_origins_stays_beside_cors() {
    let origin = answering("200 OK\r\nAccess-Control-Max-Age: 7", "ok");
    let keys = "cors = { origins = [\"https://app.test\"] }\n\
                response_headers = { set = { \"Access-Control-Allow-Private-Network\" = \"true\" } }";
    let quaich = serve(("", keys), &origin);
    let answer = quaich.request("GET", "/", "Origin: https://app.test\r\n", b"");
    answer
        .expect_header("access-control-allow-origin", "https://app.test")
        .expect_header("access-control-allow-private-network", "true");
    assert_eq!(answer.header("access-control-max-age"), None);
}

#[test]
fn the_cookies_of_a_mounted_app_are_mapped_in_its_errors_and_those_of_quaich_never() {
    let origin = answering(WRONG, "");
    let quaich = Quaich::serve(
        with_page(),
        &format!(
            "state_dir = \"state\"\n[upstream.up]\nservers = [\"{}\"]\nsticky = {{ cookie = \"SRV\" }}\n\
             [[site.main.route]]\nprefix = \"/kept\"\nupstream = \"up\"\n\
             [[site.main.route]]\nprefix = \"/replaced\"\nupstream = \"up\"\nreplace_errors = true\n\
             error_pages = {{ 500 = \"500.txt\" }}\n",
            origin.url()
        ),
    );
    for prefix in ["/kept", "/replaced"] {
        let answer = quaich.get(&format!("{prefix}/x"));
        let cookies = answer.headers("set-cookie");
        assert_eq!(cookies.len(), 2, "{}", answer.head);
        assert_eq!(cookies[0], format!("a=1; Path={prefix}/sub"));
        assert!(cookies[1].contains("; path=/; "), "{}", cookies[1]);
    }
}

#[test]
fn an_answer_without_a_body_is_not_braked_for_one() {
    let body = "b".repeat(32 * 1024);
    let toml = format!(
        "[limit.bytes]\nbandwidth = \"1B/s\"\n[site.main]\n[[site.main.route]]\nlimit = \"bytes\"\n\
         respond = {{ body = \"{body}\" }}\n"
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let mut client = quaich.raw();
    client.patience(Duration::from_secs(5));
    for _ in 0..3 {
        client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
        let answer = client.response_to("HEAD");
        answer
            .expect_status(200)
            .expect_header("content-length", "32768");
    }
}

#[test]
fn a_refusal_of_a_verifier_tells_the_client_nothing_that_is_meant_for_quaich() {
    let verifier = answering(
        "403 No\r\nX-Accel-Redirect: /internal/a\r\nX-Sendfile: /srv/a\r\nX-Accel-Expires: 1\r\n\
         uWSGI-Encoding: gzip\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-Reason: why",
        "no",
    );
    let sso = format!("[auth.sso]\nforward = {{ url = \"{}\" }}\n", verifier.url());
    let quaich = serve((&sso, "auth = \"sso\""), &Origin::ok());
    let answer = quaich.get("/");
    answer
        .expect_status(403)
        .expect_body("no")
        .expect_header("x-reason", "why");
    for name in [
        "x-accel-redirect",
        "x-sendfile",
        "x-accel-expires",
        "uwsgi-encoding",
        "x-hop",
    ] {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

#[test]
fn an_offered_file_is_dressed_as_any_other() {
    let site = |keys: &str| {
        let origin = answering("200 OK\r\nX-Accel-Redirect: /internal/text.txt", "");
        let site = TempSite::new();
        site.write("protected/text.txt", TEXT);
        let toml = format!(
            "[[site.main.route]]\nproxy = \"{}\"\n{keys}\nsendfile = {{ root = \"protected\", \
             prefix = \"/internal\" }}\n",
            origin.url()
        );
        (Quaich::serve(site, &toml), origin)
    };
    const OWN: &str = "response_headers = { set = { X-Own = \"1\" } }";
    let (bare, _origin) = site("");
    let plain = bare.get("/");
    plain.expect_body(TEXT);
    plain.expect_header("vary", "Accept-Encoding");
    let (on, _origin) = site(OWN);
    let coded = on.request("GET", "/", "Accept-Encoding: gzip\r\n", b"");
    coded.expect_status(200).expect_header("x-own", "1");
    coded.expect_header("content-encoding", "gzip");
    coded.expect_header("vary", "Accept-Encoding");
    let plain = on.get("/");
    plain.expect_body(TEXT).expect_header("x-own", "1");
    plain.expect_header("vary", "Accept-Encoding");
    let (off, _origin) = site(&format!("compress = \"off\"\n{OWN}"));
    let plain = off.request("GET", "/", "Accept-Encoding: gzip\r\n", b"");
    plain.expect_body(TEXT).expect_header("x-own", "1");
    assert_eq!(
        (plain.header("vary"), plain.header("content-encoding")),
        (None, None)
    );
}
