//! What an app sees and what it answers, in a worker and behind either kind of upstream.

use quaich_testkit::{Gate, Request, TempSite, Transport};

use super::{Row, Stage, WIRES, check, never_complete, row, run};

/// `size` bytes that do not repeat.
fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n % 251) as u8).collect()
}

fn post(size: usize) -> Request {
    Request::post("/reflect", bytes(size))
}

fn unsized_post(size: usize) -> Request {
    Request::post_unsized("/reflect", bytes(size))
}

const REQUESTS: &[Row] = &[
    row(
        "GET",
        || Request::get("/reflect?q=%20&r"),
        |a| {
            a.expect_status(200);
            assert_eq!(a.json()["method"], "GET");
            assert_eq!(a.json()["query"], "q=%20&r");
        },
    ),
    row(
        "HEAD",
        || Request::new("HEAD", "/size/1000"),
        |a| {
            a.expect_status(200)
                .expect_header("content-length", "1000")
                .expect_body("");
        },
    ),
    row(
        "PUT",
        || post(10).method("PUT"),
        |a| assert_eq!(a.json()["method"], "PUT"),
    ),
    row(
        "PATCH",
        || post(10).method("PATCH"),
        |a| assert_eq!(a.json()["method"], "PATCH"),
    ),
    row(
        "DELETE",
        || Request::new("DELETE", "/reflect"),
        |a| {
            assert_eq!(a.json()["method"], "DELETE");
        },
    ),
    row(
        "DELETE with a body",
        || post(10).method("DELETE"),
        |a| assert_eq!(a.json()["length"], 10),
    ),
    row(
        "GET with a body",
        || post(10).method("GET"),
        |a| assert_eq!(a.json()["length"], 10),
    ),
    row(
        "OPTIONS",
        || Request::new("OPTIONS", "/reflect"),
        |a| {
            assert_eq!(a.json()["method"], "OPTIONS");
        },
    ),
    row(
        "a body of 0 bytes",
        || post(0),
        |a| assert_eq!(a.json()["length"], 0),
    ),
    row(
        "a body of 1 byte",
        || post(1),
        |a| assert_eq!(a.json()["length"], 1),
    ),
    row(
        "a body of 1,000 bytes",
        || post(1000),
        |a| assert_eq!(a.json()["length"], 1000),
    ),
    row(
        "a body of 70,000 bytes",
        || post(70_000),
        |a| assert_eq!(a.json()["length"], 70_000),
    ),
    row(
        "a body of 1 MB",
        || post(1_000_000),
        |a| assert_eq!(a.json()["length"], 1_000_000),
    ),
    row(
        "0 bytes of unknown length",
        || unsized_post(0),
        |a| assert_eq!(a.json()["length"], 0),
    ),
    row(
        "1 byte of unknown length",
        || unsized_post(1),
        |a| assert_eq!(a.json()["length"], 1),
    ),
    row(
        "70,000 bytes of unknown length",
        || unsized_post(70_000),
        |a| {
            assert_eq!(a.json()["length"], 70_000);
        },
    ),
    row(
        "1 MB of unknown length",
        || unsized_post(1_000_000),
        |a| {
            assert_eq!(a.json()["length"], 1_000_000);
        },
    ),
    row(
        "a body that is not read",
        || Request::post("/ignore", bytes(30_000)),
        |a| {
            a.expect_body("not read");
        },
    ),
    row(
        "trailers",
        || unsized_post(10).trailer("x-forwarded-for", "6.6.6.6"),
        |a| {
            assert_eq!(a.json()["length"], 10);
        },
    ),
    row(
        "two cookies",
        || {
            Request::get("/reflect")
                .field("cookie", "a=1")
                .field("cookie", "b=2")
        },
        |a| {
            assert_eq!(a.json()["fields"]["HTTP_COOKIE"], "a=1; b=2");
        },
    ),
    row(
        "a field twice",
        || {
            Request::get("/reflect")
                .field("x-twice", "a")
                .field("x-twice", "b")
        },
        |a| {
            let value = a.json()["fields"]["HTTP_X_TWICE"]
                .as_str()
                .map(|v| v.replace(", ", ","));
            assert_eq!(value.as_deref(), Some("a,b"));
        },
    ),
    row(
        "an empty field",
        || Request::get("/reflect").field("x-empty", ""),
        |a| {
            assert_eq!(a.json()["fields"]["HTTP_X_EMPTY"], "");
        },
    ),
    row(
        "a large field",
        || Request::get("/reflect").field("x-large", "v".repeat(7000)),
        |a| {
            assert_eq!(a.json()["fields"]["HTTP_X_LARGE"], "v".repeat(7000));
        },
    ),
    row(
        "a content type",
        || post(3).field("content-type", "text/x; a=b"),
        |a| {
            assert_eq!(a.json()["type"], "text/x; a=b");
        },
    ),
    row(
        "a path with a normal form",
        || Request::get("/reflect/%7euser//x/../y%20z"),
        |a| {
            assert_eq!(a.json()["path"], "/reflect/~user/y z");
        },
    ),
    row(
        "te",
        || Request::get("/reflect").field("te", "trailers"),
        |a| {
            a.expect_status(200);
        },
    ),
    row("fields that are ours to write", forged, |a| {
        let seen = a.text();
        assert!(
            !seen.contains("6.6.6.6") && !seen.contains("evil"),
            "{seen}"
        );
    }),
];

