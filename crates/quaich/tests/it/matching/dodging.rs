//! Ways to write a path that a rule forbids so that the rule does not see it. None works: what is
//! forwarded reads as what was matched, whoever it is forwarded to.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use quaich_testkit::{End, Origin, Quaich, RawClient, TempSite};

use crate::apps;
use crate::wires::scripted::{server, url};

/// What must become of a target.
#[derive(Debug)]
enum Fate {
    /// It gets this status and reaches nobody.
    Refused(u16),
    /// The origin sees this target.
    Forwarded(&'static str),
}

/// Request lines, and what must become of them before a rule that denies `/deny`.
const CASES: &[(&str, Fate)] = &[
    ("GET /deny", Fate::Refused(403)),
    ("GET /x/../deny", Fate::Refused(403)),
    ("GET /x/%2e%2e/deny", Fate::Refused(403)),
    ("GET /%64eny", Fate::Refused(403)),
    ("GET //deny", Fate::Refused(403)),
    ("GET /./deny", Fate::Refused(403)),
    ("GET /x/..;/deny", Fate::Refused(400)),
    ("GET /x%2f..%2fdeny", Fate::Refused(400)),
    ("GET /q%00.png", Fate::Refused(400)),
    ("GET /x\\..\\deny", Fate::Refused(400)),
    ("GET /%zz", Fate::Refused(400)),
    ("GET /../../etc/passwd", Fate::Refused(400)),
    (
        "GET /static../secret/s.txt",
        Fate::Forwarded("/static../secret/s.txt"),
    ),
    ("GET /q%0d%0aX:y", Fate::Refused(400)),
    (
        "GET /x/%252e%252e/deny",
        Fate::Forwarded("/x/%252e%252e/deny"),
    ),
    ("GET /q?/../deny", Fate::Forwarded("/q?/../deny")),
    ("OPTIONS *", Fate::Refused(204)),
    ("CONNECT t:80", Fate::Refused(405)),
    ("GET q", Fate::Refused(400)),
    ("GET /DENY", Fate::Forwarded("/DENY")),
    ("GET /deny/x", Fate::Refused(403)),
    ("GET /deny%2fx", Fate::Refused(403)),
    ("GET /deny;a=b", Fate::Forwarded("/deny;a=b")),
    ("GET /x/%C3%A4%7e", Fate::Forwarded("/x/%C3%A4~")),
    ("GET http://a/x/../deny", Fate::Refused(403)),
];

#[test]
fn the_normal_form_of_a_path_is_what_rules_see_and_what_is_forwarded() {
    let origin = Origin::ok();
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!(
            "[[site.main.route]]\npath = [\"/deny\", \"/deny/*\"]\nstatus = 403\n\
             [[site.main.route]]\nproxy = \"{}\"\n",
            origin.url()
        ),
    );
    let mut seen = 0;
    for (line, fate) in CASES {
        let mut client = quaich.raw();
        client.send(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let method = line.split(' ').next().unwrap_or_default();
        let status = client.response_to(method).status;
        match fate {
            Fate::Refused(expected) => assert_eq!(status, *expected, "{line}"),
            Fate::Forwarded(target) => {
                seen += 1;
                assert_eq!(status, 200, "{line}");
                assert_eq!(origin.wait_for_requests(seen).target(), *target, "{line}");
            }
        }
        assert_eq!(origin.requests().len(), seen, "{line}");
    }
}

#[test]
fn files_beside_a_root_are_not_below_it() {
    let site = TempSite::new();
    site.write("static/a.txt", "a");
    site.write("secret/s.txt", "secret");
    let quaich = Quaich::serve(
        site,
        "[[site.main.route]]\nprefix = \"/static\"\nfiles = { root = \"static\" }\n",
    );
    quaich.get("/static/a.txt").expect_body("a");
    for target in ["/static../secret/s.txt", "/static/../secret/s.txt"] {
        quaich.get(target).expect_status(404);
    }
    for target in ["/static/%2e%2e%2fsecret/s.txt", "/static/..%2fsecret/s.txt"] {
        quaich.get(target).expect_status(400);
    }
}

/// Deterministic mixtures of what targets are attacked with.
fn targets() -> BTreeSet<String> {
    const PIECES: [&str; 18] = [
        "/", "//", "/./", "/../", "%2f", "%5c", "..", "%2e", "%252e", ";", "%3b", "%25", "deny",
        "%64eny", "x", "~", "%7E", "%C3%A4",
    ];
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        PIECES[(state % PIECES.len() as u64) as usize]
    };
    let target = |length: usize, next: &mut dyn FnMut() -> &'static str| {
        let pieces: String = (0..length).map(|_| next()).collect();
        format!("/{pieces}")
    };
    (0..400).map(|n| target(1 + n % 6, &mut next)).collect()
}

/// A server that tells SCRIPT_NAME and PATH_INFO.
fn telling() -> (Origin, Receiver<String>) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let origin = server("uwsgi", move |request| {
        let path = request.get("SCRIPT_NAME") + &request.get("PATH_INFO");
        let _ = tell.lock().expect("no thread panics").send(path);
        let answer = b"Status: 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        (answer, End::Fin)
    });
    (origin, told)
}

