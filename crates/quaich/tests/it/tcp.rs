//! Listeners with `tcp`: bytes both ways between clients and servers that speak what they like.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::channel;
use std::time::Duration;

use quaich_testkit::{Ca, End, Origin, Quaich, RawClient, Signal, TempSite, TlsClient, eventually};

const LISTENER: &str = "[[server.listener]]\naddr = \"127.0.0.1:0\"\nprotocols = [\"tcp\"]\n\
                        upstream = \"raw\"\n";

/// Passes bytes on to `servers`; `server`, `listener` and `upstream` are lines of these tables.
fn relay_with(servers: &[&str], server: &str, listener: &str, upstream: &str) -> Quaich {
    relay_in(TempSite::new(), servers, server, listener, upstream)
}

fn relay_in(
    site: TempSite,
    servers: &[&str],
    server: &str,
    listener: &str,
    upstream: &str,
) -> Quaich {
    let toml = format!(
        "[server]\nthreads = 1\n{server}\n{LISTENER}{listener}\n[admin]\nlisten = \
         \"unix:quaich.sock\"\n[upstream.raw]\nservers = {servers:?}\n{upstream}\n\
         [log.access]\nformat = \"json\"\n"
    );
    Quaich::serve_exactly(site, &toml)
}

fn relay(origin: &Origin) -> Quaich {
    relay_with(&[&server(origin)], "", "", "")
}

/// Its URL.
fn server(origin: &Origin) -> String {
    format!("tcp://{}", origin.addr())
}

fn echo() -> Origin {
    Origin::start(|talk| {
        loop {
            let bytes = talk.read();
            if bytes.is_empty() || !talk.write(bytes) {
                return;
            }
        }
    })
}

fn line(quaich: &Quaich, outcome: &str) -> serde_json::Value {
    let line = quaich.log().wait_for(&format!("\"{outcome}\""));
    serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
}

#[test]
fn bytes_come_back_as_they_were_sent() {
    let origin = echo();
    let quaich = relay(&origin);
    let mut client = quaich.raw();
    client.send("ping\r\n");
    assert_eq!(client.exactly(6), b"ping\r\n");
    let large: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut stream = TcpStream::connect(quaich.addr()).expect("it listens");
    let mut sender = stream.try_clone().expect("a socket can be cloned");
    let sent = large.clone();
    let sending = std::thread::spawn(move || {
        sender.write_all(&sent).expect("it takes them");
        sender.shutdown(Shutdown::Write).expect("it is open");
    });
    let mut got = Vec::new();
    stream.read_to_end(&mut got).expect("they come");
    sending.join().expect("no panic");
    assert!(got == large, "{} of {} bytes", got.len(), large.len());
    let line = line(&quaich, "client_closed");
    assert_eq!(line["protocol"], "TCP");
    assert_eq!(line["upstream"], "raw");
    assert_eq!(line["server"], server(&origin));
    let status = quaich.status();
    assert_eq!(status["front"]["counters"]["tunnels"], 2);
    assert_eq!(status["front"]["counters"]["requests"], 0);
}

#[test]
fn a_server_may_speak_first_and_end_first() {
    let origin = Origin::start(|talk| {
        talk.write("220 mail.test\r\n");
        while !talk.read().is_empty() {}
        talk.write("221 bye\r\n");
        talk.end(End::Fin);
    });
    let quaich = relay(&origin);
    let mut client = quaich.raw();
    assert_eq!(client.until("\r\n"), b"220 mail.test\r\n");
    // The client has finished, and is still answered.
    client.send("QUIT\r\n").half_close();
    assert_eq!(client.rest(), b"221 bye\r\n");
    assert!(!client.was_reset());
    // The server has finished, and is still told.
    let origin = Origin::start(|talk| {
        talk.write("all");
        talk.end(End::Fin);
        while !talk.read().is_empty() {}
    });
    let quaich = relay(&origin);
    let mut client = quaich.raw();
    assert_eq!(client.rest(), b"all");
    client.send("late").half_close();
    origin.wait_for_ends(1);
    assert_eq!(origin.raw(), b"late");
    line(&quaich, "server_closed");
}

#[test]
fn another_server_is_tried_before_anything_was_sent() {
    let origin = echo();
    let site = TempSite::new();
    let nobody = format!("tcp+unix:{}", site.join("nobody.sock").display());
    let quaich = relay_with(&[&nobody, &server(&origin)], "", "", "");
    for _ in 0..4 {
        let mut client = quaich.raw();
        client.send("x");
        assert_eq!(client.exactly(1), b"x");
    }
    let quaich = relay_with(&[&nobody], "", "", "retries = 3");
    // The reset may come before the client knows of its connection.
    if let Ok(mut stream) = TcpStream::connect(quaich.addr()) {
        let read = stream.read(&mut [0; 8]);
        let reset = read.expect_err("nobody is there").kind();
        assert_eq!(reset, ErrorKind::ConnectionReset);
    }
    let line = line(&quaich, "connect_failed");
    assert_eq!(
        (&line["server"], &line["retries"]),
        (&nobody.into(), &3.into())
    );
}

#[test]
fn a_connection_without_bytes_ends() {
    let origin = echo();
    let quaich = relay_with(&[&server(&origin)], "", "", "timeout = \"400ms\"");
    let mut client = quaich.raw();
    for _ in 0..3 {
        client.send("x");
        assert_eq!(client.exactly(1), b"x");
    }
    assert_eq!(client.rest(), b"");
    origin.wait_for_ends(1);
    line(&quaich, "idle_timeout");
}

