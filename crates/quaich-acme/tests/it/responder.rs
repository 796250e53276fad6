//! OCSP answers of `openssl ocsp`, and of responders that are up to no good.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use quaich_acme::{Event, Job, OcspJob};
use quaich_testkit::TempSite;

use crate::agent::{Agent, Events, Front};

/// A CA of openssl, and a responder that answers with it.
struct World {
    site: TempSite,
    front: Front,
    port: u16,
    mode: Arc<Mutex<Mode>>,
    asked: Arc<AtomicUsize>,
}

/// What the responder does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    /// `openssl ocsp` answers, signing with the key of this name.
    SignedBy(&'static str),
    /// What openssl said with one bit changed.
    Flipped(usize),
    Silent,
    Status503,
    Huge,
}

impl World {
    fn new() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let site = TempSite::new();
        make_ca(&site, port);
        let mode = Arc::new(Mutex::new(Mode::SignedBy("ca")));
        let asked = Arc::new(AtomicUsize::new(0));
        let (folder, how, count) = (site.path().to_path_buf(), mode.clone(), asked.clone());
        thread::spawn(move || {
            for stream in socket.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let mode = *how.lock().unwrap();
                answer(stream, &folder, mode);
            }
        });
        Self {
            site,
            front: Front::start(),
            port,
            mode,
            asked,
        }
    }

    fn use_mode(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    fn chain(&self, leaf: &str) -> String {
        self.site.read(&format!("{leaf}.pem")) + &self.site.read("ca.pem")
    }

    fn run(&self, chain: String) -> Events {
        let job = Job {
            state_dir: self.site.join("state"),
            acme: None,
            names: Vec::new(),
            force: Vec::new(),
            http_01: false,
            tls_alpn_01: false,
            ocsp: vec![OcspJob {
                certificate: "main".to_string(),
                chain,
            }],
        };
        Agent::start(&job).finish(&self.front)
    }

    fn times_asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn kept(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.site.join("state/ocsp")).unwrap();
        let paths = entries.flatten().map(|entry| entry.path());
        paths
            .filter(|p| p.extension().is_some_and(|e| e == "der"))
            .collect()
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command
        .args(arguments.split_whitespace())
        .current_dir(folder);
    let out = command.output().expect("openssl can be started");
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "openssl {arguments}: {error}");
}

/// `ca`, the leaves `good` and `revoked`, the responders `delegate` (of the CA) and `stranger`.
fn make_ca(site: &TempSite, port: u16) {
    let folder = site.path();
    site.write(
        "leaf.ext",
        format!("subjectAltName=DNS:good.example\nauthorityInfoAccess=OCSP;URI:http://127.0.0.1:{port}/ocsp\n"),
    );
    site.write("delegate.ext", "extendedKeyUsage=OCSPSigning\n");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        folder,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ca -days 30"),
    );
    openssl(
        folder,
        &format!("req -x509 {key} -keyout stranger.key -out stranger.pem -subj /CN=x -days 30"),
    );
    for (name, extensions, serial) in [
        ("good", "leaf.ext", "0x80aa01"),
        ("revoked", "leaf.ext", "0x02"),
        ("unknown", "leaf.ext", "0x03"),
        ("delegate", "delegate.ext", "0x04"),
        ("usurper", "leaf.ext", "0x05"),
    ] {
        openssl(
            folder,
            &format!("req -new {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"),
        );
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -out {name}.pem -days 20 \
                 -set_serial {serial} -extfile {extensions}"
            ),
        );
    }
    site.write(
        "index.txt",
        "V\t350101000000Z\t\t80AA01\tunknown\t/CN=good\n\
         R\t350101000000Z\t250101000000Z\t02\tunknown\t/CN=revoked\n",
    );
}

