//! PEP 3333 through the whole program: environ, start_response, iterables, errors.

use quaich_testkit::{Framing, Gate, Quaich, TempSite};

use crate::apps::{self, ENVIRON, serve, serve_with};

#[test]
fn the_environ_says_what_the_request_said() {
    let quaich = serve(ENVIRON);
    let fields = "X-Twice: a\r\nX-Twice: b\r\nCookie: c=1\r\nCookie: d=2\r\nContent-Type: text/x\r\n\
                  X_Under: no\r\nProxy: http://evil\r\nScript-Name: /evil\r\n";
    let target = "/a%20b/%C3%A9//x/../y?q=%20&r";
    let environ = quaich.request("POST", target, fields, b"12345").json();
    let port = quaich.addr().port().to_string();
    for (name, value) in [
        ("REQUEST_METHOD", "POST"),
        ("SCRIPT_NAME", ""),
        ("PATH_INFO", "/a b/\u{c3}\u{a9}/y"),
        ("QUERY_STRING", "q=%20&r"),
        ("CONTENT_TYPE", "text/x"),
        ("CONTENT_LENGTH", "5"),
        ("SERVER_NAME", "test"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("HTTP_HOST", "test"),
        ("HTTP_X_TWICE", "a,b"),
        ("HTTP_COOKIE", "c=1; d=2"),
        ("HTTP_SCRIPT_NAME", "/evil"),
        ("wsgi.url_scheme", "http"),
        ("wsgi.version", "(1, 0)"),
        ("type(environ)", "dict"),
    ] {
        assert_eq!(environ[name], value, "{name}");
    }
    assert!(["80".to_string(), port].contains(&environ["SERVER_PORT"].as_str().unwrap().into()));
    for gone in [
        "HTTP_PROXY",
        "HTTP_X_UNDER",
        "HTTP_CONTENT_TYPE",
        "HTTP_CONTENT_LENGTH",
    ] {
        assert!(environ.get(gone).is_none(), "{gone}");
    }
    assert_eq!(environ["wsgi.run_once"], false);
    assert_eq!(environ["wsgi.multithread"], false);
    assert_eq!(environ["wsgi.input_terminated"], true);
    assert!(
        environ["REMOTE_PORT"]
            .as_str()
            .is_some_and(|port| port.parse::<u16>().is_ok())
    );
}

#[test]
fn a_generator_is_streamed_chunk_by_chunk() {
    let site = TempSite::new();
    let gate = Gate::new(&site);
    let app = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first"
    with open("gate", "rb") as gate:
        gate.read()
    yield b""
    yield b"second"
"#;
    let quaich = apps::serve_site(site, app, "workers = 1\nthreads = 1");
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().header("transfer-encoding"), Some("chunked"));
    assert_eq!(client.until("first\r\n"), b"5\r\nfirst\r\n");
    gate.open();
    assert_eq!(client.until("0\r\n\r\n"), b"6\r\nsecond\r\n0\r\n\r\n");
}

#[test]
fn one_item_gets_a_content_length_of_its_own() {
    let quaich = serve(
        "def application(environ, start_response):\n    \
         start_response('200 OK', [('Content-Type', 'text/plain')])\n    return [b'12345']\n",
    );
    let response = quaich.get("/");
    response
        .expect_status(200)
        .expect_body("12345")
        .expect_header("content-length", "5");
    assert_eq!(response.framing, Framing::Length);
}

#[test]
fn write_sends_before_the_iterable() {
    let quaich = serve(
        "def application(environ, start_response):\n    \
         write = start_response('200 OK', [('Content-Type', 'text/plain')])\n    \
         write(b'one ')\n    write(b'two ')\n    return [b'three']\n",
    );
    quaich
        .get("/")
        .expect_status(200)
        .expect_body("one two three");
}

#[test]
fn exc_info_replaces_a_head_that_was_not_sent() {
    let quaich = serve(
        r#"
import sys

def application(environ, start_response):
    start_response("200 OK", [("X-First", "yes")])
    try:
        raise ValueError("too late?")
    except ValueError:
        start_response("503 Busy", [("X-Second", "yes")], sys.exc_info())
    return [b"sorry"]
"#,
    );
    let response = quaich.get("/");
    response
        .expect_status(503)
        .expect_body("sorry")
        .expect_header("x-second", "yes");
    assert_eq!(response.header("x-first"), None);
}

