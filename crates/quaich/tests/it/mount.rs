//! `prefix`: apps that know nothing of where they are, and apps that do.

use std::process::Command;

use quaich_testkit::{Origin, Peer, Quaich, QuaichCommand, TempSite, python, requires_python};

use crate::frameworks::copy_project;
use crate::tls_clients::requires_program;

mod apache;
mod chromium;

/// A site of `tests/projects/mounted` on a port of its own.
struct Framework {
    _peer: Peer,
    url: String,
}

impl Framework {
    fn start(framework: &str, name: &str) -> Self {
        let program = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/projects/mounted/site_in_frameworks.py"
        );
        let mut command = Command::new(python());
        command
            .args([program, framework, name])
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let peer = Peer::start(&mut command);
        let line = peer.log().wait_for("port ");
        let port = line.trim_start_matches("port ");
        Self {
            url: format!("http://127.0.0.1:{port}"),
            _peer: peer,
        }
    }
}

/// curl, which keeps cookies as browsers do: by host and path.
struct Curl<'q> {
    quaich: &'q Quaich,
}

impl Curl<'_> {
    /// What is there in the end, and at which path.
    #[track_caller]
    fn get(&self, target: &str) -> (String, String) {
        let jar = self.quaich.site().join("jar");
        let origin = format!("http://{}", self.quaich.addr());
        let out = Command::new("/usr/bin/curl")
            .args(["-sS", "--location", "--max-redirs", "5"])
            .args(["--write-out", "\n%{http_code} %{url_effective}"])
            .arg("--cookie")
            .arg(&jar)
            .arg("--cookie-jar")
            .arg(&jar)
            .arg(format!("{origin}{target}"))
            .output()
            .expect("curl can be started");
        let shown = String::from_utf8_lossy(&out.stdout).into_owned();
        let (body, last) = shown.rsplit_once('\n').expect("a last line");
        let path = last.strip_prefix(&format!("200 {origin}"));
        let path = path.unwrap_or_else(|| panic!("{target}: {shown} {out:?}"));
        (body.to_owned(), path.to_owned())
    }

    #[track_caller]
    fn expect(&self, target: &str, body: &str, path: &str) {
        let found = self.get(target);
        assert_eq!(found, (body.to_owned(), path.to_owned()), "{target}");
    }
}

/// Two apps of one kind side by side, that use the same cookies.
#[track_caller]
fn side_by_side(quaich: &Quaich) {
    let curl = Curl { quaich };
    let (red, blue) = ("/tools/red", "/tools/blue");
    curl.expect("/tools/red/start", "red", "/tools/red/page");
    curl.expect("/tools/blue/start", "blue", "/tools/blue/page");
    for (mount, name) in [(red, "red"), (blue, "blue")] {
        let at = |path: &str| format!("{mount}{path}");
        curl.expect(&at("/page"), name, &at("/page"));
        curl.expect(&at("/absolute"), name, &at("/page"));
        curl.expect(&at("/sub/in"), name, &at("/sub/at"));
        curl.expect(&at("/sub/at"), name, &at("/sub/at"));
    }
    let jar = std::fs::read_to_string(quaich.site().join("jar")).expect("curl has a jar");
    let paths: Vec<&str> = jar
        .lines()
        .filter_map(|line| line.split('\t').nth(2))
        .collect();
    for path in [
        "/tools/red",
        "/tools/red/sub",
        "/tools/blue",
        "/tools/blue/sub",
    ] {
        assert!(paths.contains(&path), "{jar}");
    }
    assert_eq!(paths.len(), 4, "{jar}");
    quaich.get("/tools/redo/page").expect_status(404);
}

fn knows_nothing(framework: &str, modules: &[&str]) {
    if !requires_python(modules) || !requires_program("/usr/bin/curl", "curl") {
        return;
    }
    let (quaich, _apps) = with_servers(framework);
    side_by_side(&quaich);
    let counted = quaich.status()["front"]["counters"]["mount_rewrites"].as_u64();
    assert!(counted >= Some(6), "{counted:?}");
}