/// Answers one request.
fn answer(mut stream: TcpStream, folder: &Path, mode: Mode) {
    if mode == Mode::Silent {
        return;
    }
    let question = read_body(&mut stream);
    let (status, body) = match mode {
        Mode::Status503 => ("503 Service Unavailable", Vec::new()),
        Mode::Huge => ("200 OK", vec![0x30; 20_000]),
        Mode::SignedBy(signer) => ("200 OK", ask_openssl(folder, &question, signer)),
        Mode::Flipped(bit) => {
            let mut bytes = ask_openssl(folder, &question, "ca");
            let at = bit % (bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
            ("200 OK", bytes)
        }
        Mode::Silent => unreachable!(),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&body);
}

fn read_body(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    assert!(
        head.contains("content-type: application/ocsp-request"),
        "{head}"
    );
    let length = head.split("content-length: ").nth(1).unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    body
}

fn ask_openssl(folder: &Path, question: &[u8], signer: &str) -> Vec<u8> {
    std::fs::write(folder.join("question.der"), question).unwrap();
    openssl(
        folder,
        &format!(
            "ocsp -index index.txt -CA ca.pem -rsigner {signer}.pem -rkey {signer}.key \
             -reqin question.der -respout answer.der -ndays 4"
        ),
    );
    std::fs::read(folder.join("answer.der")).unwrap()
}

fn answers(events: &Events) -> Vec<(&[u8], u64)> {
    let answers = events.0.iter().filter_map(|event| match event {
        Event::Ocsp {
            certificate,
            der,
            next_update,
        } if certificate == "main" => Some((der.as_slice(), *next_update)),
        _ => None,
    });
    answers.collect()
}

#[test]
fn an_answer_is_fetched_once_and_kept() {
    let world = World::new();
    let events = world.run(world.chain("good"));
    let first = answers(&events);
    assert_eq!(first.len(), 1, "{events:?}");
    let (der, next_update) = first[0];
    // Fetched again at half of its four days.
    let next = events.next().unwrap();
    assert!(next_update - next >= 2 * 86_000 && next_update - next <= 2 * 86_400 + 10);
    let again = world.run(world.chain("good"));
    assert_eq!(answers(&again), [(der, next_update)]);
    assert_eq!(world.times_asked(), 1);
    assert!(world.port > 0);
}

#[test]
fn a_responder_of_the_issuer_may_sign() {
    let world = World::new();
    world.use_mode(Mode::SignedBy("delegate"));
    let events = world.run(world.chain("good"));
    assert_eq!(answers(&events).len(), 1, "{events:?}");
}

#[test]
fn nobody_else_may_sign() {
    let world = World::new();
    // A certificate of the same CA without the right to sign answers; another CA.
    for signer in ["usurper", "stranger"] {
        world.use_mode(Mode::SignedBy(signer));
        let events = world.run(world.chain("good"));
        assert!(answers(&events).is_empty(), "{signer}: {events:?}");
        assert!(events.has_logged("not signed by the issuer"), "{events:?}");
        assert!(events.has_logged("nothing is stapled"), "{events:?}");
        assert!(events.next().is_some());
    }
}

#[test]
fn only_good_is_stapled() {
    let world = World::new();
    let revoked = world.run(world.chain("revoked"));
    assert!(answers(&revoked).is_empty(), "{revoked:?}");
    let is_told =
        |event: &Event| matches!(event, Event::Revoked { certificate } if certificate == "main");
    assert!(revoked.0.iter().any(is_told), "{revoked:?}");
    let unknown = world.run(world.chain("unknown"));
    assert!(answers(&unknown).is_empty(), "{unknown:?}");
    assert!(
        unknown.has_logged("does not know the certificate"),
        "{unknown:?}"
    );
}

#[test]
fn a_responder_that_fails_costs_nothing() {
    let world = World::new();
    for mode in [Mode::Silent, Mode::Status503, Mode::Huge] {
        world.use_mode(mode);
        let events = world.run(world.chain("good"));
        assert!(answers(&events).is_empty(), "{mode:?}: {events:?}");
        assert!(events.next().is_some(), "{mode:?}: {events:?}");
    }
    world.use_mode(Mode::SignedBy("ca"));
    assert_eq!(answers(&world.run(world.chain("good"))).len(), 1);
}

#[test]
fn no_changed_bit_is_stapled() {
    let world = World::new();
    for bit in [3, 70, 333, 801, 1203, 1777, 2048] {
        world.use_mode(Mode::Flipped(bit));
        let events = world.run(world.chain("good"));
        assert!(answers(&events).is_empty(), "bit {bit}: {events:?}");
        assert!(world.kept().is_empty());
    }
}

#[test]
fn a_file_without_issuer_or_with_a_wrong_one_is_said() {
    let world = World::new();
    let alone = world.run(world.site.read("good.pem"));
    assert!(alone.has_logged("not its issuer's"), "{alone:?}");
    let wrong = world.site.read("good.pem") + &world.site.read("stranger.pem");
    let wrong = world.run(wrong);
    assert!(
        wrong.has_logged("is not the issuer of the first"),
        "{wrong:?}"
    );
    assert_eq!(world.times_asked(), 0);
}
