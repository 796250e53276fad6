//! quaich together with real other servers and clients: gunicorn and nginx behind it, nginx in
//! front of it, a WebSocket library on both ends.

use std::process::Command;

use quaich_testkit::{Peer, Quaich, RawClient, TempSite, eventually, python, requires_python};

use crate::apps;
use crate::frameworks::copy_project;

/// nginx with one server of these directives, listening on `nginx.sock` of the folder.
pub(crate) fn nginx(site: &TempSite, server: &str) -> Option<Peer> {
    nginx_at(site, server, "")
}

/// The same; `options` are those of `listen`.
pub(crate) fn nginx_at(site: &TempSite, server: &str, options: &str) -> Option<Peer> {
    let program = std::path::Path::new("/usr/sbin/nginx");
    if !program.exists() {
        eprintln!("skipped: nginx is not installed (apt-get install nginx-light)");
        return None;
    }
    let here = site.path().display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {here}/{kind}; "))
        .collect();
    // Root's temporary folder is closed to the user that nginx would take otherwise.
    let user = if is_root() { "user root;" } else { "" };
    let config = format!(
        "daemon off; pid {here}/nginx.pid; error_log {here}/nginx.log; {user}\n\
         events {{}}\nhttp {{ access_log off; {temporary}\n\
         server {{ listen unix:{here}/nginx.sock {options}; {server} }} }}\n"
    );
    let file = site.write("nginx.conf", config);
    let peer = Peer::start(
        Command::new(program)
            .arg("-p")
            .arg(site.path())
            .arg("-c")
            .arg(file),
    );
    let socket = site.join("nginx.sock");
    eventually("nginx", || {
        std::os::unix::net::UnixStream::connect(&socket).ok()
    });
    Some(peer)
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|out| out.stdout == b"0\n")
}

#[test]
fn gunicorn_behind_quaich_serves_as_before() {
    if !requires_python(&["gunicorn", "flask"]) {
        return;
    }
    let site = TempSite::new();
    copy_project("flask_app", &site);
    let bind = format!("unix:{}", site.join("app.sock").display());
    let gunicorn = Peer::start(
        Command::new(python())
            .args([
                "-m",
                "gunicorn",
                "-w",
                "1",
                "--threads",
                "2",
                "-b",
                &bind,
                "app:app",
            ])
            .current_dir(site.path()),
    );
    gunicorn.log().wait_for("Listening at");
    let route = format!("[[site.main.route]]\nprefix = \"/x\"\nproxy = \"http+{bind}\"\n");
    let quaich = Quaich::serve(site, &route);
    let mut client = quaich.raw();
    for n in 0..20 {
        let home = client.get(&format!("/x/?n={n}")).json();
        assert_eq!(
            (&home["path"], &home["args"]["n"]),
            (&"/".into(), &n.to_string().into())
        );
    }
    let stream = client.get("/x/stream");
    assert_eq!(stream.text().lines().count(), 1000);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    quaich
        .request("POST", "/x/form", form, b"name=Ailsa")
        .expect_body("stored");
}

#[test]
fn nginx_behind_quaich_serves_as_before() {
    let site = TempSite::new();
    let content: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 227) as u8).collect();
    site.write("www/large.bin", &content);
    let Some(_nginx) = nginx(&site, &format!("root {}/www;", site.path().display())) else {
        return;
    };
    let proxy = format!(
        "[site.main]\nproxy = \"http+unix:{}/nginx.sock\"\n",
        site.path().display()
    );
    let quaich = Quaich::serve(site, &proxy);
    let mut client = quaich.raw();
    for _ in 0..5 {
        let response = client.get("/large.bin");
        assert!(response.complete && response.body == content);
        client.get("/none").expect_status(404);
    }
    let etag = client
        .get("/large.bin")
        .header("etag")
        .expect("an ETag")
        .to_string();
    client.send(format!(
        "GET /large.bin HTTP/1.1\r\nHost: a\r\nIf-None-Match: {etag}\r\n\r\n"
    ));
    client.response().expect_status(304);
}

#[test]
fn quaich_behind_nginx_knows_who_asked() {
    let front = TempSite::new();
    let site = TempSite::new();
    let toml = format!(
        "[server]\nlisten = [\"unix:web.sock\"]\ntrust = [\"127.0.0.0/8\"]\n{}[site.main]\napp = \"main\"\n",
        apps::table("workers = 1\nthreads = 1")
    );
    site.write("app.py", apps::ENVIRON);
    let quaich = Quaich::serve_exactly(site, &toml);
    let pass = format!(
        "location / {{ proxy_pass http://unix:{}/web.sock; proxy_http_version 1.1; \
         proxy_set_header Host $host; proxy_set_header X-Forwarded-For 192.0.2.9; \
         proxy_set_header X-Forwarded-Proto https; }}",
        quaich.site().path().display()
    );
    let Some(_nginx) = nginx(&front, &pass) else {
        return;
    };
    let mut client = RawClient::connect_unix(&front.join("nginx.sock"));
    client.send("GET /a HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    let environ = client.response().json();
    assert_eq!(environ["HTTP_HOST"], "shop.test");
    assert_eq!(environ["REMOTE_ADDR"], "192.0.2.9");
    assert_eq!(environ["wsgi.url_scheme"], "https");
}

const WEBSOCKET_SERVER: &str = r#"
from websockets.sync.server import serve

def echo(connection):
    for message in connection:
        connection.send(message)

with serve(echo, "127.0.0.1", 0) as server:
    print("port", server.socket.getsockname()[1], flush=True)
    server.serve_forever()
"#;

const WEBSOCKET_CLIENT: &str = r#"
import sys
from websockets.sync.client import connect

with connect(sys.argv[1]) as connection:
    for message in ("hello", "x" * 300_000, b"\x00\xff" * 1000):
        connection.send(message)
        assert connection.recv() == message
    connection.ping().wait(10)
print("all echoed")
"#;

#[test]
fn a_websocket_library_speaks_through_quaich() {
    if !requires_python(&["websockets"]) {
        return;
    }
    let server = Peer::start(Command::new(python()).args(["-c", WEBSOCKET_SERVER]));
    let port = server.log().wait_for("port ").replace("port ", "");
    let toml = format!("[site.main]\nproxy = \"http://127.0.0.1:{port}\"\n");
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let url = format!("ws://{}/chat", quaich.addr());
    let client = Command::new(python())
        .args(["-c", WEBSOCKET_CLIENT, &url])
        .output();
    let client = client.expect("python can be started");
    let said = String::from_utf8_lossy(&client.stdout);
    assert_eq!(
        said,
        "all echoed\n",
        "{}",
        String::from_utf8_lossy(&client.stderr)
    );
}