#[test]
fn exc_info_after_the_head_was_sent_ends_the_answer_visibly() {
    let quaich = serve(
        r#"
import sys

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"begun"
    try:
        raise ValueError("after the head")
    except ValueError:
        start_response("500 Oops", [], sys.exc_info())
    yield b"never"
"#,
    );
    // Nothing may have been sent yet, then it is an error like any other.
    let response = quaich.get("/");
    assert!(response.status == 500 || !response.complete, "{response:?}");
    quaich.log().wait_for("after the head");
    assert!(!response.text().contains("never"));
}

#[test]
fn an_exception_before_the_head_is_a_500_with_its_traceback_in_the_log() {
    let quaich = serve(
        "def application(environ, start_response):\n    raise LookupError('the cup is empty')\n",
    );
    let response = quaich.get("/");
    response.expect_status(500);
    assert!(
        !response.text().contains("the cup is empty"),
        "no detail for the client"
    );
    quaich.log().wait_for("Traceback");
    quaich.log().wait_for("LookupError: the cup is empty");
}

#[test]
fn an_exception_after_the_first_chunk_ends_the_answer_visibly() {
    let quaich = serve(
        "def application(environ, start_response):\n    \
         start_response('200 OK', [('Content-Type', 'text/plain')])\n    \
         yield b'begun'\n    raise LookupError('half way')\n",
    );
    // Nothing may have been sent yet, then it is an error like any other.
    let response = quaich.get("/");
    let cut = response.text() == "begun" && !response.complete;
    assert!(cut || response.status == 500, "{response:?}");
    quaich.log().wait_for("LookupError: half way");
}

#[test]
fn the_iterable_is_closed_when_the_client_has_left() {
    let quaich = serve(
        r#"
class Endless:
    def __iter__(self):
        return self

    def __next__(self):
        return b"x" * 65536

    def close(self):
        print("the iterable is closed", flush=True)

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Endless()
"#,
    );
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    drop(client);
    quaich.log().wait_for("the iterable is closed");
}

#[test]
fn the_iterable_is_closed_in_every_other_case_too() {
    let quaich = serve(
        r#"
class Items:
    def __init__(self, kind):
        self.kind, self.left = kind, 2

    def __iter__(self):
        return self

    def __next__(self):
        self.left -= 1
        if self.kind == "/raises" and self.left == 0:
            raise RuntimeError("on purpose")
        if self.left < 0:
            raise StopIteration
        return b"item"

    def close(self):
        print("closed after", self.kind, flush=True)

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Items(environ["PATH_INFO"] + environ["REQUEST_METHOD"].replace("GET", ""))
"#,
    );
    quaich.get("/ends").expect_body("itemitem");
    quaich.log().wait_for("closed after /ends");
    quaich.get("/raises");
    quaich.log().wait_for("closed after /raises");
    quaich.request("HEAD", "/", "", b"").expect_status(200);
    quaich.log().wait_for("closed after /HEAD");
}

#[test]
fn head_no_content_and_not_modified_have_no_body() {
    let quaich = serve(
        r#"
def application(environ, start_response):
    status = environ["PATH_INFO"].strip("/").replace("-", " ") or "200 OK"
    start_response(status, [("X-Kept", "yes")])
    return [b"a body that must not be sent"]
"#,
    );
    let mut client = quaich.raw();
    for target in ["/204-No%20Content", "/304-Not%20Modified"] {
        client
            .get(target)
            .expect_header("x-kept", "yes")
            .expect_body("");
    }
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    client
        .response_to("HEAD")
        .expect_status(200)
        .expect_header("x-kept", "yes");
    client.get("/").expect_body("a body that must not be sent");
}

#[test]
fn too_many_bytes_are_cut_and_never_reach_the_next_answer() {
    let quaich = serve(
        "def application(environ, start_response):\n    \
         start_response('200 OK', [('Content-Length', '3')])\n    return [b'abc', b'defgh']\n",
    );
    let mut client = quaich.raw();
    client.get("/").expect_body("abc");
    client.get("/").expect_body("abc");
}

#[test]
fn too_few_bytes_end_the_connection() {
    let quaich = serve(
        "def application(environ, start_response):\n    \
         start_response('200 OK', [('Content-Length', '10')])\n    return [b'abc']\n",
    );
    let response = quaich.get("/");
    assert!(response.status == 500 || !response.complete, "{response:?}");
}

