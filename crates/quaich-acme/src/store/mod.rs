//! Certificates in the state directory: what the agent writes and the supervisor reads.
//!
//! ```text
//! acme/DIRECTORY/account.json      the account's key                         ┐
//!               /certs/NAME.pem    chain and key of the entry that begins    │ all for the owner
//!                                  with NAME                                 │ only (0700, 0600),
//!               /certs/NAME.json   when to renew, how the last order went    │ replaced as a whole
//!               /orders/NAME.json  an order that was begun                   │
//! local-ca/ca.pem                  the local CA and its key                  │
//!         /certs/NAME.pem          what it issued                            ┘
//!         /root.pem                the CA without key (0644, in a folder for the owner only)
//! ocsp/FINGERPRINT.der             answers to staple
//! ```

pub(crate) mod file;
pub(crate) mod pair;
pub(crate) mod plan;

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use http::Uri;
use pair::Pair;
use plan::Plan;

use crate::order::schedule;
use crate::{Error, Result};

/// A certificate in the state directory, with its key.
#[derive(Clone, PartialEq)]
pub struct Stored {
    /// DNS names and IP addresses in the certificate.
    pub names: Vec<String>,
    /// Who issued it: [`directory_name`] of the ACME directory, or `local`.
    pub directory: String,
    /// The file it lies in, chain and key.
    pub file: PathBuf,
    /// PEM: the certificate, then its issuers.
    pub chain_pem: String,
    /// PEM, PKCS#8.
    pub key_pem: String,
    /// Common name of the issuer, for people.
    pub issuer: String,
    /// Seconds since 1970.
    pub not_before: u64,
    /// Seconds since 1970.
    pub not_after: u64,
    /// When it is to be renewed, in seconds since 1970.
    pub renew_at: u64,
}

/// The last order for some names did not give a certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// As in the job.
    pub names: Vec<String>,
    /// As [`Stored::directory`].
    pub directory: String,
    /// What failed.
    pub reason: String,
    /// How often in a row.
    pub count: u32,
    /// When it is tried again, in seconds since 1970.
    pub retry_at: u64,
}

/// All that lies in the state directory.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Certificates that can be used, of every directory and of the local CA.
    pub certificates: Vec<Stored>,
    /// Orders that failed and are not yet made good.
    pub failures: Vec<Failure>,
    /// Files and folders that cannot be used, each with the reason; they count as absent.
    pub unusable: Vec<String>,
}

/// Reads everything below `state_dir`; what is not there is not an error.
pub fn load(state_dir: &Path) -> Contents {
    let mut contents = Contents::default();
    contents.look_for_closed(&state_dir.join("acme"));
    for folder in file::folders(&state_dir.join("acme")) {
        let directory = folder.file_name().unwrap_or_default().to_string_lossy();
        contents.read_folder(&folder.join("certs"), &directory);
    }
    contents.read_folder(&state_dir.join("local-ca/certs"), LOCAL);
    contents
}

/// [`Stored::directory`] of what the local CA issued.
pub const LOCAL: &str = "local";

/// The folder name of an ACME directory URL, as in [`Stored::directory`]: its host, and what else
/// tells it from others there.
pub fn directory_name(url: &str) -> String {
    let uri = url.parse::<Uri>().unwrap_or_default();
    let path = match uri.path() {
        "/directory" => "",
        path => path.trim_matches('/'),
    };
    let host = uri.authority().map_or("unnamed", |host| host.as_str());
    let name = format!("{host} {path}");
    let plain = |c: char| match c {
        'a'..='z' | '0'..='9' | '.' | '-' => c,
        'A'..='Z' => c.to_ascii_lowercase(),
        _ => '_',
    };
    let name: String = name.trim().chars().map(plain).collect();
    name.trim_start_matches('.').to_string()
}

impl Contents {
    fn look_for_closed(&mut self, folder: &Path) {
        let why = file::closed(folder).map(|error| error.to_string());
        self.unusable.extend(why);
    }

    fn read_folder(&mut self, folder: &Path, directory: &str) {
        self.look_for_closed(folder);
        for path in file::list(folder, "pem") {
            match Stored::read(&path, directory) {
                Ok(Some(stored)) => self.certificates.push(stored),
                Ok(None) => {}
                Err(e) => self.unusable.push(e.to_string()),
            }
        }
        for path in file::list(folder, "json") {
            match plan::read::<Plan>(&path) {
                Ok(Some(plan)) if plan.failures > 0 => self.failures.push(Failure {
                    names: plan.names,
                    directory: directory.to_string(),
                    reason: plan.reason,
                    count: plan.failures,
                    retry_at: plan.retry_at,
                }),
                Ok(_) => {}
                Err(e) => self.unusable.push(e.to_string()),
            }
        }
    }
}

