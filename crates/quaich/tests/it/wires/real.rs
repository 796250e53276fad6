//! quaich in front of uWSGI, gunicorn, php-fpm and flup.

use std::process::Command;

use quaich_testkit::{Quaich, TempSite, eventually, python, requires_python};

use super::peers;
use crate::apps;

fn proxy(url: &str) -> Quaich {
    Quaich::serve(
        TempSite::new(),
        &format!("[site.main]\nproxy = \"{url}\"\n"),
    )
}

#[test]
fn uwsgi_serves_over_tcp() {
    let folder = TempSite::new();
    folder.write("app.py", apps::ENVIRON);
    let Some(server) = peers::uwsgi_tcp(&folder) else {
        return;
    };
    let quaich = proxy(&server.url);
    for n in 0..20 {
        let environ = quaich.get(&format!("/a%20b?n={n}")).json();
        assert_eq!(environ["PATH_INFO"], "/a b");
        assert_eq!(environ["SCRIPT_NAME"], "");
        assert_eq!(environ["QUERY_STRING"], format!("n={n}"));
        assert_eq!(environ["REMOTE_ADDR"], "127.0.0.1");
        assert_eq!(environ["wsgi.url_scheme"], "http");
    }
}

/// Looks at every protocol through `url_for` of a framework would: mounted, the path comes together
/// again.
#[test]
fn a_mounted_app_knows_where_it_is() {
    let folder = TempSite::new();
    folder.write("app.py", apps::ENVIRON);
    let servers = [
        peers::uwsgi(&folder, &[]),
        peers::flup_fastcgi(&folder),
        peers::flup_scgi(&folder),
    ];
    for server in servers.iter().flatten() {
        let toml = format!(
            "[[site.main.route]]\nprefix = \"/m\"\nproxy = \"{}\"\n",
            server.url
        );
        let quaich = Quaich::serve(TempSite::new(), &toml);
        for (path, rest) in [("/m", ""), ("/m/", "/"), ("/m/a", "/a")] {
            let environ = quaich.get(path).json();
            assert_eq!(environ["SCRIPT_NAME"], "/m", "{} {path}", server.url);
            // flup leaves an empty one out, as the WSGI rules allow.
            let path_info = environ["PATH_INFO"].as_str().unwrap_or_default();
            assert_eq!(path_info, rest, "{} {path}", server.url);
        }
        quaich.get("/mx").expect_status(404);
    }
}

const WEBSOCKET_APP: &str = "
import uwsgi

def application(environ, start_response):
    uwsgi.websocket_handshake(environ['HTTP_SEC_WEBSOCKET_KEY'])
    while True:
        message = uwsgi.websocket_recv()
        uwsgi.websocket_send(message)
";

const WEBSOCKET_CLIENT: &str = "
import sys
from websockets.sync.client import connect

with connect(sys.argv[1], compression=None) as connection:
    for message in ('hello', 'x' * 100_000):
        connection.send(message)
        assert connection.recv() == message
print('all echoed')
";

#[test]
fn a_websocket_goes_through_to_uwsgi() {
    if !requires_python(&["websockets"]) {
        return;
    }
    let folder = TempSite::new();
    folder.write("app.py", WEBSOCKET_APP);
    let Some(server) = peers::uwsgi(&folder, &[]) else {
        return;
    };
    let quaich = proxy(&server.url);
    let url = format!("ws://{}/chat", quaich.addr());
    let client = Command::new(python())
        .args(["-c", WEBSOCKET_CLIENT, &url])
        .output();
    let client = client.expect("python can be started");
    let said = String::from_utf8_lossy(&client.stdout);
    let wrong = String::from_utf8_lossy(&client.stderr);
    assert_eq!(
        said,
        "all echoed\n",
        "{wrong}\n{}",
        server.peer.log().text()
    );
}

const ENCODED: &str = "
def application(environ, start_response):
    start_response('200 OK', [('uWSGI-Encoding', 'gzip'), ('X-Kept', 'yes')])
    return [b'plain']
";

#[test]
fn words_between_an_app_and_its_router_are_taken_away() {
    let folder = TempSite::new();
    folder.write("app.py", ENCODED);
    let Some(server) = peers::uwsgi(&folder, &[]) else {
        return;
    };
    let response = proxy(&server.url).get("/");
    response.expect_body("plain").expect_header("x-kept", "yes");
    assert_eq!(response.header("uwsgi-encoding"), None);
}