#[test]
fn a_head_that_would_lie_or_inject_is_a_500_and_the_worker_lives() {
    let quaich = serve(
        r#"
import os

HEADS = {
    "/crlf": [("X-A", "b\r\nX-Injected: yes")],
    "/nul": [("X-A", "b\0")],
    "/name": [("X A", "b")],
    "/length": [("Content-Length", "abc")],
    "/type": [("X-A", 1)],
    "/hop": [("Transfer-Encoding", "chunked")],
}

def application(environ, start_response):
    start_response("200 OK", HEADS.get(environ["PATH_INFO"], []))
    return [str(os.getpid()).encode()]
"#,
    );
    let before = quaich.get("/").text();
    for target in ["/crlf", "/nul", "/name", "/length", "/type", "/hop"] {
        let response = quaich.get(target);
        assert_eq!(response.status, 500, "{target}");
        assert_eq!(response.header("x-injected"), None);
    }
    quaich.get("/").expect_body(&before);
}

#[test]
fn what_is_no_wsgi_is_a_500_that_says_so() {
    let quaich = serve(
        r#"
def application(environ, start_response):
    kind = environ["PATH_INFO"]
    if kind == "/none":
        start_response("200 OK", [])
        return None
    if kind == "/text":
        start_response("200 OK", [])
        return ["text, not bytes"]
    if kind == "/early":
        return [b"no start_response"]
    start_response("no status", [])
    return [b""]
"#,
    );
    for target in ["/none", "/text", "/early", "/status"] {
        quaich.get(target).expect_status(500);
    }
    quaich.log().wait_for("bytes");
}

#[test]
fn output_of_the_app_reaches_the_log_with_its_name() {
    let quaich = serve(
        r#"
import sys

def application(environ, start_response):
    print("said on stdout", flush=True)
    print("said on stderr", file=sys.stderr, flush=True)
    environ["wsgi.errors"].write("said to wsgi.errors\n")
    start_response("200 OK", [])
    return [b""]
"#,
    );
    quaich.get("/").expect_status(200);
    for said in ["said on stdout", "said on stderr", "said to wsgi.errors"] {
        let line = quaich.log().wait_for(said);
        assert!(line.contains("main"), "which app? {line}");
    }
}

#[test]
fn environment_and_folder_are_those_of_the_configuration() {
    let site = TempSite::new();
    site.write(
        "project/web.py",
        "import os\n\ndef make():\n    def app(environ, start_response):\n        \
         start_response('200 OK', [])\n        \
         return [(os.environ['CUP'] + ' ' + os.path.basename(os.getcwd())).encode()]\n    return app\n",
    );
    let toml = format!(
        "[app.main]\nmodule = \"web:make\"\nfactory = true\ndir = \"project\"\nworkers = 1\n\
         python = \"{}\"\nenv = {{ CUP = \"full\" }}\n[site.main]\napp = \"main\"\n",
        quaich_testkit::python().display()
    );
    let quaich = Quaich::serve(site, &toml);
    quaich.get("/").expect_body("full project");
}

#[test]
fn a_mount_splits_script_name_from_path_info_at_a_segment() {
    let site = TempSite::new();
    site.write("app.py", ENVIRON);
    let app = apps::table("workers = 1\nthreads = 1");
    let routes = "[[site.main.route]]\nprefix = \"/app\"\napp = \"main\"\n";
    let quaich = Quaich::serve(site, &format!("{app}{routes}"));
    for (target, path) in [("/app/x%2Fy", "/x/y"), ("/app/", "/"), ("/app", "")] {
        let environ = quaich.get(target).json();
        assert_eq!(
            (&environ["SCRIPT_NAME"], &environ["PATH_INFO"]),
            (&"/app".into(), &path.into())
        );
    }
    for other in ["/application", "/app/../x", "/"] {
        quaich.get(other).expect_status(404);
    }
}

#[test]
fn threads_of_one_worker_run_at_the_same_time() {
    let quaich = serve_with(
        r#"
import threading

both = threading.Barrier(2, timeout=20)

def application(environ, start_response):
    both.wait()
    start_response("200 OK", [])
    return [b"met" if environ["wsgi.multithread"] else b"alone"]
"#,
        "workers = 1\nthreads = 2",
    );
    let (mut one, mut two) = (quaich.raw(), quaich.raw());
    one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    two.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    one.response().expect_body("met");
    two.response().expect_body("met");
}
