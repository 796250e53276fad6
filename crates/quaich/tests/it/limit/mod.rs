//! `limit`, `allow`, `deny`: requests per time, at once and bytes per time, per key. Rates are so slow
//! that the time a test takes does not matter.

mod nginx;

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use quaich_testkit::h2::H2Client;
use quaich_testkit::{Origin, Quaich, RawClient, TempSite, eventually};

use crate::apps::table;

/// Answers `ok` from quaich itself, with `limits` and with `lines` of the site.
fn limited(limits: &str, lines: &str) -> Quaich {
    let toml = format!(
        "threads = 2\ntrust = [\"127.0.0.1\"]\n{limits}\n[site.main]\n{lines}\n[[site.main.route]]\n\
         path = \"/own\"\nlimit = \"off\"\nrespond = {{ body = \"ok\" }}\n[[site.main.route]]\n\
         respond = {{ body = \"ok\" }}\n"
    );
    Quaich::serve(TempSite::new(), &toml)
}

/// The statuses of `count` requests with `fields` on one connection.
fn statuses(quaich: &Quaich, count: usize, fields: &str) -> Vec<u16> {
    let mut client = quaich.raw();
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let mut one = || client.send(&request).response().status;
    (0..count).map(|_| one()).collect()
}

fn limit_status(quaich: &Quaich, field: &str) -> u64 {
    let status = quaich.status();
    let limit = &status["front"]["limits"][0];
    limit[field]
        .as_u64()
        .unwrap_or_else(|| panic!("{status:#}"))
}

/// A server whose answers come when the test says so.
#[derive(Clone, Default)]
struct Held(Arc<(Mutex<bool>, Condvar)>);

impl Held {
    fn origin(&self) -> Origin {
        let held = self.clone();
        Origin::answering(move |_| {
            let (open, changed) = &*held.0;
            let open = open.lock().expect("no panic");
            let _open = changed.wait_while(open, |open| !*open).expect("no panic");
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()
        })
    }

    fn release(&self) {
        *self.0.0.lock().expect("no panic") = true;
        self.0.1.notify_all();
    }
}

#[test]
fn a_burst_is_admitted_to_the_last_request_and_no_further() {
    let quaich = limited(
        "[limit.pages]\nrate = \"10/h\"\nburst = 5",
        "limit = \"pages\"",
    );
    let mut client = quaich.raw();
    for left in (0..5).rev() {
        let page = client.get("/");
        page.expect_status(200)
            .expect_header("ratelimit-policy", "\"pages\";q=5;w=1800");
        let told = page.header("ratelimit").unwrap_or_default();
        assert!(
            told.starts_with(&format!("\"pages\";r={left};t=")),
            "{told}"
        );
    }
    let refused = client.get("/");
    refused
        .expect_status(429)
        .expect_header("cache-control", "no-store");
    let seconds: u64 = refused
        .header("retry-after")
        .unwrap_or_default()
        .parse()
        .unwrap_or(0);
    assert!((300..=360).contains(&seconds), "{seconds}");
    let told = format!("\"pages\";r=0;t={seconds}");
    refused.expect_header("ratelimit", &told);
    client.get("/own").expect_status(200);
    let log = quaich.log().wait_for("a limit refuses");
    assert!(log.contains("pages") && log.contains("127.0.0.1"), "{log}");
    assert_eq!(limit_status(&quaich, "admitted"), 5);
    assert_eq!(limit_status(&quaich, "refused"), 1);
    assert_eq!(limit_status(&quaich, "keys"), 1);
    let status = quaich.status();
    assert_eq!(status["front"]["counters"]["rate_limited"], 1);
    let table = quaich.cli(["status"]).stdout;
    assert!(
        table.contains("LIMIT") && table.contains("pages"),
        "{table}"
    );
}

#[test]
fn clients_are_told_apart_by_address_and_v6_networks_by_64_bits() {
    let quaich = limited(
        "[limit.pages]\nrate = \"1/h\"\nheaders = false",
        "limit = \"pages\"",
    );
    for (addr, expected) in [
        ("192.0.2.1", 200),
        ("192.0.2.2", 200),
        ("192.0.2.1", 429),
        ("2001:db8:0:1::1", 200),
        ("2001:db8:0:1::2", 429),
        ("2001:db8:0:2::1", 200),
        ("::ffff:192.0.2.2", 429),
    ] {
        let page = quaich.request("GET", "/", &format!("X-Forwarded-For: {addr}\r\n"), b"");
        assert_eq!(page.status, expected, "{addr}");
        assert_eq!(page.header("ratelimit"), None);
    }
}