#[test]
fn a_reset_of_one_side_is_one_for_the_other() {
    let origin = Origin::start(|talk| {
        talk.read();
        talk.end(End::Reset);
    });
    let quaich = relay(&origin);
    let mut client = quaich.raw();
    client.send("x");
    client.rest();
    assert!(client.was_reset());
    line(&quaich, "server_reset");
    let origin = echo();
    let quaich = relay(&origin);
    let mut client = quaich.raw();
    client.send("x");
    assert_eq!(client.exactly(1), b"x");
    client.reset();
    origin.wait_for_ends(1);
    line(&quaich, "client_reset");
}

#[test]
fn a_client_that_leaves_does_not_wait_for_room() {
    let origin = echo();
    let toml = format!(
        "[server]\nthreads = 1\n{LISTENER}[upstream.raw]\nqueue_timeout = \"300s\"\n\
         [[upstream.raw.server]]\nurl = \"{}\"\nmax_conns = 1\n[log.access]\nformat = \"json\"\n",
        server(&origin)
    );
    let quaich = Quaich::serve_exactly(TempSite::new(), &toml);
    let mut first = quaich.raw();
    first.send("x");
    assert_eq!(first.exactly(1), b"x");
    let mut second = quaich.raw();
    second.send("y");
    second.reset();
    line(&quaich, "client_gone");
    first.send("z");
    assert_eq!(first.exactly(1), b"z");
}

#[test]
fn no_more_is_read_than_the_server_takes() {
    let (go, wait) = channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::start(move |talk| {
        let _ = wait.lock().expect("nobody panics").recv();
        while !talk.read().is_empty() {}
    });
    let quaich = relay(&origin);
    let mut stream = TcpStream::connect(quaich.addr()).expect("it listens");
    let patience = Some(Duration::from_millis(500));
    stream.set_write_timeout(patience).expect("it can be set");
    let piece = vec![b'x'; 1 << 20];
    let mut sent = 0;
    let full = loop {
        match stream.write(&piece) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
        assert!(sent < 64 << 20, "nothing holds it back");
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    go.send(()).expect("the origin waits");
    stream.shutdown(Shutdown::Write).expect("it is open");
    origin.wait_for_ends(1);
    assert_eq!(origin.raw().len(), sent);
}

#[test]
fn tls_ends_at_the_listener() {
    let (site, ca) = (TempSite::new(), Ca::new("TCP"));
    ca.server(&["test"]).write(&site, "shop");
    let origin = echo();
    let certificate = "[tls.cert.shop]\ncert = \"shop.crt\"\nkey = \"shop.key\"\n";
    let listener = format!("tls = true\n{certificate}");
    let quaich = relay_in(site, &[&server(&origin)], "", &listener, "");
    let mut client = RawClient::connect_tls(quaich.addr(), &TlsClient::believing(&ca));
    let large = vec![b'x'; 300_000];
    client.send(&large);
    assert_eq!(client.exactly(large.len()), large);
    client.half_close();
    assert_eq!(client.rest(), b"");
    assert_eq!(client.failure(), None);
    line(&quaich, "client_closed");
}

#[test]
fn the_client_is_told_to_servers_and_by_proxies() {
    let origin = Origin::start(|talk| while !talk.read().is_empty() {});
    let trust = "trust = [\"127.0.0.0/8\"]";
    let listener = "proxy_protocol = \"require\"";
    let quaich = relay_with(&[&server(&origin)], trust, listener, "send_proxy = \"v1\"");
    let mut client = quaich.raw();
    let header = "PROXY TCP4 203.0.113.9 198.51.100.7 56324 25\r\n";
    client.send(format!("{header}EHLO\r\n")).half_close();
    client.rest();
    assert_eq!(
        String::from_utf8_lossy(&origin.raw()),
        format!("{header}EHLO\r\n")
    );
    assert_eq!(line(&quaich, "client_closed")["client"], "203.0.113.9");
    let quaich = relay_with(&[&server(&origin)], "", "", "send_proxy = \"v2\"");
    let mut client = quaich.raw();
    let mine = client.local_addr().port().to_be_bytes();
    client.half_close();
    client.rest();
    let raw = origin.raw();
    let header = &raw[raw.len() - 28..];
    assert_eq!(&header[12..20], [0x21, 0x11, 0, 12, 127, 0, 0, 1]);
    assert_eq!(&header[24..26], mine);
}

#[test]
fn limits_on_connections_hold() {
    let origin = echo();
    let quaich = relay_with(&[&server(&origin)], "max_per_ip = 1", "", "");
    let mut first = quaich.raw();
    first.send("x");
    assert_eq!(first.exactly(1), b"x");
    quaich.raw().expect_closed();
    drop(first);
    eventually("a place", || {
        let mut client = quaich.raw();
        client.send("y").half_close();
        (client.rest() == b"y").then_some(())
    });
}

#[test]
fn a_drain_waits_and_then_ends_what_is_left() {
    let origin = echo();
    let limit = "shutdown_timeout = \"500ms\"";
    let mut quaich = relay_with(&[&server(&origin)], limit, "", "");
    let mut client = quaich.raw();
    client.send("x");
    assert_eq!(client.exactly(1), b"x");
    quaich.signal(Signal::TERM);
    // It is served on meanwhile.
    client.send("y");
    assert_eq!(client.exactly(1), b"y");
    client.rest();
    assert!(client.was_reset());
    assert!(quaich.wait().success());
    line(&quaich, "shutdown");
}
