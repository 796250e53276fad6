//! What this crate wants to know of a certificate.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::x509::X509Name;

use crate::{Error, Result};

/// The parts of a certificate that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// DNS names in lower case and IP addresses.
    pub names: Vec<String>,
    /// Common name of the issuer, else its whole name.
    pub issuer: String,
    /// Seconds since 1970.
    pub not_before: u64,
    /// Seconds since 1970.
    pub not_after: u64,
    /// The bits of the public key.
    pub public_key: Vec<u8>,
    /// `AKI.SERIAL` in base64url: its name in renewal information (RFC 9773 §4.1).
    pub renewal_id: Option<RenewalId>,
}

/// Key identifier of the issuer, and serial number with its sign byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RenewalId {
    pub issuer_key: Vec<u8>,
    pub serial: Vec<u8>,
}

/// The certificates in `pem`, at least one.
pub(crate) fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<std::result::Result<_, _>>()
        .map_err(|e| Error::new(format!("not PEM: {e}")))?;
    if chain.is_empty() {
        return Err(Error::new("no certificate in it"));
    }
    Ok(chain)
}

/// Parses one certificate.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>> {
    x509_parser::parse_x509_certificate(der)
        .map(|(_, certificate)| certificate)
        .map_err(|e| Error::new(format!("not an X.509 certificate: {e}")))
}

/// What the first certificate of `pem` says.
pub(crate) fn facts(pem: &str) -> Result<Facts> {
    let chain = chain(pem)?;
    let Some(first) = chain.first() else {
        return Err(Error::new("no certificate in it"));
    };
    let certificate = parse(first)?;
    let validity = certificate.validity();
    Ok(Facts {
        names: names(&certificate),
        issuer: display_name(certificate.issuer()),
        not_before: u64::try_from(validity.not_before.timestamp()).unwrap_or(0),
        not_after: u64::try_from(validity.not_after.timestamp()).unwrap_or(0),
        public_key: certificate.public_key().subject_public_key.data.to_vec(),
        renewal_id: renewal_id(&certificate),
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let general = alternatives.value.general_names.iter();
    general.filter_map(name).collect()
}

fn name(general: &GeneralName<'_>) -> Option<String> {
    match general {
        GeneralName::DNSName(dns) => Some(dns.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(IpAddr::from),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(IpAddr::from),
        }
        .map(|ip| ip.to_string()),
        _ => None,
    }
}

fn display_name(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().next();
    match common.and_then(|cn| cn.as_str().ok()) {
        Some(cn) => cn.to_string(),
        None => name.to_string(),
    }
}

fn renewal_id(certificate: &X509Certificate<'_>) -> Option<RenewalId> {
    let issuer_key =
        certificate
            .iter_extensions()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(aki) => {
                    Some(aki.key_identifier.as_ref()?.0)
                }
                _ => None,
            })?;
    Some(RenewalId {
        issuer_key: issuer_key.to_vec(),
        serial: certificate.raw_serial().to_vec(),
    })
}
