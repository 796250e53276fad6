//! Files that an app or a server offers in place of a body: what is sent, what never is, and that
//! no client sees the fields for quaich.

use std::os::unix::fs::symlink;

use quaich_testkit::{Origin, Quaich, Request, Response, TempSite, Transport, requires_python};

use crate::apps;

/// A folder `protected`, and a secret beside it.
fn tree() -> TempSite {
    let site = TempSite::new();
    site.write("protected/digits.txt", "0123456789");
    site.write("protected/a b ä.css", "body {}");
    site.write("protected/.hidden", "seen");
    site.write("protected/sub/index.html", "<h1>sub</h1>");
    site.write("protected/large.bin", vec![b'x'; 300_000]);
    site.write("secret.txt", "SECRET");
    symlink("../secret.txt", site.join("protected/escape")).expect("a link can be made");
    site
}

/// A server that answers with the fields that the query has, percent-encoded line by line in `f`.
fn offering() -> Origin {
    Origin::answering(|request| {
        let fields = request.header("x-answer").unwrap_or_default();
        let fields = fields.replace(" | ", "\r\n");
        let body = match request.target() {
            "/body" => "Content-Length: 4\r\n\r\nbody",
            _ => "Content-Length: 0\r\n\r\n",
        };
        format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}").into_bytes()
    })
}

fn serve(site: TempSite, origin: &Origin, keys: &str) -> Quaich {
    let url = origin.url();
    Quaich::serve(
        site,
        &format!("[[site.main.route]]\nproxy = \"{url}\"\n{keys}\n"),
    )
}

const ALLOWED: &str = "sendfile = { root = \"protected\", prefix = \"/internal\" }";

fn ask(quaich: &Quaich, answer: &str, fields: &str) -> Response {
    let fields = format!("X-Answer: {answer}\r\n{fields}");
    let response = quaich.request("GET", "/", &fields, b"");
    for name in [
        "x-accel-redirect",
        "x-sendfile",
        "x-accel-buffering",
        "x-accel-expires",
    ] {
        assert_eq!(response.header(name), None, "{}", response.head);
    }
    response
}

