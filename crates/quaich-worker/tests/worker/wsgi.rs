//! What an application sees and what comes of what it does: a real worker process, a real
//! channel, real Python.

use crate::front::{Answer, Event, Front, Request, Worker, start};
use quaich_proto::worker::boot::FromWorker;
use quaich_proto::worker::frame::ErrorKind;

fn serving(module: &str) -> (Worker, Front) {
    let worker = Worker::spawn(start(module, None));
    match worker.hear() {
        Some(FromWorker::Ready { .. }) => {}
        other => panic!("{other:?}"),
    }
    let front = Front::attach(&worker);
    (worker, front)
}

fn failed(answer: &Answer) -> ErrorKind {
    assert!(!answer.complete);
    answer.error.as_ref().expect("an error").0
}

#[test]
fn a_list_of_one_item_gets_its_length() {
    let (_worker, mut front) = serving("rules");
    let answer = front.ask(&Request::get("/"));
    assert_eq!(
        (answer.head.status, answer.text().as_str()),
        (200, "hello\n")
    );
    assert_eq!(answer.head.reason, b"OK");
    assert_eq!(answer.head.field("content-length"), Some(&b"6"[..]));
    assert_eq!(answer.head.field("content-type"), Some(&b"text/plain"[..]));
    assert!(answer.complete);
}

