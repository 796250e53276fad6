//! The PROXY protocol: who the client is behind a proxy that passes bytes on, told to quaich and told
//! by quaich. HAProxy and nginx on the other side where they can be.

use std::net::SocketAddr;

use quaich_testkit::{Ca, Origin, Peer, Quaich, RawClient, TempSite, TlsClient};

use crate::cgi_listeners::packet;
use crate::{haproxy, peers};

/// Passes everything to `origin`; `server` are lines of `[server]`.
fn serve(server: &str, origin: &Origin) -> Quaich {
    let site = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    Quaich::serve(TempSite::new(), &format!("{server}\n{site}"))
}

const TRUSTING: &str = "trust = [\"127.0.0.0/8\"]\nproxy_protocol = \"require\"";
const V1: &[u8] = b"PROXY TCP4 203.0.113.9 198.51.100.7 56324 8443\r\n";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n";

/// The same in version 2, with a checksum that is right if `sum` is.
fn v2(sum: u32) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13".to_vec();
    header.extend([203, 0, 113, 9, 198, 51, 100, 7, 0xdc, 0x04, 0x20, 0xfb]);
    header.extend([3, 0, 4]);
    header.extend(sum.to_be_bytes());
    header
}

/// Of the header of `v2`.
const SUM: u32 = 0x2334fed7;

fn local() -> Vec<u8> {
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec()
}

fn refused(quaich: &Quaich) -> u64 {
    quaich.status()["front"]["counters"]["proxy_refused"]
        .as_u64()
        .unwrap_or_else(|| panic!("no such counter: {}", quaich.status()))
}

#[test]
fn a_trusted_proxy_says_who_the_client_is() {
    let origin = Origin::ok();
    let quaich = serve(TRUSTING, &origin);
    for header in [V1.to_vec(), v2(SUM)] {
        let mut client = quaich.raw();
        client.send([&header[..], GET].concat());
        client.response().expect_status(200);
        let mut client = quaich.raw();
        client.send_bytewise(&header).send(GET);
        client.response().expect_status(200);
    }
    for request in origin.requests() {
        assert_eq!(request.header("x-forwarded-for"), Some("203.0.113.9"));
        assert_eq!(request.header("x-forwarded-port"), Some("8443"));
    }
    assert_eq!(origin.requests().len(), 4);
    quaich.log().wait_for_count(4, "203.0.113.9");
    // Health checks, and clients that the proxy cannot name.
    for header in [local(), b"PROXY UNKNOWN\r\n".to_vec()] {
        let mut client = quaich.raw();
        client.send([&header[..], GET].concat());
        client.response().expect_status(200);
        let request = origin.requests().pop().expect("a request");
        assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    }
}

#[test]
fn a_proxy_that_must_say_it_and_does_not_is_not_served() {
    let origin = Origin::ok();
    let quaich = serve(&format!("{TRUSTING}\nheader_timeout = \"300ms\""), &origin);
    let too_long = [b"PROXY UNKNOWN ", &[b'x'; 100][..]].concat();
    for bytes in [GET, b"PROXY TCP4 x\r\n", &v2(!SUM), &too_long, b"PRO"] {
        let mut client = quaich.raw();
        client.send(bytes).half_close();
        assert_eq!(client.rest(), b"", "{bytes:?}");
    }
    // Said too slowly, and not at all.
    for bytes in [&b"PROXY TCP4 203."[..], b""] {
        assert_eq!(quaich.raw().send(bytes).rest(), b"");
    }
    assert_eq!((refused(&quaich), origin.requests().len()), (7, 0));
}

#[test]
fn nobody_else_may_say_it() {
    let origin = Origin::ok();
    let trust = "trust = [\"192.0.2.0/24\"]\nproxy_protocol";
    let strict = serve(&format!("{trust} = \"require\""), &origin);
    let mut client = strict.raw();
    client.send([V1, GET].concat());
    assert_eq!(client.rest(), b"");
    assert_eq!((refused(&strict), origin.requests().len()), (1, 0));
    strict.log().wait_for("`trust` only");
    let lenient = serve(&format!("{trust} = \"accept\""), &origin);
    let mut client = lenient.raw();
    client.send([V1, GET].concat());
    client.response().expect_status(400);
    lenient.get("/").expect_status(200);
    let off = serve("trust = [\"127.0.0.0/8\"]", &origin);
    let mut client = off.raw();
    client.send([V1, GET].concat());
    client.response().expect_status(400);
}

