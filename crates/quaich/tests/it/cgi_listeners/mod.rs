//! Listeners with uwsgi, FastCGI and SCGI: quaich where an application server would stand, behind
//! nginx and uWSGI's routers, and what it makes of packets that none of them would send.

mod fastcgi;

use std::process::Command;

use quaich_testkit::{Origin, Peer, Quaich, RawClient, TempSite, eventually};

use crate::{apps, peers};
use fastcgi::{begin, record};

const WIRES: [&str; 3] = ["uwsgi", "fastcgi", "scgi"];

/// What web servers tell of a request.
const PARAMS: [(&str, &str); 11] = [
    ("REQUEST_METHOD", "$request_method"),
    ("REQUEST_URI", "$request_uri"),
    ("QUERY_STRING", "$query_string"),
    ("CONTENT_TYPE", "$content_type"),
    ("CONTENT_LENGTH", "$content_length"),
    ("SERVER_PROTOCOL", "$server_protocol"),
    ("REMOTE_ADDR", "192.0.2.9"),
    ("REMOTE_PORT", "4711"),
    ("REQUEST_SCHEME", "https"),
    ("SERVER_NAME", "$server_name"),
    ("SERVER_PORT", "8443"),
];

const APP: &str = r#"
import json

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (b"%07d\n" % n for n in range(100_000))
    if path == "/broken":
        start_response("200 OK", [("Content-Length", "9000000")])
        return (piece for piece in [b"x" * 4_000_000, 1])
    if path == "/fails":
        raise RuntimeError("no")
    if path == "/empty":
        start_response("204 No Content", [])
        return []
    body = environ["wsgi.input"].read()
    kept = {k: v for k, v in environ.items() if isinstance(v, str)}
    kept["length"] = len(body)
    kept["sum"] = sum(body)
    start_response("201 Created", [("Content-Type", "application/json"), ("X-Own", "a, b")])
    return [json.dumps(kept).encode()]
"#;

/// quaich at `app.sock` of its folder, speaking `wire`; `tables` say what it serves.
fn serve(site: TempSite, wire: &str, tables: &str) -> Quaich {
    let toml = format!(
        "[admin]\nlisten = \"unix:quaich.sock\"\n[[server.listener]]\naddr = \"unix:app.sock\"\n\
         protocols = [\"{wire}\"]\n{tables}\n"
    );
    Quaich::serve_exactly(site, &toml)
}

fn serve_app(wire: &str) -> Quaich {
    let site = TempSite::new();
    site.write("app.py", APP);
    site.write("www/large.bin", large());
    let app = apps::table("workers = 1\nthreads = 2");
    let main = "[site.main]\napp = \"main\"\n[[site.main.route]]\npath = \"/files/*\"\n\
                prefix = \"/files\"\nfiles = { root = \"www\" }\n";
    serve(site, wire, &format!("{app}{main}"))
}

fn large() -> Vec<u8> {
    (0..1_500_000_u32).map(|n| (n % 241) as u8).collect()
}

fn direct(quaich: &Quaich) -> RawClient {
    RawClient::connect_unix(&quaich.site().join("app.sock"))
}

/// nginx that passes all to `socket`.
fn nginx(site: &TempSite, wire: &str, socket: &std::path::Path, more: &str) -> Option<Peer> {
    // Over SCGI the length comes first, from nginx itself, and the version is asked for.
    let scgi = wire == "scgi";
    let own = scgi.then_some(("SCGI", "1"));
    let params: String = PARAMS
        .iter()
        .filter(|(name, _)| !(scgi && *name == "CONTENT_LENGTH"))
        .chain(own.iter())
        .map(|(name, value)| format!("{wire}_param {name} {value}; "))
        .collect();
    let pass = format!("{wire}_pass unix:{};", socket.display());
    peers::nginx(
        site,
        &format!("client_max_body_size 0; location / {{ {pass} {params} {more} }}"),
    )
}