#[test]
fn both_threads_count_together() {
    let quaich = limited("[limit.pages]\nrate = \"20/h\"", "limit = \"pages\"");
    let one = || {
        (0..10)
            .flat_map(|_| statuses(&quaich, 2, ""))
            .collect::<Vec<_>>()
    };
    let all: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    assert_eq!(all.iter().filter(|status| **status == 200).count(), 20);
}

#[test]
fn a_request_without_the_key_is_not_counted() {
    let quaich = limited(
        "[limit.tokens]\nrate = \"1/h\"\nkey = [\"header.X-Token\", \"cookie.sid\"]\nstatus = 503",
        "limit = \"tokens\"",
    );
    assert_eq!(statuses(&quaich, 4, ""), [200; 4]);
    assert_eq!(statuses(&quaich, 2, "X-Token: a\r\n"), [200, 503]);
    assert_eq!(statuses(&quaich, 2, "X-Token: b\r\n"), [200, 503]);
    assert_eq!(statuses(&quaich, 2, "Cookie: a=1; sid=b\r\n"), [200, 503]);
    assert_eq!(
        statuses(&quaich, 2, "X-Token: a\r\nCookie: sid=b\r\n"),
        [200, 503]
    );
}

#[test]
fn an_acl_says_which_requests_are_counted() {
    let quaich = limited(
        "[acl.writes]\nmethod = [\"POST\", \"PUT\"]\n[limit.writes]\nrate = \"1/h\"\nwhen = \"writes\"",
        "limit = \"writes\"",
    );
    assert_eq!(statuses(&quaich, 3, ""), [200; 3]);
    for (method, expected) in [("POST", 200), ("PUT", 429), ("GET", 200)] {
        let status = quaich.request(method, "/", "", b"").status;
        assert_eq!(status, expected, "{method}");
    }
}

#[test]
fn texts_hosts_and_routes_are_keys_too() {
    let quaich = limited(
        "[limit.text]\nrate = \"1/h\"\nkey = \"{method} {host}\"\n[limit.all]\nrate = \"3/h\"\nkey = \"all\"",
        "limit = [\"text\", \"all\"]",
    );
    for (method, expected) in [
        ("GET", 200),
        ("GET", 429),
        ("PUT", 200),
        ("POST", 200),
        ("HEAD", 429),
    ] {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let mut client = quaich.raw();
        let status = client.send(&request).response_to(method).status;
        assert_eq!(status, expected, "{method}");
    }
}

#[test]
fn what_one_limit_refuses_the_others_do_not_count() {
    let toml = "[limit.wide]\nrate = \"10/h\"\nkey = \"all\"\n[limit.narrow]\nrate = \"1/h\"\n\
                [site.main]\nlimit = \"wide\"\n[[site.main.route]]\npath = \"/login\"\n\
                limit = \"narrow\"\nrespond = { body = \"ok\" }\n[[site.main.route]]\n\
                respond = { body = \"ok\" }\n";
    let quaich = Quaich::serve(TempSite::new(), toml);
    let mut client = quaich.raw();
    client.get("/login").expect_status(200);
    for _ in 0..5 {
        let refused = client.get("/login");
        refused.expect_status(429);
        assert_eq!(refused.headers("ratelimit").len(), 2);
    }
    let left = client.get("/");
    let left = left.header("ratelimit").unwrap_or_default();
    assert!(left.starts_with("\"wide\";r=8;"), "{left}");
    let said = quaich
        .cli(["route", "http://a/login", "-c", "quaich.toml"])
        .stdout;
    assert!(said.contains("wide (10/h, 10 at once per all)"), "{said}");
    assert!(
        said.contains("narrow (1/h, 1 at once per client_ip)"),
        "{said}"
    );
}

#[test]
fn a_dry_run_refuses_nothing_and_says_what_it_would() {
    let quaich = limited(
        "[limit.pages]\nrate = \"1/h\"\ndry_run = true",
        "limit = \"pages\"",
    );
    assert_eq!(statuses(&quaich, 5, ""), [200; 5]);
    quaich.log().wait_for("a limit would refuse");
    let status = quaich.status();
    assert_eq!(status["front"]["counters"]["limits_dry_run"], 4);
    assert_eq!(status["front"]["counters"]["rate_limited"], 0);
}