impl Stored {
    /// Reads `path`; `None` if it is not there.
    pub(crate) fn read(path: &Path, directory: &str) -> Result<Option<Self>> {
        let Some(pair) = Pair::read(path)? else {
            return Ok(None);
        };
        let facts = pair.facts;
        // A plan that cannot be read is reported where the plans are read.
        let plan = plan::read::<Plan>(&path.with_extension("json"));
        let planned = plan.ok().flatten().and_then(|plan| plan.renew_at);
        Ok(Some(Self {
            renew_at: planned
                .unwrap_or_else(|| schedule::two_thirds(facts.not_before, facts.not_after)),
            names: facts.names,
            directory: directory.to_string(),
            file: path.to_path_buf(),
            chain_pem: pair.chain_pem,
            key_pem: pair.key_pem,
            issuer: facts.issuer,
            not_before: facts.not_before,
            not_after: facts.not_after,
        }))
    }

    /// Whether it is for exactly these names.
    pub fn is_for(&self, names: &[String]) -> bool {
        let wanted: HashSet<String> = names.iter().map(|name| canonical(name)).collect();
        let has: HashSet<String> = self.names.iter().map(|name| canonical(name)).collect();
        wanted == has
    }
}

/// Whether `name` is among the names of a certificate, by letter: a wildcard has only itself.
pub(crate) fn has_name(names: &[String], name: &str) -> bool {
    let name = canonical(name);
    names.iter().any(|n| canonical(n) == name)
}

/// A name as certificates have it: lower case, addresses in their one form.
fn canonical(name: &str) -> String {
    match name.parse::<IpAddr>() {
        Ok(ip) => ip.to_string(),
        Err(_) => name.to_ascii_lowercase(),
    }
}

/// The files of one ACME directory.
pub(crate) struct Store {
    folder: PathBuf,
    /// As [`Stored::directory`].
    pub directory: String,
}

impl Store {
    /// Those of the directory `url`. Nothing is made yet.
    pub(crate) fn new(state_dir: &Path, url: &str) -> Self {
        let directory = directory_name(url);
        Self {
            folder: state_dir.join("acme").join(&directory),
            directory,
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn account(&self) -> PathBuf {
        self.folder.join("account.json")
    }

    /// The files of the entry `names`.
    ///
    /// # Errors
    /// The first name cannot be the name of a file.
    pub(crate) fn entry(&self, names: &[String]) -> Result<Entry> {
        let name = file_name(names.first().map_or("", String::as_str))?;
        Ok(Entry {
            certificate: self.folder.join(format!("certs/{name}.pem")),
            plan: self.folder.join(format!("certs/{name}.json")),
            order: self.folder.join(format!("orders/{name}.json")),
        })
    }
}

/// The files of one certificate.
pub(crate) struct Entry {
    pub certificate: PathBuf,
    pub plan: PathBuf,
    pub order: PathBuf,
}

/// How files for `name` are called.
///
/// # Errors
/// It is no name that a certificate could hold.
pub(crate) fn file_name(name: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:*".contains(c);
    // With its ending it must stay below the 255 bytes of a file name.
    if name.is_empty() || name.len() > 240 || name.starts_with('.') || !name.chars().all(plain) {
        let message = format!("{name:?} is not a host name or an IP address");
        return Err(Error::new(message));
    }
    Ok(name.replace('*', "_"))
}

// Keys must not get into a log by way of `{:?}`.
impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Stored");
        shown
            .field("names", &self.names)
            .field("directory", &self.directory)
            .field("not_after", &self.not_after);
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_directory_has_its_folder() {
        let name = directory_name;
        assert_eq!(
            name("https://acme-v02.api.letsencrypt.org/directory"),
            "acme-v02.api.letsencrypt.org"
        );
        assert_eq!(
            name("https://acme.zerossl.com/v2/DV90"),
            "acme.zerossl.com_v2_dv90"
        );
        assert_eq!(name("https://localhost:14000/dir"), "localhost_14000_dir");
        assert_eq!(name("https://[::1]:14000/dir"), "___1__14000_dir");
        assert_eq!(name("https://ca.example/../../etc"), "ca.example_.._.._etc");
        assert_eq!(name("../../etc"), "unnamed");
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        assert_eq!(file_name("*.localhost").unwrap(), "_.localhost");
        assert_eq!(file_name("::1").unwrap(), "::1");
        for bad in ["", "..", ".x", "a/b", "a\0", "ä.example"] {
            assert!(file_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_garbled_file_is_reported_and_counts_as_absent() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path(), "https://ca.example/directory");
        let names = ["good.example".to_string()];
        let made = rcgen::generate_simple_self_signed(names.to_vec()).unwrap();
        let pair = Pair::new(made.cert.pem(), made.signing_key.serialize_pem()).unwrap();
        pair.write(&store.entry(&names).unwrap().certificate)
            .unwrap();
        let bad = store.entry(&["bad.example".to_string()]).unwrap();
        file::write(&bad.certificate, b"\xff half", file::PRIVATE).unwrap();
        file::write(&bad.plan, b"{\"failures\": ", file::PRIVATE).unwrap();

        let contents = load(state.path());
        let found: Vec<_> = contents.certificates.iter().collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].names, names);
        assert_eq!(found[0].directory, "ca.example");
        assert_eq!(contents.unusable.len(), 2, "{:?}", contents.unusable);
    }
}