#[test]
fn nginx_passes_requests_on() {
    for wire in WIRES {
        let quaich = serve_app(wire);
        let front = TempSite::new();
        let socket = quaich.site().join("app.sock");
        let Some(_nginx) = nginx(&front, wire, &socket, "") else {
            return;
        };
        expect_served(&front.join("nginx.sock"), wire);
    }
}

#[test]
fn nginx_passes_requests_on_over_kept_connections_and_as_they_come() {
    let quaich = serve_app("fastcgi");
    let front = TempSite::new();
    let socket = quaich.site().join("app.sock");
    let keep = "fastcgi_keep_conn on; fastcgi_request_buffering off; fastcgi_buffering off;";
    let Some(_nginx) = nginx(&front, "fastcgi", &socket, keep) else {
        return;
    };
    expect_served(&front.join("nginx.sock"), "fastcgi");
}

/// What a client of the web server at `socket` sees.
fn expect_served(socket: &std::path::Path, wire: &str) {
    let client = || RawClient::connect_unix(socket);
    let mut kept = client();
    kept.send(
        "GET /a%20b/c?x=1&y=%2F HTTP/1.1\r\nHost: shop.test\r\nX-Two: 1\r\nCookie: a=b\r\n\r\n",
    );
    let answer = kept.response();
    answer.expect_status(201).expect_header("x-own", "a, b");
    let environ = answer.json();
    for (name, value) in [
        ("REQUEST_METHOD", "GET"),
        ("PATH_INFO", "/a b/c"),
        ("QUERY_STRING", "x=1&y=%2F"),
        ("HTTP_HOST", "shop.test"),
        ("HTTP_X_TWO", "1"),
        ("HTTP_COOKIE", "a=b"),
        ("REMOTE_ADDR", "192.0.2.9"),
        ("wsgi.url_scheme", "https"),
        ("SERVER_PORT", "8443"),
    ] {
        assert_eq!(environ[name], value, "{name} over {wire}");
    }
    let body = large();
    let sum: u64 = body.iter().map(|b| u64::from(*b)).sum();
    for _ in 0..2 {
        kept.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ));
        kept.send(&body);
        let environ = kept.response().json();
        assert_eq!(
            (&environ["length"], &environ["sum"]),
            (&body.len().into(), &sum.into())
        );
    }
    kept.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    let stream = kept.response();
    assert!(stream.complete && stream.body.len() == 800_000, "{wire}");
    kept.send("HEAD /files/large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = kept.response_to("HEAD");
    head.expect_status(200)
        .expect_header("content-length", "1500000");
    kept.send("GET /files/large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(kept.response().body == body, "a file over {wire}");
    kept.send("GET /files/none HTTP/1.1\r\nHost: a\r\n\r\n");
    kept.response().expect_status(404);
    kept.send("GET /fails HTTP/1.1\r\nHost: a\r\n\r\n");
    kept.response().expect_status(500);
    kept.send("GET /empty HTTP/1.1\r\nHost: a\r\n\r\n");
    kept.response().expect_status(204);
}

#[test]
fn uwsgi_routers_pass_requests_on() {
    if !std::path::Path::new("/usr/lib/uwsgi/plugins/http_plugin.so").exists() {
        eprintln!("skipped: uWSGI's routers are not installed (apt-get install uwsgi-core)");
        return;
    }
    let quaich = serve_app("uwsgi");
    let folder = TempSite::new();
    let app = quaich.site().join("app.sock");
    for router in ["http", "fastrouter"] {
        let socket = folder.join(&format!("{router}.sock"));
        let _uwsgi = Peer::start(
            Command::new("uwsgi")
                .args(["--master", "--plugin", router, &format!("--{router}")])
                .arg(&socket)
                .arg(format!("--{router}-to"))
                .arg(&app),
        );
        eventually("a router of uWSGI", || {
            std::os::unix::net::UnixStream::connect(&socket).ok()
        });
        let front = TempSite::new();
        let (_nginx, socket) = match router {
            "http" => (None, socket),
            _ => match nginx(&front, "uwsgi", &socket, "") {
                Some(nginx) => (Some(nginx), front.join("nginx.sock")),
                None => return,
            },
        };
        let mut client = RawClient::connect_unix(&socket);
        client.send("POST /x?y HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\n\r\nhello");
        let answer = client.response();
        let environ = answer.json();
        assert_eq!(environ["HTTP_HOST"], "shop.test", "{router}");
        assert_eq!(environ["PATH_INFO"], "/x", "{router}");
        assert_eq!(environ["length"], 5, "{router}");
    }
}

/// A packet of uwsgi.
pub(crate) fn packet(variables: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in variables {
        for text in [name, value] {
            block.extend((text.len() as u16).to_le_bytes());
            block.extend(text.as_bytes());
        }
    }
    let mut packet = vec![0];
    packet.extend((block.len() as u16).to_le_bytes());
    packet.push(0);
    packet.extend(block);
    packet
}

const GET: [(&str, &str); 3] = [
    ("REQUEST_METHOD", "GET"),
    ("REQUEST_URI", "/x?y"),
    ("HTTP_HOST", "shop.test"),
];

#[test]
fn variables_make_one_request_and_no_other() {
    let origin = Origin::ok();
    let site = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    let quaich = serve(TempSite::new(), "uwsgi", &site);
    let status = |more: &[(&str, &str)]| {
        let mut client = direct(&quaich);
        client.send(packet(&[&GET, more].concat()));
        client.response_or_end().map(|answer| answer.status)
    };
    assert_eq!(status(&[]), Some(200));
    // Nothing of these reaches the server as what it would be there.
    let harmless = [
        ("HTTP_TRANSFER_ENCODING", "chunked"),
        ("HTTP_CONTENT_LENGTH", "7"),
        ("HTTP_CONNECTION", "upgrade"),
        ("HTTP_UPGRADE", "h2c"),
        ("UWSGI_FILE", "/etc/passwd"),
    ];
    assert_eq!(status(&harmless), Some(200));
    let seen = origin.requests().pop().expect("a request");
    for name in [
        "transfer-encoding",
        "content-length",
        "upgrade",
        "connection",
    ] {
        assert_eq!(seen.header(name), None, "{name} in {}", seen.head);
    }
    let count = origin.requests().len();
    for bad in [
        ("CONTENT_LENGTH", "5x"),
        ("CONTENT_LENGTH", "-1"),
        ("REQUEST_URI", "/a b"),
        ("REQUEST_URI", "/%00"),
        ("REQUEST_METHOD", "GET / HTTP/1.1\r\nX:"),
        ("HTTP_X", "a\r\nEvil: 1"),
        ("HTTP_X Y", "1"),
        ("HTTP_HOST", "a/b"),
        ("REQUEST_METHOD", "CONNECT"),
    ] {
        let status = status(&[bad]);
        assert!(matches!(status, Some(400 | 405)), "{bad:?}: {status:?}");
    }
    assert_eq!(origin.requests().len(), count);
    // The last one of a name counts, and the key of a router names the host.
    assert_eq!(status(&[("REQUEST_URI", "/last")]), Some(200));
    assert_eq!(
        origin.requests().pop().map(|r| r.target().to_owned()),
        Some("/last".into())
    );
    assert_eq!(status(&[("UWSGI_FASTROUTER_KEY", "key.test")]), Some(200));
    let seen = origin.requests().pop().expect("a request");
    assert_eq!(seen.header("host"), Some("key.test"));
}

#[test]
fn what_is_no_request_is_not_answered() {
    let origin = Origin::ok();
    let site = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    let overlong = {
        let mut packet = packet(&GET);
        packet[4] = 0xff;
        packet
    };
    for (wire, inputs) in [
        (
            "uwsgi",
            vec![
                &b"\xad\x00\x00\x00"[..],
                b"\xe0\x10\x00\x00",
                &overlong,
                b"GET / HTTP/1.1\r\n\r\n",
            ],
        ),
        (
            "scgi",
            vec![
                &b"999999999999:"[..],
                b"3:abc;",
                b"GET / HTTP/1.1\r\n\r\n",
                b"24:CONTENT_LENGTH\0x\0SCGI\x001\0,",
            ],
        ),
        (
            "fastcgi",
            vec![
                &b"\x02\x01\0\x01\0\0\0\0"[..],
                b"\x01\x04\0\x07\0\0\0\0",
                b"GET / HTTP/1.1\r\n\r\n",
            ],
        ),
    ] {
        let quaich = serve(TempSite::new(), wire, &site);
        for input in &inputs {
            let mut client = direct(&quaich);
            client.send(input);
            assert_eq!(client.rest(), b"", "{wire}: {}", input.escape_ascii());
        }
        let rejected = quaich.status()["front"]["counters"]["rejected"].clone();
        assert_eq!(rejected, inputs.len(), "{wire}");
    }
    assert_eq!(origin.requests().len(), 0);
    let quaich = serve(TempSite::new(), "uwsgi", &site);
    let mut ping = direct(&quaich);
    ping.send([100, 0, 0, 0]);
    assert_eq!(ping.rest(), [100, 0, 0, 1]);
}

/// A request of SCGI.
fn scgi(target: &str) -> Vec<u8> {
    let block = format!(
        "CONTENT_LENGTH\x000\0SCGI\x001\0REQUEST_METHOD\0GET\0REQUEST_URI\0{target}\0HTTP_HOST\0a\0"
    );
    format!("{}:{block},", block.len()).into_bytes()
}

#[test]
fn a_web_server_that_closes_has_left() {
    for wire in WIRES {
        let origin = Origin::start(|talk| {
            talk.request();
            while !talk.read().is_empty() {}
        });
        let url = origin.url();
        let site = format!(
            "[upstream.up]\nqueue_timeout = \"60s\"\n[[upstream.up.server]]\nurl = \"{url}\"\n\
             max_conns = 1\n[site.main]\nupstream = \"up\"\n"
        );
        let quaich = serve(TempSite::new(), wire, &site);
        let ask = |target| {
            let mut client = direct(&quaich);
            client.send(match wire {
                "uwsgi" => packet(&[&GET[..], &[("REQUEST_URI", target)]].concat()),
                "fastcgi" => [begin(1, target), record(5, 1, b"")].concat(),
                _ => scgi(target),
            });
            client
        };
        let queued = |count: u64| {
            eventually("requests in the queue", || {
                (quaich.status()["upstreams"][0]["queued"] == count).then_some(())
            });
        };
        let held = ask("/held");
        origin.wait_for_requests(1);
        let waiting = [ask("/one"), ask("/two")];
        queued(2);
        drop(waiting);
        queued(0);
        drop(held);
        origin.wait_for_ends(1);
        assert_eq!(origin.requests().len(), 1, "over {wire}");
    }
}

#[test]
fn who_asks_without_end_beside_a_request_is_left() {
    let origin = Origin::start(|talk| {
        talk.request();
        while !talk.read().is_empty() {}
    });
    let site = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    let quaich = serve(TempSite::new(), "fastcgi", &site);
    let mut client = direct(&quaich);
    client.send([begin(1, "/slow"), record(5, 1, b"")].concat());
    origin.wait_for_requests(1);
    // Each has an answer of sixteen bytes: more than 64 KiB of them.
    client.send(record(77, 0, b"").repeat(5000));
    origin.wait_for_ends(1);
    quaich.log().wait_for("499");
}

#[test]
fn a_cut_answer_has_no_end() {
    // What web servers make of it is another matter: nginx takes the end of the connection for the end
    // of the answer, whatever its length was said to be.
    let quaich = serve_app("fastcgi");
    let mut client = direct(&quaich);
    client.send([begin(1, "/broken"), record(5, 1, b"")].concat());
    let all = client.rest();
    assert!(
        all.len() > 1_000_000 && all.starts_with(&[1, 6]),
        "{}",
        all.len()
    );
    assert!(!all.ends_with(&[1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    let quaich = serve_app("uwsgi");
    let mut client = direct(&quaich);
    client.send(packet(&[("REQUEST_URI", "/broken"), ("HTTP_HOST", "a")]));
    assert!(!client.response().complete);
    quaich.log().wait_for("truncated");
}
