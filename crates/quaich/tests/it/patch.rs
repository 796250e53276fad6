//! Rules that the operator puts in while quaich runs.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use quaich_testkit::{
    Origin, Quaich, QuaichCommand, RawClient, Signal, TempSite, eventually, python,
};

use crate::cgi_listeners::packet;

mod bodies;

fn echo() -> Origin {
    Origin::answering(|request| {
        let length = request.body.len();
        let body = String::from_utf8_lossy(&request.body).into_owned();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
    })
}

fn to(origin: &Origin) -> Quaich {
    let toml = format!("threads = 2\n[site.main]\nproxy = \"{}\"\n", origin.url());
    Quaich::serve(TempSite::new(), &toml)
}

fn add(quaich: &Quaich, args: &[&str]) {
    let args = [&["patch", "add"], args].concat();
    quaich.cli(args).expect_code(0);
}

fn list(quaich: &Quaich) -> serde_json::Value {
    let list = quaich.cli(["patch", "list", "--json"]);
    serde_json::from_str(&list.stdout).expect("JSON")
}

fn hits(quaich: &Quaich) -> u64 {
    list(quaich)[0]["hits"].as_u64().expect("a count")
}

#[test]
fn a_long_response_of_another_client_streams_on_past_all_that_is_put_in_and_out() {
    const PIECE: usize = 400_000;
    let (go, wait): (_, Receiver<()>) = channel();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_some() {
            conversation.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for digit in ["0", "1", "2", "3"] {
                conversation.write(format!("{PIECE:x}\r\n{}\r\n", digit.repeat(PIECE)));
                let _ = wait.lock().expect("one at a time").recv();
            }
            conversation.write("0\r\n\r\n");
        }
    });
    let quaich = to(&origin);
    let mut running = quaich.raw();
    running.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_for_requests(1);
    // Between its pieces, each time with the connection of the client in use.
    add(&quaich, &["--path", "/long", "--name", "one"]);
    quaich.get("/long").expect_status(403);
    go.send(()).expect("it waits");
    add(&quaich, &["--body", "~x", "--name", "two"]);
    go.send(()).expect("it waits");
    quaich.cli(["patch", "rm", "one"]).expect_code(0);
    go.send(()).expect("it waits");
    quaich.cli(["patch", "rm", "two"]).expect_code(0);
    go.send(()).expect("it waits");
    let answer = running.response();
    let expected: String = ["0", "1", "2", "3"]
        .map(|digit| digit.repeat(PIECE))
        .concat();
    assert!(answer.complete);
    assert!(
        answer.text() == expected,
        "{} bytes came",
        answer.text().len()
    );
}

#[test]
fn a_request_over_uwsgi_is_held_to_it_as_well() {
    let origin = echo();
    let toml = format!(
        "[admin]\nlisten = \"unix:quaich.sock\"\n[[server.listener]]\naddr = \"unix:app.sock\"\n\
         protocols = [\"uwsgi\"]\n[site.main]\nproxy = \"{}\"\n",
        origin.url()
    );
    let quaich = Quaich::serve_exactly(TempSite::new(), &toml);
    add(&quaich, &["--path", "/admin/*", "--name", "path"]);
    add(
        &quaich,
        &["--path", "/form", "--body", "~evil", "--name", "body"],
    );
    let ask = |uri: &str, path: &str, body: &str| {
        let mut client = RawClient::connect_unix(&quaich.site().join("app.sock"));
        let length = body.len().to_string();
        client.send(packet(&[
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_URI", uri),
            ("PATH_INFO", path),
            ("CONTENT_LENGTH", &length),
            ("HTTP_HOST", "a"),
        ]));
        client.send(body);
        client.response()
    };
    ask("/x", "/x", "evil")
        .expect_status(200)
        .expect_body("evil");
    for uri in [
        "/admin/x",
        "/%61dmin/x",
        "//admin/x?a",
        "/x/%252e%252e/admin/y",
    ] {
        ask(uri, "/x", "").expect_status(403);
    }
    ask("/form", "/form", "so evil").expect_status(403);
    ask("/form", "/form", "good")
        .expect_status(200)
        .expect_body("good");
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_rule_holds_at_once_and_a_running_response_ends_undisturbed() {
    let (go, wait): (_, Receiver<()>) = channel();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |conversation| {
        while let Some(request) = conversation.request() {
            conversation.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nbeg");
            if request.target() == "/slow" {
                let _ = wait.lock().expect("one at a time").recv();
            }
            conversation.write("ins");
        }
    });
    let quaich = to(&origin);
    let mut running = quaich.raw();
    running.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    running.until("beg");
    add(
        &quaich,
        &["--path", "/slow*", "--name", "hole", "--reason", "a test"],
    );
    // On every thread, and on connections that were open before.
    for _ in 0..8 {
        quaich.get("/slow").expect_status(403);
    }
    quaich
        .get("/other")
        .expect_status(200)
        .expect_body("begins");
    go.send(()).expect("it waits");
    running.exactly(3);
    running.get("/slow").expect_status(403);
    assert_eq!(hits(&quaich), 9);
    assert_eq!(quaich.status()["front"]["counters"]["patched"], 9);
    let line = quaich.log().wait_for("a patch refuses a request");
    assert!(line.contains("hole") && line.contains("/slow"), "{line}");
    let shown = quaich.cli(["patch", "list"]).stdout;
    assert!(shown.contains("path /slow* (a test)"), "{shown}");

    let said = quaich.cli(["patch", "rm", "hole"]);
    said.expect_code(0);
    assert_eq!(said.stdout.trim_end(), "patch hole was taken out");
    running.get("/other").expect_status(200);
    quaich
        .cli(["patch", "rm", "hole"])
        .expect_error("there are none");
}

