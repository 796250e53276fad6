//! Bytes both ways, endings, and changes under open connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::process::{Command, Stdio};

use quaich_server::link::Challenge;
use rustls::AlertDescription;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::certificates::{Authority, material};
use crate::client::{Client, field, get, read_answer, shown};
use crate::front::Front;
use crate::handshakes::{SITE, alert};

/// Bytes of which each tells where it stands.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| ((at / 251) ^ at) as u8).collect()
}

#[test]
fn a_large_file_arrives_whole() {
    let authority = Authority::new();
    let leaf = authority.server(&["shop.test"]);
    let folder = tempfile::tempdir().unwrap();
    for length in [1, 16 * 1024, 16 * 1024 + 1, 64 * 1024, 20_000_000] {
        std::fs::write(folder.path().join(length.to_string()), pattern(length)).unwrap();
    }
    let site = format!(
        "[site.main]\nhosts = [\"*\"]\nroot = \"{}\"\n",
        folder.path().display()
    );
    let front = Front::start(&site, material(vec![leaf.identity("a", &["shop.test"])]));
    let mut stream = Client::new(&authority)
        .connect(front.tls, "shop.test")
        .unwrap();
    for length in [1, 16 * 1024, 16 * 1024 + 1, 64 * 1024, 20_000_000] {
        let answer = get(&mut stream, "shop.test", &format!("/{length}")).unwrap();
        assert!(answer.body == pattern(length), "{length}");
    }
}

/// A server that answers each request with its own body.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            std::thread::spawn(move || {
                // A request with a body looks like an answer with one, but for its first line.
                while let Ok(asked) = read_request(&mut socket) {
                    let head =
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", asked.len());
                    if socket.write_all(head.as_bytes()).is_err()
                        || socket.write_all(&asked).is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    url
}

fn read_request(socket: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = field(&head, "content-length").map_or(0, |text| text.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                return Ok(bytes[end + 4..end + 4 + length].to_vec());
            }
        }
        match socket.read(&mut piece)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

