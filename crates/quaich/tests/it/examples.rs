//! Every example starts and does what its first lines say.

use std::net::IpAddr;
use std::path::PathBuf;

use std::process::Command;

use quaich_testkit::{
    Ca, End, Origin, Peer, Quaich, QuaichCommand, RawClient, Request, TempSite, Transport, python,
    requires_python,
};

/// A copy of `examples/NAME`, its files changed by `edit` so that it binds a free port.
fn example(name: &str, edit: impl Fn(String) -> String) -> TempSite {
    let site = TempSite::new();
    let from = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(name);
    copy(&from, &site, "", &edit);
    site
}

fn copy(from: &PathBuf, site: &TempSite, below: &str, edit: &impl Fn(String) -> String) {
    for entry in std::fs::read_dir(from)
        .expect("the example is there")
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let relative = format!("{below}{name}");
        if entry.path().is_dir() {
            let built = name.starts_with('.') || name == "__pycache__";
            if !built {
                copy(&entry.path(), site, &format!("{relative}/"), edit);
            }
        } else if name == "quaich.toml" {
            let text = std::fs::read_to_string(entry.path()).expect("text");
            site.write(&relative, edit(text));
        } else {
            site.write(&relative, std::fs::read(entry.path()).expect("a file"));
        }
    }
}

/// The first address of the example's configuration becomes a free port.
fn on_a_free_port(text: String) -> String {
    let edited = text.replace("\"127.0.0.1:8000\"", "\"127.0.0.1:0\"");
    assert_ne!(edited, text, "the example listens on 127.0.0.1:8000");
    edited
}

/// Serves the example's own quaich.toml, its apps in the tests' interpreter.
fn serve(site: TempSite) -> Quaich {
    let environment = python()
        .parent()
        .and_then(|bin| bin.parent())
        .map(PathBuf::from);
    let command = QuaichCommand::new(site, ["serve", "-c", "quaich.toml"]);
    command
        .env("VIRTUAL_ENV", environment.unwrap_or_default())
        .start()
}

#[test]
fn hello() {
    let site = example("hello", |text| text);
    let python = python().display().to_string();
    let quaich = Quaich::command(site, ["run", "-b", "127.0.0.1:0", "--python", &python]);
    let page = quaich.get("/");
    page.expect_status(200);
    assert!(
        page.text().to_lowercase().contains("hello"),
        "{}",
        page.text()
    );
}

#[test]
fn flask() {
    if !requires_python(&["flask"]) {
        return;
    }
    let quaich = serve(example("flask", on_a_free_port));
    quaich.get("/").expect_status(200);
    quaich.get("/static/style.css").expect_status(200);
}

#[test]
fn files() {
    let quaich = serve(example("files", on_a_free_port));
    quaich.get("/").expect_status(200);
    quaich.get("/downloads/").expect_status(200);
    quaich.get("/nothing").expect_status(404);
}

#[test]
fn compress() {
    let quaich = serve(example("compress", on_a_free_port));
    for (target, coding) in [
        ("/", Some("br")),
        ("/plain/", None),
        ("/small/", Some("br")),
    ] {
        let page = quaich.request("GET", target, "Accept-Encoding: gzip, br\r\n", b"");
        page.expect_status(200);
        assert_eq!(page.header("content-encoding"), coding, "{target}");
    }
}

#[test]
fn auth() {
    let quaich = serve(example("auth", on_a_free_port));
    quaich.get("/health").expect_status(200);
    quaich.get("/").expect_status(401);
    let demo = "Authorization: Basic ZGVtbzpkZW1v\r\n";
    quaich.request("GET", "/", demo, b"").expect_status(200);
}

#[test]
fn forward_auth() {
    let quaich = serve(example("forward_auth", on_a_free_port));
    let sent = quaich.get("/");
    sent.expect_status(302).expect_header("location", "/login");
    quaich.get("/login").expect_status(200);
    let given = quaich.request("POST", "/login", "", b"user=aila");
    given.expect_status(303);
    let session = given.header("set-cookie").unwrap_or_default();
    let session = session.split(';').next().unwrap_or_default();
    let page = quaich.request("GET", "/", &format!("Cookie: {session}\r\n"), b"");
    page.expect_status(200);
    assert!(page.text().contains("logged in"), "{}", page.text());
    let forged = quaich.request("GET", "/", "Cookie: session=aila.0\r\n", b"");
    forged.expect_status(302);
}

