//! Which announcements are believed: whose signature holds, which are new, which addresses they
//! may name.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaParameters, UnparsedPublicKey,
};
use quaich_config::model::{Digest, Subscribe, UpstreamAddr};
use quaich_proto::subscription::Announcement;
use rustix::fs::{Mode, OFlags, openat};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use crate::forwarded::Trust as Networks;

/// How far the clock of an instance may be from ours.
const CLOCKS: Duration = Duration::from_secs(60);
/// Signed instances that are remembered; there cannot be as many of honest ones.
const MAX_REMEMBERED: usize = 100_000;
/// Longest file that is taken for a key.
const MAX_KEY_FILE: u64 = 16 * 1024;

/// Where a packet came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entrance {
    /// Whether only programs of this machine can send to the socket.
    pub(super) local: bool,
    /// Who sends; `None` = over a unix socket.
    pub(super) from: Option<IpAddr>,
}

/// Who is believed.
#[derive(Debug)]
pub(super) struct Trust {
    /// The folder of public keys.
    keys: Option<OwnedFd>,
    digest: Digest,
    /// `None`: any.
    allow: Option<Networks>,
    /// The newest time that was believed, by key and address. The address as it is signed: one that
    /// says `:3031` would otherwise be believed again from wherever its packet is sent once more.
    newest: HashMap<(String, String), u64>,
}

impl Trust {
    /// As `[subscribe]` says; `keys` is its `key_dir`.
    pub(super) fn new(settings: &Subscribe, keys: Option<OwnedFd>) -> Self {
        Self {
            keys,
            digest: settings.digest,
            allow: (!settings.allow.is_empty()).then(|| Networks::new(&settings.allow)),
            newest: HashMap::new(),
        }
    }

    /// Whether `said` is believed. The error is for people.
    pub(super) fn check(
        &mut self,
        said: &Announcement<'_>,
        addr: &UpstreamAddr,
        entrance: Entrance,
    ) -> Result<(), String> {
        self.check_address(addr, entrance)?;
        let Some(keys) = &self.keys else {
            return match entrance.local {
                true => Ok(()),
                false => Err("it is not signed, and comes from elsewhere".into()),
            };
        };
        let signature = said.signature.ok_or("it is not signed")?;
        let unix = said.unix.ok_or("it is signed and has no time")?;
        // What is cheap to find out comes first: anybody may send.
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        let who = (said.key.to_owned(), said.address.to_owned());
        self.check_time(&who, unix, now)?;
        let key = public_key(keys, said.key)?;
        let algorithm: &'static RsaParameters = match self.digest {
            Digest::Sha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Digest::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
            Digest::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
            Digest::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
        };
        UnparsedPublicKey::new(algorithm, key.as_ref())
            .verify(signature.signed, signature.sign)
            .map_err(|_| "its signature is wrong (see `key_dir` and `digest`)")?;
        self.remember(who, unix, now)
    }

    /// The command is not signed: a packet that was caught and turned round has the time of the
    /// first one, and each time counts once.
    fn check_time(&self, who: &(String, String), unix: u64, now: u64) -> Result<(), String> {
        if unix.abs_diff(now) > CLOCKS.as_secs() {
            return Err(format!("its clock says {unix}, ours {now}"));
        }
        match self.newest.get(who) {
            Some(newest) if unix <= *newest => {
                Err("it is a copy of an older one, or its clock was set back, or instances of several machines \
                 sign the same address: have them announce ip:port".into())
            }
            _ => Ok(()),
        }
    }

    /// From now on only what is newer counts.
    fn remember(&mut self, who: (String, String), unix: u64, now: u64) -> Result<(), String> {
        if self.newest.len() >= MAX_REMEMBERED && !self.newest.contains_key(&who) {
            // What is older is refused by its time alone.
            let oldest = now.saturating_sub(CLOCKS.as_secs());
            self.newest.retain(|_, unix| *unix >= oldest);
            if self.newest.len() >= MAX_REMEMBERED {
                return Err("too many instances announce themselves".into());
            }
        }
        self.newest.insert(who, unix);
        Ok(())
    }

    fn check_address(&self, addr: &UpstreamAddr, entrance: Entrance) -> Result<(), String> {
        match addr {
            UpstreamAddr::Unix(_) if entrance.from.is_some_and(|from| !from.is_loopback()) => {
                Err("it names a socket of this machine and comes from elsewhere".into())
            }
            UpstreamAddr::Unix(_) => Ok(()),
            UpstreamAddr::Tcp { host, .. } => match &self.allow {
                Some(allow) if !allow.contains(host.parse().ok()) => {
                    Err("its address is not one that `allow` names".into())
                }
                _ => Ok(()),
            },
        }
    }
}

/// The public key of `KEY.pem`.
fn public_key(keys: &OwnedFd, key: &str) -> Result<SubjectPublicKeyInfoDer<'static>, String> {
    let name = file_name(key);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat(keys, &name, flags, Mode::empty())
        .map_err(|error| format!("its public key {name} cannot be read: {error}"))?;
    let mut text = Vec::new();
    File::from(file)
        .take(MAX_KEY_FILE)
        .read_to_end(&mut text)
        .map_err(|error| format!("its public key {name} cannot be read: {error}"))?;
    SubjectPublicKeyInfoDer::from_pem_slice(&text)
        .map_err(|_| format!("{name} holds no public key (BEGIN PUBLIC KEY)"))
}

/// As uWSGI names the files of keys: a slash or anything else that a name must not hold is `_`.
fn file_name(key: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = key.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    format!("{name}.pem")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_counts_once_and_is_forgotten_when_it_is_too_old_anyway() {
        let mut trust = Trust {
            keys: None,
            digest: Digest::Sha256,
            allow: None,
            newest: HashMap::new(),
        };
        let who = |n: usize| ("a".to_owned(), n.to_string());
        assert!(trust.check_time(&who(0), 1000, 1060).is_ok());
        assert!(trust.check_time(&who(0), 1000, 1061).is_err());
        assert!(trust.remember(who(0), 1000, 1000).is_ok());
        assert!(trust.check_time(&who(0), 1000, 1000).is_err());
        assert!(trust.check_time(&who(0), 999, 1000).is_err());
        assert!(trust.check_time(&who(0), 1001, 1000).is_ok());
        assert!(trust.check_time(&who(1), 1000, 1000).is_ok());
        assert!((1..MAX_REMEMBERED).all(|n| trust.remember(who(n), 1000, 1000).is_ok()));
        assert!(trust.remember(who(MAX_REMEMBERED), 1000, 1000).is_err());
        assert!(trust.remember(who(MAX_REMEMBERED), 1061, 1061).is_ok());
        assert_eq!(trust.newest.len(), 1);
    }

    #[test]
    fn no_key_leads_out_of_its_folder() {
        assert_eq!(file_name("shop.example:8000"), "shop.example_8000.pem");
        assert_eq!(file_name("../../etc/passwd"), ".._.._etc_passwd.pem");
    }
}