/// Two servers of one kind, red and blue, below `/tools`.
fn with_servers(framework: &str) -> (Quaich, [(&'static str, Framework); 2]) {
    let apps = ["red", "blue"].map(|name| (name, Framework::start(framework, name)));
    let route = |(name, app): &(&str, Framework)| {
        format!(
            "[[site.main.route]]\nprefix = \"/tools/{name}\"\nproxy = \"{}\"\n",
            app.url
        )
    };
    let toml: String = apps.iter().map(route).collect();
    (Quaich::serve(TempSite::new(), &toml), apps)
}

#[test]
fn an_app_that_heeds_its_prefix_does_not_get_it_twice() {
    if !requires_python(&["flask"]) || !requires_program("/usr/bin/curl", "curl") {
        return;
    }
    let (quaich, _apps) = with_servers("flask-told");
    side_by_side(&quaich);
    let host = "Host: shop.test:8080\r\n";
    let link = ask(&quaich, "/tools/red/link", host).text();
    assert_eq!(link, "http://shop.test:8080/tools/red/page");
    let whole = ask(&quaich, "/tools/red/absolute", host);
    whole.expect_header("location", "http://shop.test:8080/tools/red/page");
}

#[test]
fn flask_knows_nothing() {
    knows_nothing("flask", &["flask"]);
}

#[test]
fn django_knows_nothing() {
    knows_nothing("django", &["django"]);
}

#[test]
fn fastapi_knows_nothing() {
    knows_nothing("fastapi", &["fastapi", "uvicorn"]);
}

#[test]
fn twisted_knows_nothing() {
    knows_nothing("twisted", &["twisted"]);
}

/// Serves `toml`, its apps in the tests' interpreter.
fn with_apps(toml: &str) -> Quaich {
    let site = TempSite::new();
    copy_project("mounted", &site);
    let toml = format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{toml}");
    site.write(
        "quaich.toml",
        toml.replace("PYTHON", &python().display().to_string()),
    );
    QuaichCommand::new(site, ["serve", "-c", "quaich.toml"]).start()
}

#[test]
fn apps_of_quaich_know_their_prefix_and_their_cookies_do_not() {
    if !requires_python(&["flask"]) || !requires_program("/usr/bin/curl", "curl") {
        return;
    }
    let app = |name: &str| {
        format!(
            "[app.{name}]\nmodule = \"apps:{name}\"\npython = \"PYTHON\"\nworkers = 1\n\
             [[site.main.route]]\nprefix = \"/tools/{name}\"\napp = \"{name}\"\n"
        )
    };
    let quaich = with_apps(&format!("{}{}", app("red"), app("blue")));
    side_by_side(&quaich);
}

/// What an app says is its page is its page.
#[test]
fn urls_that_an_app_makes_lead_back_to_it() {
    if !requires_python(&["flask"]) {
        return;
    }
    for mount in ["", "/m", "/a/b"] {
        let prefix = match mount {
            "" => String::new(),
            _ => format!("prefix = \"{mount}\"\n"),
        };
        let quaich = with_apps(&format!(
            "[app.red]\nmodule = \"apps:red\"\npython = \"PYTHON\"\nworkers = 1\n\
             [[site.main.route]]\n{prefix}app = \"red\"\n"
        ));
        let origin = format!("http://{}", quaich.addr());
        let host = format!("Host: {}\r\n", quaich.addr());
        let link = ask(&quaich, &format!("{mount}/link"), &host).text();
        assert_eq!(link, format!("{origin}{mount}/page"));
        let target = link.strip_prefix(&origin).expect("its own");
        ask(&quaich, target, &host).expect_body("none");
        let started = ask(&quaich, &format!("{mount}/start"), &host);
        started.expect_header("location", &format!("{mount}/page"));
        // Neither has a page at its root; they are asked, and the neighbour is not.
        if !mount.is_empty() {
            ask(&quaich, &format!("{mount}x/page"), &host).expect_status(404);
            let log = quaich.log().text();
            assert!(!log.contains("Traceback"), "{log}");
        }
    }
}

fn ask(quaich: &Quaich, target: &str, fields: &str) -> quaich_testkit::Response {
    let mut client = quaich.raw();
    client.send(format!("GET {target} HTTP/1.1\r\n{fields}\r\n"));
    client.response()
}

/// An origin that answers with these fields.
fn answering(fields: &'static str) -> Origin {
    Origin::answering(move |_| {
        format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n").into_bytes()
    })
}

#[test]
fn the_way_back_is_a_matter_of_one_key() {
    let origin = answering("Location: /m/x\r\nSet-Cookie: a=1; Path=/\r\n");
    let url = origin.url();
    let route = |prefix: &str, back: &str| {
        format!("[[site.main.route]]\nprefix = \"{prefix}\"\n{back}\nproxy = \"{url}\"\n")
    };
    let toml = format!(
        "[site.main]\nrewrite_back = \"off\"\n{}{}{}[[site.main.route]]\nproxy = \"{url}\"\n",
        route("/off", ""),
        route("/m", "rewrite_back = \"always\""),
        route("/auto", "rewrite_back = \"auto\""),
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    for (target, location, cookie) in [
        ("/off/", "/m/x", "a=1; Path=/"),
        ("/m/", "/m/m/x", "a=1; Path=/m"),
        ("/auto/", "/auto/m/x", "a=1; Path=/auto"),
        ("/other", "/m/x", "a=1; Path=/"),
    ] {
        let answer = quaich.get(target);
        answer
            .expect_header("location", location)
            .expect_header("set-cookie", cookie);
    }
    assert_eq!(quaich.status()["front"]["counters"]["mount_rewrites"], 2);
}

#[test]
fn early_hints_and_an_outer_prefix_are_thought_of() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n\
          HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"
            .to_vec()
    });
    let toml = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\ntrust = [\"127.0.0.0/8\"]\n\
         [[site.main.route]]\nprefix = \"/m\"\nproxy = \"{}\"\n",
        origin.url()
    );
    let quaich = Quaich::serve_exactly(TempSite::new(), &toml);
    let mut client = quaich.raw();
    client.send("GET /m/ HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Prefix: /outer\r\n\r\n");
    client
        .head()
        .expect_status(103)
        .expect_header("link", "</outer/m/a.css>; rel=preload");
    client
        .response()
        .expect_status(302)
        .expect_header("location", "/outer/m/x");
    let asked = origin.wait_for_requests(1);
    assert_eq!(asked.header("x-forwarded-prefix"), Some("/outer/m"));
}
