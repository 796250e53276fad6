//! Certificates in the state directory: what the agent writes and the supervisor reads.

use std::fmt;
use std::path::{Path, PathBuf};

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
    /// Files that cannot be used, each with the reason; they count as absent.
    pub unusable: Vec<String>,
}

/// Reads everything below `state_dir`; what is not there is not an error.
pub fn load(_state_dir: &Path) -> Contents {
    Contents::default()
}

/// The folder name of an ACME directory URL, as in [`Stored::directory`].
pub fn directory_name(_url: &str) -> String {
    String::new()
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
