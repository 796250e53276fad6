//! One thing that files are read for: a certificate with its key, the authorities for client
//! certificates, TLS to an upstream. It is looked at again and again, and keeps the last good
//! content.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use quaich_config::model::{self, ClientAuth, ClientAuthMode, HostPattern, UpstreamTls};
use quaich_server::link::{ClientTrust, Identity, UpstreamMaterial};
use quaich_server::tls;
use quaich_server::tls::connector::Connector;
use quaich_server::tls::identity::{self, Facts, Problem};

use super::cover::pattern;
use super::date::day;
use super::file::{Stamp, read_pem};
use crate::exit::{Code, Failure};

/// What the files are for.
enum Purpose {
    Certificate(model::Certificate),
    Clients(ClientAuth),
    /// `None` = nothing of it speaks TLS.
    Upstream(Option<UpstreamTls>),
}

/// What was read, known to be usable.
#[derive(Clone, PartialEq)]
pub(super) enum Content {
    Certificate(Box<Checked>),
    Clients(ClientTrust),
    Upstream(UpstreamMaterial),
}

/// A certificate for clients, and what it says of itself.
#[derive(Clone, PartialEq)]
pub(super) struct Checked {
    pub(super) identity: Identity,
    pub(super) facts: Facts,
    /// Where the certificate lies.
    pub(super) file: PathBuf,
}

/// What a look at a source has brought.
pub(super) enum Look {
    /// Nothing to be done.
    Same,
    /// There is other content, and it is good.
    Replaced,
    /// It cannot be used; the old content stays. Said once for each state of the files.
    Bad(Failure),
}

/// Files that are read together.
pub(super) struct Source {
    /// For people: ``certificate `shop` ``.
    label: String,
    purpose: Purpose,
    stamps: Vec<Option<Stamp>>,
    /// The files have just changed, and may be half-written: they are read once more.
    unsettled: bool,
    /// What was said of the files as they are.
    said: Option<String>,
    content: Option<Content>,
}

impl Source {
    pub(super) fn certificate(certificate: &model::Certificate) -> Source {
        let label = format!("certificate `{}`", certificate.name);
        Source::new(label, Purpose::Certificate(certificate.clone()))
    }

    /// `place` is where it stands: `[tls.client]`.
    pub(super) fn clients(auth: &ClientAuth, place: &str) -> Source {
        let label = format!("client certificates of {place}");
        Source::new(label, Purpose::Clients(auth.clone()))
    }

    pub(super) fn upstream(upstream: &model::Upstream) -> Source {
        let speaks = upstream.servers.iter().any(|server| server.tls);
        let label = format!("upstream `{}`", upstream.name);
        Source::new(
            label,
            Purpose::Upstream(speaks.then(|| upstream.tls.clone())),
        )
    }

    fn new(label: String, purpose: Purpose) -> Source {
        Source {
            label,
            purpose,
            stamps: Vec::new(),
            unsettled: false,
            said: None,
            content: None,
        }
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }

    /// The certificate, if this is one and it could be read.
    pub(super) fn checked(&self) -> Option<&Checked> {
        match self.content.as_ref()? {
            Content::Certificate(checked) => Some(checked),
            _ => None,
        }
    }

    /// The table of the certificate, if this is one.
    pub(super) fn table(&self) -> Option<&model::Certificate> {
        match &self.purpose {
            Purpose::Certificate(certificate) => Some(certificate),
            _ => None,
        }
    }

    /// What was last said of the files as they are now.
    pub(super) fn complaint(&self) -> Option<&str> {
        self.said.as_deref()
    }

    /// Whether there is anything to read.
    pub(super) fn has_files(&self) -> bool {
        !self.files().is_empty()
    }

    /// Whether it needs the authorities that the system trusts.
    pub(super) fn wants_system_roots(&self) -> bool {
        matches!(&self.purpose, Purpose::Upstream(Some(tls)) if tls.verify && tls.ca.is_none())
    }