#[test]
fn a_rule_is_not_dodged_by_another_writing_of_the_path() {
    let origin = echo();
    let quaich = to(&origin);
    add(&quaich, &["--path", "/admin/*"]);
    for path in [
        "/admin/x",
        "//admin//x",
        "/%61dmin/x",
        "/admin%2fx",
        "/b/../admin/x",
        "/admin/x?a=b",
        "http://test/admin/x",
    ] {
        quaich.get(path).expect_status(403);
    }
    // What could be read as it in a second decoding never reaches anybody either.
    let status = quaich.get("/%2561dmin/x").status;
    assert!(status == 403 || status == 400, "{status}");
    quaich.get("/x/%252e%252e/admin/y").expect_status(403);
    add(&quaich, &["--query", "q=~(?i)union.+select"]);
    quaich.get("/?q=1;union+all+select+x").expect_status(403);
    assert_eq!(origin.requests().len(), 0);
    quaich.get("/Admin/x").expect_status(200);
}

#[test]
fn what_is_below_a_folder_is_the_folder_as_well() {
    let origin = echo();
    let quaich = to(&origin);
    add(&quaich, &["--path", "/admin/*"]);
    for path in ["/admin", "/admin?x=1", "/%61dmin", "/admin/"] {
        quaich.get(path).expect_status(403);
    }
    for path in ["/admins", "/"] {
        quaich.get(path).expect_status(200);
    }
}

#[test]
fn a_rule_ends_by_itself() {
    let origin = echo();
    let quaich = to(&origin);
    add(&quaich, &["--path", "/x", "--for", "1s"]);
    quaich.log().wait_for("the time of a patch is over");
    eventually("open again", || {
        (quaich.get("/x").status == 200).then_some(())
    });
    assert_eq!(list(&quaich).as_array().map(Vec::len), Some(0));
}

#[test]
fn a_rule_survives_its_front_with_the_time_that_it_has_left() {
    let origin = echo();
    let quaich = to(&origin);
    add(&quaich, &["--path", "/x", "--for", "1h"]);
    quaich.get("/x").expect_status(403);
    let until = list(&quaich)[0]["until"].clone();
    assert!(until.is_u64(), "{until}");
    Quaich::signal_process(quaich.front(), Signal::KILL);
    quaich.log().wait_for("the front died and is replaced");
    quaich.get("/x").expect_status(403);
    assert_eq!(list(&quaich)[0]["until"], until);
}

#[test]
fn a_dry_run_counts_and_refuses_nothing() {
    let origin = echo();
    let quaich = to(&origin);
    add(&quaich, &["--method", "GET", "--dry-run"]);
    for _ in 0..3 {
        quaich.get("/x").expect_status(200);
    }
    assert_eq!(hits(&quaich), 3);
    let counters = &quaich.status()["front"]["counters"];
    assert_eq!(
        (&counters["patched"], &counters["patch_dry_run"]),
        (&0.into(), &3.into())
    );
    quaich.log().wait_for("a patch would refuse a request");
}