const PHP: &str = r#"<?php
header('X-Seen: ' . $_SERVER['REQUEST_METHOD']);
$what = basename($_SERVER['REQUEST_URI']);
if ($what == 'none') { http_response_code(204); exit; }
if ($what == 'elsewhere') { header('Location: /next'); exit; }
if ($what == 'missing') { http_response_code(404); echo 'not here'; exit; }
if ($what == 'complain') { error_log('something is wrong'); echo 'said'; exit; }
if ($what == 'large') { for ($i = 0; $i < 2000; $i++) { echo str_repeat(chr($i % 251), 1000); } exit; }
if ($what == 'sockets') {
    foreach (glob('/proc/self/fd/*') as $fd) {
        $link = @readlink($fd);
        if (str_starts_with($link, 'socket:')) echo $link, ' ';
    }
    exit;
}
$body = file_get_contents('php://input');
echo json_encode(['server' => $_SERVER, 'length' => strlen($body), 'md5' => md5($body), 'post' => $_POST]);
"#;

fn php(keys: &str) -> Option<(peers::Server, Quaich)> {
    let folder = TempSite::new();
    let script = folder.write("index.php", PHP);
    let server = peers::php_fpm(&folder)?;
    let toml = format!(
        "threads = 1\n[upstream.php]\nparams = \"nginx\"\n{keys}\nservers = [\"{}\"]\n\
         [[site.main.route]]\nupstream = \"php\"\nvariables = {{ SCRIPT_FILENAME = \"{}\" }}\n",
        server.url,
        script.display()
    );
    // The folder goes with the front.
    Some((server, Quaich::serve(folder, &toml)))
}

#[test]
fn php_sees_what_it_knows_from_nginx() {
    let Some((_server, quaich)) = php("") else {
        return;
    };
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let seen = quaich
        .request("POST", "/a/b.php?q=1", form, b"name=Ailsa")
        .json();
    assert_eq!(seen["post"]["name"], "Ailsa");
    let server = &seen["server"];
    assert_eq!(server["SCRIPT_NAME"], "/a/b.php");
    assert_eq!(server["REQUEST_URI"], "/a/b.php?q=1");
    assert_eq!(server["HTTP_HOST"], "test");
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let seen = quaich
        .request("POST", "/", "Content-Type: x/y\r\n", &body)
        .json();
    assert_eq!(seen["length"], 3_000_000);
}

#[test]
fn php_answers_over_one_kept_connection() {
    let Some((_server, quaich)) = php("keepalive = 1") else {
        return;
    };
    // One worker, whose connection is open while it answers.
    let sockets = quaich.get("/sockets").text();
    assert!(sockets.contains("socket:"), "{sockets}");
    for _ in 0..5 {
        quaich.get("/none").expect_status(204).expect_body("");
        let moved = quaich.get("/elsewhere");
        moved.expect_status(302).expect_header("location", "/next");
        quaich
            .get("/missing")
            .expect_status(404)
            .expect_body("not here");
        let head = quaich.request("HEAD", "/x", "", b"");
        head.expect_status(200)
            .expect_body("")
            .expect_header("x-seen", "HEAD");
        let large = quaich.get("/large");
        assert!(large.complete && large.body.len() == 2_000_000);
    }
    assert_eq!(quaich.get("/sockets").text(), sockets);
}

/// The pool has one child: a connection that a request leaves behind would keep it from the checks, and
/// the first check brings the server in.
#[test]
fn checks_and_requests_share_the_one_child_of_a_pool() {
    for params in ["nginx", "apache"] {
        let folder = TempSite::new();
        let script = folder.write("index.php", PHP);
        let Some(server) = peers::php_fpm(&folder) else {
            return;
        };
        let health = "{ path = \"/ping\", body = \"pong\", every = \"20ms\", initial = \"down\" }";
        let toml = format!(
            "[upstream.php]\nparams = \"{params}\"\nhealth = {health}\nservers = [\"{}\"]\n\
             [[site.main.route]]\nupstream = \"php\"\nvariables = {{ SCRIPT_FILENAME = \"{}\" }}\n",
            server.url,
            script.display()
        );
        let quaich = Quaich::serve(folder, &toml);
        eventually("the check succeeds", || {
            (quaich.get("/none").status == 204).then_some(())
        });
        let checked = || quaich.status()["upstreams"][0]["servers"][0]["last_check"].clone();
        for _ in 0..5 {
            quaich.get("/none").expect_status(204);
            let before = checked();
            let after = eventually("another check", || {
                Some(checked()).filter(|check| check["took_ms"] != before["took_ms"])
            });
            assert_eq!(after["well"], true, "{params}: {after}");
        }
    }
}

#[test]
fn complaints_of_php_are_logged() {
    let Some((_server, quaich)) = php("") else {
        return;
    };
    quaich.get("/complain").expect_body("said");
    quaich.log().wait_for("PHP message: something is wrong");
}