#[test]
fn with_accept_a_trusted_peer_may_say_it_or_not() {
    let origin = Origin::ok();
    let quaich = serve(
        "trust = [\"127.0.0.0/8\"]\nproxy_protocol = \"accept\"",
        &origin,
    );
    quaich.get("/").expect_status(200);
    quaich.request("PROPFIND", "/", "", b"").expect_status(200);
    let mut client = quaich.raw();
    client.send_bytewise(V1).send(GET);
    client.response().expect_status(200);
    let from: Vec<_> = origin
        .requests()
        .iter()
        .map(|r| r.header("x-forwarded-for").map(str::to_owned))
        .collect();
    let from: Vec<_> = from.iter().flatten().map(String::as_str).collect();
    assert_eq!(from, ["127.0.0.1", "127.0.0.1", "203.0.113.9"]);
}

#[test]
fn limits_count_the_client_and_not_the_proxy() {
    let origin = Origin::ok();
    let quaich = serve(&format!("{TRUSTING}\nmax_per_ip = 1"), &origin);
    let keep = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let connect = |last: u8| {
        let header = format!("PROXY TCP4 203.0.113.{last} 198.51.100.7 1 80\r\n");
        let mut client = quaich.raw();
        client.send(header).send(keep);
        client
    };
    let mut one = connect(1);
    one.response().expect_status(200);
    let mut two = connect(2);
    two.response().expect_status(200);
    assert_eq!(connect(1).rest(), b"");
    drop(one);
    let reached = || connect(1).response_or_end();
    quaich_testkit::eventually("the place of a client that has left", reached);
}

/// HAProxy that passes bytes on to `quaich`, and where it listens.
fn in_front_of(quaich: &Quaich, site: &TempSite, how: &str) -> Option<(Peer, SocketAddr)> {
    let listen = "listen front\n mode tcp\n bind fd@0\n";
    let server = format!(" server quaich {} {how}\n", quaich.addr());
    haproxy::in_front(site, &format!("{listen}{server}"))
}

/// Fails unless the last request came through HAProxy at `addr`: its port is where the client has
/// connected to.
fn expect_through(origin: &Origin, addr: SocketAddr, proto: &str) {
    let request = origin.requests().pop().expect("a request");
    let port = addr.port().to_string();
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.header("x-forwarded-port"), Some(&*port));
    assert_eq!(request.header("x-forwarded-proto"), Some(proto));
}

#[test]
fn haproxy_says_it_in_both_versions() {
    let origin = Origin::ok();
    let quaich = serve(TRUSTING, &origin);
    for how in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"] {
        let folder = TempSite::new();
        let Some((_haproxy, addr)) = in_front_of(&quaich, &folder, how) else {
            return;
        };
        let mut client = RawClient::connect(addr);
        client.send(GET);
        client.response().expect_status(200);
        expect_through(&origin, addr, "http");
    }
}

#[test]
fn it_comes_before_tls() {
    let origin = Origin::ok();
    let (site, ca) = (TempSite::new(), Ca::new("PROXY"));
    ca.server(&["test"]).write(&site, "shop");
    let toml = format!(
        "{TRUSTING}\ntls = true\n[tls.cert.shop]\ncert = \"shop.crt\"\nkey = \"shop.key\"\n\
         [site.main]\nproxy = \"{}\"\n",
        origin.url()
    );
    let quaich = Quaich::serve(site, &toml);
    let folder = TempSite::new();
    let Some((_haproxy, addr)) = in_front_of(&quaich, &folder, "send-proxy-v2") else {
        return;
    };
    let mut client = RawClient::connect_tls(addr, &TlsClient::believing(&ca));
    client.send(GET);
    client.response().expect_status(200);
    expect_through(&origin, addr, "https");
}

