//! What RFC 9113 and RFC 7541 demand of a server, frame by frame on a raw connection.
//!
//! Each case says which section it tests, what it sends, and what must come of it. To see what
//! another server does with the same cases, set `QUAICH_CONFORMANCE_PEER` to its address (cleartext,
//! prior knowledge): it must answer `/` and, with 200,000 bytes, `/large`.

mod connection;
mod fields;
mod flow;
mod messages;
mod streams;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use quaich_testkit::h2::{Block, Event, Frame, H2Client, code, setting};
use quaich_testkit::{Conversation, Origin, Quaich, RawClient, TempSite};

/// One rule, and how it is put to the test.
struct Case {
    /// Section of RFC 9113, or of another RFC that is named.
    section: &'static str,
    name: &'static str,
    /// Sends; returns the stream that it is about, or 0.
    send: fn(&mut H2Client) -> u32,
    expect: Expect,
}

/// One row of a table.
const fn case(
    section: &'static str,
    name: &'static str,
    expect: Expect,
    send: fn(&mut H2Client) -> u32,
) -> Case {
    Case {
        section,
        name,
        send,
        expect,
    }
}

/// What must come of it.
#[derive(Clone, Copy, Debug)]
enum Expect {
    /// A connection error: GOAWAY with one of these codes, then the end of the connection.
    GoAway(&'static [u32]),
    /// A stream error: `RST_STREAM` with one of these codes, and everything else goes on.
    Reset(&'static [u32]),
    /// A stream or a connection error, where the RFC leaves the choice.
    ResetOrGoAway(&'static [u32]),
    /// A malformed request (section 8.1.1): a stream error of type `PROTOCOL_ERROR`, or an answer
    /// with a status of 4xx.
    Malformed,
    /// The same, where the library under the server makes a connection error of it, which section
    /// 5.4.1 allows.
    MalformedOrGoAway,
    /// This status, and everything goes on.
    Status(u16),
    /// Nothing: requests and PING are answered as ever.
    Fine,
}

/// What came of it.
#[derive(Debug)]
enum Outcome {
    GoAway(u32),
    Reset(u32),
    Status(u16),
    /// The connection ended without GOAWAY.
    Closed,
    /// A PING behind it was answered, and nothing had happened before.
    Nothing,
}

impl Expect {
    fn allows(self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::GoAway(codes) | Self::ResetOrGoAway(codes), Outcome::GoAway(code))
            | (Self::Reset(codes) | Self::ResetOrGoAway(codes), Outcome::Reset(code)) => {
                codes.contains(code)
            }
            (Self::Malformed | Self::MalformedOrGoAway, Outcome::Reset(code))
            | (Self::MalformedOrGoAway, Outcome::GoAway(code)) => *code == code::PROTOCOL_ERROR,
            (Self::Malformed | Self::MalformedOrGoAway, Outcome::Status(status)) => {
                (400..500).contains(status)
            }
            (Self::Status(wanted), Outcome::Status(status)) => *status == wanted,
            (Self::Fine, Outcome::Nothing | Outcome::Status(200)) => true,
            _ => false,
        }
    }

    /// Whether the connection must go on afterwards.
    fn goes_on(self, outcome: &Outcome) -> bool {
        !matches!(outcome, Outcome::GoAway(_) | Outcome::Closed) && !matches!(self, Self::GoAway(_))
    }

    /// Whether the stream's own fate has to be waited for.
    fn of_stream(self) -> bool {
        !matches!(self, Self::GoAway(_) | Self::Fine)
    }
}

/// The server under test.
struct Subject {
    addr: SocketAddr,
    origin: Option<Origin>,
    _quaich: Option<Quaich>,
}

impl Subject {
    fn start() -> Self {
        if let Ok(peer) = std::env::var("QUAICH_CONFORMANCE_PEER") {
            let addr = peer.parse().expect("an address and a port");
            return Self {
                addr,
                origin: None,
                _quaich: None,
            };
        }
        let origin = Origin::start(answer);
        let toml = format!(
            "max_body = \"1GiB\"\n[site.main]\nproxy = \"{}\"\n",
            origin.url()
        );
        let quaich = Quaich::serve(TempSite::new(), &toml);
        Self {
            addr: quaich.addr(),
            origin: Some(origin),
            _quaich: Some(quaich),
        }
    }

