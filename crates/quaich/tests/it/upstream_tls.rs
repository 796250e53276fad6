//! TLS to upstreams: what is believed, what is chosen, what the log says of what failed. The server
//! is hypercorn.

use std::process::Command;

use quaich_testkit::{Ca, Leaf, Peer, Quaich, TempSite, python, requires_python};

/// Answers with what it was asked; echoes WebSockets.
const APP: &str = r#"
import json

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    answer = json.dumps({
        "version": scope["http_version"],
        "scheme": scope["scheme"],
        "path": scope["path"],
        "host": dict(scope["headers"]).get(b"host", b"").decode(),
        "length": length,
        "client": scope["client"][1],
    }).encode()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
"#;

struct Server {
    peer: Peer,
    port: u16,
}

/// hypercorn with this certificate; `None` when the environment has none.
fn hypercorn(site: &TempSite, leaf: &Leaf, config: &str) -> Option<Server> {
    if !requires_python(&["hypercorn", "h2"]) {
        return None;
    }
    site.write("peer/app.py", APP);
    site.write("peer/chain.pem", &leaf.chain);
    site.write("peer/key.pem", &leaf.key);
    let folder = site.join("peer");
    let settings = "certfile = \"chain.pem\"\nkeyfile = \"key.pem\"\n";
    site.write("peer/settings.py", format!("{settings}{config}\n"));
    let peer = Peer::start(
        Command::new(python())
            .args(["-m", "hypercorn", "-c", "file:settings.py"])
            .args(["-b", "127.0.0.1:0", "app:app"])
            .current_dir(folder),
    );
    let line = peer.log().wait_for("Running on https://127.0.0.1:");
    let (_, port) = line.split_once("127.0.0.1:").expect("it says where");
    let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
    let port = digits.parse().expect("a port");
    Some(Server { peer, port })
}

const HTTP1_ONLY: &str = "alpn_protocols = [\"http/1.1\"]";

/// quaich in front of that server, which it calls `host`.
fn quaich(site: TempSite, host: &str, port: u16, keys: &str) -> Quaich {
    Quaich::serve(
        site,
        &format!(
            "threads = 1\n[upstream.up]\nservers = [\"https://{host}:{port}\"]\n{keys}\n\
             [site.main]\nupstream = \"up\"\n"
        ),
    )
}

/// Starts both; `ca.pem` holds the CA that has signed the server's certificate.
fn pair(names: &[&str], config: &str, host: &str, keys: &str) -> Option<(Server, Quaich)> {
    let (site, ca) = (TempSite::new(), Ca::new("test CA"));
    site.write("ca.pem", ca.pem());
    let server = hypercorn(&site, &ca.server(names), config)?;
    let port = server.port;
    Some((server, quaich(site, host, port, keys)))
}

const OWN_CA: &str = "tls = { ca = \"ca.pem\" }";

#[test]
fn the_server_chooses_http2_when_it_can() {
    let Some((_server, quaich)) = pair(&["localhost"], "", "localhost", OWN_CA) else {
        return;
    };
    let first = quaich.get("/a%20b?c").json();
    assert_eq!(first["version"], "2");
    assert_eq!(first["scheme"], "https");
    assert_eq!(first["path"], "/a b");
    let body = vec![b'x'; 300_000];
    let second = quaich.request("POST", "/", "", &body).json();
    assert_eq!(second["length"], 300_000);
    assert_eq!(second["client"], first["client"], "one connection for both");
}

#[test]
fn http1_is_spoken_when_the_server_knows_no_other() {
    let Some((_server, quaich)) = pair(&["localhost"], HTTP1_ONLY, "localhost", OWN_CA) else {
        return;
    };
    let first = quaich.get("/").json();
    assert_eq!(first["version"], "1.1");
    let body = vec![b'x'; 300_000];
    let second = quaich.request("POST", "/", "", &body).json();
    assert_eq!(second["length"], 300_000);
    assert_eq!(second["client"], first["client"], "the connection is kept");
}

#[test]
fn http2_can_be_ruled_out_or_demanded() {
    let off = format!("h2 = false\n{OWN_CA}");
    let Some((_server, quaich)) = pair(&["localhost"], "", "localhost", &off) else {
        return;
    };
    assert_eq!(quaich.get("/").json()["version"], "1.1");
    let on = format!("h2 = true\n{OWN_CA}");
    let Some((_server, quaich)) = pair(&["localhost"], HTTP1_ONLY, "localhost", &on) else {
        return;
    };
    quaich.get("/").expect_status(502);
    quaich.log().wait_for("TLS with a server failed");
}

