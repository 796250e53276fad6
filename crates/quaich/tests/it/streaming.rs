//! Answers that take their time: every event reaches the client before the next one is written, over
//! every wire and to every client. The app waits for the test between two events, so that one that
//! is held back is never followed by another.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use quaich_testkit::{Conversation, Origin, Quaich, Request, TempSite, Transport};

use crate::apps;
use crate::wires::peers::{self, Server};

/// Events of one stream.
pub(crate) const EVENTS: usize = 6;

/// Where whoever answers waits for the test: a connection for each request, a byte for each step.
pub(crate) struct Steps(TcpListener);

impl Steps {
    fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").expect("a port is free"))
    }

    fn port(&self) -> u16 {
        self.0.local_addr().expect("it is bound").port()
    }

    /// The request that has just arrived.
    pub(crate) fn arrived(&self) -> TcpStream {
        self.0.accept().expect("somebody connects").0
    }
}

/// Lets it take the next step.
pub(crate) fn step(waiting: &mut TcpStream) {
    waiting.write_all(b"!").expect("it waits");
}

/// The app of all wires. `/poll` waits before its answer, everything else between its events.
const APP: &str = r#"
import socket

def events(steps):
    for n in range(6):
        yield b"data: %d\n\n" % n
        steps.recv(1)

def application(environ, start_response):
    with open("steps") as port:
        steps = socket.create_connection(("127.0.0.1", int(port.read())))
    fields = [("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no")]
    if environ["PATH_INFO"] == "/poll":
        steps.recv(1)
        start_response("200 OK", fields)
        return [b"news"]
    start_response("200 OK", fields)
    return events(steps)
"#;

/// The same as a server of HTTP/1.
fn serve(conversation: &mut Conversation, port: u16) {
    while let Some(request) = conversation.request() {
        let mut steps = TcpStream::connect(("127.0.0.1", port)).expect("the test listens");
        let mut wait = || steps.read_exact(&mut [0]).is_ok();
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n";
        if request.target() == "/poll" {
            wait();
            conversation.write(format!("{head}Content-Length: 4\r\n\r\nnews"));
            continue;
        }
        conversation.write(format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
        for n in 0..EVENTS {
            let event = format!("data: {n}\n\n");
            conversation.write(format!("{:x}\r\n{event}\r\n", event.len()));
            wait();
        }
        conversation.write("0\r\n\r\n");
    }
}

/// A quaich whose sites are the wires, by name, with what is behind them.
pub(crate) struct Stage {
    pub(crate) quaich: Quaich,
    pub(crate) steps: Steps,
    wires: Vec<&'static str>,
    _behind: (Origin, Quaich, Vec<Server>),
}

impl Stage {
    pub(crate) fn new() -> Self {
        let steps = Steps::new();
        let port = steps.port();
        let origin = Origin::start(move |conversation| serve(conversation, port));
        let url = origin.url();
        let behind = format!("[site.main]\nproxy = \"{url}\"\n");
        let behind = Quaich::serve(TempSite::new(), &behind);
        let site = TempSite::new();
        site.write("app.py", APP);
        site.write("steps", port.to_string());
        let mut wires = vec!["http1", "h2c", "wsgi"];
        let wire = |name: &str, handler: String| {
            format!("[site.{name}]\nhosts = [\"{name}.test\"]\n{handler}\n")
        };
        let mut toml = vec![
            apps::table("workers = 1\nthreads = 2"),
            wire("http1", format!("proxy = \"{url}\"")),
            wire("h2c", format!("proxy = \"h2c://{}\"", behind.addr())),
            wire("wsgi", "app = \"main\"".into()),
        ];
        let mut servers = Vec::new();
        for (name, server) in [
            ("uwsgi", peers::uwsgi(&site, &[])),
            ("gunicorn", peers::gunicorn(&site)),
            ("fastcgi", peers::flup_fastcgi(&site)),
            ("scgi", peers::flup_scgi(&site)),
        ] {
            if let Some(server) = server {
                toml.push(wire(name, format!("proxy = \"{}\"", server.url)));
                wires.push(name);
                servers.push(server);
            }
        }
        Self {
            quaich: Quaich::serve(site, &toml.concat()),
            steps,
            wires,
            _behind: (origin, behind, servers),
        }
    }

    pub(crate) fn everywhere(&self, exchange: impl Fn(Transport, &str)) {
        for wire in &self.wires {
            for transport in [Transport::Http1, Transport::Http2] {
                exchange(transport, &format!("{wire}.test"));
            }
        }
    }
}

#[test]
fn every_event_arrives_before_the_next_is_written() {
    let stage = Stage::new();
    stage.everywhere(|transport, wire| {
        let mut caller = transport.connect(stage.quaich.addr(), "test");
        caller.begin(&Request::get("/events").host(wire));
        let mut waiting = stage.steps.arrived();
        let mut expected = String::new();
        for n in 0..EVENTS {
            expected.push_str(&format!("data: {n}\n\n"));
            let body = caller.body(expected.len());
            assert_eq!(body, expected.as_bytes(), "{transport:?} {wire}");
            step(&mut waiting);
        }
        let answer = caller.answer();
        answer.expect_status(200).expect_body(&expected);
        assert!(answer.complete, "{transport:?} {wire}");
        answer.expect_header("content-type", "text/event-stream");
        assert_eq!(
            answer.header("x-accel-buffering"),
            None,
            "{transport:?} {wire}"
        );
    });
}

#[test]
fn an_answer_that_waits_for_news_holds_nobody_up() {
    let stage = Stage::new();
    stage.everywhere(|transport, wire| {
        let request = Request::get("/poll").host(wire);
        let mut callers = [(); 2].map(|()| transport.connect(stage.quaich.addr(), "test"));
        let mut waiting: Vec<TcpStream> = callers
            .iter_mut()
            .map(|caller| {
                caller.begin(&request);
                stage.steps.arrived()
            })
            .collect();
        // The later one is answered first.
        for (caller, waiting) in callers.iter_mut().zip(&mut waiting).rev() {
            step(waiting);
            caller.answer().expect_status(200).expect_body("news");
        }
    });
}

#[test]
fn a_connection_may_change_to_any_protocol() {
    let origin = Origin::start(|conversation| {
        if conversation.request_head().is_none() {
            return;
        }
        conversation.write(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x/1\r\n\r\n\
             hello from the server",
        );
        loop {
            let bytes = conversation.read();
            if bytes.is_empty() || !conversation.write(bytes.to_ascii_uppercase()) {
                break;
            }
        }
    });
    let toml = format!(
        "state_dir = \"state\"\n[upstream.up]\nservers = [\"{}\"]\nsticky = {{ cookie = \"SRV\" }}\n\
         [site.main]\nupstream = \"up\"\n",
        origin.url()
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let mut client = quaich.raw();
    // The first bytes come at once, before anybody has agreed to anything.
    client.send(
        "OPTIONS /camera HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x/1\r\n\r\n\
         PLAY rtsp://a/camera",
    );
    let head = client.head();
    assert_eq!(head.status, 101, "{}", head.head);
    assert_eq!(head.header("upgrade"), Some("x/1"));
    assert!(
        head.header("set-cookie")
            .is_some_and(|cookie| cookie.starts_with("SRV="))
    );
    client.until("hello from the server");
    client.until("PLAY RTSP://A/CAMERA");
    client.send("teardown");
    client.until("TEARDOWN");
    let request = origin.wait_for_requests(1);
    assert_eq!(request.header("upgrade"), Some("x/1"));
}
