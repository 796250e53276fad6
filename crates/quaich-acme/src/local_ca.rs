//! The local development CA: made once per state directory, trusted by `quaich trust`.
//!
//! Its key can vouch for any name to a machine that trusts it, so it never leaves the state
//! directory, and it is never replaced by itself.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use crate::store::file::{self, Lock};
use crate::store::pair::Pair;
use crate::store::{self, LOCAL, Stored};
use crate::{Error, Result, clock, x509};

/// Life of the root: ten years.
const ROOT_LIFE: u64 = 3650 * clock::DAY;

/// Life of what it issues. Browsers take at most 398 days.
const LEAF_LIFE: u64 = 90 * clock::DAY;

/// Certificates begin in the past: clocks of containers and phones differ.
const BACKDATED: u64 = clock::HOUR;

/// The longest text that a common name may hold (RFC 5280, `ub-common-name`).
const LONGEST_NAME: usize = 64;

/// The CA, with its key.
pub struct Ca {
    root_pem: String,
    common_name: String,
    not_after: u64,
    key: KeyPair,
}

impl Ca {
    /// The root certificate, to be trusted.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Its common name, as trust stores show it.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// When it expires, in seconds since 1970.
    pub fn not_after(&self) -> u64 {
        self.not_after
    }

    fn of(pair: Pair) -> Result<Self> {
        let chain = x509::chain(&pair.chain_pem)?;
        let first = chain.first().ok_or_else(|| Error::new("no certificate"))?;
        if !x509::parse(first)?.is_ca() {
            return Err(Error::new("the certificate is not that of a CA"));
        }
        let key = KeyPair::from_pem(&pair.key_pem).map_err(|e| Error::new(e.to_string()))?;
        Ok(Self {
            root_pem: pair.chain_pem,
            // It is its own issuer.
            common_name: pair.facts.issuer,
            not_after: pair.facts.not_after,
            key,
        })
    }

    /// Whether `chain_pem` begins with a certificate that this CA signed.
    fn has_issued(&self, chain_pem: &str) -> Result<bool> {
        let (root, chain) = (x509::chain(&self.root_pem)?, x509::chain(chain_pem)?);
        let (Some(root), Some(first)) = (root.first(), chain.first()) else {
            return Ok(false);
        };
        let (root, first) = (x509::parse(root)?, x509::parse(first)?);
        Ok(first.verify_signature(Some(root.public_key())).is_ok())
    }
}

/// The CA of `state_dir`; made there if there is none.
///
/// # Errors
/// It cannot be read or written, or what lies there is no CA. It is never replaced by itself: a
/// root that is trusted somewhere must not silently become another one.
pub fn ensure(state_dir: &Path) -> Result<Ca> {
    let folder = folder(state_dir);
    let _lock = Lock::wait(&folder)?;
    let path = folder.join("ca.pem");
    let unusable = |e: Error| {
        Error::new(format!(
            "the local CA cannot be used: {e}. To have a new one, remove {} and run \
             `quaich trust` again",
            path.display()
        ))
    };
    let ca = match Pair::read(&path).map_err(unusable)? {
        Some(pair) => Ca::of(pair).map_err(unusable)?,
        None => make(&path)?,
    };
    if ca.not_after <= clock::now() {
        return Err(unusable(Error::new("it has expired")));
    }
    let root = root_pem_path(state_dir);
    if file::read_text(&root).ok().flatten().as_deref() != Some(ca.root_pem()) {
        file::write(&root, ca.root_pem().as_bytes(), file::PUBLIC)?;
    }
    Ok(ca)
}

/// Where the root certificate lies. It may not be there yet.
pub fn root_pem_path(state_dir: &Path) -> PathBuf {
    folder(state_dir).join("root.pem")
}

