//! Which certificate is shown to whom, and what is agreed on.

use std::io::{Read, Write};
use std::net::TcpStream;

use quaich_config::model::UnknownSni;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{AlertDescription, Error};

use crate::certificates::{Authority, Leaf, material};
use crate::client::{Client, get, shown};
use crate::front::Front;

pub const SITE: &str = "[site.main]\nhosts = [\"*\"]\n[[site.main.route]]\nrespond = { status = 200, body = \"hello\" }\n";

fn is(leaf: &Leaf, der: &[u8]) -> bool {
    CertificateDer::from_pem_slice(leaf.cert.as_bytes())
        .expect("PEM")
        .as_ref()
        == der
}

/// The alert that a connection ended with.
pub fn alert(error: &std::io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

#[test]
fn a_request_is_answered_over_tls() {
    let authority = Authority::new();
    let leaf = authority.server(&["shop.test"]);
    let front = Front::start(SITE, material(vec![leaf.identity("a", &["shop.test"])]));
    let client = Client::new(&authority);
    let mut stream = client.connect(front.tls, "shop.test").unwrap();
    for _ in 0..3 {
        let answer = get(&mut stream, "shop.test", "/").unwrap();
        assert_eq!((answer.status, answer.body), (200, b"hello".to_vec()));
    }
    assert_eq!(
        stream.conn.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_3)
    );
    assert_eq!(
        stream
            .conn
            .negotiated_key_exchange_group()
            .map(|group| group.name()),
        Some(rustls::NamedGroup::X25519MLKEM768)
    );
}

#[test]
fn the_certificate_goes_by_the_name() {
    let authority = Authority::new();
    let [default, exact, wild] =
        [&["first.test"], &["shop.test"], &["*.shop.test"]].map(|names| authority.server(names));
    let front = Front::start(
        SITE,
        material(vec![
            default.identity("default", &["first.test"]),
            exact.identity("exact", &["shop.test"]),
            wild.identity("wild", &["*.shop.test"]),
        ]),
    );
    let client = Client::new(&authority);
    for (name, expected) in [
        ("shop.test", &exact),
        ("SHOP.test", &exact),
        ("a.shop.test", &wild),
        ("first.test", &default),
    ] {
        let stream = client.connect(front.tls, name).unwrap();
        assert!(is(expected, &shown(&stream)), "{name}");
    }
    // A wildcard covers one label.
    for name in ["b.a.shop.test", "other.test"] {
        let error = client.connect(front.tls, name).unwrap_err();
        assert_eq!(
            alert(&error),
            Some(AlertDescription::UnrecognisedName),
            "{name}"
        );
    }
    let stream = client
        .without_sni()
        .connect(front.tls, "first.test")
        .unwrap();
    assert!(is(&default, &shown(&stream)));
}

#[test]
fn an_unknown_name_may_get_the_default() {
    let authority = Authority::new();
    let leaf = authority.server(&["shop.test", "other.test"]);
    let front = Front::start_with(
        SITE,
        material(vec![leaf.identity("a", &["shop.test"])]),
        |config| config.tls.unknown_sni = UnknownSni::Default,
    );
    let (answer, _) = Client::new(&authority)
        .get(front.tls, "other.test", "/")
        .unwrap();
    assert_eq!(answer.status, 200);
}

#[test]
fn without_a_name_the_address_counts() {
    let authority = Authority::new();
    let [default, local] = [&["first.test"], &["127.0.0.1"]].map(|names| authority.server(names));
    let front = Front::start(
        SITE,
        material(vec![
            default.identity("default", &["first.test"]),
            local.identity("local", &["127.0.0.1"]),
        ]),
    );
    let stream = Client::new(&authority)
        .connect(front.tls, "127.0.0.1")
        .unwrap();
    assert!(is(&local, &shown(&stream)));
}