#[test]
fn rules_that_are_to_be_kept_are_there_after_a_restart() {
    let origin = echo();
    let site = TempSite::new();
    let state = TempSite::new();
    let toml = format!(
        "[admin]\nlisten = \"unix:quaich.sock\"\n[server]\nlisten = [\"127.0.0.1:0\"]\nstate_dir = \"{}\"\n\
         [site.main]\nproxy = \"{}\"\n",
        state.path().display(),
        origin.url()
    );
    let mut first = Quaich::serve_exactly(site, &toml);
    add(&first, &["--path", "/kept", "--persist"]);
    add(&first, &["--path", "/lost"]);
    first.signal(Signal::TERM);
    assert!(first.wait().success());
    let second = Quaich::serve_exactly(TempSite::new(), &toml);
    second.get("/kept").expect_status(403);
    second.get("/lost").expect_status(200);
    second.log().wait_for("a patch is in effect again");
}

#[test]
fn mistakes_are_told_before_anything_changes() {
    let origin = echo();
    let quaich = to(&origin);
    let wrong = |args: &[&str], why: &str| {
        let args = [&["patch", "add"], args].concat();
        quaich.cli(args).expect_code(2).expect_error(why);
    };
    wrong(&["--path", "~("], "no regular expression");
    wrong(&["--path", "admin"], "--path /admin");
    wrong(&["--method", "post", "--path", "/a"], "--method POST");
    wrong(&["--name", "x"], "would refuse every request");
    wrong(
        &["--path", "/a", "--for", "soon"],
        "--for: expected a duration",
    );
    wrong(
        &["--path", "/a", "--client", "10.0.0.1/8"],
        "--client 10.0.0.1/8",
    );
    wrong(&["--path", "/a", "--status", "200"], "200");
    for name in ["a\u{1b}[31m", "a\nb", "A", "a b", &"n".repeat(65)] {
        wrong(&["--path", "/a", "--name", name], "the name of a patch");
    }
    assert_eq!(
        quaich.cli(["patch", "list"]).stdout.trim_end(),
        "there are no patches"
    );
    quaich.get("/a").expect_status(200);
    add(&quaich, &["--path", "/a", "--name", "x"]);
    let again = quaich.cli(["patch", "add", "--path", "/b", "--name", "x"]);
    again.expect_code(1).expect_error("remove it first");
    quaich.get("/b").expect_status(200);
}

/// Bodies of every kind past a rule, to a server that says them back.
#[test]
fn a_body_is_looked_at_and_arrives_whole_when_it_is_let_through() {
    let origin = echo();
    let quaich = to(&origin);
    add(
        &quaich,
        &[
            "--path",
            "/x",
            "--body",
            "~(?i)evil",
            "--body-limit",
            "64KiB",
        ],
    );
    let good = "g".repeat(60_000);
    let post = |path: &str, body: &str| quaich.request("POST", path, "", body.as_bytes());
    post("/x", "not Evil at all").expect_status(403);
    post("/x", &good).expect_status(200).expect_body(&good);
    post("/y", "evil").expect_status(200).expect_body("evil");
    // Longer than what is looked at: refused, for who adds a byte must not get past the rule.
    post("/x", &"g".repeat(70_000)).expect_status(403);

    // In chunks, cut through the word.
    let mut client = quaich.raw();
    let head = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}2\r\nev\r\n2\r\nil\r\n0\r\n\r\n"));
    client.response().expect_status(403);
    let mut client = quaich.raw();
    for _ in 0..2 {
        client.send(format!("{head}5\r\nhello\r\n"));
        client.send("6\r\n world\r\n0\r\n\r\n");
        client
            .response()
            .expect_status(200)
            .expect_body("hello world");
    }
    assert_eq!(quaich.status()["front"]["counters"]["patch_bodies"], 6);
}

#[test]
fn long_bodies_pass_where_the_rule_says_so() {
    let origin = echo();
    let quaich = to(&origin);
    let rule = [
        "--body",
        "~evil",
        "--body-limit",
        "1KiB",
        "--pass-long-bodies",
    ];
    add(&quaich, &rule);
    let long = "g".repeat(300_000);
    let answer = quaich.request("POST", "/x", "", long.as_bytes());
    answer.expect_status(200).expect_body(&long);
    let evil = format!("evil{long}");
    quaich
        .request("POST", "/x", "", evil.as_bytes())
        .expect_status(403);
    let mut client = quaich.raw();
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len()));
    client.response().expect_status(200).expect_body(&long);
}

