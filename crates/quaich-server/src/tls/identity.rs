//! Looks at a certificate chain and its key before they are used: the supervisor asks, and tells
//! the user what is wrong. Pure; opens no files.

use std::fmt;
use std::net::IpAddr;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::asn1_rs::oid;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use super::provider::provider;

/// What a certificate says of itself. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// For which names: lower case, `*.example.org`, or addresses. A certificate without names in
    /// the place where they belong counts for its common name.
    pub names: Vec<String>,
    /// Not valid before.
    pub not_before: i64,
    /// Not valid after.
    pub not_after: i64,
    /// Who signed it, for people.
    pub issuer: String,
    /// It was signed with its own key.
    pub self_signed: bool,
    /// Its key.
    pub key: KeyKind,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Where an OCSP answer can be fetched.
    pub ocsp_responder: Option<String>,
    /// Clients may refuse it without a stapled OCSP answer (RFC 7633).
    pub must_staple: bool,
}

/// Kind of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA of so many bits.
    Rsa(usize),
    /// An elliptic curve of so many bits.
    Ecdsa(usize),
    /// Ed25519, or what else there may be.
    Other,
}

/// Why a chain and a key cannot be used. Its text says what is wrong and what to do; it names no
/// file, for the caller knows which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Nothing in the chain.
    NoCertificate,
    /// The chain is not PEM, or a certificate in it cannot be read.
    BadCertificate(String),
    /// The certificate is that of an authority.
    Authority,
    /// No key.
    NoKey,
    /// The key asks for a passphrase.
    EncryptedKey,
    /// The key cannot be read, or is of a kind that TLS does not know.
    BadKey(String),
    /// The key is that of another certificate.
    Mismatch,
    /// The certificate of the key is there, but not the first.
    Order,
}

/// Checks `chain` (PEM, the certificate first) and `key` (PEM). That it has expired, or is not yet
/// valid, is a fact, not a problem.
pub fn check(chain: &[u8], key: &[u8]) -> Result<Facts, Problem> {
    let (chain, key) = parse(chain, key)?;
    let first = chain.first().ok_or(Problem::NoCertificate)?;
    let (_, certificate) = X509Certificate::from_der(first)
        .map_err(|error| Problem::BadCertificate(error.to_string()))?;
    let facts = facts(&certificate);
    let authority = facts.names.is_empty() && certificate.is_ca();
    certified(&provider(), chain, key)?;
    match authority {
        true => Err(Problem::Authority),
        false => Ok(facts),
    }
}

/// What the first certificate of `chain` (PEM) says of itself, with no key to look at.
pub fn facts_of(chain: &[u8]) -> Result<Facts, Problem> {
    let chain = certificates(chain)?;
    let first = chain.first().ok_or(Problem::NoCertificate)?;
    let (_, certificate) = X509Certificate::from_der(first)
        .map_err(|error| Problem::BadCertificate(error.to_string()))?;
    Ok(facts(&certificate))
}

impl Facts {
    /// Whether it is valid at `now`, as its dates go.
    pub fn is_current(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// The certificates and the key, in the form in which rustls wants them.
pub(super) fn parse(
    chain: &[u8],
    key: &[u8],
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Problem> {
    Ok((certificates(chain)?, private_key(key)?))
}

fn certificates(chain: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| Problem::BadCertificate(error.to_string()))?;
    match chain.is_empty() {
        true => Err(Problem::NoCertificate),
        false => Ok(chain),
    }
}

fn private_key(key: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
    use rustls::pki_types::pem::Error;
    const ENCRYPTED: [&[u8]; 2] = [
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----",
        b"Proc-Type: 4,ENCRYPTED",
    ];
    let contains = |mark: &[u8]| key.windows(mark.len()).any(|bytes| bytes == mark);
    if ENCRYPTED.iter().any(|mark| contains(mark)) {
        return Err(Problem::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
        Error::NoItemsFound => Problem::NoKey,
        other => Problem::BadKey(other.to_string()),
    })
}

/// Chain and key, ready to sign with. Fails unless the key is that of the first certificate.
pub(super) fn certified(
    provider: &CryptoProvider,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, Problem> {
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| Problem::BadKey(error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // A key that does not tell its public half cannot be compared.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) if owner_is_later(&certified) => Err(Problem::Order),
        Err(Error::InconsistentKeys(_)) => Err(Problem::Mismatch),
        Err(other) => Err(Problem::BadCertificate(other.to_string())),
    }
}

/// Whether a certificate of the chain other than the first is the one of the key.
fn owner_is_later(certified: &CertifiedKey) -> bool {
    let later = certified.cert.iter().skip(1);
    later.into_iter().any(|certificate| {
        CertifiedKey::new(vec![certificate.clone()], certified.key.clone())
            .keys_match()
            .is_ok()
    })
}

fn facts(certificate: &X509Certificate<'_>) -> Facts {
    let mut facts = Facts {
        names: names(certificate),
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
        issuer: certificate.issuer().to_string(),
        self_signed: certificate.issuer() == certificate.subject(),
        key: key_kind(certificate),
        serial: certificate
            .raw_serial()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        ocsp_responder: None,
        must_staple: false,
    };
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityInfoAccess(access) => {
                facts.ocsp_responder = access.iter().find_map(|way| match &way.access_location {
                    GeneralName::URI(uri) if way.access_method == oid!(1.3.6.1.5.5.7.48.1) => {
                        Some((*uri).to_owned())
                    }
                    _ => None,
                });
            }
            // TLS feature `status_request` (RFC 7633): a sequence that holds the integer 5.
            _ if extension.oid == oid!(1.3.6.1.5.5.7.1.24) => {
                facts.must_staple = extension.value.windows(3).any(|bytes| bytes == [2, 1, 5]);
            }
            _ => {}
        }
    }
    facts
}

/// The names a certificate is for, in lower case.
pub(super) fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(Some(alternatives)) = certificate.subject_alternative_name() {
        for name in &alternatives.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => {
                    names.extend(address(bytes).map(|addr| addr.to_string()));
                }
                _ => {}
            }
        }
        return names;
    }
    let common = certificate.subject().iter_common_name().next();
    let common = common.and_then(|name| name.as_str().ok());
    names.extend(
        common
            .filter(|name| is_host(name))
            .map(str::to_ascii_lowercase),
    );
    names
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or(v6).ok()
}

