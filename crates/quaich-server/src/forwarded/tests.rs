//! What is believed of whom.

use super::*;

fn trust(networks: &[(&str, u8)]) -> Trust {
    let network = |(addr, prefix): &(&str, u8)| Network {
        addr: addr.parse().expect("address"),
        prefix: *prefix,
    };
    Trust::new(&networks.iter().map(network).collect::<Vec<_>>())
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().expect("address"))
}

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers
            .push(name.as_bytes(), value.as_bytes())
            .expect("valid field");
    }
    headers
}

/// Who is found to send `fields` from `peer`, and where to.
struct Found {
    client: Client,
    host: String,
    port: u16,
    prefix: String,
    sent: String,
}

fn find(trust: &Trust, peer: Option<IpAddr>, fields: &[(&str, &str)], mount: &str) -> Found {
    let headers = headers(fields);
    let mut client = Client::new(peer.map(|ip| SocketAddr::new(ip, 4711)), false);
    trust.apply(&mut client, &headers);
    let public = trust.public(&client, &headers, b"site.example", 8000);
    let mut sent = Vec::new();
    append(&mut sent, &headers, &client, &public, mount.as_bytes());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("ASCII");
    let (host, port, prefix) = (text(public.host), public.port, text(public.prefix));
    Found {
        client,
        host,
        port,
        prefix,
        sent: text(&sent),
    }
}

fn addr(fields: &[(&str, &str)]) -> Option<IpAddr> {
    let trust = trust(&[("10.0.0.0", 8), ("2001:db8::", 32)]);
    find(&trust, ip("10.0.0.1"), fields, "").client.addr
}

const ALL: [(&str, &str); 6] = [
    ("X-Forwarded-For", "203.0.113.7"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "evil.example:444"),
    ("X-Forwarded-Port", "445"),
    ("X-Forwarded-Prefix", "/evil"),
    ("Forwarded", "for=203.0.113.8;proto=https;host=evil.example"),
];

#[test]
fn fields_of_an_untrusted_peer_have_no_effect() {
    for trust in [Trust::default(), trust(&[("10.0.0.0", 8)])] {
        for peer in [ip("192.0.2.1"), ip("::1"), None] {
            let found = find(&trust, peer, &ALL, "");
            assert_eq!(found.client, Client::new(found.client.peer, false));
            assert_eq!(found.client.addr, peer);
            assert_eq!((found.host.as_str(), found.port), ("site.example", 8000));
            assert_eq!(found.prefix, "");
            let sent = found.sent;
            assert!(
                !sent.contains("evil") && !sent.contains("203.0.113"),
                "{sent}"
            );
        }
    }
}

#[test]
fn a_trusted_peer_says_everything() {
    let found = find(&trust(&[("10.0.0.0", 8)]), ip("::ffff:10.1.2.3"), &ALL, "");
    let client = found.client;
    assert!(client.trusted && client.https);
    assert_eq!((client.addr, client.port), (ip("203.0.113.7"), 0));
    assert_eq!((found.host.as_str(), found.port), ("evil.example:444", 445));
    assert_eq!(found.prefix, "/evil");
}

#[test]
fn each_request_of_a_connection_is_judged_anew() {
    let trust = trust(&[("10.0.0.0", 8)]);
    let mut client = find(&trust, ip("10.0.0.1"), &ALL, "").client;
    trust.apply(&mut client, &headers(&[]));
    let direct = Client {
        trusted: true,
        ..Client::new(client.peer, false)
    };
    assert_eq!(client, direct);
}

#[test]
fn the_rightmost_untrusted_address_is_the_client() {
    let xff = "X-Forwarded-For";
    let cases: [(&[(&str, &str)], &str); 10] = [
        (&[(xff, "203.0.113.7")], "203.0.113.7"),
        (&[(xff, "6.6.6.6, 203.0.113.7")], "203.0.113.7"),
        (&[(xff, "6.6.6.6, 203.0.113.7, 10.9.9.9")], "203.0.113.7"),
        (
            &[
                (xff, "6.6.6.6"),
                (xff, "203.0.113.7,10.9.9.9"),
                (xff, "10.8.8.8"),
            ],
            "203.0.113.7",
        ),
        (&[(xff, "10.3.3.3, 10.2.2.2")], "10.3.3.3"),
        (&[(xff, "203.0.113.7, unknown, 10.2.2.2")], "10.2.2.2"),
        (&[(xff, "203.0.113.7, junk")], "10.0.0.1"),
        (&[(xff, "")], "10.0.0.1"),
        (
            &[(xff, "[2001:db8::5]:99, [2001:dead::1]:80, 2001:db8::7")],
            "2001:dead::1",
        ),
        (&[(xff, "203.0.113.7:5555")], "203.0.113.7"),
    ];
    for (fields, expected) in cases {
        assert_eq!(addr(fields), ip(expected), "{fields:?}");
    }
}