#[test]
fn a_file_is_sent_with_what_the_app_says_of_it() {
    let origin = offering();
    let site = tree();
    let root = site.join("protected").display().to_string();
    let quaich = serve(site, &origin, ALLOWED);
    let plain = ask(&quaich, "X-Accel-Redirect: /internal/digits.txt", "");
    plain.expect_status(200).expect_body("0123456789");
    plain.expect_header("content-type", "text/plain; charset=utf-8");
    plain.expect_header("accept-ranges", "bytes");
    assert!(plain.header("etag").is_some() && plain.header("last-modified").is_some());
    let told = "X-Accel-Redirect: /internal/digits.txt | Content-Type: application/x-y | \
                Content-Disposition: attachment; filename=d | Cache-Control: private | \
                Set-Cookie: a=1 | Set-Cookie: b=2 | Expires: 0 | ETag: \"app\" | X-Other: 1 | \
                X-Accel-Buffering: yes | X-Accel-Expires: 60";
    let told = ask(&quaich, told, "");
    told.expect_body("0123456789");
    told.expect_header("content-type", "application/x-y");
    told.expect_header("content-disposition", "attachment; filename=d");
    told.expect_header("cache-control", "private")
        .expect_header("expires", "0");
    assert_eq!(told.headers("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(told.headers("content-type").len(), 1);
    assert_eq!(told.header("etag"), plain.header("etag"));
    assert_eq!(told.header("x-other"), None);
    for encoded in [
        "/internal/a%20b%20%C3%A4.css",
        "/internal/x/../a b ä.css?v=1",
    ] {
        ask(&quaich, &format!("X-Accel-Redirect: {encoded}"), "").expect_body("body {}");
    }
    ask(&quaich, &format!("X-Sendfile: {root}/a b ä.css"), "").expect_body("body {}");
    ask(&quaich, &format!("X-Sendfile: {root}/.hidden"), "").expect_body("seen");
    let large = ask(&quaich, "X-Accel-Redirect: /internal/large.bin", "");
    assert_eq!(large.body, vec![b'x'; 300_000]);
}

#[test]
fn conditions_and_ranges_hold_for_the_file() {
    let origin = offering();
    let quaich = serve(tree(), &origin, ALLOWED);
    let offer = "X-Accel-Redirect: /internal/digits.txt | Content-Type: a/b | Set-Cookie: a=1";
    let whole = ask(&quaich, offer, "");
    let etag = whole.header("etag").expect("a tag").to_owned();
    let same = ask(&quaich, offer, &format!("If-None-Match: {etag}\r\n"));
    same.expect_status(304).expect_header("set-cookie", "a=1");
    assert_eq!(same.header("content-type"), None);
    let part = ask(&quaich, offer, "Range: bytes=2-4\r\n");
    part.expect_status(206).expect_body("234");
    part.expect_header("content-range", "bytes 2-4/10")
        .expect_header("content-type", "a/b");
    let parts = ask(&quaich, offer, "Range: bytes=0-0,8-\r\n");
    parts.expect_status(206);
    let kind = parts.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("multipart/byteranges"), "{kind}");
    ask(&quaich, offer, "Range: bytes=99-\r\n").expect_status(416);
    let fields = format!("X-Answer: {offer}\r\n");
    let head = quaich.request("HEAD", "/", &fields, b"");
    head.expect_status(200)
        .expect_header("content-length", "10");
    let posted = quaich.request("POST", "/", &fields, b"a form");
    posted.expect_status(200).expect_body("0123456789");
}

#[test]
fn what_lies_elsewhere_is_never_sent() {
    let origin = offering();
    let site = tree();
    let here = site.path().display().to_string();
    let quaich = serve(site, &origin, ALLOWED);
    for (offer, status) in [
        ("X-Accel-Redirect: /internal/none".to_owned(), 404),
        ("X-Accel-Redirect: /internal/sub".to_owned(), 404),
        ("X-Accel-Redirect: /internal/sub/".to_owned(), 404),
        ("X-Accel-Redirect: /internal/escape".to_owned(), 404),
        ("X-Accel-Redirect: /internal/../secret.txt".to_owned(), 502),
        (
            "X-Accel-Redirect: /internal/%2e%2e/secret.txt".to_owned(),
            502,
        ),
        ("X-Accel-Redirect: /other/digits.txt".to_owned(), 502),
        ("X-Accel-Redirect: /internalx".to_owned(), 502),
        (
            "X-Accel-Redirect: http://x.test/internal/digits.txt".to_owned(),
            502,
        ),
        (format!("X-Sendfile: {here}/secret.txt"), 502),
        (format!("X-Sendfile: {here}/protected/../secret.txt"), 404),
        (format!("X-Sendfile: {here}/protected"), 502),
        (format!("X-Sendfile: {here}/protectedx/a"), 502),
        ("X-Sendfile: /etc/passwd".to_owned(), 502),
        ("X-Sendfile: secret.txt".to_owned(), 502),
    ] {
        let offer = format!("{offer} | Set-Cookie: a=1 | Cache-Control: max-age=60");
        let refused = ask(&quaich, &offer, "");
        assert_eq!(refused.status, status, "{offer}");
        assert_eq!(refused.header("set-cookie"), None);
        assert!(!refused.text().contains("SECRET"));
    }
    quaich.log().wait_for("not below the root of `sendfile`");
}

#[test]
fn a_route_without_sendfile_sends_no_file_and_drops_the_fields() {
    let origin = offering();
    let quaich = serve(tree(), &origin, "");
    for offer in [
        "X-Accel-Redirect: /internal/digits.txt",
        "X-Sendfile: /etc/passwd",
    ] {
        ask(&quaich, offer, "").expect_status(502);
    }
    quaich.log().wait_for("its route has no `sendfile`");
    ask(
        &quaich,
        "X-Accel-Buffering: no | X-Accel-Expires: 5 | X-A: 1",
        "",
    )
    .expect_status(200)
    .expect_header("x-a", "1");
}

#[test]
fn the_body_that_came_with_the_offer_goes_nowhere_and_hurts_nobody() {
    let origin = offering();
    let quaich = serve(tree(), &origin, ALLOWED);
    let mut client = quaich.raw();
    for target in ["/body", "/", "/body", "/"] {
        client.send(format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\n\
             X-Answer: X-Accel-Redirect: /internal/digits.txt\r\n\r\n"
        ));
        client
            .response()
            .expect_status(200)
            .expect_body("0123456789");
    }
    for transport in [Transport::Http1, Transport::Http2] {
        let mut caller = transport.connect(quaich.addr(), "test");
        for _ in 0..2 {
            let offer = "X-Accel-Redirect: /internal/digits.txt | Content-Type: a/b";
            let answer = caller.call(&Request::get("/body").field("x-answer", offer));
            answer.expect_status(200).expect_body("0123456789");
            answer.expect_header("content-type", "a/b");
        }
    }
}

const FLASK: &str = r#"
from flask import Flask, Response, send_file

app = Flask(__name__)
app.use_x_sendfile = True

@app.get("/sendfile")
def by_flask():
    return send_file("protected/digits.txt", as_attachment=True)

@app.post("/redirect")
def redirect():
    response = Response(mimetype="text/csv")
    response.headers["X-Accel-Redirect"] = "/internal/digits.txt"
    return response

@app.get("/stream")
def stream():
    response = Response((b"x" * 50_000 for _ in range(20)), mimetype="text/csv")
    response.headers["X-Accel-Redirect"] = "/internal/digits.txt"
    return response

@app.get("/plain")
def plain():
    return Response("plain", headers={"X-Accel-Buffering": "no"})
"#;

#[test]
fn an_app_offers_files_as_its_framework_does() {
    if !requires_python(&["flask"]) {
        return;
    }
    let site = tree();
    site.write("app.py", FLASK);
    let toml = format!(
        "{}\n[[site.main.route]]\napp = \"main\"\n{ALLOWED}\n",
        apps::table("workers = 1\nthreads = 2")
    );
    let quaich = Quaich::serve(site, &toml);
    let by_flask = quaich.get("/sendfile");
    by_flask.expect_status(200).expect_body("0123456789");
    by_flask.expect_header("content-disposition", "attachment; filename=digits.txt");
    assert_eq!(by_flask.headers("content-length"), ["10"]);
    assert_eq!(by_flask.headers("etag").len(), 1);
    let posted = quaich.request("POST", "/redirect", "", b"x");
    posted.expect_status(200).expect_body("0123456789");
    posted.expect_header("content-type", "text/csv; charset=utf-8");
    for _ in 0..4 {
        quaich
            .get("/stream")
            .expect_status(200)
            .expect_body("0123456789");
    }
    let plain = quaich.get("/plain");
    plain.expect_body("plain");
    assert_eq!(plain.header("x-accel-buffering"), None);
}