#[test]
fn of_two_keys_the_client_gets_the_one_it_can_check() {
    let authority = Authority::new();
    let rsa = authority.rsa_server(&["shop.test"]);
    let ecdsa = authority.server(&["shop.test"]);
    let front = Front::start(
        SITE,
        material(vec![
            rsa.identity("rsa", &["shop.test"]),
            ecdsa.identity("ecdsa", &["shop.test"]),
        ]),
    );
    let stream = Client::new(&authority)
        .connect(front.tls, "shop.test")
        .unwrap();
    assert!(is(&ecdsa, &shown(&stream)));
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let old = Client::with(&authority, None, provider, &[&rustls::version::TLS12]);
    let stream = old.connect(front.tls, "shop.test").unwrap();
    assert!(is(&rsa, &shown(&stream)));
}

#[test]
fn the_protocol_is_one_of_the_listener() {
    let authority = Authority::new();
    let leaf = authority.server(&["shop.test"]);
    let front = Front::start_with(
        SITE,
        material(vec![leaf.identity("a", &["shop.test"])]),
        |config| config.server.listeners[0].h2 = false,
    );
    let client = Client::new(&authority);
    let stream = client
        .clone()
        .alpn(&["h2", "http/1.1"])
        .connect(front.tls, "shop.test")
        .unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    let error = client
        .alpn(&["h2"])
        .connect(front.tls, "shop.test")
        .unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::NoApplicationProtocol));
}

#[test]
fn tls_1_2_can_be_refused() {
    let authority = Authority::new();
    let leaf = authority.server(&["shop.test"]);
    let material = material(vec![leaf.identity("a", &["shop.test"])]);
    let old = Client::with(
        &authority,
        None,
        aws_lc_rs::default_provider(),
        &[&rustls::version::TLS12],
    );
    let front = Front::start(SITE, material.clone());
    assert_eq!(old.get(front.tls, "shop.test", "/").unwrap().0.status, 200);
    let front = Front::start_with(SITE, material, |config| {
        config.tls.min = quaich_config::model::TlsVersion::V13;
    });
    let error = old.get(front.tls, "shop.test", "/").unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::ProtocolVersion));
}

#[test]
fn plain_http_is_told_so() {
    let authority = Authority::new();
    let leaf = authority.server(&["shop.test"]);
    let front = Front::start(SITE, material(vec![leaf.identity("a", &["shop.test"])]));
    let mut socket = TcpStream::connect(front.tls).unwrap();
    socket
        .write_all(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    assert!(text.contains("HTTPS"), "{text}");
    let body = text.split_once("\r\n\r\n").unwrap().1;
    assert!(
        text.contains(&format!("Content-Length: {}\r\n", body.len())),
        "{text}"
    );
}

#[test]
fn garbage_is_answered_with_an_alert() {
    let authority = Authority::new();
    let leaf = authority.server(&["shop.test"]);
    let mut front = Front::start(SITE, material(vec![leaf.identity("a", &["shop.test"])]));
    for bytes in [
        &b"\x00\x01\x02\x03garbage that is no record"[..],
        b"\x16\x03\x01\x00\x04\x63\x00\x00\x00",
    ] {
        let mut socket = TcpStream::connect(front.tls).unwrap();
        socket.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert_eq!(answer.first(), Some(&21), "{bytes:?} {answer:?}");
    }
    // The alert leaves before the failure is counted.
    while front.count("tls_handshake_failures") < 2 {
        std::thread::yield_now();
    }
    assert_eq!(front.count("tls_handshake_failures"), 2);
}

#[test]
fn a_hello_may_come_byte_by_byte() {
    let authority = Authority::new();
    let leaf = authority.server(&["shop.test"]);
    let front = Front::start(SITE, material(vec![leaf.identity("a", &["shop.test"])]));
    let mut stream = Client::new(&authority)
        .dripping(front.tls, "shop.test")
        .unwrap();
    assert_eq!(get(&mut stream, "shop.test", "/").unwrap().status, 200);
}