fn forged() -> Request {
    Request::get("/reflect")
        .field("x_forwarded_for", "6.6.6.6")
        .field("x-real-ip", "6.6.6.6")
        .field("proxy", "http://evil")
}

#[test]
fn an_app_sees_the_same_request() {
    let stage = Stage::with_app();
    run(&stage, &stage.app_hosts, REQUESTS);
}

const ANSWERS: &[Row] = &[
    row(
        "0 bytes",
        || Request::get("/size/0"),
        |a| {
            a.expect_status(200).expect_body("");
        },
    ),
    row(
        "70,000 bytes",
        || Request::get("/size/70000"),
        |a| {
            a.expect_header("content-length", "70000");
            assert!(a.complete && a.body.len() == 70_000);
        },
    ),
    row(
        "1 MB",
        || Request::get("/size/1000000"),
        |a| {
            assert!(a.complete && a.body.len() == 1_000_000);
        },
    ),
    row(
        "1 MB in pieces",
        || Request::get("/pieces/1000"),
        |a| {
            assert!(a.complete && a.body.len() == 1_000_000);
        },
    ),
    row(
        "HEAD of pieces",
        || Request::new("HEAD", "/pieces/10"),
        |a| {
            a.expect_status(200).expect_body("");
        },
    ),
    row(
        "201",
        || Request::get("/status/201"),
        |a| {
            a.expect_status(201).expect_body("status 201");
        },
    ),
    row(
        "204",
        || Request::get("/status/204"),
        |a| {
            a.expect_status(204)
                .expect_body("")
                .expect_header("x-kept", "yes");
        },
    ),
    row(
        "302",
        || Request::get("/status/302"),
        |a| {
            a.expect_status(302).expect_header("location", "/next");
        },
    ),
    row(
        "304",
        || Request::get("/status/304"),
        |a| {
            a.expect_status(304)
                .expect_body("")
                .expect_header("x-kept", "yes");
        },
    ),
    row(
        "404",
        || Request::get("/status/404"),
        |a| {
            a.expect_status(404).expect_body("status 404");
        },
    ),
    row(
        "500",
        || Request::get("/status/500"),
        |a| {
            a.expect_status(500).expect_body("status 500");
        },
    ),
    row(
        "fields that come twice",
        || Request::get("/fields"),
        |a| {
            assert_eq!(a.headers("set-cookie"), ["a=1; Path=/", "b=2"]);
            assert_eq!(a.headers("x-twice"), ["one", "two"]);
            assert_eq!(a.headers("x-empty"), [""]);
        },
    ),
    row(
        "a large field",
        || Request::get("/large-field"),
        |a| {
            assert_eq!(a.header("x-large").map(str::len), Some(20_000));
        },
    ),
];

#[test]
fn a_client_gets_the_same_answer() {
    let stage = Stage::with_app();
    run(&stage, &stage.app_hosts, ANSWERS);
}

const FAILING: &[Row] = &[row(
    "a failure in the middle",
    || Request::get("/fail"),
    never_complete,
)];

const SHORT: &[Row] = &[row(
    "less than was announced",
    || Request::get("/short"),
    never_complete,
)];

#[test]
fn an_answer_that_an_app_breaks_off_never_looks_complete() {
    let stage = Stage::with_app();
    check(&stage, &stage.app_hosts, SHORT);
    // What their servers send then looks like any other end of a body without length.
    let hosts = stage.app_hosts.iter().copied();
    let marked: Vec<_> = hosts.filter(|host| !WIRES.contains(host)).collect();
    check(&stage, &marked, FAILING);
}

#[test]
fn pieces_are_not_held_back() {
    let (folder, behind) = (TempSite::new(), TempSite::new());
    let (here, there) = (Gate::new(&folder), Gate::new(&behind));
    let stage = Stage::with_app_in(folder, behind);
    for host in &stage.app_hosts {
        let gate = if *host == "app.test" { &here } else { &there };
        for transport in Transport::ALL {
            let mut caller = stage.connect(transport, host);
            caller.begin(&Request::get("/gate").host(host));
            assert_eq!(caller.body(5), b"first", "{transport:?} {host}");
            gate.open();
            let answer = caller.answer();
            answer.expect_body("firstsecond");
        }
    }
}

#[test]
fn a_body_is_asked_for_when_it_is_expected() {
    let stage = Stage::with_app();
    for transport in Transport::ALL {
        for host in &stage.app_hosts {
            let mut caller = stage.connect(transport, host);
            let request = Request::post_later("/reflect", Some(5));
            caller.begin(&request.host(host).field("expect", "100-continue"));
            assert_eq!(caller.interim(), 100, "{transport:?} {host}");
            caller.send(b"hello").end();
            let answer = caller.answer();
            assert_eq!(answer.json()["body"], "hello", "{transport:?} {host}");
            assert!(answer.json()["fields"].get("HTTP_EXPECT").is_none());
        }
    }
}