fn is_host(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*:".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

fn key_kind(certificate: &X509Certificate<'_>) -> KeyKind {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => KeyKind::Rsa(key.key_size()),
        // Points of P-521 are a little longer than the field.
        Ok(PublicKey::EC(point)) => KeyKind::Ecdsa(match point.key_size() {
            528 => 521,
            bits => bits,
        }),
        _ => KeyKind::Other,
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::Ecdsa(bits) => write!(f, "ECDSA P-{bits}"),
            Self::Other => f.write_str("other"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str(
                "there is no certificate in it; it must hold the certificate and its issuers as PEM \
                 (`-----BEGIN CERTIFICATE-----`)",
            ),
            Self::BadCertificate(why) => {
                write!(f, "the certificate cannot be read ({why}); it must be PEM")
            }
            Self::Authority => f.write_str(
                "this is the certificate of an authority (CA) and names no host; the server's own \
                 certificate must come first",
            ),
            Self::NoKey => f.write_str(
                "there is no private key in it; it must hold one as PEM \
                 (`-----BEGIN PRIVATE KEY-----`)",
            ),
            Self::EncryptedKey => f.write_str(
                "the key is encrypted; decrypt it with `openssl pkey -in KEY -out KEY.plain` and \
                 give that file to nobody else",
            ),
            Self::BadKey(why) => write!(
                f,
                "the key cannot be used ({why}); RSA of at least 2048 bits, ECDSA P-256, P-384, \
                 P-521 and Ed25519 can"
            ),
            Self::Mismatch => f.write_str("the key belongs to another certificate"),
            Self::Order => f.write_str(
                "the certificate of the key is not the first; put it before its issuers",
            ),
        }
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    use super::*;

    fn key() -> KeyPair {
        KeyPair::generate().unwrap()
    }

    fn signed(names: &[&str], key: &KeyPair) -> String {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        params.self_signed(key).unwrap().pem()
    }

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "An Authority");
        CertifiedIssuer::self_signed(params, key()).unwrap()
    }

    fn problem(chain: &str, key: &str) -> Problem {
        check(chain.as_bytes(), key.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_good_pair_tells_what_it_is() {
        let key = key();
        let chain = signed(
            &["Shop.test", "*.shop.test", "192.0.2.1", "2001:db8::1"],
            &key,
        );
        let facts = check(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        assert_eq!(
            facts.names,
            ["shop.test", "*.shop.test", "192.0.2.1", "2001:db8::1"]
        );
        assert_eq!(facts.key, KeyKind::Ecdsa(256));
        assert_eq!(facts.key.to_string(), "ECDSA P-256");
        assert!(facts.is_current(1_700_000_000) && facts.self_signed);
        assert_eq!(facts_of(chain.as_bytes()), Ok(facts));
    }

    #[test]
    fn each_mistake_has_its_word() {
        let (mine, other) = (key(), key());
        let chain = signed(&["shop.test"], &mine);
        let pem = mine.serialize_pem();
        let encrypted = pem.replace("PRIVATE", "ENCRYPTED PRIVATE");
        let broken = chain.replace("MII", "AAA");
        assert_eq!(problem("", &pem), Problem::NoCertificate);
        assert_eq!(problem(&pem, &pem), Problem::NoCertificate);
        assert!(matches!(problem(&broken, &pem), Problem::BadCertificate(_)));
        assert_eq!(problem(&chain, ""), Problem::NoKey);
        assert_eq!(problem(&chain, &chain), Problem::NoKey);
        assert_eq!(problem(&chain, &encrypted), Problem::EncryptedKey);
        assert_eq!(
            problem(
                &chain,
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
            ),
            Problem::EncryptedKey
        );
        assert!(matches!(
            problem(
                &chain,
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
            ),
            Problem::BadKey(_)
        ));
        assert_eq!(problem(&chain, &other.serialize_pem()), Problem::Mismatch);
    }

    #[test]
    fn an_authority_is_told_from_a_server() {
        let authority = authority();
        let leaf_key = key();
        let params = CertificateParams::new(["shop.test".to_owned()]).unwrap();
        let leaf = params.signed_by(&leaf_key, &authority).unwrap().pem();
        let swapped = format!("{}{leaf}", authority.pem());
        assert_eq!(problem(&swapped, &leaf_key.serialize_pem()), Problem::Order);
        let alone = problem(&authority.pem(), &authority.key().serialize_pem());
        assert!(matches!(alone, Problem::Authority), "{alone:?}");
    }
}
