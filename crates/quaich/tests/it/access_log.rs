//! The access log: formats, fields, escaping, rotation.

use quaich_testkit::{Quaich, Signal, TempSite, eventually};

/// Answers `/hello` with `hi`; `log` are the lines of `[log.access]`.
fn serve(log: &str) -> Quaich {
    let site =
        "[[site.main.route]]\npath = \"/hello\"\nrespond = { status = 200, body = \"hi\" }\n";
    Quaich::serve(TempSite::new(), &format!("[log.access]\n{log}\n{site}"))
}

/// Waits until the log file has this many lines; returns them.
fn lines(quaich: &Quaich, file: &str, count: usize) -> Vec<String> {
    eventually("lines in the access log", || {
        let text = quaich.site().read(file);
        let lines: Vec<String> = text.lines().map(str::to_string).collect();
        (lines.len() >= count && text.ends_with('\n')).then_some(lines)
    })
}

#[test]
fn json_lines_hold_what_happened() {
    let quaich = serve("output = \"file:access.log\"\nformat = \"json\"");
    let fields = "User-Agent: it/1\r\nReferer: http://from.test/\r\n";
    quaich
        .request("GET", "/hello?a=b", fields, b"")
        .expect_status(200);
    let line = &lines(&quaich, "access.log", 1)[0];
    let entry: serde_json::Value = serde_json::from_str(line).expect(line);
    assert_eq!(entry["method"], "GET", "{line}");
    assert_eq!(entry["status"], 200, "{line}");
    assert_eq!(entry["user_agent"], "it/1", "{line}");
    assert!(
        line.contains("/hello?a=b") && line.contains("127.0.0.1"),
        "{line}"
    );
    assert!(
        entry["request_id"]
            .as_str()
            .is_some_and(|id| !id.is_empty()),
        "{line}"
    );
}

#[test]
fn combined_lines_are_those_of_apache() {
    let quaich = serve("output = \"file:access.log\"\nformat = \"combined\"");
    quaich
        .request("GET", "/hello", "User-Agent: it/1\r\n", b"")
        .expect_status(200);
    let line = &lines(&quaich, "access.log", 1)[0];
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(
        line.ends_with("\"GET /hello HTTP/1.1\" 200 2 \"-\" \"it/1\""),
        "{line}"
    );
}

#[test]
fn a_template_is_written_as_it_stands() {
    let quaich = serve("output = \"file:access.log\"\nformat = \"{method} {status} <{target}>\"");
    quaich.get("/hello?q=1").expect_status(200);
    assert_eq!(lines(&quaich, "access.log", 1)[0], "GET 200 </hello?q=1>");
}

#[test]
fn nothing_that_a_client_sends_can_make_a_second_line() {
    let quaich = serve("output = \"file:access.log\"\nformat = \"combined\"");
    let evil = b"GET /hello HTTP/1.1\r\nHost: a\r\nUser-Agent: \"x\" \xff\xfe \\ \t y\r\n\r\n";
    let mut client = quaich.raw();
    client.send(evil).response().expect_status(200);
    client.get("/hello").expect_status(200);
    let written = lines(&quaich, "access.log", 2);
    assert_eq!(written.len(), 2, "{written:?}");
    assert!(written[0].contains("\\\"x\\\""), "{}", written[0]);
    assert!(written[0].bytes().all(|b| b >= 0x20), "{}", written[0]);
}

#[test]
fn requests_that_were_refused_are_logged_too() {
    let quaich = serve("output = \"file:access.log\"\nformat = \"json\"");
    quaich.get("/nowhere").expect_status(404);
    quaich
        .raw()
        .send("GET / HTTP/1.1\r\n\r\n")
        .response()
        .expect_status(400);
    let written = lines(&quaich, "access.log", 2);
    let mut statuses: Vec<u64> = written
        .iter()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect(line)["status"]
                .as_u64()
                .expect("a number")
        })
        .collect();
    // Two connections, perhaps of two threads: their lines have no order.
    statuses.sort_unstable();
    assert_eq!(statuses, [400, 404]);
}

#[test]
fn standard_output_is_the_default() {
    let quaich = serve("format = \"common\"");
    quaich.get("/hello").expect_status(200);
    quaich.log().wait_for("\"GET /hello HTTP/1.1\" 200 2");
}

#[test]
fn off_writes_nothing() {
    let quaich = serve("output = \"off\"");
    quaich.get("/hello").expect_status(200);
    assert!(!quaich.log().text().contains("/hello"));
}

#[test]
fn rotation_loses_no_line_and_doubles_none() {
    let mut quaich = serve("output = \"file:access.log\"\nformat = \"{target}\"");
    let mut client = quaich.raw();
    let (old, new) = (
        quaich.site().join("access.log"),
        quaich.site().join("access.log.1"),
    );
    for n in 0..3000 {
        if n == 1500 {
            std::fs::rename(&old, &new).expect("it can be renamed");
            quaich.signal(Signal::USR1);
        }
        client.get(&format!("/hello?{n}")).expect_status(200);
    }
    eventually("the new file", || old.exists().then_some(()));
    quaich.signal(Signal::TERM);
    quaich.wait();
    let both = quaich.site().read("access.log.1") + &quaich.site().read("access.log");
    let mut numbers: Vec<u32> = both
        .lines()
        .map(|line| {
            line.trim_start_matches("/hello?")
                .parse()
                .expect("a number")
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..3000).collect::<Vec<u32>>());
}

#[test]
fn a_site_may_stay_out_of_the_log() {
    let quaich = Quaich::serve(
        TempSite::new(),
        "[log.access]\noutput = \"file:access.log\"\nformat = \"{host}{target}\"\n\
         [site.quiet]\nhosts = [\"quiet.test\"]\naccess_log = false\n[[site.quiet.route]]\nstatus = 204\n\
         [site.loud]\nhosts = [\"*\"]\n[[site.loud.route]]\npath = \"/ping\"\nlog = false\nstatus = 204\n\
         [[site.loud.route]]\nstatus = 204\n",
    );
    let mut client = quaich.raw();
    client
        .send("GET /secret HTTP/1.1\r\nHost: quiet.test\r\n\r\n")
        .response();
    client.get("/ping").expect_status(204);
    client.get("/shown").expect_status(204);
    assert_eq!(lines(&quaich, "access.log", 1), ["test/shown"]);
}
