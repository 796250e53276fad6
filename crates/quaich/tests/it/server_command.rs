//! `quaich server`, `quaich drain` and what `quaich status` shows of upstreams.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use quaich_testkit::{Origin, Quaich, Signal, TempSite, eventually};

use crate::health::{server, to, wait_for_state, who};

fn named(name: &'static str) -> Origin {
    Origin::answering(move |_| {
        let length = name.len();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}").into_bytes()
    })
}

#[test]
fn a_server_is_taken_out_and_back_by_command() {
    let (a, b) = (named("a"), named("b"));
    let quaich = to(&[a.url(), b.url()], "");
    assert_eq!(who(&quaich, 4), "aabb");
    let said = quaich.cli(["server", "up/a", "maint"]);
    said.expect_code(0);
    assert_eq!(said.stdout, "up/a is maint, weight 1; nothing runs there");
    assert_eq!(who(&quaich, 4), "bbbb");
    let told = quaich.log().wait_for("a server was changed by command");
    assert!(told.contains("maint"), "{told}");

    quaich.cli(["server", "up/a", "ready"]).expect_code(0);
    assert_eq!(who(&quaich, 4), "aabb");
    let said = quaich.cli(["drain", "a"]);
    said.expect_code(0);
    assert!(
        said.stdout.contains("drain (existing sessions only)"),
        "{}",
        said.stdout
    );
    assert_eq!(who(&quaich, 4), "bbbb");
    let again = quaich.cli(["drain", "up/a"]);
    assert!(
        again.stdout.contains("is already drain"),
        "{}",
        again.stdout
    );
    quaich.cli(["server", "a", "ready"]).expect_code(0);

    quaich.cli(["server", "b", "weight", "0"]).expect_code(0);
    assert_eq!(who(&quaich, 4), "aaaa");
    let json = quaich.cli(["server", "b", "weight", "2", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(
        (&json["weight"], &json["changed"]),
        (&2.into(), &true.into())
    );
    quaich.cli(["server", "b", "weight", "0"]).expect_code(0);
    let said = quaich.cli(["server", "b", "ready"]);
    assert!(said.stdout.contains("weight 1, up"), "{}", said.stdout);
    // Whoever takes all servers out gets what was asked for.
    quaich.cli(["server", "a", "maint"]).expect_code(0);
    quaich.cli(["server", "b", "maint"]).expect_code(0);
    quaich.get("/").expect_status(503);
}

#[test]
fn requests_that_run_at_a_drained_server_end_undisturbed() {
    let (go, wait): (_, Receiver<()>) = channel();
    let wait = Mutex::new(wait);
    let a = Origin::answering(move |_| {
        let _ = wait.lock().expect("one request only").recv();
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na".to_vec()
    });
    let quaich = to(&[a.url()], "");
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    a.wait_for_requests(1);
    let said = quaich.cli(["drain", "a"]);
    assert!(
        said.stdout.contains("1 request still runs there"),
        "{}",
        said.stdout
    );
    let table = quaich.cli(["status"]).stdout;
    assert!(
        table.contains("upstream up · 0 of 1 servers take requests"),
        "{table}"
    );
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| quaich.cli(["drain", "a", "--wait"]));
        go.send(()).expect("the origin waits");
        client.response().expect_body("a");
        let said = waiting.join().expect("it ends");
        assert!(
            said.stdout.contains("nothing runs there"),
            "{}",
            said.stdout
        );
    });
    eventually("the status says that nothing runs there", || {
        let table = quaich.cli(["status"]).stdout;
        table.contains("drain (empty)").then_some(())
    });
}

#[test]
fn a_new_front_knows_what_was_said() {
    let (a, b) = (named("a"), named("b"));
    let quaich = to(&[a.url(), b.url()], "");
    quaich.cli(["server", "a", "maint"]).expect_code(0);
    quaich.cli(["server", "b", "weight", "7"]).expect_code(0);
    let front = quaich.front();
    Quaich::signal_process(front, Signal::KILL);
    quaich.log().wait_for("the front died and is replaced");
    eventually("another front", || {
        let status = quaich.status();
        let ready = status["upstreams"][0]["servers"].is_array();
        (ready && status["front"]["restarts"] == 1).then_some(())
    });
    wait_for_state(&quaich, "a", "maint");
    assert_eq!(server(&quaich, "b")["weight"], 7);
    assert_eq!(who(&quaich, 4), "bbbb");
}

#[test]
fn a_server_that_there_is_not_gets_a_hint() {
    let (a, b) = (named("a"), named("b"));
    let text = format!(
        "[upstream.shop]\nservers = [\"{0}\"]\n[upstream.wiki]\nservers = [\"{0}\", \"{1}\"]\n\
         [site.main]\nupstream = \"wiki\"\n",
        a.url(),
        b.url(),
    );
    let quaich = Quaich::serve(TempSite::new(), &text);
    let wrong = format!("wikki/{}", b.url());
    quaich
        .cli(["server", &wrong, "drain"])
        .expect_error(&format!("did you mean `wiki/{}`?", b.url()));
    quaich
        .cli(["server", &a.url(), "drain"])
        .expect_error("several servers are called");
    quaich.cli(["server", &b.url(), "drain"]).expect_code(0);
    quaich.cli(["server", "x", "weight"]).expect_code(2);
    quaich.cli(["server", "x", "ready", "3"]).expect_code(2);
    quaich.cli(["server", "x", "rest"]).expect_code(2);
}
