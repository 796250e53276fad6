//! Answers of a hostile or dying upstream: nothing that was cut ever looks complete, and nothing
//! ambiguous is passed on.

use quaich_testkit::{End, Origin, Quaich, Response, TempSite};

/// What the client must see.
enum Seen {
    /// This status, whole.
    Status(u16),
    /// An answer whose end is visibly missing, or a 502 when nothing had been sent yet.
    Cut,
}

/// Name, what the upstream answers, how it ends, what the client must see.
#[expect(clippy::too_many_lines, reason = "a table, one fault per entry")]
fn faults() -> Vec<(&'static str, Vec<u8>, End, Seen)> {
    let ok = "HTTP/1.1 200 OK\r\n";
    let large = format!(
        "{ok}X: {}\r\nContent-Length: 2\r\n\r\nok",
        "y".repeat(70_000)
    );
    let chunk_lf = format!("{ok}Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\nok\r\n0\r\n\r\n");
    let length_and_chunks =
        format!("{ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    let interim = format!(
        "{}{ok}Content-Length: 2\r\n\r\nok",
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(200)
    );
    let text = |text: &str| text.as_bytes().to_vec();
    let head = |rest: &str| format!("{ok}{rest}").into_bytes();
    vec![
        (
            "length, fin",
            head("Content-Length: 10\r\n\r\nhello"),
            End::Fin,
            Seen::Cut,
        ),
        (
            "chunks, fin",
            head("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
            End::Fin,
            Seen::Cut,
        ),
        (
            "length, reset",
            head("Content-Length: 10\r\n\r\nhello"),
            End::Reset,
            Seen::Cut,
        ),
        ("no length, reset", head("\r\nhello"), End::Reset, Seen::Cut),
        (
            "length and chunks",
            text(&length_and_chunks),
            End::Keep,
            Seen::Status(502),
        ),
        (
            "two lengths",
            head("Content-Length: 2\r\nContent-Length: 5\r\n\r\nok"),
            End::Fin,
            Seen::Status(502),
        ),
        (
            "bare LF",
            text("HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
            End::Fin,
            Seen::Status(502),
        ),
        (
            "space before colon",
            head("Content-Length : 2\r\n\r\nok"),
            End::Fin,
            Seen::Status(502),
        ),
        (
            "NUL in a value",
            head("X: a\0b\r\nContent-Length: 2\r\n\r\nok"),
            End::Fin,
            Seen::Status(502),
        ),
        (
            "204 with a body",
            text("HTTP/1.1 204 No\r\n\r\nbody"),
            End::Keep,
            Seen::Status(204),
        ),
        ("70 KB head", text(&large), End::Keep, Seen::Status(502)),
        (
            "status 2000",
            text("HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"),
            End::Fin,
            Seen::Status(502),
        ),
        (
            "no status line",
            text("just some text"),
            End::Fin,
            Seen::Status(502),
        ),
        (
            "unasked 101",
            text("HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
            End::Keep,
            Seen::Status(502),
        ),
        (
            "200 interim answers",
            text(&interim),
            End::Keep,
            Seen::Status(502),
        ),
        (
            "bare CR in a value",
            head("X: a\rb\r\nContent-Length: 2\r\n\r\nok"),
            End::Fin,
            Seen::Status(502),
        ),
        (
            "VT in a value",
            head("Location: a\x0bb\r\nContent-Length: 2\r\n\r\nok"),
            End::Fin,
            Seen::Status(502),
        ),
        (
            "LF in a chunk extension",
            text(&chunk_lf),
            End::Keep,
            Seen::Cut,
        ),
        ("nothing, fin", Vec::new(), End::Fin, Seen::Status(502)),
        ("nothing, reset", Vec::new(), End::Reset, Seen::Status(502)),
        (
            "cut in the head",
            head("X-Cut: he"),
            End::Fin,
            Seen::Status(502),
        ),
        (
            "gzip, chunked",
            head("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
            End::Keep,
            Seen::Status(502),
        ),
        (
            "folded field",
            head("X: a\r\n b\r\nContent-Length: 2\r\n\r\nok"),
            End::Fin,
            Seen::Status(502),
        ),
    ]
}

fn in_front_of(origin: &Origin) -> Quaich {
    Quaich::serve(
        TempSite::new(),
        &format!("[site.main]\nproxy = \"{}\"\n", origin.url()),
    )
}

/// One GET; `None` when the connection was cut before anything of an answer came.
fn get(quaich: &Quaich, target: &str) -> Option<Response> {
    let mut client = quaich.raw();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    client.response_or_end()
}

fn judge(name: &str, seen: &Seen, response: Option<&Response>) {
    let Some(response) = response else {
        assert!(matches!(seen, Seen::Cut), "{name}: no answer at all");
        return;
    };
    match seen {
        Seen::Status(status) => {
            assert_eq!(response.status, *status, "{name}: {}", response.head);
            assert!(response.complete, "{name}: the page itself was cut");
        }
        Seen::Cut => {
            let honest = response.status == 502 || !response.complete;
            assert!(honest, "{name}: a cut answer looks complete: {response:?}");
        }
    }
}

#[test]
fn no_fault_of_an_upstream_is_passed_on_as_an_answer() {
    let answers: Vec<(Vec<u8>, End)> = faults()
        .into_iter()
        .map(|(_, answer, end, _)| (answer, end))
        .collect();
    let origin = Origin::start(move |conversation| {
        while let Some(request) = conversation.request() {
            let number: usize = request.target()[1..].parse().expect("/NUMBER");
            let (answer, end) = &answers[number];
            conversation.write(answer);
            if *end != End::Keep {
                conversation.end(*end);
                return;
            }
        }
    });
    let quaich = in_front_of(&origin);
    for (number, (name, _, _, seen)) in faults().iter().enumerate() {
        judge(name, seen, get(&quaich, &format!("/{number}")).as_ref());
    }
    // Still the same front, which took nothing of those connections for a later answer.
    quaich
        .raw()
        .send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        .response();
}

#[test]
fn a_cut_answer_is_visible_to_http_1_0_clients_too() {
    let origin = Origin::scripted(b"HTTP/1.1 200 OK\r\n\r\nhello".to_vec(), End::Reset);
    let quaich = in_front_of(&origin);
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let response = client.response();
    assert!(response.status == 502 || !response.complete, "{response:?}");
}

#[test]
fn a_post_that_broke_off_is_a_502_and_was_sent_once() {
    for end in [End::Fin, End::Reset] {
        let origin = Origin::scripted(Vec::new(), end);
        let quaich = in_front_of(&origin);
        quaich.request("POST", "/", "", b"body").expect_status(502);
        assert_eq!(origin.requests().len(), 1, "{end:?}");
    }
}

#[test]
fn trailers_of_an_answer_are_dropped() {
    let answer =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n\
                   2\r\nok\r\n0\r\nContent-Length: 99\r\nX-Late: 1\r\n\r\n";
    let origin = Origin::scripted(answer.to_vec(), End::Keep);
    let quaich = in_front_of(&origin);
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    let body = client.until("\r\n\r\n");
    assert_eq!(String::from_utf8_lossy(&body), "2\r\nok\r\n0\r\n\r\n");
}

#[test]
fn a_cut_at_any_byte_of_an_answer_is_never_hidden() {
    const WHOLE: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n";
    let origin = Origin::start(|conversation| {
        let Some(request) = conversation.request() else {
            return;
        };
        let (at, end) = request.target()[1..].split_once('/').expect("/AT/END");
        conversation.write(&WHOLE[..at.parse::<usize>().expect("a number")]);
        conversation.end(if end == "fin" { End::Fin } else { End::Reset });
    });
    let quaich = in_front_of(&origin);
    for (at, end) in (0..WHOLE.len()).flat_map(|at| [(at, "fin"), (at, "reset")]) {
        let response = quaich.get(&format!("/{at}/{end}"));
        assert!(
            response.status == 502 || !response.complete,
            "cut at {at}, {end}: {response:?}"
        );
    }
    quaich
        .get(&format!("/{}/fin", WHOLE.len()))
        .expect_status(200)
        .expect_body("helloworld");
}