#[test]
fn bodies_that_are_held_have_a_bound_together() {
    let origin = echo();
    let toml = format!("threads = 1\n[site.main]\nproxy = \"{}\"\n", origin.url());
    let quaich = Quaich::serve(TempSite::new(), &toml);
    add(&quaich, &["--body", "~evil", "--body-limit", "1MiB"]);
    let head = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    let almost = "g".repeat(999_999);
    let mut clients = Vec::new();
    for _ in 0..34 {
        let mut client = quaich.raw();
        client.send(head).send(&almost);
        clients.push(client);
    }
    let line = quaich.log().wait_for("bodies are held for patches");
    assert!(line.contains("32 MiB"), "{line}");
    // A request without a body to hold is not touched, and those that had room go on.
    quaich.get("/x").expect_status(200);
    let statuses: Vec<u16> = clients
        .iter_mut()
        .map(|client| {
            // Some are refused and gone by now.
            let _ = client.try_send("g");
            client.response().status
        })
        .collect();
    let refused = statuses.iter().filter(|status| **status == 503).count();
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert!(
        (1..=3).contains(&refused) && refused + passed == 34,
        "{statuses:?}"
    );
    // What they have held is free again.
    drop(clients);
    let body = "g".repeat(1_000_000);
    quaich
        .request("POST", "/x", "", body.as_bytes())
        .expect_status(200);
}

const LENGTH: &str = "
def application(environ, start_response):
    body = environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'%d %s' % (len(body), body[:5])]
";

#[test]
fn an_app_gets_all_of_a_body_that_was_looked_at() {
    let site = TempSite::new();
    site.write("app.py", LENGTH);
    let toml = format!(
        "[app.main]\nmodule = \"app:application\"\npython = \"{}\"\nworkers = 1\nthreads = 1\n\
         [site.main]\napp = \"main\"\n",
        python().display()
    );
    let quaich = Quaich::serve(site, &toml);
    add(
        &quaich,
        &[
            "--body",
            "~evil",
            "--pass-long-bodies",
            "--body-limit",
            "64KiB",
        ],
    );
    for length in [5, 40_000, 65_536, 65_537, 500_000] {
        let body = "b".repeat(length);
        let answer = quaich.request("POST", "/", "", body.as_bytes());
        answer
            .expect_status(200)
            .expect_body(&format!("{length} bbbbb"));
    }
    let mut client = quaich.raw();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"));
    client.response().expect_status(200).expect_body("11 hello");
    client.send(format!("{head}4\r\nevil\r\n0\r\n\r\n"));
    client.response().expect_status(403);
}

#[test]
fn a_client_that_speaks_http2_is_held_to_it_as_well() {
    let origin = echo();
    let quaich = to(&origin);
    add(&quaich, &["--path", "/x", "--body", "~evil"]);
    let curl = |body: &str| {
        let url = format!("http://{}/x", quaich.addr());
        let args = [
            "-sS",
            "--http2-prior-knowledge",
            "-w",
            " %{http_code}",
            "-d",
            body,
            &url,
        ];
        let out = std::process::Command::new("curl").args(args).output();
        let out = out.expect("curl can be started");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    assert_eq!(curl("good"), "good 200");
    assert!(curl("so evil").ends_with(" 403"));
}

#[test]
fn a_request_for_no_site_is_held_to_it_as_well() {
    let site = TempSite::new();
    let toml = "[site.main]\nhosts = [\"shop.test\"]\n[[site.main.route]]\npath = \"/\"\n\
                respond = { body = \"ok\" }\n";
    let quaich = Quaich::serve(site, toml);
    quaich.get("/").expect_status(421);
    add(
        &quaich,
        &["--header", "User-Agent: *bot*", "--status", "410"],
    );
    quaich
        .request("GET", "/", "User-Agent: a bot\r\n", b"")
        .expect_status(410);
    quaich.get("/").expect_status(421);
}

#[test]
fn a_file_of_patches_that_cannot_be_read_is_said_aloud_and_never_written_over() {
    let site = TempSite::new();
    site.write("state/patches.json", "{ nonsense");
    site.write(
        "quaich.toml",
        "[admin]\nlisten = \"unix:quaich.sock\"\n\
         [server]\nlisten = \"127.0.0.1:0\"\nstate_dir = \"state\"\n[site.main]\nroot = \".\"\n",
    );
    let quaich = QuaichCommand::new(site, ["serve"]).start();
    quaich.log().wait_for("patches are not in effect");
    let kept = ["patch", "add", "--path", "/a", "--persist"];
    quaich.cli(kept).expect_code(1).expect_error("move it away");
    assert_eq!(quaich.site().read("state/patches.json"), "{ nonsense");
    quaich.get("/a").expect_status(404);
    let file = quaich.site().join("state/patches.json");
    std::fs::rename(&file, file.with_extension("old")).expect("moved");
    quaich.cli(kept).expect_code(0);
    quaich.get("/a").expect_status(403);
}