#[test]
fn forwarded_is_read_alike_but_yields_to_x_forwarded_for() {
    let cases: [(&[(&str, &str)], &str); 6] = [
        (
            &[(
                "Forwarded",
                "for=6.6.6.6, for=203.0.113.7;proto=https, for=10.2.2.2",
            )],
            "203.0.113.7",
        ),
        (
            &[
                ("Forwarded", "for=6.6.6.6"),
                ("Forwarded", "for=\"[2001:dead::1]:80\""),
            ],
            "2001:dead::1",
        ),
        (
            &[("Forwarded", "for=203.0.113.7, for=_hidden, for=10.2.2.2")],
            "10.2.2.2",
        ),
        (
            &[("Forwarded", "for=203.0.113.7, for=\"broken")],
            "10.0.0.1",
        ),
        (&[("Forwarded", "proto=https")], "10.0.0.1"),
        (
            &[
                ("Forwarded", "for=6.6.6.6"),
                ("X-Forwarded-For", "203.0.113.7"),
            ],
            "203.0.113.7",
        ),
    ];
    for (fields, expected) in cases {
        assert_eq!(addr(fields), ip(expected), "{fields:?}");
    }
}

#[test]
fn scheme_and_host_come_from_the_element_of_the_client() {
    let chain = "for=6.6.6.6;host=evil, for=203.0.113.7;proto=https;host=a.example, \
                 for=10.1.1.1;proto=http";
    let found = find(
        &trust(&[("10.0.0.0", 8)]),
        ip("10.0.0.1"),
        &[("Forwarded", chain)],
        "",
    );
    assert!(found.client.https);
    assert_eq!((found.host.as_str(), found.port), ("a.example", 443));
}

#[test]
fn the_last_value_of_a_list_counts_and_malformed_ones_do_not() {
    let trust = trust(&[("10.0.0.0", 8)]);
    let resolve = |fields: &[(&str, &str)]| {
        let found = find(&trust, ip("10.0.0.1"), fields, "");
        (found.client.scheme(), found.host, found.port, found.prefix)
    };
    let site = |scheme, port| (scheme, "site.example".to_owned(), port, String::new());
    assert_eq!(
        resolve(&[("X-Forwarded-Proto", "http, https")]),
        site("https", 443)
    );
    assert_eq!(resolve(&[("X-Forwarded-Proto", "gopher")]).0, "http");
    assert_eq!(
        resolve(&[("X-Forwarded-Host", "a b"), ("X-Forwarded-Port", "0")]),
        site("http", 8000)
    );
    assert_eq!(resolve(&[("X-Forwarded-Host", "[::1]:81")]).2, 81);
    for (value, prefix) in [
        ("/a/", "/a"),
        ("/a/b", "/a/b"),
        ("/", ""),
        ("a", ""),
        ("//a", ""),
        ("/../a", ""),
        ("/a%2f", ""),
        ("/a b", ""),
        ("http://x/", ""),
    ] {
        assert_eq!(
            resolve(&[("X-Forwarded-Prefix", value)]).3,
            prefix,
            "{value}"
        );
    }
}

#[test]
fn the_peer_of_a_unix_socket_is_trusted_if_loopback_is() {
    assert!(trust(&[("127.0.0.0", 8)]).contains(None));
    assert!(trust(&[("::1", 128)]).contains(None));
    assert!(!trust(&[("10.0.0.0", 8)]).contains(None));
}

fn sent(peer: Option<IpAddr>, fields: &[(&str, &str)], mount: &str) -> String {
    let trust = trust(&[("10.0.0.0", 8), ("127.0.0.1", 32), ("2001:db8::", 32)]);
    find(&trust, peer, fields, mount).sent
}

#[test]
fn an_upstream_is_told_what_was_found_out() {
    let expected = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n\
        X-Forwarded-Host: site.example\r\nX-Forwarded-Port: 8000\r\nX-Forwarded-Prefix: /x\r\n";
    assert_eq!(sent(ip("192.0.2.1"), &ALL, "/x"), expected);
}

#[test]
fn the_chain_of_a_trusted_peer_is_continued() {
    let fields = [
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Prefix", "/outer/"),
        ("Forwarded", "for=203.0.113.7;proto=https"),
    ];
    let expected = "X-Forwarded-For: 6.6.6.6, 203.0.113.7, 2001:db8::9\r\n\
        X-Forwarded-Proto: https\r\nX-Forwarded-Host: site.example\r\n\
        X-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /outer/x\r\n\
        Forwarded: for=203.0.113.7;proto=https, for=\"[2001:db8::9]\";proto=http\r\n";
    assert_eq!(sent(ip("2001:db8::9"), &fields, "/x"), expected);
}

#[test]
fn the_peer_of_a_unix_socket_adds_no_address() {
    assert!(!sent(None, &[], "").contains("X-Forwarded-For"));
    let out = sent(None, &[("X-Forwarded-For", "203.0.113.7")], "");
    assert!(out.starts_with("X-Forwarded-For: 203.0.113.7\r\n"), "{out}");
}
