//! Pebble: the ACME test server of Let's Encrypt, and the name server of its challenge test server.
//!
//! Every host name leads to 127.0.0.1, and names are checked on ports that the test chooses.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;

use crate::process::{bound_udp, listening};
use crate::{Peer, Quaich, Signal, TempSite, eventually};

/// Whether pebble is installed; says on standard error what is skipped when not.
///
/// # Panics
/// When it is missing although the environment was made for the tests.
#[must_use]
pub fn requires_pebble() -> bool {
    let has = ["pebble", "pebble-challtestsrv"]
        .iter()
        .all(|program| Path::new("/usr/bin").join(program).exists());
    if !has {
        let prepared = std::env::var_os("QUAICH_TEST_PYTHON").is_some();
        assert!(!prepared, "the Debian package pebble is not installed");
        eprintln!("skipped: the Debian package pebble is not installed");
    }
    has
}

/// How pebble is started.
#[derive(Clone, Debug)]
pub struct PebbleOptions {
    /// Port of http-01.
    pub http_port: u16,
    /// Port of tls-alpn-01.
    pub tls_port: u16,
    /// How many of a hundred good nonces are refused.
    pub rejected_nonces: u8,
    /// Key id and base64url key of the only external account; `None` = everybody is welcome.
    pub external_account: Option<(String, String)>,
}

impl Default for PebbleOptions {
    fn default() -> Self {
        Self {
            http_port: 1,
            tls_port: 1,
            rejected_nonces: 20,
            external_account: None,
        }
    }
}

/// A running ACME server.
#[derive(Debug)]
pub struct Pebble {
    site: TempSite,
    names: Peer,
    server: Peer,
    directory: String,
}

impl Pebble {
    /// Starts pebble and its name server.
    ///
    /// # Panics
    /// When one of them cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start(options: &PebbleOptions) -> Self {
        let site = TempSite::new();
        let names = start_names();
        let dns = eventually("a name server", || bound_udp(names.pid()).first().copied());
        write_certificate(&site);
        let config = site.write("pebble.json", config(&site, options).to_string());
        let mut command = Command::new("pebble");
        command
            .args(["-strict", "-dnsserver", &dns.to_string(), "-config"])
            .arg(config)
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .env(
                "PEBBLE_WFE_NONCEREJECT",
                options.rejected_nonces.to_string(),
            );
        let server = Peer::start(&mut command);
        let addresses = eventually("both listeners of pebble", || {
            Some(listening(server.pid())).filter(|found| found.len() == 2)
        });
        let ca = site.join("directory-ca.pem");
        let served = |path: &str| {
            let mut urls = addresses.iter().map(|at| format!("https://{at}{path}"));
            urls.find_map(|url| Some((fetch(&url, &ca)?, url)))
        };
        let (_, directory) = served("/dir").expect("one of them serves the directory");
        let (root, _) = served("/roots/0").expect("the other one serves the root");
        site.write("root.pem", root);
        Self {
            site,
            names,
            server,
            directory,
        }
    }

    /// URL of the directory.
    #[must_use]
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// PEM of the CA of the directory's own certificate (`tls.acme.ca_file`).
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.site.join("directory-ca.pem")
    }

    /// PEM of the root of what it issues.
    #[must_use]
    pub fn root_file(&self) -> PathBuf {
        self.site.join("root.pem")
    }

    /// Sends it a signal: one that is stopped answers nobody.
    pub fn signal(&self, signal: Signal) {
        Quaich::signal_process(self.server.pid(), signal);
    }

    /// Has the name server fail for `name`.
    ///
    /// # Panics
    /// When it does not take the order.
    pub fn lose_name(&self, name: &str) {
        self.tell_names("/set-servfail", &json!({"host": name}));
    }

    /// Has the name server answer for `name` again.
    ///
    /// # Panics
    /// When it does not take the order.
    pub fn find_name(&self, name: &str) {
        self.tell_names("/clear-servfail", &json!({"host": name}));
    }

    fn tell_names(&self, path: &str, order: &serde_json::Value) {
        // It listens twice, and only one of the listeners speaks HTTP.
        let addresses = listening(self.names.pid());
        let took = addresses.iter().any(|at| post(*at, path, order).is_some());
        assert!(took, "the name server did not take {path} {order}");
    }

    /// What pebble has written so far.
    #[must_use]
    pub fn log(&self) -> &crate::LogLines {
        self.server.log()
    }
}

/// The body of `url`, from a server whose certificate is below `ca`.
fn fetch(url: &str, ca: &Path) -> Option<Vec<u8>> {
    let mut command = Command::new("curl");
    command.args(["-sf", "--cacert"]).arg(ca).arg(url);
    let out = command.output().expect("curl can be started");
    out.status.success().then_some(out.stdout)
}

/// The challenge test server, as a name server only.
fn start_names() -> Peer {
    let mut command = Command::new("pebble-challtestsrv");
    command.args(["-dns01", "127.0.0.1:0", "-management", "127.0.0.1:0"]);
    command.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
    command.args(["-defaultIPv6", ""]);
    Peer::start(&mut command)
}

fn config(site: &TempSite, options: &PebbleOptions) -> serde_json::Value {
    let mut pebble = json!({
        "listenAddress": "127.0.0.1:0",
        "managementListenAddress": "127.0.0.1:0",
        "certificate": site.join("cert.pem"),
        "privateKey": site.join("key.pem"),
        "httpPort": options.http_port,
        "tlsPort": options.tls_port,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": options.external_account.is_some(),
    });
    if let Some((id, key)) = &options.external_account {
        pebble["externalAccountMACKeys"] = json!({ id: key });
    }
    json!({ "pebble": pebble })
}

/// The certificate of pebble's own listeners; Debian's package has none.
fn write_certificate(site: &TempSite) {
    let key = || KeyPair::generate().expect("a key can be made");
    let mut params = CertificateParams::default();
    let name = "CA of the directory";
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, key()).expect("a CA can sign itself");
    let server = CertificateParams::new(["localhost".to_string(), "127.0.0.1".to_string()]);
    let server = server.expect("these are names");
    let server_key = key();
    let certificate = server.signed_by(&server_key, &ca);
    let certificate = certificate.expect("a CA can sign");
    site.write("directory-ca.pem", ca.pem());
    site.write("cert.pem", certificate.pem());
    site.write("key.pem", server_key.serialize_pem());
}

/// `POST`s to something that may not speak HTTP; the answer if it was 200.
fn post(at: SocketAddr, path: &str, body: &serde_json::Value) -> Option<String> {
    let body = body.to_string();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(at).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    // What waits for more than this gives up at once.
    stream.shutdown(Shutdown::Write).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}