#[test]
fn the_environ_is_that_of_pep_3333() {
    let (_worker, mut front) = serving("rules");
    let mut request = Request::get("/environ")
        .field("X-Twice", "a")
        .field("x-twice", "b")
        .field("Cookie", "a=1")
        .field("Cookie", "b=2")
        .field("X_Under", "dropped")
        .field("Proxy", "http://evil")
        .field("Script-Name", "/fake")
        .field("Content-Type", "text/x");
    request.path = b"/environ".to_vec();
    request.query = "a=%20".into();
    request.script_name = "/mount".into();
    let text = front.ask(&request).text();
    for expected in [
        r#""REQUEST_METHOD": "GET""#,
        r#""SCRIPT_NAME": "/mount""#,
        r#""PATH_INFO": "/environ""#,
        r#""QUERY_STRING": "a=%20""#,
        r#""REQUEST_URI": "/raw%20target?q""#,
        r#""RAW_URI": "/raw%20target?q""#,
        r#""SERVER_NAME": "example.test""#,
        r#""SERVER_PORT": "8000""#,
        r#""SERVER_PROTOCOL": "HTTP/1.1""#,
        r#""REMOTE_ADDR": "192.0.2.7""#,
        r#""REMOTE_PORT": "50000""#,
        r#""CONTENT_TYPE": "text/x""#,
        r#""HTTP_HOST": "example.test""#,
        r#""HTTP_X_TWICE": "a,b""#,
        r#""HTTP_COOKIE": "a=1; b=2""#,
        r#""HTTP_SCRIPT_NAME": "/fake""#,
        r#""quaich.request_id": "id-1""#,
        r#""wsgi.version": [1, 0]"#,
        r#""wsgi.url_scheme": "http""#,
        r#""wsgi.multithread": false"#,
        r#""wsgi.multiprocess": false"#,
        r#""wsgi.run_once": false"#,
        r#""wsgi.input_terminated": true"#,
        r#""types": ["str"]"#,
        r#""exactly dict": true"#,
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    for absent in [
        "UNDER",
        "HTTP_PROXY",
        "CONTENT_LENGTH",
        "HTTPS",
        "REMOTE_USER",
    ] {
        assert!(!text.contains(absent), "{absent} is in {text}");
    }
}

#[test]
fn path_bytes_become_latin_1_characters() {
    let (_worker, mut front) = serving("latin");
    let mut request = Request::get("/");
    request.path = "/caf\u{e9}".as_bytes().to_vec();
    request.https = true;
    let answer = front.ask(&request);
    assert_eq!(answer.body, "/caf\u{e9}|https|on".as_bytes());
    assert_eq!(answer.head.reason, b"caf\xe9");
    assert_eq!(answer.head.field("x-name"), Some(&b"caf\xe9"[..]));
}

#[test]
fn input_reads_as_a_file_does() {
    let (_worker, mut front) = serving("rules");
    let body = b"ab first\nsecond line\nthird\nfourth\nfifth\nsixth";
    let expected = "[b'ab', b' first\\n', b'sec', b'ond line\\n', [b'third\\n'], b'fourth\\n', \
                    [b'fifth\\n', b'sixth'], b'', b'', b'', [], b'']";
    assert_eq!(front.ask(&Request::post("/input", body)).text(), expected);

    let request = Request {
        file_length: Some(body.len() as u64),
        ..Request::post("/input", b"")
    };
    let mut flight = front.submit(&request);
    front.give_body(&flight, &crate::front::nameless_file(body));
    assert!(matches!(front.next(&mut flight), Event::Head(_)));
    assert_eq!(
        front.next(&mut flight),
        Event::Data(expected.as_bytes().to_vec())
    );
}

#[test]
fn a_chunked_body_has_a_length_for_the_application() {
    let (_worker, mut front) = serving("rules");
    let request = Request {
        chunked: true,
        ..Request::post("/echo", b"abc")
    };
    let request = request.field("Transfer-Encoding", "chunked");
    assert_eq!(front.ask(&request).text(), "abc|3");
    assert_eq!(front.ask(&Request::get("/echo")).text(), "|none");
}

#[test]
fn each_item_of_a_generator_leaves_alone_and_empty_ones_not_at_all() {
    let (_worker, mut front) = serving("rules");
    let answer = front.ask(&Request::get("/generator"));
    assert_eq!(answer.pieces, [b"one", b"two"]);
    assert_eq!(answer.head.field("content-length"), None);
    let late = front.ask(&Request::get("/late"));
    assert_eq!((late.head.status, late.text().as_str()), (201, "late"));
}

#[test]
fn known_bodies_get_their_length() {
    let (_worker, mut front) = serving("rules");
    for (path, body, length) in [
        ("/list", "abc", "3"),
        ("/iterator", "only", "4"),
        ("/empty", "", "0"),
    ] {
        let request = Request {
            query: "200 OK".into(),
            ..Request::get(path)
        };
        let answer = front.ask(&request);
        assert_eq!(answer.text(), body, "{path}");
        let given = answer.head.field("content-length");
        assert_eq!(given, Some(length.as_bytes()), "{path}");
    }
}

#[test]
fn write_sends_before_the_iterable() {
    let (_worker, mut front) = serving("rules");
    let answer = front.ask(&Request::get("/write"));
    assert_eq!(answer.pieces, [&b"first "[..], b"second ", b"third"]);
    assert_eq!(answer.head.field("content-length"), None);
}

#[test]
fn responses_without_a_body_send_none() {
    let (_worker, mut front) = serving("rules");
    for (method, status, length) in [
        ("HEAD", "200 OK", Some(&b"4"[..])),
        ("GET", "204 No Content", None),
        ("GET", "304 Not Modified", None),
    ] {
        let request = Request {
            query: status.into(),
            ..Request::new(method, "/status")
        };
        let answer = front.ask(&request);
        assert!(
            answer.complete && answer.body.is_empty(),
            "{method} {status}"
        );
        assert_eq!(
            answer.head.field("content-length"),
            length,
            "{method} {status}"
        );
    }
    let head = Request {
        query: "200 OK".into(),
        ..Request::new("HEAD", "/empty")
    };
    assert_eq!(front.ask(&head).head.field("content-length"), None);
    let generator = front.ask(&Request::new("HEAD", "/generator"));
    assert!(generator.complete && generator.body.is_empty());
}

#[test]
fn exceptions_are_logged_with_the_frames_of_the_user() {
    let (worker, mut front) = serving("rules");
    let answer = front.ask(&Request::get("/raise"));
    assert_eq!(answer.head.status, 0);
    assert_eq!(failed(&answer), ErrorKind::Exception);
    let log = worker
        .wait_for_line("LookupError: no such thing")
        .join("\n");
    assert!(
        log.contains("quaich: GET /raw%20target?q: the application raised"),
        "{log}"
    );
    assert!(log.contains("rules.py"), "{log}");
    assert!(!log.contains("quaich boot"), "{log}");

    let answer = front.ask(&Request::get("/raise_midway"));
    assert_eq!((answer.head.status, answer.text().as_str()), (200, "some"));
    assert_eq!(failed(&answer), ErrorKind::Exception);
    assert_eq!(front.ask(&Request::get("/events")).text(), "closed");
    assert_eq!(front.ask(&Request::get("/")).text(), "hello\n");
}

#[test]
fn broken_rules_are_named_and_answered_with_an_error() {
    let (worker, mut front) = serving("rules");
    for (path, said) in [
        (
            "/no_start",
            "AssertionError: the application gave a body before it called start_resp",
        ),
        ("/none", "TypeError: the application returned None"),
        (
            "/str",
            "TypeError: the application gave str instead of bytes",
        ),
        (
            "/str_item",
            "TypeError: the application gave str instead of bytes",
        ),
        (
            "/bytes",
            "TypeError: the application returned bytes instead of an iterable",
        ),
        (
            "/twice",
            "AssertionError: start_response was called a second time without exc_info",
        ),
        ("/cancelled", "CancelledError"),
    ] {
        assert_eq!(
            failed(&front.ask(&Request::get(path))),
            ErrorKind::Exception,
            "{path}"
        );
        worker.wait_for_line(said);
    }
}

#[test]
fn a_head_that_http_does_not_allow_is_refused() {
    let (worker, mut front) = serving("rules");
    for (head, said) in [
        ("('200', [('A\\r\\nB', 'c')])", "is not a header name"),
        ("('200', [('A B', 'c')])", "is not a header name"),
        ("('200', [('A', 'b\\r\\nC: d')])", "HTTP does not allow"),
        ("('200', [('A', 'b\\0')])", "HTTP does not allow"),
        ("('200', [('A', '\\u20ac')])", "HTTP does not allow"),
        (
            "('200', [('A', b'b')])",
            "a header value must be str, not bytes",
        ),
        ("('200', [(1, 'b')])", "a header name must be str, not int"),
        ("('200', [('A',)])", "a tuple (name, value)"),
        ("('200', 'ab')", "a tuple (name, value)"),
        ("('200', None)", "TypeError"),
        ("(200, [])", "status must be str, not int"),
        ("('20 OK', [])", "status must be like"),
        ("('200OK', [])", "status must be like"),
        ("('101 Switching', [])", "status must be like"),
        ("('200 O\\nK', [])", "HTTP does not allow"),
        ("('200', [('Connection', 'close')])", "hop-by-hop"),
        ("('200', [('Transfer-Encoding', 'chunked')])", "hop-by-hop"),
        (
            "('200', [('Content-Length', 'abc')])",
            "Content-Length must be one number",
        ),
        (
            "('200', [('Content-Length', '-1')])",
            "Content-Length must be one number",
        ),
        (
            "('200', [('Content-Length', '4'), ('content-length', '4')])",
            "must be one number",
        ),
        (
            "('200', [('A', 'x' * 60000)])",
            "makes the response head too long",
        ),
    ] {
        let request = Request {
            query: head.into(),
            ..Request::get("/headers")
        };
        assert_eq!(failed(&front.ask(&request)), ErrorKind::Exception, "{head}");
        worker.wait_for_line(said);
    }
}

#[test]
fn exc_info_replaces_a_head_that_has_not_left_and_raises_otherwise() {
    let (worker, mut front) = serving("rules");
    let answer = front.ask(&Request::get("/replaced"));
    assert_eq!((answer.head.status, answer.text().as_str()), (503, "sorry"));
    assert_eq!(answer.head.field("content-type"), None);
    let answer = front.ask(&Request::get("/too_late"));
    assert_eq!(
        (answer.head.status, answer.text().as_str()),
        (200, "already out")
    );
    assert_eq!(failed(&answer), ErrorKind::Exception);
    worker.wait_for_line("ValueError: inner problem");
}

#[test]
fn the_content_length_of_the_application_is_kept_to() {
    let (worker, mut front) = serving("rules");
    let answer = front.ask(&Request::get("/long"));
    assert!(answer.complete);
    assert_eq!(answer.text(), "abc");
    worker.wait_for_line("longer than its Content-Length 3");
    let answer = front.ask(&Request::get("/short"));
    assert_eq!(answer.text(), "abcd");
    assert_eq!(failed(&answer), ErrorKind::ShortBody);
    worker.wait_for_line("the body ends after 4 of 10 bytes");
}

#[test]
fn close_is_called_and_its_exception_costs_nothing() {
    let (worker, mut front) = serving("rules");
    assert!(front.ask(&Request::get("/close_raises")).complete);
    worker.wait_for_line("ValueError: close failed");
    assert_eq!(front.ask(&Request::get("/events")).text(), "closed");
}

#[test]
fn a_wrapped_file_leaves_as_a_descriptor() {
    let (_worker, mut front) = serving("rules");
    let answer = front.ask(&Request::get("/wrapped_file"));
    assert_eq!(answer.file, Some((3, 7)));
    assert_eq!(answer.head.field("content-length"), Some(&b"7"[..]));
    assert!(answer.complete);
    let answer = front.ask(&Request::get("/wrapped_file_length"));
    assert_eq!(answer.file, Some((3, 4)));
    let head = front.ask(&Request::new("HEAD", "/wrapped_file"));
    assert_eq!((head.file, head.complete), (None, true));
    assert_eq!(head.head.field("content-length"), Some(&b"7"[..]));
}

#[test]
fn a_wrapped_object_that_is_no_plain_file_is_read() {
    let (_worker, mut front) = serving("rules");
    let answer = front.ask(&Request::get("/wrapped_memory"));
    assert_eq!((answer.body.len(), answer.file), (20_000, None));
    let answer = front.ask(&Request::get("/wrapped_gzip"));
    assert_eq!((answer.text().as_str(), answer.file), ("unpacked", None));
}

#[test]
fn a_body_larger_than_the_ring_arrives_whole() {
    let (_worker, mut front) = serving("rules");
    let answer = front.ask(&Request::get("/big"));
    assert_eq!(answer.head.field("content-length"), Some(&b"1048576"[..]));
    assert!(answer.complete);
    assert_eq!(answer.body.len(), 1 << 20);
    assert!(
        answer
            .body
            .chunks(256)
            .all(|chunk| chunk.iter().copied().eq(0..=255))
    );
}

#[test]
fn a_client_that_leaves_ends_the_iteration() {
    let (_worker, mut front) = serving("rules");
    let mut flight = front.submit(&Request::get("/forever"));
    assert!(matches!(front.next(&mut flight), Event::Head(_)));
    front.cancel(&flight);
    assert_eq!(front.ask(&Request::get("/events")).text(), "ended");
}

#[test]
fn what_an_application_keeps_is_dead_after_the_request() {
    let (_worker, mut front) = serving("rules");
    assert_eq!(front.ask(&Request::get("/keep")).text(), "kept");
    assert_eq!(
        front.ask(&Request::get("/kept")).text(),
        "RuntimeError,RuntimeError,ValueError"
    );
    let said = front.ask(&Request::get("/other_thread")).text();
    assert!(said.contains("belong to the thread"), "{said}");
    assert_eq!(front.ask(&Request::get("/thread_name")).text(), "quaich-0");
}

#[test]
fn wsgi_errors_takes_any_text() {
    let (worker, mut front) = serving("rules");
    assert!(front.ask(&Request::get("/errors")).complete);
    worker.wait_for_line("written é \\udcff");
    worker.wait_for_line("two parts");
}

#[test]
fn the_validator_of_the_standard_library_has_no_complaint() {
    let (worker, mut front) = serving("validated");
    for request in [
        Request::get("/"),
        Request::get("/generator"),
        Request::get("/file"),
        Request::new("HEAD", "/"),
        Request::post("/read", b"some\nlines\n"),
    ] {
        let answer = front.ask(&request);
        assert!(
            answer.complete,
            "{:?} {:?}",
            answer.error,
            worker.wait_for_line("Error")
        );
    }
}

#[test]
fn a_hundred_thousand_requests_leave_nothing_behind() {
    let (_worker, mut front) = serving("rules");
    let mixed = [
        Request::get("/"),
        Request::get("/generator"),
        Request::post("/echo", b"body").field("X-Some", "value"),
        Request::get("/iterator"),
        Request::get("/keep"),
        Request {
            query: "('200', [('A', '\\xe9')])".into(),
            ..Request::get("/headers")
        },
    ];
    let mut rounds = |count: usize| -> i64 {
        for _ in 0..count {
            mixed
                .iter()
                .for_each(|request| assert!(front.ask(request).complete));
        }
        front
            .ask(&Request::get("/rss"))
            .text()
            .parse()
            .expect("a number")
    };
    let before = rounds(2_000);
    let after = rounds(15_000);
    assert!(after - before < 1 << 20, "{} bytes more", after - before);
}
