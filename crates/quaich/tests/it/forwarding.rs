//! Who the client is behind real proxies, each of which writes the chain in its own way.

use quaich_testkit::{Origin, Quaich, RawClient, TempSite};

use crate::{haproxy, peers};

/// What the proxy in front is told of its client, which says itself that it is another.
const CLIENT: &str = "PROXY TCP4 198.51.100.5 192.0.2.1 4711 80\r\n";
const SPOOFED: &str = "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 203.0.113.9\r\n\
                       X-Forwarded-Proto: https\r\nConnection: close\r\n\r\n";

fn behind(origin: &Origin, listen: &str) -> Quaich {
    let toml = format!(
        "[server]\nlisten = [\"{listen}\"]\ntrust = [\"127.0.0.0/8\"]\n[log.access]\nformat = \
         \"json\"\n[site.main]\nproxy = \"{}\"\n",
        origin.url()
    );
    Quaich::serve_exactly(TempSite::new(), &toml)
}

/// Fails unless the proxy's client is the client, and the whole chain goes on.
fn expect_client(quaich: &Quaich, origin: &Origin, chain: &str) {
    let line = quaich.log().wait_for("\"duration_ms\"");
    assert!(line.contains("\"client\":\"198.51.100.5\""), "{line}");
    let request = origin.requests().pop().expect("a request");
    let told = request.headers("x-forwarded-for").join(", ");
    assert_eq!(told, chain, "{}", request.head);
}

#[test]
fn haproxy_adds_a_line_of_its_own() {
    let origin = Origin::ok();
    let quaich = behind(&origin, "127.0.0.1:0");
    let folder = TempSite::new();
    let config = format!(
        "listen front\n mode http\n bind fd@0 accept-proxy\n option forwardfor\n server q {}\n",
        quaich.addr()
    );
    let Some((_haproxy, addr)) = haproxy::in_front(&folder, &config) else {
        return;
    };
    let mut client = RawClient::connect(addr);
    client.send(CLIENT).send(SPOOFED);
    client.response().expect_status(200);
    expect_client(&quaich, &origin, "203.0.113.9, 198.51.100.5, 127.0.0.1");
}

#[test]
fn nginx_appends_to_the_line() {
    let origin = Origin::ok();
    let quaich = behind(&origin, "unix:web.sock");
    let folder = TempSite::new();
    let pass = format!(
        "set_real_ip_from unix:; real_ip_header proxy_protocol; location / {{ proxy_pass \
         http://unix:{}/web.sock; proxy_set_header Host $host; proxy_set_header X-Forwarded-For \
         $proxy_add_x_forwarded_for; }}",
        quaich.site().path().display()
    );
    let Some(_nginx) = peers::nginx_at(&folder, &pass, "proxy_protocol") else {
        return;
    };
    let mut client = RawClient::connect_unix(&folder.join("nginx.sock"));
    client.send(CLIENT).send(SPOOFED);
    client.response().expect_status(200);
    expect_client(&quaich, &origin, "203.0.113.9, 198.51.100.5");
}

#[test]
fn nginx_may_say_it_as_the_standard_does() {
    let origin = Origin::ok();
    let quaich = behind(&origin, "unix:web.sock");
    let folder = TempSite::new();
    let pass = format!(
        "set_real_ip_from unix:; real_ip_header proxy_protocol; location / {{ proxy_pass \
         http://unix:{}/web.sock; proxy_set_header Host $host; proxy_set_header X-Forwarded-For \
         \"\"; proxy_set_header Forwarded 'for=203.0.113.9, for=\"$remote_addr:4711\";proto=https'; \
         }}",
        quaich.site().path().display()
    );
    let Some(_nginx) = peers::nginx_at(&folder, &pass, "proxy_protocol") else {
        return;
    };
    let mut client = RawClient::connect_unix(&folder.join("nginx.sock"));
    client.send(CLIENT).send(SPOOFED);
    client.response().expect_status(200);
    let line = quaich.log().wait_for("\"duration_ms\"");
    assert!(line.contains("\"client\":\"198.51.100.5\""), "{line}");
    let request = origin.requests().pop().expect("a request");
    let told = request.header("forwarded").unwrap_or_default();
    assert!(
        told.starts_with("for=203.0.113.9, for=\"198.51.100.5:4711\""),
        "{}",
        request.head
    );
}

#[test]
fn any_protocol_may_follow_a_request() {
    let origin = Origin::start(|talk| {
        talk.request_head();
        talk.write(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: rtsp\r\n\r\n",
        );
        loop {
            let bytes = talk.read();
            if bytes.is_empty() || !talk.write(bytes) {
                return;
            }
        }
    });
    let toml = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let mut client = quaich.raw();
    client.send("GET /live HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: rtsp\r\n\r\n");
    let head = client.head();
    head.expect_status(101).expect_header("upgrade", "rtsp");
    client.send("DESCRIBE rtsp://a/live RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    client.until("CSeq: 1\r\n\r\n");
    // Interleaved binary data.
    let data = [&b"$\0\x02\0"[..], &[0xff; 512]].concat();
    client.send(&data);
    assert_eq!(client.exactly(data.len()), data);
}