    /// Looks at the files, and reads them if they have changed, or if `forced`. Of files that have
    /// just changed and are bad nothing is said until the next look: a certificate and its key are
    /// not replaced in one moment.
    pub(super) fn look(&mut self, system_roots: &str, now: i64, forced: bool) -> Look {
        let stamps: Vec<_> = self.files().into_iter().map(Stamp::of).collect();
        let changed = stamps != self.stamps;
        if !(changed || forced || self.unsettled) {
            return Look::Same;
        }
        if changed {
            self.said = None;
        }
        let settled = forced || !changed;
        self.stamps = stamps;
        self.unsettled = changed;
        match self
            .read(system_roots)
            .and_then(|new| self.prefer(new, now))
        {
            Ok(new) if self.content.as_ref() == Some(&new) => Look::Same,
            Ok(new) => {
                self.content = Some(new);
                self.said = None;
                Look::Replaced
            }
            Err(failure) if settled && self.said.is_none() => {
                self.said = Some(failure.line());
                Look::Bad(failure)
            }
            Err(_) => Look::Same,
        }
    }

    fn files(&self) -> Vec<&Path> {
        let files = match &self.purpose {
            Purpose::Certificate(named) => vec![Some(&named.cert), Some(&named.key)],
            Purpose::Clients(auth) if auth.mode == ClientAuthMode::Off => Vec::new(),
            Purpose::Clients(auth) => vec![auth.ca.as_ref(), auth.crl.as_ref()],
            Purpose::Upstream(None) => Vec::new(),
            Purpose::Upstream(Some(tls)) => {
                vec![tls.ca.as_ref(), tls.cert.as_ref(), tls.key.as_ref()]
            }
        };
        files.into_iter().flatten().map(PathBuf::as_path).collect()
    }

    /// One that has expired does not take the place of one that has not.
    fn prefer(&self, new: Content, now: i64) -> Result<Content, Failure> {
        let (Content::Certificate(checked), Some(old)) = (&new, self.checked()) else {
            return Ok(new);
        };
        let facts = &checked.facts;
        if facts.is_current(now) || !old.facts.is_current(now) {
            return Ok(new);
        }
        let (whose, file) = (&self.label, checked.file.display());
        Err(failure(format!(
            "{whose}: {file} {}",
            out_of_date(facts, now)
        )))
    }

    fn read(&self, system_roots: &str) -> Result<Content, Failure> {
        match &self.purpose {
            Purpose::Certificate(named) => self.read_certificate(named),
            Purpose::Clients(auth) => self.read_clients(auth).map(Content::Clients),
            Purpose::Upstream(None) => Ok(Content::Upstream(UpstreamMaterial::default())),
            Purpose::Upstream(Some(tls)) => {
                let material = self.read_upstream(tls, system_roots)?;
                Ok(Content::Upstream(material))
            }
        }
    }

    fn read_certificate(&self, named: &model::Certificate) -> Result<Content, Failure> {
        let (chain, key, facts) = self.read_pair(&named.cert, &named.key)?;
        let hosts: Vec<HostPattern> = match &named.hosts {
            Some(hosts) => hosts.clone(),
            None => facts.names.iter().map(|name| pattern(name)).collect(),
        };
        let identity = Identity {
            name: named.name.clone(),
            chain,
            key,
            hosts,
            ocsp: None,
        };
        let file = named.cert.clone();
        let checked = Checked {
            identity,
            facts,
            file,
        };
        Ok(Content::Certificate(Box::new(checked)))
    }

    fn read_clients(&self, auth: &ClientAuth) -> Result<ClientTrust, Failure> {
        if auth.mode == ClientAuthMode::Off {
            return Ok(ClientTrust::default());
        }
        let trust = ClientTrust {
            ca: self.read_authorities(auth.ca.as_deref())?,
            crl: self.read_list(auth.crl.as_deref())?,
        };
        tls::check_clients(auth.mode, &trust)
            .map_err(|why| self.unusable(&why, auth.crl.as_ref()))?;
        Ok(trust)
    }