#[test]
fn requests_at_once_are_counted_until_they_end_however_they_do() {
    let held = Held::default();
    let origin = held.origin();
    let toml = format!(
        "[limit.slow]\nconcurrency = 2\n[site.main]\nlimit = \"slow\"\nproxy = \"{}\"\n",
        origin.url()
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let mut running: Vec<RawClient> = (0..2).map(|_| quaich.raw()).collect();
    for client in &mut running {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    origin.wait_for_requests(2);
    let refused = quaich.get("/");
    refused.expect_status(429).expect_header("retry-after", "1");
    assert_eq!(limit_status(&quaich, "running"), 2);
    // One leaves in order, one breaks off.
    if let Some(client) = running.pop() {
        client.reset();
    }
    drop(running);
    eventually("both places are free", || {
        (limit_status(&quaich, "running") == 0).then_some(())
    });
    // A stream that is given up, and a connection that is.
    let mut client = H2Client::over(quaich.raw());
    let stream = client.get("/");
    client.get("/");
    origin.wait_for_requests(4);
    assert_eq!(limit_status(&quaich, "running"), 2);
    client.frame(&quaich_testkit::h2::Frame::new(3, 0, stream, [0, 0, 0, 8]));
    eventually("the place of the stream is free", || {
        (limit_status(&quaich, "running") == 1).then_some(())
    });
    client.reset_connection();
    eventually("no place is taken", || {
        (limit_status(&quaich, "running") == 0).then_some(())
    });
    held.release();
    let mut client = quaich.raw();
    for _ in 0..5 {
        client.get("/").expect_status(200);
    }
    assert_eq!(
        quaich.status()["front"]["counters"]["concurrency_limited"],
        1
    );
}

const HELD: &str = "
import os

def application(environ, start_response):
    if environ['PATH_INFO'] == '/slow':
        here = os.path.dirname(__file__)
        open(os.path.join(here, 'begun'), 'w').close()
        open(os.path.join(here, 'go')).close()
    start_response('200 OK', [('Content-Length', '2')])
    return [b'ok']
";

/// Otherwise who leaves at once could have every worker at work for nobody.
#[test]
fn a_client_that_leaves_has_its_place_until_its_worker_is_done() {
    let site = TempSite::new();
    site.write("app.py", HELD);
    let made = std::process::Command::new("mkfifo")
        .arg(site.join("go"))
        .status();
    assert!(made.expect("mkfifo can be started").success());
    let toml = format!(
        "[log.access]\noutput = \"stdout\"\nformat = \"common\"\n{}\
         [limit.slow]\nconcurrency = 1\n[site.main]\nlimit = \"slow\"\napp = \"main\"\n",
        table("workers = 2\nthreads = 1")
    );
    let quaich = Quaich::serve(site, &toml);
    quaich.get("/").expect_status(200);
    let mut client = quaich.raw();
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the app has begun", || {
        quaich.site().join("begun").exists().then_some(())
    });
    client.reset();
    quaich.log().wait_for("GET /slow");
    quaich.get("/").expect_status(429);
    assert_eq!(limit_status(&quaich, "running"), 1);
    quaich.site().write("go", "");
    eventually("the place is free", || {
        (limit_status(&quaich, "running") == 0).then_some(())
    });
    quaich.get("/").expect_status(200);
}

