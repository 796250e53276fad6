//! Bodies of WSGI requests and large answers: `wsgi.input`, `wsgi.file_wrapper`, buffering.

use quaich_testkit::TempSite;

use crate::apps::{self, serve};

/// Answers with what each way of reading `wsgi.input` returns, as JSON.
const READERS: &str = r#"
import hashlib, json

def application(environ, start_response):
    stream, kind = environ["wsgi.input"], environ["PATH_INFO"]
    if kind == "/read":
        got = [stream.read(3), stream.read(), stream.read(), stream.read(5)]
    elif kind == "/lines":
        got = [stream.readline(), stream.readline(2), stream.readline(), *stream.readlines()]
    elif kind == "/iterate":
        got = list(stream)
    elif kind == "/ignore":
        got = []
    else:
        digest, size = hashlib.sha256(), 0
        while block := stream.read(65536):
            digest.update(block)
            size += len(block)
        got = [digest.hexdigest().encode(), b"%d" % size]
    body = json.dumps([item.decode() for item in got]).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
"#;

fn chunked(target: &str, pieces: &[&str]) -> String {
    let mut request =
        format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in pieces {
        request.push_str(&format!("{:x}\r\n{piece}\r\n", piece.len()));
    }
    request + "0\r\n\r\n"
}

#[test]
fn every_way_of_reading_sees_the_whole_body_and_its_end() {
    let quaich = serve(READERS);
    let body = "one\ntwo\nthree\nlast";
    let expected = [
        (
            "/read",
            serde_json::json!(["one", "\ntwo\nthree\nlast", "", ""]),
        ),
        (
            "/lines",
            serde_json::json!(["one\n", "tw", "o\n", "three\n", "last"]),
        ),
        (
            "/iterate",
            serde_json::json!(["one\n", "two\n", "three\n", "last"]),
        ),
    ];
    for (target, lines) in expected {
        assert_eq!(
            quaich.request("POST", target, "", body.as_bytes()).json(),
            lines,
            "{target}"
        );
        let mut client = quaich.raw();
        client.send(chunked(target, &["one\nt", "wo\nthree\nla", "st"]));
        assert_eq!(client.response().json(), lines, "{target} in chunks");
    }
}

#[test]
fn a_body_beyond_memory_arrives_unchanged() {
    let quaich = serve(READERS);
    // Just under the default max_body of 10 MiB, and far over what is held in memory.
    let body: Vec<u8> = (0..9_000_000_u32).map(|n| (n % 251) as u8).collect();
    let answer = quaich.request("POST", "/hash", "", &body).json();
    assert_eq!(answer[1], "9000000");
    let small = quaich.request("POST", "/hash", "", b"abc").json();
    let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(small[0], known);
}

#[test]
fn a_body_that_the_app_ignores_does_not_disturb_the_next_request() {
    let quaich = serve(READERS);
    let mut client = quaich.raw();
    let body = "x".repeat(30_000);
    client.send(format!(
        "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n{body}"
    ));
    client.response().expect_status(200);
    client.get("/read").expect_body(r#"["", "", "", ""]"#);
}

#[test]
fn a_slow_upload_does_not_occupy_the_only_worker() {
    let quaich = serve(READERS);
    let mut slow = quaich.raw();
    slow.send("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
    quaich.get("/ignore").expect_status(200);
    slow.send("def")
        .response()
        .expect_body(r#"["abc", "def", "", ""]"#);
}

#[test]
fn a_slow_reader_does_not_occupy_the_only_worker() {
    let quaich = serve(
        r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    if environ["PATH_INFO"] == "/large":
        return (b"%07d\n" % n * 1024 for n in range(4096))
    return [b"small"]
"#,
    );
    let mut slow = quaich.raw();
    slow.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = slow.head();
    assert_eq!(head.status, 200);
    // 32 MiB are more than sockets hold: the answer is somewhere between worker and client.
    quaich.get("/").expect_body("small");
    let body = slow.until("0\r\n\r\n");
    let lines = body.windows(8).filter(|w| w == b"0004095\n").count();
    assert_eq!(lines, 1024, "the end of the body, unchanged");
}

#[test]
fn file_wrapper_sends_the_file_from_where_it_stands() {
    let site = TempSite::new();
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 253) as u8).collect();
    site.write("data.bin", &content);
    let app = r#"
import io

def application(environ, start_response):
    wrap, kind = environ["wsgi.file_wrapper"], environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    if kind == "/memory":
        return wrap(io.BytesIO(b"no descriptor"), 4)
    file = open("data.bin", "rb")
    if kind == "/half":
        file.seek(1_500_000)
    return wrap(file, 65536)
"#;
    let quaich = apps::serve_site(site, app, "workers = 1\nthreads = 1");
    let whole = quaich.get("/whole");
    assert!(whole.complete && whole.body == content, "the whole file");
    let half = quaich.get("/half");
    assert!(
        half.complete && half.body == content[1_500_000..],
        "its second half"
    );
    quaich.get("/memory").expect_body("no descriptor");
}

#[test]
fn file_wrapper_respects_a_content_length() {
    let site = TempSite::new();
    site.write("data.txt", "0123456789");
    let app = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "4")])
    return environ["wsgi.file_wrapper"](open("data.txt", "rb"))
"#;
    let quaich = apps::serve_site(site, app, "workers = 1\nthreads = 1");
    let mut client = quaich.raw();
    client.get("/").expect_body("0123");
    client.get("/").expect_body("0123");
}

#[test]
fn the_validator_of_the_standard_library_stays_silent() {
    let quaich = serve(
        r#"
from wsgiref.validate import validator

@validator
def application(environ, start_response):
    kind = environ["PATH_INFO"]
    stream = environ["wsgi.input"]
    got = stream.read(10) + stream.readline() + b"".join(stream.readlines()) + b"".join(stream)
    environ["wsgi.errors"].write("a line\n")
    environ["wsgi.errors"].flush()
    if kind == "/empty":
        start_response("204 No Content", [])
        return []
    headers = [("Content-Type", "text/plain")]
    if kind == "/write":
        start_response("200 OK", headers)(b"written ")
        return [got]
    start_response("200 OK", headers)
    return (part for part in (b"body: ", got))
"#,
    );
    let mut client = quaich.raw();
    client.get("/").expect_body("body: ");
    client.get("/empty").expect_status(204);
    client.send("POST /write HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    client.response().expect_body("written abc");
    client.send(chunked("/post", &["chunk", "ed\nlines\n"]));
    client.response().expect_body("body: chunked\nlines\n");
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.response_to("HEAD").expect_status(200);
    client.get("/").expect_status(200);
    let log = quaich.log().text();
    assert!(
        !log.contains("AssertionError") && !log.contains("WSGIWarning"),
        "{log}"
    );
}