#[test]
fn acl() {
    let quaich = serve(example("acl", on_a_free_port));
    let said = |target: &str, fields: &str| quaich.request("GET", target, fields, b"").text();
    assert_eq!(said("/admin/", ""), "hello, guest\n");
    assert_eq!(said("/admin/", "X-Team: red\r\n"), "hello, colleague\n");
    assert_eq!(said("/", ""), "welcome\n");
    let bot = quaich.request("GET", "/", "User-Agent: googlebot\r\n", b"");
    bot.expect_status(403);
    let route = quaich.cli(["route", "/admin/", "--client", "10.1.2.3"]);
    assert!(route.stdout.contains("status 200"), "{}", route.stdout);
}

#[test]
fn proxy() {
    let (origin, other) = (Origin::ok(), Origin::ok());
    let (first, second) = (origin.addr().to_string(), other.addr().to_string());
    let quaich = serve(example("proxy", |text| {
        let edited = on_a_free_port(text);
        edited
            .replace("127.0.0.1:9001", &first)
            .replace("127.0.0.1:9002", &second)
    }));
    let mut client = quaich.raw();
    for _ in 0..2 {
        client.get("/").expect_body("ok");
    }
    assert_eq!(other.requests().len(), 1);
    assert!(
        origin
            .wait_for_requests(1)
            .header("x-forwarded-for")
            .is_some()
    );
}

#[test]
fn sticky() {
    let (origin, other) = (Origin::ok(), Origin::ok());
    let (first, second) = (origin.addr().to_string(), other.addr().to_string());
    let quaich = serve(example("sticky", |text| {
        let edited = on_a_free_port(text);
        edited
            .replace("127.0.0.1:9001", &first)
            .replace("127.0.0.1:9002", &second)
    }));
    let given = quaich.get("/");
    let cookie = given.header("set-cookie").unwrap_or_default();
    let cookie = cookie.split(';').next().unwrap_or_default();
    for _ in 0..4 {
        let field = format!("Cookie: {cookie}\r\n");
        quaich.request("GET", "/", &field, b"").expect_body("ok");
    }
    let counts = [origin.requests().len(), other.requests().len()];
    assert!(counts.contains(&5) && counts.contains(&0), "{counts:?}");
}

#[test]
fn health() {
    let (well, ill) = (
        Origin::ok(),
        Origin::scripted(
            b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n".to_vec(),
            End::Keep,
        ),
    );
    let (first, second) = (well.addr().to_string(), ill.addr().to_string());
    let quaich = serve(example("health", |text| {
        let edited = on_a_free_port(text);
        edited
            .replace("127.0.0.1:9001", &first)
            .replace("127.0.0.1:9002", &second)
    }));
    quaich.log().wait_for("a server is down");
    for _ in 0..4 {
        quaich.get("/").expect_body("ok");
    }
    let table = quaich.cli(["status"]).stdout;
    assert!(table.contains("1 of 2 servers take requests"), "{table}");
}

#[test]
fn limit() {
    let quaich = serve(example("limit", on_a_free_port));
    let mut client = quaich.raw();
    let statuses = (0..6).map(|_| client.get("/login").status);
    assert_eq!(statuses.collect::<Vec<_>>(), [200, 200, 200, 200, 200, 429]);
    client
        .get("/downloads/readme.txt")
        .expect_body("A small file.\n");
    client.get("/internal").expect_status(200);
}

#[test]
fn error_pages() {
    let gone = Origin::ok();
    let address = gone.addr().to_string();
    drop(gone);
    let quaich = serve(example("error_pages", |text| {
        on_a_free_port(text).replace("127.0.0.1:9001", &address)
    }));
    quaich.get("/").expect_body("well\n");
    let page = quaich.get("/nothing");
    page.expect_status(404);
    assert!(
        page.text().contains("<code>/nothing</code>"),
        "{}",
        page.text()
    );
    let json = quaich.request("GET", "/nothing", "Accept: application/json\r\n", b"");
    assert_eq!(json.json()["path"], "/nothing");
    let down = quaich.get("/api/");
    down.expect_status(502);
    assert!(down.text().contains("back in a moment"), "{}", down.text());
}