#[test]
fn a_client_that_speaks_tls_with_the_proxy_speaks_https() {
    let origin = Origin::ok();
    let quaich = serve(TRUSTING, &origin);
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14".to_vec();
    header.extend([203, 0, 113, 9, 198, 51, 100, 7, 0xdc, 0x04, 1, 0xbb]);
    header.extend([0x20, 0, 5, 1, 0, 0, 0, 0]);
    let mut client = quaich.raw();
    client.send(header).send(GET);
    client.response().expect_status(200);
    let request = origin.requests().pop().expect("a request");
    assert_eq!(request.header("x-forwarded-proto"), Some("https"));
}

#[test]
fn haproxy_and_nginx_are_told_it_in_both_versions() {
    for version in ["v1", "v2"] {
        let folder = TempSite::new();
        let config = "frontend f\n mode http\n bind unix@haproxy.sock accept-proxy\n \
                      http-request return status 200 content-type text/plain lf-string %ci:%cp\n";
        let Some(_haproxy) = haproxy::behind(&folder, config) else {
            return;
        };
        expect_told(version, &folder.join("haproxy.sock"));
        let folder = TempSite::new();
        let answer = "location / { return 200 $proxy_protocol_addr:$proxy_protocol_port; }";
        let Some(_nginx) = peers::nginx_at(&folder, answer, "proxy_protocol") else {
            return;
        };
        expect_told(version, &folder.join("nginx.sock"));
    }
}

/// Fails unless the server at `socket`, which answers with the client's address, knows it.
fn expect_told(version: &str, socket: &std::path::Path) {
    let toml = format!(
        "[upstream.told]\nservers = [\"http+unix:{}\"]\nsend_proxy = \"{version}\"\n\
         [site.main]\nupstream = \"told\"\n",
        socket.display()
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    for _ in 0..2 {
        let mut client = quaich.raw();
        let mine = client.local_addr().to_string();
        client.get("/").expect_status(200).expect_body(&mine);
    }
}

#[test]
fn what_was_told_is_told_on_and_no_connection_serves_two_clients() {
    let origin = Origin::start(|talk| {
        // The line of the header, then the request.
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            match talk.read() {
                more if more.is_empty() => return,
                more => seen.extend(more),
            }
        }
        talk.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        talk.read();
    });
    let toml = format!(
        "{TRUSTING}\n[upstream.told]\nservers = [\"{}\"]\nsend_proxy = \"v1\"\n\
         [site.main]\nupstream = \"told\"\n",
        origin.url()
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let mut client = quaich.raw();
    client.send(V1);
    for _ in 0..2 {
        client.get("/").expect_body("ok");
    }
    origin.wait_for_ends(2);
    let raw = String::from_utf8_lossy(&origin.raw()).into_owned();
    let told = String::from_utf8_lossy(V1);
    assert_eq!(raw.matches(&*told).count(), 2, "{raw}");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn a_server_is_told_of_a_client_that_came_by_a_socket() {
    let told = b"PROXY TCP4 192.0.2.9 0.0.0.0 4711 8443\r\n";
    let origin = Origin::start(move |talk| {
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            match talk.read() {
                more if more.is_empty() => return,
                more => seen.extend(more),
            }
        }
        assert!(seen.starts_with(told), "{}", seen.escape_ascii());
        talk.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        talk.read();
    });
    let tables = format!(
        "[upstream.told]\nservers = [\"{}\"]\nsend_proxy = \"v1\"\n[site.main]\nupstream = \"told\"\n",
        origin.url()
    );
    let listener = "[[server.listener]]\naddr = \"unix:app.sock\"\nprotocols = [\"uwsgi\"]\n";
    let quaich = Quaich::serve(TempSite::new(), &format!("{listener}{tables}"));
    let variables = [
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/"),
        ("HTTP_HOST", "shop.test"),
        ("REMOTE_ADDR", "192.0.2.9"),
        ("REMOTE_PORT", "4711"),
        ("SERVER_PORT", "8443"),
    ];
    let mut client = RawClient::connect_unix(&quaich.site().join("app.sock"));
    client.send(packet(&variables));
    let answer = client.rest();
    assert!(answer.ends_with(b"\r\n\r\nok"), "{}", answer.escape_ascii());
}
