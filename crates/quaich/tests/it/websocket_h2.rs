//! WebSockets over HTTP/2 (RFC 8441): extended CONNECT from the client, an upgrade of HTTP/1.1 to
//! the upstream.

use quaich_testkit::h2::{Block, Ended, Event, Frame, H2Client, code};
use quaich_testkit::{Conversation, End, Origin, Quaich, TempSite};

fn in_front_of(origin: &Origin) -> Quaich {
    let toml = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    Quaich::serve(TempSite::new(), &toml)
}

/// Switches as RFC 6455 demands, then sends everything back that it receives.
fn echo(conversation: &mut Conversation) {
    let Some(request) = conversation.request_head() else {
        return;
    };
    let key = request.header("sec-websocket-key").unwrap_or_default();
    let accept = quaich_testkit::websocket_accept(key);
    conversation.write(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    ));
    loop {
        let bytes = conversation.read();
        if bytes.is_empty() || !conversation.write(&bytes) {
            break;
        }
    }
    conversation.end(End::Fin);
}

/// An extended CONNECT to `/chat`.
fn connect(client: &mut H2Client) -> u32 {
    let block = Block::new()
        .field(":method", "CONNECT")
        .field(":protocol", "websocket")
        .field(":scheme", client.scheme())
        .field(":path", "/chat?room=1")
        .field(":authority", "test")
        .field("sec-websocket-version", "13")
        .field("sec-websocket-protocol", "chat")
        .field("origin", "http://test");
    client.begin(&block, false)
}

#[track_caller]
fn head(client: &mut H2Client, stream: u32) -> Vec<(String, String)> {
    match client.of_stream(stream) {
        Event::Headers { fields, end, .. } => {
            assert!(!end, "{fields:?}");
            fields
        }
        other => panic!("no head: {other:?}"),
    }
}

#[track_caller]
fn exactly(client: &mut H2Client, stream: u32, count: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < count {
        match client.of_stream(stream) {
            Event::Data { bytes, .. } => got.extend(bytes),
            other => panic!("{count} bytes wanted, {} came, then {other:?}", got.len()),
        }
    }
    got
}

#[test]
fn bytes_pass_both_ways_after_an_extended_connect() {
    let origin = Origin::start(echo);
    let quaich = in_front_of(&origin);
    let mut client = H2Client::over(quaich.raw());
    assert!(client.allows_connect(), "{:?}", client.settings());
    let stream = connect(&mut client);
    let fields = head(&mut client, stream);
    let value = |name: &str| {
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(value(":status"), Some("200"));
    assert_eq!(value("sec-websocket-protocol"), Some("chat"));
    // Those are the handshake of HTTP/1.1.
    for gone in ["upgrade", "connection", "sec-websocket-accept"] {
        assert_eq!(value(gone), None, "{gone} in {fields:?}");
    }
    let request = origin.wait_for_requests(1);
    assert_eq!(request.method(), "GET");
    assert_eq!(request.target(), "/chat?room=1");
    assert_eq!(request.header("upgrade"), Some("websocket"));
    assert_eq!(request.header("sec-websocket-version"), Some("13"));
    assert_eq!(request.header("sec-websocket-protocol"), Some("chat"));
    for n in 0..50_u8 {
        assert!(client.data(stream, &[n, 0, 255], false));
        assert_eq!(exactly(&mut client, stream, 3), [n, 0, 255]);
    }
    let large = vec![b'l'; 1_000_000];
    assert!(client.data(stream, &large, false));
    assert_eq!(exactly(&mut client, stream, large.len()), large);
    // Other requests share the connection meanwhile; this one is refused by the origin's script.
    assert!(client.is_alive());
    client.frame(&Frame::data(stream, []).end());
    let response = client.response(stream);
    assert_eq!((response.body.len(), response.ended), (0, Ended::Whole));
}

#[test]
fn a_tunnel_that_is_reset_ends_on_the_other_side() {
    let origin = Origin::start(echo);
    let quaich = in_front_of(&origin);
    let mut client = H2Client::over(quaich.raw());
    let stream = connect(&mut client);
    head(&mut client, stream);
    client.frame(&Frame::rst_stream(stream, code::CANCEL));
    origin.wait_for_ends(1);
    assert!(client.is_alive());
}

#[test]
fn an_upstream_that_does_not_switch_answers_as_it_likes() {
    let origin = Origin::answering(|_| b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno".to_vec());
    let quaich = in_front_of(&origin);
    let mut client = H2Client::over(quaich.raw());
    let stream = connect(&mut client);
    let response = client.response(stream);
    assert_eq!(
        (response.status, response.body.as_slice()),
        (403, &b"no"[..])
    );
    assert!(client.is_alive());
}

#[test]
fn another_protocol_is_not_tunnelled() {
    let origin = Origin::ok();
    let quaich = in_front_of(&origin);
    let mut client = H2Client::over(quaich.raw());
    let block = Block::new()
        .field(":method", "CONNECT")
        .field(":protocol", "something-else")
        .field(":scheme", "http")
        .field(":path", "/")
        .field(":authority", "test");
    let stream = client.begin(&block, false);
    let response = client.response(stream);
    assert!([400, 405, 501].contains(&response.status), "{response:?}");
    assert_eq!(origin.requests().len(), 0);
    assert!(client.is_alive());
}

#[test]
fn a_route_without_an_upstream_has_no_tunnels() {
    let toml = "[[site.main.route]]\nrespond = { status = 200, body = \"hi\" }\n";
    let quaich = Quaich::serve(TempSite::new(), toml);
    let mut client = H2Client::over(quaich.raw());
    let stream = connect(&mut client);
    let response = client.response(stream);
    assert!(response.status >= 400, "{response:?}");
    let next = client.get("/");
    assert_eq!(client.response(next).status, 200);
}