    fn read_upstream(&self, tls: &UpstreamTls, system: &str) -> Result<UpstreamMaterial, Failure> {
        let ca = match &tls.ca {
            None if tls.verify && system.is_empty() => {
                let message = "this machine has no certificates of authorities to verify with";
                let cure = "install the package `ca-certificates`, or name a file: \
                            tls = { ca = \"ca.pem\" }";
                return Err(failure(format!("{}: {message}", self.label)).cure(cure));
            }
            None if tls.verify => system.to_owned(),
            ca => self.read_authorities(ca.as_deref())?,
        };
        let (chain, key) = match (&tls.cert, &tls.key) {
            (Some(cert), Some(key)) => {
                let (chain, key, _) = self.read_pair(cert, key)?;
                (chain, key)
            }
            _ => Default::default(),
        };
        let material = UpstreamMaterial { ca, chain, key };
        let connector = Connector::new(tls, &material, &[]);
        connector.map_err(|why| self.unusable(&why, tls.ca.as_ref()))?;
        Ok(material)
    }

    /// What the data path says of files that are well-formed.
    fn unusable(&self, why: &dyn Display, file: Option<&PathBuf>) -> Failure {
        let file = file.map(|file| format!("{}: ", file.display()));
        failure(format!("{}: {}{why}", self.label, file.unwrap_or_default()))
    }

    /// Chain, key, and what the certificate says.
    fn read_pair(&self, cert: &Path, key: &Path) -> Result<(String, String, Facts), Failure> {
        let chain = read_pem(cert, &self.label)?;
        let secret = read_pem(key, &self.label)?;
        match identity::check(chain.as_bytes(), secret.as_bytes()) {
            Ok(facts) => Ok((chain, secret, facts)),
            Err(problem) => Err(self.problem(&problem, cert, key)),
        }
    }

    fn problem(&self, problem: &Problem, cert: &Path, key: &Path) -> Failure {
        let (whose, cert, key) = (&self.label, cert.display(), key.display());
        failure(match problem {
            Problem::Mismatch => format!(
                "{whose}: the key in {key} belongs to another certificate than the one in {cert}"
            ),
            Problem::NoKey | Problem::EncryptedKey | Problem::BadKey(_) => {
                format!("{whose}: {key}: {problem}")
            }
            _ => format!("{whose}: {cert}: {problem}"),
        })
    }

    fn read_authorities(&self, path: Option<&Path>) -> Result<String, Failure> {
        let Some(path) = path else {
            return Ok(String::new());
        };
        let text = read_pem(path, &self.label)?;
        match identity::facts_of(text.as_bytes()) {
            Ok(_) => Ok(text),
            Err(problem) => {
                let (whose, path) = (&self.label, path.display());
                Err(failure(format!("{whose}: {path}: {problem}")))
            }
        }
    }

    fn read_list(&self, path: Option<&Path>) -> Result<String, Failure> {
        let Some(path) = path else {
            return Ok(String::new());
        };
        let text = read_pem(path, &self.label)?;
        if text.contains("-----BEGIN X509 CRL-----") {
            return Ok(text);
        }
        let (whose, path) = (&self.label, path.display());
        let message = format!("{whose}: there is no revocation list in {path}");
        Err(failure(message).cure("it must hold lists as PEM (`-----BEGIN X509 CRL-----`)"))
    }
}

/// `expired on 2026-01-31`.
pub(super) fn out_of_date(facts: &Facts, now: i64) -> String {
    match now < facts.not_before {
        true => format!("is not valid before {}", day(facts.not_before)),
        false => format!("expired on {}", day(facts.not_after)),
    }
}

fn failure(message: String) -> Failure {
    Failure::new(Code::Config, message)
}