#[test]
fn maintenance() {
    let quaich = serve(example("maintenance", on_a_free_port));
    quaich.get("/").expect_body("open\n");
    quaich.cli(["maintenance", "on", "main"]).expect_code(0);
    let page = quaich.get("/");
    page.expect_status(503).expect_header("retry-after", "1800");
    assert!(
        page.text().contains("Closed for maintenance"),
        "{}",
        page.text()
    );
    quaich.get("/health").expect_status(200);
}

#[test]
fn tcp() {
    let serve_one = || Origin::start(|talk| while !talk.read().is_empty() {});
    let (origin, other) = (serve_one(), serve_one());
    let (first, second) = (origin.addr().to_string(), other.addr().to_string());
    let quaich = serve(example("tcp", |text| {
        let edited = on_a_free_port(text);
        edited
            .replace("127.0.0.1:9001", &first)
            .replace("127.0.0.1:9002", &second)
    }));
    for _ in 0..2 {
        let mut client = quaich.raw();
        client.send("hello").half_close();
        client.rest();
    }
    for server in [&origin, &other] {
        let raw = String::from_utf8_lossy(&server.raw()).into_owned();
        assert!(raw.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "), "{raw}");
        assert!(raw.ends_with("\r\nhello"), "{raw}");
    }
}

#[test]
fn balance() {
    let origins = [Origin::ok(), Origin::ok(), Origin::ok()];
    let quaich = serve(example("balance", |text| {
        let ports = ["127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"];
        let text = on_a_free_port(text);
        ports
            .iter()
            .zip(&origins)
            .fold(text, |text, (port, origin)| {
                text.replace(port, &origin.addr().to_string())
            })
    }));
    let mut client = quaich.raw();
    for _ in 0..6 {
        client.get("/").expect_body("ok");
    }
    let asked = origins.each_ref().map(|origin| origin.requests().len());
    assert_eq!(asked, [4, 2, 0]);
}

#[test]
fn uwsgi() {
    let site = example("uwsgi", on_a_free_port);
    let program = std::path::Path::new("/usr/bin/uwsgi-core");
    if !program.exists() {
        eprintln!("skipped: uwsgi is not installed");
        return;
    }
    let server = Peer::start(
        Command::new(program)
            .arg("uwsgi.ini")
            .current_dir(site.path()),
    );
    server.log().wait_for("spawned uWSGI worker");
    let quaich = serve(site);
    let page = quaich.get("/a%20b").text();
    assert_eq!(page, "uWSGI answers /a b for 127.0.0.1, mode example\n");
}

#[test]
fn tls() {
    let site = example("tls", |text| {
        let edited = on_a_free_port(text);
        // Another address, so that the two can be told apart.
        edited.replace("127.0.0.1:8443", "127.0.0.2:0")
    });
    Ca::new("example")
        .server(&["localhost"])
        .write(&site, "site");
    let quaich = serve(site);
    let at = |ip: [u8; 4]| {
        let found = quaich
            .addrs()
            .iter()
            .find(|addr| addr.ip() == IpAddr::from(ip));
        *found.expect("it listens there")
    };
    let sent = RawClient::connect(at([127, 0, 0, 1])).get("/index.html");
    let port = at([127, 0, 0, 2]).port();
    sent.expect_status(301)
        .expect_header("location", &format!("https://test:{port}/index.html"));
    let mut caller = Transport::Http2Tls.connect(at([127, 0, 0, 2]), "localhost");
    let page = caller.call(&Request::get("/index.html").host("localhost"));
    page.expect_status(200);
    assert!(page.header("strict-transport-security").is_some());
}

#[test]
fn headers() {
    let quaich = serve(example("headers", on_a_free_port));
    let page = quaich.get("/");
    page.expect_status(200)
        .expect_header("x-frame-options", "DENY");
    assert!(page.header("x-request-id").is_some());
    let app = quaich.request("GET", "/app", "Cookie: a=b\r\n", b"");
    assert!(
        app.text().contains("HTTP_X_REAL_IP = 127.0.0.1"),
        "{}",
        app.text()
    );
    assert!(!app.text().contains("HTTP_COOKIE"), "{}", app.text());
    app.expect_header("vary", "X-Team");
    assert_eq!(
        (app.header("x-debug-time"), app.header("x-powered-by")),
        (None, None)
    );
}

#[test]
fn cors() {
    let quaich = serve(example("cors", on_a_free_port));
    let fields = "Origin: http://app.localhost:8000\r\nAccess-Control-Request-Method: PUT\r\n";
    let leave = quaich.request("OPTIONS", "/", fields, b"");
    leave
        .expect_status(204)
        .expect_header("access-control-allow-origin", "http://app.localhost:8000");
}

#[test]
fn expires() {
    let quaich = serve(example("expires", on_a_free_port));
    let control = |path| quaich.get(path).header("cache-control").map(str::to_owned);
    assert_eq!(control("/").as_deref(), Some("no-cache"));
    let hashed = control("/app.3f2a9c1b04de.css");
    assert_eq!(
        hashed.as_deref(),
        Some("max-age=31536000, public, immutable")
    );
    assert_eq!(control("/none").as_deref(), Some("max-age=60"));
}

#[test]
fn sites() {
    let quaich = serve(example("sites", on_a_free_port));
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: www.example.test\r\n\r\n");
    client.response().expect_status(200);
    client.send("GET /a HTTP/1.1\r\nHost: example.test\r\n\r\n");
    let moved = client.response();
    moved
        .expect_status(308)
        .expect_header("location", "http://www.example.test/a");
    client.send("GET / HTTP/1.1\r\nHost: app.example.test\r\n\r\n");
    client.response().expect_status(200);
}

#[test]
fn subscribe() {
    if !std::path::Path::new("/usr/lib/uwsgi/plugins/python311_plugin.so").exists() {
        eprintln!("skipped: uWSGI is not installed (uwsgi-core, uwsgi-plugin-python3)");
        return;
    }
    let folder = TempSite::new();
    let socket = folder.join("subscribe.sock").display().to_string();
    let quaich = serve(example("subscribe", |text| {
        let edited = on_a_free_port(text);
        edited.replace("127.0.0.1:5005", &format!("unix:{socket}"))
    }));
    let instance = Peer::start(
        Command::new("/usr/bin/uwsgi-core")
            .args(["--plugin", "python3", "--master", "--need-app"])
            .args(["--socket", "127.0.0.1:0", "--wsgi-file", "app.py"])
            .arg("--subscribe2")
            .arg(format!("server={socket},key=shop.example.test"))
            .current_dir(quaich.site().path()),
    );
    quaich.log().wait_for("an instance has joined");
    let mut client = quaich.raw();
    client.send("GET / HTTP/1.1\r\nHost: shop.example.test\r\n\r\n");
    let page = client.response();
    page.expect_status(200);
    assert!(page.text().starts_with("shop.example.test is served by"));
    drop(instance);
}

#[test]
fn grpc_greets() {
    if !requires_python(&["grpc"]) {
        return;
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/grpc");
    let server = Peer::start(
        Command::new(python())
            .arg(folder.join("server.py"))
            .arg("127.0.0.1:0"),
    );
    let line = server.log().wait_for("port ");
    let port = line.trim_start_matches("port ");
    let to = format!("h2c://127.0.0.1:{port}");
    let quaich = serve(example("grpc", |text| {
        on_a_free_port(text.replace("h2c://127.0.0.1:9001", &to))
    }));
    let client = Command::new(python())
        .arg(folder.join("client.py"))
        .arg(quaich.addr().to_string())
        .output()
        .expect("python runs");
    let shown = String::from_utf8_lossy(&client.stdout);
    assert_eq!(
        shown, "Hello, world!\nHello, Ada!\nHello, Grace!\n",
        "{client:?}"
    );
}

#[test]
fn rewrite() {
    let quaich = serve(example("rewrite", on_a_free_port));
    quaich.get("/v1/about.html").expect_status(200);
    let slashed = quaich.get("/about");
    slashed
        .expect_status(301)
        .expect_header("location", "/about/");
    let moved = quaich.get("/shop/a?b=c");
    moved
        .expect_status(301)
        .expect_header("location", "https://shop.example.org/shop/a?b=c");
}

#[test]
fn mount() {
    let quaich = serve(example("mount", on_a_free_port));
    let visit = quaich.get("/tools/red/");
    visit
        .expect_status(303)
        .expect_header("location", "/tools/red/visits")
        .expect_header("set-cookie", "visits=1; Path=/tools/red");
    let page = quaich.request("GET", "/tools/red/visits", "Cookie: visits=1\r\n", b"");
    page.expect_body("red: 1 visits\n");
}
