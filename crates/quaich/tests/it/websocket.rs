//! Upgrade tunnels: bytes both ways after a 101 that was asked for, and nothing before it.

use quaich_testkit::{End, Origin, Quaich, TempSite};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn in_front_of(origin: &Origin) -> Quaich {
    Quaich::serve(
        TempSite::new(),
        &format!("[site.main]\nproxy = \"{}\"\n", origin.url()),
    )
}

/// Switches, then sends everything back that it receives.
fn echo() -> Origin {
    Origin::start(|conversation| {
        if conversation.request_head().is_none() {
            return;
        }
        conversation.write(SWITCH);
        loop {
            let bytes = conversation.read();
            if bytes.is_empty() || !conversation.write(&bytes) {
                break;
            }
        }
        conversation.end(End::Fin);
    })
}

#[test]
fn bytes_pass_both_ways_after_the_switch() {
    let origin = echo();
    let quaich = in_front_of(&origin);
    let mut client = quaich.raw();
    client.send(ASK);
    let head = client.head();
    assert_eq!(head.status, 101);
    assert_eq!(
        head.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    let request = origin.wait_for_requests(1);
    assert_eq!(request.header("upgrade"), Some("websocket"));
    assert_eq!(request.header("sec-websocket-version"), Some("13"));
    for n in 0..50_u8 {
        client.send([n, 0, 255]);
        assert_eq!(client.exactly(3), [n, 0, 255]);
    }
    client.half_close();
    client.expect_closed();
}

#[test]
fn large_amounts_pass_unchanged() {
    let origin = echo();
    let quaich = in_front_of(&origin);
    let mut client = quaich.raw();
    client.send(ASK);
    client.head();
    let block: Vec<u8> = (0..100_000_u32).map(|n| (n % 233) as u8).collect();
    for _ in 0..20 {
        client.send(&block);
        assert!(client.exactly(block.len()) == block);
    }
}

#[test]
fn nothing_is_tunnelled_before_the_upstream_has_switched() {
    let origin = Origin::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno".to_vec());
    let quaich = in_front_of(&origin);
    let mut client = quaich.raw();
    client.send(format!("{ASK}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"));
    client.response().expect_status(200).expect_body("no");
    client.response().expect_status(200);
    // The bytes behind the refused upgrade were a request of their own, parsed like any other.
    let targets: Vec<String> = origin
        .requests()
        .iter()
        .map(|request| request.target().to_string())
        .collect();
    assert_eq!(targets, ["/chat", "/smuggled"]);
}

#[test]
fn an_upgrade_with_a_body_is_refused() {
    let origin = echo();
    let quaich = in_front_of(&origin);
    let mut client = quaich.raw();
    let ask = ASK.replace(
        "Upgrade: websocket\r\n",
        "Upgrade: websocket\r\nContent-Length: 3\r\n",
    );
    client.send(format!("{ask}abc"));
    client.response().expect_status(400);
    assert_eq!(origin.connections(), 0);
}

#[test]
fn the_end_of_either_side_ends_the_other() {
    let origin = Origin::start(|conversation| {
        if conversation.request_head().is_some() {
            conversation.write(SWITCH);
            conversation.write("bye");
            conversation.end(End::Fin);
            while !conversation.read().is_empty() {}
        }
    });
    let quaich = in_front_of(&origin);
    let mut client = quaich.raw();
    client.send(ASK);
    assert_eq!(client.head().status, 101);
    assert_eq!(client.exactly(3), b"bye");
    drop(client);
    origin.wait_for_ends(1);
}