const APP: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    return [path.encode("latin-1")]
"#;

fn decoded(target: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), target.as_bytes());
    while let [first, after @ ..] = rest {
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let byte = after.get(..2).and_then(hex).filter(|_| *first == b'%');
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    out
}

fn ask(client: &mut RawClient, host: &str, target: &str) -> (u16, Vec<u8>) {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let response = client.response();
    (response.status, response.body)
}

#[test]
fn every_kind_of_server_gets_the_path_that_rules_saw() {
    let (http, (uwsgi, told)) = (Origin::ok(), telling());
    let site = TempSite::new();
    site.write("app.py", APP);
    let deny = |site: &str| {
        format!(
            "[site.{site}]\nhosts = [\"{site}\"]\n[[site.{site}.route]]\n\
             path = [\"/deny\", \"/deny/*\", \"~/x$\"]\nstatus = 403\n[[site.{site}.route]]\n"
        )
    };
    let toml = format!(
        "{}{}proxy = \"{}\"\n{}upstream = \"up\"\n{}app = \"main\"\n[upstream.up]\nservers = [\"{}\"]\n",
        apps::table("workers = 1\nthreads = 1"),
        deny("http"),
        http.url(),
        deny("uwsgi"),
        deny("app"),
        url("uwsgi", &uwsgi),
    );
    let quaich = Quaich::serve(site, &toml);
    let (mut forwarded, mut denied) = (0, 0);
    for target in targets() {
        // A refusal may end the connection.
        let mut client = quaich.raw();
        let (status, _) = ask(&mut client, "http", &target);
        let others = ["uwsgi", "app"].map(|host| ask(&mut quaich.raw(), host, &target));
        assert_eq!(others[0].0, status, "{target}");
        assert_eq!(others[1].0, status, "{target}");
        denied += usize::from(status == 403);
        if status != 200 {
            assert!([400, 403].contains(&status), "{target}: {status}");
            continue;
        }
        forwarded += 1;
        let seen = http.wait_for_requests(forwarded).target().to_owned();
        let path = decoded(&seen);
        let text = String::from_utf8_lossy(&path).into_owned();
        assert_eq!(told.recv().expect("a request").as_bytes(), path, "{target}");
        assert_eq!(others[1].1, path, "{target}");
        assert!(path != b"/deny" && !path.starts_with(b"/deny/"), "{target}");
        assert!(
            !text.split('/').any(|part| part == ".." || part == "."),
            "{target}"
        );
        // Sent again as it was forwarded, it is the same request.
        forwarded += 1;
        assert_eq!(ask(&mut client, "http", &seen).0, 200, "{target}");
        assert_eq!(http.wait_for_requests(forwarded).target(), seen, "{target}");
    }
    assert!(forwarded > 50 && denied > 5, "{forwarded} {denied}");
}

/// Django and werkzeug put the method into capitals: `delete` would pass a rule for `DELETE` and delete.
#[test]
fn a_method_in_small_letters_reaches_nobody() {
    let origin = Origin::ok();
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!(
            "[[site.main.route]]\nmethod = [\"DELETE\"]\nstatus = 403\n\
             [[site.main.route]]\nproxy = \"{}\"\n",
            origin.url()
        ),
    );
    for method in ["delete", "Delete", "deletE"] {
        let mut client = quaich.raw();
        client.send(format!("{method} /api/x HTTP/1.1\r\nHost: a\r\n\r\n"));
        client.response().expect_status(400);
        let url = format!("http://{}/api/x", quaich.addr());
        let mut curl = Command::new("curl");
        curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", method]);
        curl.args(["--http2-prior-knowledge", &url]);
        let told = curl.output().expect("curl can be started").stdout;
        assert_eq!(told, b"400", "{method}");
    }
    let delete = quaich.request("DELETE", "/api/x", "", b"");
    delete.expect_status(403);
    quaich.request("M-SEARCH", "/", "", b"").expect_status(200);
    assert_eq!(origin.requests().len(), 1);
}

/// Django reads the cookie `bad` of each, so a rule must.
#[test]
fn blanks_around_the_name_of_a_cookie_dodge_no_rule() {
    let toml = "[acl.bad]\ncookie = { bad = \"1\" }\n\
        [[site.main.route]]\nwhen = \"bad\"\nstatus = 403\n\
        [[site.main.route]]\nrespond = { body = \"ok\" }\n";
    let quaich = Quaich::serve(TempSite::new(), toml);
    let ask = |cookie: &str| quaich.request("GET", "/", &format!("Cookie: {cookie}\r\n"), b"");
    for cookie in ["bad=1", "bad =1", "a=b; bad\t=1", "bad= 1", "a;bad = 1 ;c"] {
        assert_eq!(ask(cookie).status, 403, "{cookie}");
    }
    ask("bad = 2").expect_status(200);
    ask("b ad=1").expect_status(200);
}