#[test]
fn an_upgraded_connection_has_its_place_to_its_end() {
    let origin = Origin::start(|talk| {
        talk.request_head();
        talk.write("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        while !talk.read().is_empty() {}
    });
    let toml = format!(
        "[limit.slow]\nconcurrency = 1\n[site.main]\nlimit = \"slow\"\nproxy = \"{}\"\n",
        origin.url()
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let mut client = quaich.raw();
    client.send(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(client.head().status, 101);
    quaich.get("/").expect_status(429);
    drop(client);
    eventually("the place is free", || {
        (limit_status(&quaich, "running") == 0).then_some(())
    });
}

#[test]
fn delayed_requests_come_later_and_are_given_up_with_their_client() {
    let quaich = limited(
        "[limit.pages]\nrate = \"10/s\"\nburst = 3\ndelay = true\nkey = \"header.X-Key\"",
        "limit = \"pages\"",
    );
    let begin = Instant::now();
    let all = std::thread::scope(|scope| {
        let one = || statuses(&quaich, 1, "X-Key: a\r\n");
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(one)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("no panic"))
            .collect::<Vec<_>>()
    });
    assert_eq!(all, [200; 3]);
    // The third has its turn two tenths after the first, give or take a tick of a timer.
    assert!(
        begin.elapsed() >= Duration::from_millis(190),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(limit_status(&quaich, "delayed"), 2);
}

#[test]
fn a_client_that_leaves_while_it_waits_is_forgotten() {
    let quaich = limited(
        "[limit.pages]\nrate = \"1/h\"\nburst = 3\ndelay = 1",
        "limit = \"pages\"",
    );
    quaich.get("/").expect_status(200);
    let mut waiting = quaich.raw();
    waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut stream = H2Client::over(quaich.raw());
    stream.get("/");
    eventually("two wait", || {
        (limit_status(&quaich, "waiting") == 2).then_some(())
    });
    drop((waiting, stream));
    eventually("nobody waits", || {
        (limit_status(&quaich, "waiting") == 0).then_some(())
    });
    quaich.get("/").expect_status(429);
}

#[test]
fn bodies_are_held_back_whatever_makes_them() {
    let site = TempSite::new();
    let body = vec![b'b'; 48 * 1024];
    site.write("public/big.bin", &body);
    let answer = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 49152\r\n\r\n",
        &body[..],
    ]
    .concat();
    let origin = Origin::answering(move |_| answer.clone());
    let toml = format!(
        "[limit.bytes]\nbandwidth = \"128KiB/s\"\nkey = [\"client_ip\", \"{{path}}{{header.X-Key}}\"]\n\
         [limit.free]\nbandwidth = \"1B/s\"\nafter = \"1MiB\"\n[site.main]\n\
         [[site.main.route]]\npath = \"/files/*\"\nprefix = \"/files\"\nlimit = \"bytes\"\nfiles = {{ root = \"public\" }}\n\
         [[site.main.route]]\npath = \"/free\"\nlimit = \"free\"\nproxy = \"{0}\"\n\
         [[site.main.route]]\nlimit = \"bytes\"\nproxy = \"{0}\"\n",
        origin.url()
    );
    let quaich = Quaich::serve(site, &toml);
    for path in ["/files/big.bin", "/proxied"] {
        let begin = Instant::now();
        let page = quaich.get(path);
        page.expect_status(200);
        assert_eq!(page.body, body, "{path}");
        // The first piece leaves at once, and the clock of a piece may be made up for once.
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(250), "{path}: {took:?}");
    }
    // It would take half a day.
    assert_eq!(quaich.get("/free").body, body);
    let mut client = H2Client::over(quaich.raw());
    let begin = Instant::now();
    let stream = client.get("/h2");
    assert_eq!(client.response(stream).body, body);
    assert!(begin.elapsed() >= Duration::from_millis(250));
}

#[test]
fn answers_to_one_key_share_its_bandwidth() {
    let body = "b".repeat(32 * 1024);
    let toml = format!(
        "threads = 2\n[limit.bytes]\nbandwidth = \"128KiB/s\"\n[site.main]\n[[site.main.route]]\n\
         limit = \"bytes\"\nrespond = {{ body = \"{body}\" }}\n"
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                quaich.get("/").expect_body(&body);
            });
        }
    });
    // 96 KiB together: three quarters of a second, less what may be made up for.
    assert!(
        begin.elapsed() >= Duration::from_millis(550),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn networks_are_let_in_and_kept_out() {
    let toml = "trust = [\"127.0.0.1\"]\n[site.main]\nallow = [\"10.0.0.0/8\", \"2001:db8::/32\", \"127.0.0.1\"]\n\
                deny = \"10.1.0.0/16\"\n[[site.main.route]]\npath = \"/all\"\nallow = \"off\"\n\
                respond = { body = \"ok\" }\n[[site.main.route]]\npath = \"/none\"\ndeny = \"all\"\n\
                respond = { body = \"ok\" }\n[[site.main.route]]\nrespond = { body = \"ok\" }\n";
    let quaich = Quaich::serve(TempSite::new(), toml);
    for (addr, here, all) in [
        ("10.2.0.1", 200, 200),
        ("10.1.0.1", 403, 200),
        ("::ffff:10.1.0.1", 403, 200),
        ("2001:db8::7", 200, 200),
        ("192.0.2.1", 403, 200),
    ] {
        for (path, expected) in [("/", here), ("/all", all), ("/none", 403)] {
            let field = format!("X-Forwarded-For: {addr}\r\n");
            let status = quaich.request("GET", path, &field, b"").status;
            assert_eq!(status, expected, "{addr} {path}");
        }
    }
    let status = quaich.status();
    assert_eq!(status["front"]["counters"]["address_denied"], 8);
    quaich.get("/").expect_status(200);
}