    fn connect(&self) -> RawClient {
        let mut raw = RawClient::connect(self.addr);
        raw.patience(Duration::from_secs(5));
        raw
    }
}

/// The origin: takes every body but that of `/stuck`, and has a large answer.
fn answer(conversation: &mut Conversation) {
    while let Some(mut request) = conversation.request_head() {
        if request.target() == "/stuck" {
            // Goes on when the test is over.
            std::thread::park();
            return;
        }
        conversation.request_body(&mut request);
        let body = match request.target() {
            "/large" => "x".repeat(200_000),
            "/cookie" => request.headers("cookie").join(" | "),
            _ => "hello".to_string(),
        };
        let length = body.len();
        conversation.write(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
    }
}

/// Runs a table of cases, each on a connection of its own, and fails with all that went wrong.
fn run(cases: &[Case]) {
    let subject = Subject::start();
    let mut failures = Vec::new();
    for case in cases {
        let tried = catch_unwind(AssertUnwindSafe(|| try_case(&subject, case)));
        let verdict = tried.unwrap_or_else(|why| Err(panic_text(&*why)));
        if let Err(why) = verdict {
            failures.push(format!("{} {}: {why}", case.section, case.name));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} cases failed:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

fn try_case(subject: &Subject, case: &Case) -> Result<(), String> {
    let mut client = H2Client::over(subject.connect());
    let stream = (case.send)(&mut client);
    let outcome = outcome(&mut client, stream, case.expect);
    if !case.expect.allows(&outcome) {
        return Err(format!("{outcome:?} instead of {:?}", case.expect));
    }
    if let Outcome::GoAway(_) = outcome {
        // Section 5.4.1: the connection is closed behind it.
        client.wait("the end", |event| *event == Event::Closed);
    }
    if case.expect.goes_on(&outcome) {
        // A case may have closed the window that an answer needs.
        client.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535)]));
        let next = client.get("/");
        let status = client.response(next).status;
        if status != 200 {
            return Err(format!("a request behind it is answered with {status}"));
        }
    }
    Ok(())
}

/// Reads what comes of a case. Where nothing about a stream is expected, a PING behind it shows
/// that nothing will come any more: frames are worked on in their order.
fn outcome(client: &mut H2Client, stream: u32, expect: Expect) -> Outcome {
    if !expect.of_stream() {
        client.frame(&Frame::ping(*b"behind  "));
    }
    loop {
        match client.event() {
            Event::GoAway { code, .. } => return Outcome::GoAway(code),
            Event::Reset { stream: of, code } if of == stream => return Outcome::Reset(code),
            Event::Headers {
                stream: of, fields, ..
            } if of == stream && expect.of_stream() => {
                let status = fields.iter().find(|(name, _)| name == ":status");
                let status = status.and_then(|(_, value)| value.parse().ok());
                // A good status may still be followed by the reset that is waited for.
                match status.unwrap_or(0) {
                    100..400 if !matches!(expect, Expect::Status(_)) => {}
                    status => return Outcome::Status(status),
                }
            }
            Event::Data {
                stream: of,
                end: true,
                ..
            } if of == stream && expect.of_stream() => {
                return Outcome::Status(200);
            }
            Event::Pong(opaque) if opaque == *b"behind  " => return Outcome::Nothing,
            Event::Closed => return Outcome::Closed,
            _ => {}
        }
    }
}

fn panic_text(why: &(dyn std::any::Any + Send)) -> String {
    let text = why.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| why.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic").chars().take(300).collect()
}

/// Begins a GET whose answer cannot go on: the stream stays half closed.
fn held(client: &mut H2Client) -> u32 {
    client.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]));
    client.get("/")
}

/// Begins a POST whose body is still to come: the stream stays open.
fn open(client: &mut H2Client) -> u32 {
    client.begin(&Block::post(), false)
}

/// A GET that was answered: the stream is closed.
fn closed(client: &mut H2Client) -> u32 {
    let stream = client.get("/");
    client.response(stream);
    stream
}
