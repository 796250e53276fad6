//! An authority made for the test: renewal information, which pebble does not give, and answers
//! that are no ACME.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use quaich_acme::store::{self, LOCAL};
use quaich_acme::{Job, local_ca};
use quaich_testkit::TempSite;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use crate::agent::{Agent, Events, Front, job};

/// Status line, further fields, body.
type Answer = (&'static str, String, String);

struct Authority {
    state: TempSite,
    front: Front,
    directory: String,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Authority {
    fn start() -> Self {
        let state = TempSite::new();
        let config = tls(&state);
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let answers = Arc::new(Mutex::new(HashMap::<String, Answer>::new()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (table, list) = (answers.clone(), asked.clone());
        thread::spawn(move || {
            for mut tcp in socket.incoming().flatten() {
                let mut connection = ServerConnection::new(config.clone()).unwrap();
                let mut stream = Stream::new(&mut connection, &mut tcp);
                let Some(path) = read_path(&mut stream) else {
                    continue;
                };
                list.lock().unwrap().push(path.clone());
                let table = table.lock().unwrap();
                let answer = table.iter().find(|(begin, _)| path.starts_with(*begin));
                let nothing = ("404 Not Found", String::new(), String::new());
                let (status, fields, body) = answer.map_or(nothing, |(_, answer)| answer.clone());
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\n{fields}content-length: {length}\r\n\r\n");
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(body.as_bytes());
                connection.send_close_notify();
                let _ = connection.write_tls(&mut tcp);
            }
        });
        let authority = Self {
            state,
            front: Front::start(),
            directory: format!("https://127.0.0.1:{port}/directory"),
            answers,
            asked,
        };
        let url = |path: &str| format!("https://127.0.0.1:{port}/{path}");
        let directory = serde_json::json!({
            "newNonce": url("nonce"),
            "newAccount": url("account"),
            "newOrder": url("order"),
            "renewalInfo": url("renewal"),
        });
        authority.say("/directory", "200 OK", "", &directory.to_string());
        authority
    }

    fn say(&self, path: &str, status: &'static str, fields: &str, body: &str) {
        let answer = (status, fields.to_string(), body.to_string());
        self.answers
            .lock()
            .unwrap()
            .insert(path.to_string(), answer);
    }

    fn job(&self) -> Job {
        let ca = self.state.join("ca.pem");
        job(
            &self.state.join("state"),
            &self.directory,
            &ca,
            &[&["shop.example"]],
        )
    }

    fn run(&self) -> Events {
        Agent::start(&self.job()).finish(&self.front)
    }

    fn folder(&self) -> std::path::PathBuf {
        let name = store::directory_name(&self.directory);
        self.state.join("state/acme").join(name)
    }

    /// Has a certificate and an account lie in the store, as earlier passes leave them.
    fn settle(&self) {
        let state = self.state.join("state");
        let ca = local_ca::ensure(&state).unwrap();
        let names = ["shop.example".to_string()];
        let made = local_ca::certificate(&ca, &state, &names).unwrap();
        assert_eq!(made.directory, LOCAL);
        let folder = self.folder();
        std::fs::create_dir_all(folder.join("certs")).unwrap();
        std::fs::rename(&made.file, folder.join("certs/shop.example.pem")).unwrap();
        let key = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJVWC_QzOTCS5vtsJp2IG-UDc8cdDfeoKtxSZ\
                   xaznM-mhRANCAAQenCPoGgPFTdPJ7VLLKt56RxPlYT1wNXnHc54PEyBg3LxKaH0-sJkX0mL8LyPEdsfL_Oz4\
                   TxHkWLJGrXVtNhfH";
        let account = serde_json::json!({
            "email": "admin@example.org",
            "credentials": {"id": "1", "key_pkcs8": key, "directory": self.directory},
        });
        std::fs::write(folder.join("account.json"), account.to_string()).unwrap();
    }

    fn times_asked(&self, path: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|p| p.starts_with(path)).count()
    }

    fn renewal_window(&self, start: &str, end: &str) {
        let body = format!(r#"{{"suggestedWindow": {{"start": "{start}", "end": "{end}"}}}}"#);
        self.say("/renewal", "200 OK", "retry-after: 21600\r\n", &body);
    }
}

fn tls(state: &TempSite) -> Arc<ServerConfig> {
    let folder = state.join("authority");
    let ca = local_ca::ensure(&folder).unwrap();
    state.write("ca.pem", ca.root_pem());
    let leaf = local_ca::certificate(&ca, &folder, &["127.0.0.1".to_string()]).unwrap();
    let chain = CertificateDer::pem_slice_iter(leaf.chain_pem.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

/// Path of a request whose body, if any, is read too.
fn read_path(stream: &mut impl Read) -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).ok()?.to_ascii_lowercase();
    if let Some(length) = head.split("content-length: ").nth(1) {
        let length: usize = length.split("\r\n").next()?.parse().ok()?;
        stream.read_exact(&mut vec![0; length]).ok()?;
    }
    Some(head.split(' ').nth(1)?.to_string())
}

fn reason(events: &Events) -> &str {
    let failed = events.failed();
    assert_eq!(failed.len(), 1, "{events:?}");
    failed[0].0
}

#[test]
fn the_renewal_time_of_the_authority_counts() {
    let authority = Authority::start();
    authority.settle();
    authority.renewal_window("2031-01-02T00:00:00Z", "2031-01-04T00:00:00Z");
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let events = authority.run();
    assert!(
        events.failed().is_empty() && events.issued().is_empty(),
        "{events:?}"
    );
    assert_eq!(authority.times_asked("/renewal/"), 1);
    // Asked again after the six hours that the authority wants.
    let next = events.next().unwrap();
    assert!((now + 21_000..now + 22_000).contains(&next), "{next}");
    // A window behind the end of the certificate must not let it expire.
    let stored = &store::load(&authority.state.join("state")).certificates[0];
    assert_eq!(stored.renew_at, stored.not_after - 3600);
    // Not asked before.
    authority.run();
    assert_eq!(authority.times_asked("/renewal/"), 1);
}

#[test]
fn a_window_in_the_past_renews_at_once() {
    let authority = Authority::start();
    authority.settle();
    authority.renewal_window("2021-01-02T00:00:00Z", "2021-01-04T00:00:00Z");
    authority.say("/nonce", "200 OK", "replay-nonce: bm9uY2U\r\n", "");
    let problem = r#"{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "slowly"}"#;
    authority.say(
        "/order",
        "429 Too Many Requests",
        "retry-after: 172800\r\n",
        problem,
    );
    let events = authority.run();
    assert!(events.has_logged("renewing the certificate"), "{events:?}");
    assert!(
        reason(&events).contains("slowly (rateLimited)"),
        "{events:?}"
    );
    // It is waited for as long as the authority asks, and the old certificate stays.
    let next = events.next().unwrap();
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((now + 172_700..=now + 172_800).contains(&next), "{next}");
    assert_eq!(
        store::load(&authority.state.join("state"))
            .certificates
            .len(),
        1
    );
}

#[test]
fn no_renewal_information_leaves_two_thirds_of_life() {
    let authority = Authority::start();
    authority.settle();
    authority.say("/renewal", "500 Internal Server Error", "", "oops");
    let events = authority.run();
    assert!(events.failed().is_empty(), "{events:?}");
    let stored = &store::load(&authority.state.join("state")).certificates[0];
    let life = stored.not_after - stored.not_before;
    assert_eq!(stored.renew_at, stored.not_before + life / 3 * 2);
}

#[test]
fn an_authority_that_answers_nonsense_is_quoted_and_waited_for() {
    let authority = Authority::start();
    let large = "x".repeat(2 << 20);
    for (status, fields, body, expected) in [
        (
            "503 Service Unavailable",
            "retry-after: 600\r\n",
            "<html>",
            "503",
        ),
        ("200 OK", "", "<html>", "no ACME"),
        ("200 OK", "", "{}", "no ACME"),
        ("200 OK", "", large.as_str(), "its body"),
        ("302 Found", "location: /elsewhere\r\n", "", "no ACME"),
    ] {
        authority.say("/directory", status, fields, body);
        let _ = std::fs::remove_dir_all(authority.folder());
        let events = authority.run();
        assert!(reason(&events).contains(expected), "{expected}: {events:?}");
        assert!(events.next().is_some());
    }
}

#[test]
fn an_authority_with_a_certificate_of_nobody_is_not_believed() {
    let authority = Authority::start();
    let other = TempSite::new();
    let stranger = local_ca::ensure(other.path()).unwrap();
    authority.state.write("ca.pem", stranger.root_pem());
    let events = authority.run();
    assert!(reason(&events).contains("certificate"), "{events:?}");
    assert_eq!(authority.times_asked("/"), 0);
}