#[test]
fn a_large_body_goes_up_and_comes_back() {
    let authority = Authority::new();
    let leaf = authority.server(&["shop.test"]);
    let site = format!("[site.main]\nhosts = [\"*\"]\nproxy = \"{}\"\n", echo());
    let front = Front::start(&site, material(vec![leaf.identity("a", &["shop.test"])]));
    let client = Client::new(&authority);
    let mut stream = client.connect(front.tls, "shop.test").unwrap();
    for length in [0, 1, 5_000, 16 * 1024, 200_000, 3_000_000] {
        let body = pattern(length);
        let head =
            format!("POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        let answer = read_answer(&mut stream).unwrap();
        assert!(answer.status == 200 && answer.body == body, "{length}");
    }
}

#[test]
fn new_keys_in_the_middle_of_a_connection() {
    let authority = Authority::new();
    let leaf = authority.server(&["shop.test"]);
    let front = Front::start(SITE, material(vec![leaf.identity("a", &["shop.test"])]));
    let mut stream = Client::new(&authority)
        .connect(front.tls, "shop.test")
        .unwrap();
    for _ in 0..3 {
        assert_eq!(get(&mut stream, "shop.test", "/").unwrap().status, 200);
        stream.conn.refresh_traffic_keys().unwrap();
        stream.flush().unwrap();
    }
    assert_eq!(get(&mut stream, "shop.test", "/").unwrap().status, 200);
}

#[test]
fn openssl_asks_for_new_keys_and_gets_them() {
    let authority = Authority::new();
    let leaf = authority.server(&["shop.test"]);
    let front = Front::start(SITE, material(vec![leaf.identity("a", &["shop.test"])]));
    let mut client = Command::new("openssl")
        .args(["s_client", "-servername", "shop.test", "-connect"])
        .arg(front.tls.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    let mut input = client.stdin.take().unwrap();
    let mut output = client.stdout.take().unwrap();
    let mut messages = client.stderr.take().unwrap();
    let mut seen = String::new();
    for answers in 1..5 {
        input
            .write_all(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
            .unwrap();
        wait_for(&mut output, &mut seen, "\r\n\r\nhello", answers);
        // A command counts only when it is read on its own. `K` asks the other side for new keys,
        // too.
        input.write_all(b"K\n").unwrap();
        wait_for(&mut messages, &mut String::new(), "KEYUPDATE", 1);
    }
    let _ = client.kill();
    let _ = client.wait();
}

fn wait_for(output: &mut impl Read, seen: &mut String, what: &str, times: usize) {
    let mut piece = [0; 4096];
    while seen.matches(what).count() < times {
        let count = output.read(&mut piece).unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
}

#[test]
fn an_answer_that_ends_with_the_connection_ends_with_a_word() {
    let authority = Authority::new();
    let leaf = authority.server(&["shop.test"]);
    let front = Front::start(SITE, material(vec![leaf.identity("a", &["shop.test"])]));
    let mut stream = Client::new(&authority)
        .connect(front.tls, "shop.test")
        .unwrap();
    stream
        .write_all(b"GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n")
        .unwrap();
    let mut bytes = Vec::new();
    // rustls calls an end without close_notify an error.
    stream.read_to_end(&mut bytes).unwrap();
    assert!(bytes.ends_with(b"hello"));
}

#[test]
fn a_client_that_vanishes_in_mid_request_is_gone() {
    let authority = Authority::new();
    let leaf = authority.server(&["shop.test"]);
    let site = format!("[site.main]\nhosts = [\"*\"]\nproxy = \"{}\"\n", echo());
    let mut front = Front::start(&site, material(vec![leaf.identity("a", &["shop.test"])]));
    let mut stream = Client::new(&authority)
        .connect(front.tls, "shop.test")
        .unwrap();
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 10\r\n\r\nabc")
        .unwrap();
    // An end of the connection without the word for it.
    stream.sock.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    let _ = stream.sock.read_to_end(&mut rest);
    assert_eq!(front.count("client_gone"), 1);
}

#[test]
fn other_certificates_for_new_connections_only() {
    let authority = Authority::new();
    let [before, after] = [(); 2].map(|()| authority.server(&["shop.test"]));
    let mut front = Front::start(SITE, material(vec![before.identity("a", &["shop.test"])]));
    let client = Client::new(&authority);
    let mut open = client.connect(front.tls, "shop.test").unwrap();
    assert_eq!(get(&mut open, "shop.test", "/").unwrap().status, 200);
    front.replace(material(vec![after.identity("a", &["shop.test"])]));
    assert_eq!(get(&mut open, "shop.test", "/").unwrap().status, 200);
    let stream = Client::new(&authority)
        .connect(front.tls, "shop.test")
        .unwrap();
    let expected = CertificateDer::from_pem_slice(after.cert.as_bytes()).unwrap();
    assert_eq!(shown(&stream), expected.as_ref());
    // Tickets of before are still good.
    assert!(client.get(front.tls, "shop.test", "/").unwrap().1);
    // What cannot be used changes nothing.
    let mut bad = after.identity("a", &["shop.test"]);
    bad.key = before.key.clone();
    front.replace(material(vec![bad]));
    assert_eq!(
        client.get(front.tls, "shop.test", "/").unwrap().0.status,
        200
    );
}

#[test]
fn authorities_see_what_they_ask_for() {
    let authority = Authority::new();
    let leaf = authority.server(&["shop.test"]);
    let proof = authority.server(&["new.test"]);
    let mut front = Front::start(SITE, material(vec![leaf.identity("a", &["shop.test"])]));
    front.challenge(vec![
        Challenge::TlsAlpn01 {
            host: "new.test".into(),
            chain: proof.cert.clone(),
            key: proof.key.clone(),
        },
        Challenge::Http01 {
            token: "token-1".into(),
            answer: "token-1.print".into(),
        },
    ]);
    let client = Client::new(&authority);
    let stream = client
        .clone()
        .alpn(&["acme-tls/1"])
        .connect(front.tls, "new.test")
        .unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"acme-tls/1"[..]));
    let expected = CertificateDer::from_pem_slice(proof.cert.as_bytes()).unwrap();
    assert_eq!(shown(&stream), expected.as_ref());
    // Only under that protocol, and only for that name.
    let error = client.connect(front.tls, "new.test").unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::UnrecognisedName));
    let asked = client.clone().alpn(&["acme-tls/1"]);
    let error = asked.connect(front.tls, "shop.test").unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::NoApplicationProtocol));

    let ask = |path: &str| {
        let mut socket = std::net::TcpStream::connect(front.plain).unwrap();
        get(&mut socket, "any.test", path).unwrap()
    };
    let answer = ask("/.well-known/acme-challenge/token-1");
    assert_eq!(answer.body, b"token-1.print");
    assert_eq!(ask("/.well-known/acme-challenge/token-2").body, b"hello");
    let (answer, _) = client
        .get(
            front.tls,
            "shop.test",
            "/.well-known/acme-challenge/token-1",
        )
        .unwrap();
    assert_eq!(answer.body, b"hello");
    front.challenge(Vec::new());
    assert!(asked.connect(front.tls, "new.test").is_err());
}