#[test]
fn a_check_finds_a_server_without_the_http2_that_requests_demand() {
    let on = format!("h2 = true\nhealth = true\n{OWN_CA}");
    let Some((_server, quaich)) = pair(&["localhost"], HTTP1_ONLY, "localhost", &on) else {
        return;
    };
    let line = quaich.log().wait_for("a server is down");
    assert!(line.contains("it does not choose HTTP/2"), "{line}");
}

#[test]
fn a_certificate_of_an_unknown_ca_is_refused_and_the_log_says_what_to_do() {
    let Some((_server, quaich)) = pair(&["localhost"], "", "localhost", "") else {
        return;
    };
    quaich.get("/").expect_status(502);
    let line = quaich.log().wait_for("TLS with a server failed");
    assert!(line.contains("UnknownIssuer"), "{line}");
    assert!(line.contains("`ca`"), "{line}");
    assert!(line.contains("https://localhost:"), "{line}");
}

#[test]
fn a_certificate_for_another_name_is_refused_unless_that_name_is_asked_for() {
    let names = &["inner.test"];
    let Some((_server, quaich)) = pair(names, "", "localhost", OWN_CA) else {
        return;
    };
    quaich.get("/").expect_status(502);
    quaich.log().wait_for("TLS with a server failed");
    let sni = "tls = { ca = \"ca.pem\", sni = \"inner.test\" }";
    let Some((_server, quaich)) = pair(names, "", "localhost", sni) else {
        return;
    };
    quaich.get("/").expect_status(200);
}

#[test]
fn a_server_may_be_named_by_its_address() {
    let Some((_server, quaich)) = pair(&["127.0.0.1"], "", "127.0.0.1", OWN_CA) else {
        return;
    };
    assert_eq!(quaich.get("/").json()["version"], "2");
}

#[test]
fn verification_can_be_switched_off() {
    let keys = "tls = { verify = false }";
    let Some((_server, quaich)) = pair(&["other.test"], "", "localhost", keys) else {
        return;
    };
    quaich.get("/").expect_status(200);
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_ours() {
    let (site, ca) = (TempSite::new(), Ca::new("test CA"));
    let client = ca.client("quaich");
    site.write("ca.pem", ca.pem());
    site.write("client.pem", &client.chain);
    site.write("client.key", &client.key);
    let config = "import ssl\nverify_mode = ssl.CERT_REQUIRED\nca_certs = \"../ca.pem\"";
    let Some(server) = hypercorn(&site, &ca.server(&["localhost"]), config) else {
        return;
    };
    let keys = "tls = { ca = \"ca.pem\", cert = \"client.pem\", key = \"client.key\" }";
    let quaich = quaich(site, "localhost", server.port, keys);
    quaich.get("/").expect_status(200);
}

#[test]
fn a_server_that_goes_away_is_a_502_and_comes_back_unnoticed() {
    let Some((server, quaich)) = pair(&["localhost"], "", "localhost", OWN_CA) else {
        return;
    };
    quaich.get("/").expect_status(200);
    drop(server.peer);
    quaich.get("/").expect_status(502);
}

#[test]
fn a_websocket_goes_to_an_https_server_over_http1() {
    let Some((_server, quaich)) = pair(&["localhost"], "", "localhost", OWN_CA) else {
        return;
    };
    // The connection that speaks HTTP/2 is not for it.
    assert_eq!(quaich.get("/").json()["version"], "2");
    let mut client = quaich.raw();
    client.send(
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    let head = client.head();
    assert_eq!(head.status, 101);
    assert_eq!(
        head.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    // A text of two bytes, masked with zeroes, and its echo.
    client.send(b"\x81\x82\0\0\0\0hi");
    assert_eq!(client.exactly(4), b"\x81\x02hi");
}

#[test]
fn checks_speak_tls_and_say_what_is_wrong_with_it() {
    let health = "health = { path = \"/\", body = \"https\", initial = \"down\" }";
    let keys = format!("{OWN_CA}\n{health}");
    let Some((server, quaich)) = pair(&["localhost"], "", "localhost", &keys) else {
        return;
    };
    let up = quaich.log().wait_for("a server is up");
    assert!(up.contains("1 check: status 200"), "{up}");
    quaich.get("/").expect_status(200);
    // Connecting alone includes the handshake.
    let connects = "health = true";
    let quaich = self::quaich(TempSite::new(), "localhost", server.port, connects);
    let down = quaich.log().wait_for("a server is down");
    assert!(down.contains("UnknownIssuer"), "{down}");
}
