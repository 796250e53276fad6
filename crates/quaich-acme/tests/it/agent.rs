//! Runs the agent as the supervisor does, and answers challenges as the front does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use quaich_acme::{Ack, Challenge, Event, Job};
use quaich_config::model::{Acme, AcmeChallenge};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConnection};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, Stream};

/// Answers http-01 and tls-alpn-01 on two ports.
pub struct Front {
    pub http_port: u16,
    pub tls_port: u16,
    shown: Arc<Shown>,
}

/// What is shown now, and what was asked.
#[derive(Default, Debug)]
struct Shown {
    challenges: Mutex<Vec<Challenge>>,
    /// Called once, when a challenge has been asked for and before it is answered.
    hook: Mutex<Option<Hook>>,
}

struct Hook(Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

impl Front {
    pub fn start() -> Self {
        let shown = Arc::new(Shown::default());
        let http = TcpListener::bind("127.0.0.1:0").unwrap();
        let tls = TcpListener::bind("127.0.0.1:0").unwrap();
        let (http_port, tls_port) = (
            http.local_addr().unwrap().port(),
            tls.local_addr().unwrap().port(),
        );
        let table = shown.clone();
        thread::spawn(move || {
            for stream in http.incoming().flatten() {
                table.answer_http(stream);
            }
        });
        let config = tls_config(shown.clone());
        thread::spawn(move || {
            for mut stream in tls.incoming().flatten() {
                let mut connection = ServerConnection::new(config.clone()).unwrap();
                let mut tls = Stream::new(&mut connection, &mut stream);
                let _ = tls.read(&mut [0; 16]);
            }
        });
        Self {
            http_port,
            tls_port,
            shown,
        }
    }

    fn show(&self, challenges: Vec<Challenge>) {
        *self.shown.challenges.lock().unwrap() = challenges;
    }

    /// Calls `hook` when the authority asks for the next challenge, before the answer.
    pub fn on_next_question(&self, hook: impl FnOnce() + Send + 'static) {
        *self.shown.hook.lock().unwrap() = Some(Hook(Box::new(hook)));
    }

    pub fn shows_nothing(&self) -> bool {
        self.shown.challenges.lock().unwrap().is_empty()
    }
}

impl Shown {
    fn answer_http(&self, mut stream: TcpStream) {
        let mut line = String::new();
        let mut reader = BufReader::new(&stream);
        let _ = reader.read_line(&mut line);
        let path = line.split(' ').nth(1).unwrap_or_default().to_string();
        self.asked();
        let asked = path.strip_prefix("/.well-known/acme-challenge/");
        let challenges = self.challenges.lock().unwrap().clone();
        let answer = challenges.iter().find_map(|challenge| match challenge {
            Challenge::Http01 { token, answer } if Some(token.as_str()) == asked => Some(answer),
            _ => None,
        });
        let (status, body) = match answer {
            Some(answer) => ("200 OK", answer.as_str()),
            None => ("404 Not Found", "no such token"),
        };
        let length = body.len();
        let _ = stream.write_all(
            format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .as_bytes(),
        );
    }

    fn asked(&self) {
        let hook = self.hook.lock().unwrap().take();
        if let Some(Hook(hook)) = hook {
            hook();
        }
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.asked();
        let name = hello.server_name()?.to_string();
        let challenges = self.challenges.lock().unwrap();
        challenges.iter().find_map(|challenge| match challenge {
            Challenge::TlsAlpn01 { host, chain, key } if *host == name => {
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
                let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                let provider = rustls::crypto::aws_lc_rs::default_provider();
                let key = provider.key_provider.load_private_key(key).unwrap();
                // Not `from_der`: that refuses the critical extension which RFC 8737 wants.
                Some(Arc::new(CertifiedKey::new(chain, key)))
            }
            _ => None,
        })
    }
}

fn tls_config(shown: Arc<Shown>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    Arc::new(config)
}

/// A running agent.
pub struct Agent {
    child: Child,
}

impl Agent {
    pub fn start(job: &Job) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_quaich-acme-agent"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = serde_json::to_vec(job).unwrap();
        line.push(b'\n');
        child.stdin.as_mut().unwrap().write_all(&line).unwrap();
        Self { child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it come to its end; what it reported. Challenges are installed in `front`.
    pub fn finish(mut self, front: &Front) -> Events {
        let mut stdin = self.child.stdin.take().unwrap();
        let mut events = Vec::new();
        for line in BufReader::new(self.child.stdout.take().unwrap()).lines() {
            let event: Event = serde_json::from_str(&line.unwrap()).unwrap();
            if let Event::Challenges { id, challenges } = &event {
                front.show(challenges.clone());
                let mut ack = serde_json::to_vec(&Ack { ack: *id }).unwrap();
                ack.push(b'\n');
                // It may have been killed meanwhile.
                let _ = stdin.write_all(&ack);
            }
            events.push(event);
        }
        let _ = self.child.wait();
        Events(events)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a pass reported.
#[derive(Debug)]
pub struct Events(pub Vec<Event>);

impl Events {
    /// First names of the certificates that were issued.
    pub fn issued(&self) -> Vec<&str> {
        let issued = self.0.iter().filter_map(|event| match event {
            Event::Issued { names, .. } => Some(names[0].as_str()),
            _ => None,
        });
        issued.collect()
    }

    /// Reasons and times of the next attempt.
    pub fn failed(&self) -> Vec<(&str, u64)> {
        let failed = self.0.iter().filter_map(|event| match event {
            Event::Failed {
                reason, retry_at, ..
            } => Some((reason.as_str(), *retry_at)),
            _ => None,
        });
        failed.collect()
    }

    pub fn next(&self) -> Option<u64> {
        self.0.iter().find_map(|event| match event {
            Event::Next { at } => Some(*at),
            _ => None,
        })
    }

    pub fn has_logged(&self, text: &str) -> bool {
        self.0.iter().any(|event| match event {
            Event::Log { message, .. } => message.contains(text),
            _ => false,
        })
    }
}

/// A job for certificates with these names; http-01 and tls-alpn-01 can be answered.
pub fn job(state: &Path, directory: &str, ca_file: &Path, names: &[&[&str]]) -> Job {
    let entry = |names: &&[&str]| names.iter().map(|name| (*name).to_string()).collect();
    Job {
        state_dir: state.to_path_buf(),
        acme: Some(Acme {
            email: Some("admin@example.org".to_string()),
            directory: directory.to_string(),
            ca_file: Some(ca_file.to_path_buf()),
            challenge: AcmeChallenge::Auto,
            profile: None,
            eab: None,
            names: Vec::new(),
        }),
        names: names.iter().map(entry).collect(),
        force: Vec::new(),
        http_01: true,
        tls_alpn_01: true,
        ocsp: Vec::new(),
    }
}