/// SHA-256 of the first certificate in `pem`, hexadecimal.
///
/// # Errors
/// There is none.
pub fn fingerprint(pem: &str) -> Result<String> {
    let chain = x509::chain(pem)?;
    let first = chain.first().ok_or_else(|| Error::new("no certificate"))?;
    let hash = digest(&SHA256, first);
    Ok(hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// A certificate for `names` (DNS names, wildcards, IP addresses) below `ca`: the stored one while
/// it has more than a third of its life before it, else a new one, which is stored.
///
/// # Errors
/// A name that cannot be in a certificate, or a file that cannot be written.
pub fn certificate(ca: &Ca, state_dir: &Path, names: &[String]) -> Result<Stored> {
    let first = names.first().ok_or_else(|| Error::new("no names"))?;
    let name = store::file_name(first)?;
    let folder = folder(state_dir);
    let path = folder.join(format!("certs/{name}.pem"));
    let _lock = Lock::wait(&folder)?;
    // One that cannot be read is as good as none.
    if let Ok(Some(stored)) = Stored::read(&path, LOCAL)
        && stored.is_for(names)
        && stored.renew_at > clock::now()
        && ca.has_issued(&stored.chain_pem).unwrap_or(false)
    {
        return Ok(stored);
    }
    issue(ca, names)?.write(&path)?;
    Stored::read(&path, LOCAL)?
        .ok_or_else(|| Error::new(format!("{} is gone again", path.display())))
}

fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("local-ca")
}

fn make(path: &Path) -> Result<Ca> {
    let failed = |e: rcgen::Error| Error::new(format!("cannot make the local CA: {e}"));
    let now = clock::now();
    let mut params = CertificateParams::new([]).map_err(failed)?;
    params.distinguished_name = common_name(&format!("quaich local CA {}", owner()));
    let organization = "quaich local development CA";
    params
        .distinguished_name
        .push(DnType::OrganizationName, organization);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = clock::date(now.saturating_sub(BACKDATED))?;
    params.not_after = clock::date(now + ROOT_LIFE)?;
    let key = KeyPair::generate().map_err(failed)?;
    let root = params.self_signed(&key).map_err(failed)?;
    let pair = Pair::new(root.pem(), key.serialize_pem())?;
    pair.write(path)?;
    Ca::of(pair)
}

fn issue(ca: &Ca, names: &[String]) -> Result<Pair> {
    let failed = |e: rcgen::Error| Error::new(format!("{}: {e}", names.join(", ")));
    let now = clock::now();
    let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
    let host = names.iter().find(|name| name.parse::<IpAddr>().is_err());
    params.distinguished_name = match host.or(names.first()) {
        Some(name) if name.len() <= LONGEST_NAME => common_name(name),
        _ => DistinguishedName::new(),
    };
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = clock::date(now.saturating_sub(BACKDATED))?;
    params.not_after = clock::date((now + LEAF_LIFE).min(ca.not_after))?;
    let key = KeyPair::generate().map_err(failed)?;
    let issuer = Issuer::from_ca_cert_pem(&ca.root_pem, &ca.key).map_err(failed)?;
    let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
    Pair::new(certificate.pem(), key.serialize_pem())
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    let name: String = name.chars().take(LONGEST_NAME).collect();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Whose CA it is, for people who look at a list of roots: `ann@laptop`.
fn owner() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy().into_owned();
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let uid = || format!("uid {}", rustix::process::getuid().as_raw());
    let plain = |c: &char| c.is_ascii_graphic() || *c == ' ';
    let text = format!("{}@{host}", user.unwrap_or_else(|_| uid()));
    text.chars().filter(plain).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_string()).collect()
    }

    #[test]
    fn is_made_once_and_kept_private() {
        let state = tempfile::tempdir().unwrap();
        let one = ensure(state.path()).unwrap();
        let two = ensure(state.path()).unwrap();
        assert_eq!(one.root_pem(), two.root_pem());
        assert_eq!(fingerprint(one.root_pem()).unwrap().len(), 64);
        assert!(one.common_name().starts_with("quaich local CA "));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state.path().join("local-ca/ca.pem")), 0o600);
        let root = std::fs::read_to_string(root_pem_path(state.path())).unwrap();
        assert_eq!(root, one.root_pem());
    }

    #[test]
    fn a_garbled_ca_is_never_replaced() {
        let state = tempfile::tempdir().unwrap();
        ensure(state.path()).unwrap();
        let path = state.path().join("local-ca/ca.pem");
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let refused = ensure(state.path()).err().unwrap().to_string();
        assert!(refused.contains("To have a new one, remove"), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap().len(), whole.len() / 2);
    }

    #[test]
    fn a_certificate_is_kept_until_something_changes() {
        let state = tempfile::tempdir().unwrap();
        let ca = ensure(state.path()).unwrap();
        let wanted = names(&["localhost", "*.localhost", "127.0.0.1", "::1"]);
        let one = certificate(&ca, state.path(), &wanted).unwrap();
        assert_eq!(one.names, wanted);
        assert_eq!(one.directory, LOCAL);
        let again = certificate(&ca, state.path(), &wanted).unwrap();
        assert_eq!(one.chain_pem, again.chain_pem);
        let other = certificate(&ca, state.path(), &names(&["localhost", "::1"])).unwrap();
        assert_ne!(one.chain_pem, other.chain_pem);

        let elsewhere = tempfile::tempdir().unwrap();
        let other_ca = ensure(elsewhere.path()).unwrap();
        let by_other = certificate(&other_ca, state.path(), &names(&["localhost", "::1"]));
        assert_ne!(by_other.unwrap().chain_pem, other.chain_pem);
    }

    #[test]
    fn names_that_fit_no_certificate_are_refused() {
        let state = tempfile::tempdir().unwrap();
        let ca = ensure(state.path()).unwrap();
        for bad in ["", "a/b", "ä.example"] {
            assert!(certificate(&ca, state.path(), &names(&[bad])).is_err());
        }
    }
}
