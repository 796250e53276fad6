//! Which challenge is taken, and what is shown for it.

use instant_acme::{AuthorizationState, ChallengeType, Identifier, KeyAuthorization};
use quaich_config::model::{Acme, AcmeChallenge};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};

use crate::protocol::{Challenge, Job};
use crate::{Error, Result};

/// The kinds of challenge that can be answered, the preferred one first.
///
/// With `auto` and both possible the other one is preferred after each failure: a load balancer
/// in front may pass on only one of them.
///
/// # Errors
/// None can be.
pub(crate) fn kinds(acme: &Acme, job: &Job, failures: u32) -> Result<Vec<ChallengeType>> {
    let mut kinds = Vec::new();
    if job.tls_alpn_01 && acme.challenge != AcmeChallenge::Http01 {
        kinds.push(ChallengeType::TlsAlpn01);
    }
    if job.http_01 && acme.challenge != AcmeChallenge::TlsAlpn01 {
        kinds.push(ChallengeType::Http01);
    }
    if failures % 2 == 1 {
        kinds.reverse();
    }
    if !kinds.is_empty() {
        return Ok(kinds);
    }
    Err(Error::new(match acme.challenge {
        AcmeChallenge::Http01 => {
            "tls.acme.challenge is http-01, but no listener speaks plain HTTP: add one on port 80"
        }
        AcmeChallenge::TlsAlpn01 => {
            "tls.acme.challenge is tls-alpn-01, but no listener speaks TLS: add one on port 443"
        }
        AcmeChallenge::Auto => {
            "no listener can answer a challenge: add one on port 443 (TLS) or port 80"
        }
    }))
}

/// The one of `kinds` that this authorization offers.
///
/// # Errors
/// It offers none of them.
pub(crate) fn choose(
    authorization: &AuthorizationState,
    kinds: &[ChallengeType],
) -> Result<ChallengeType> {
    let identifier = authorization.identifier();
    // For an address, tls-alpn-01 asks for a name below in-addr.arpa (RFC 8738 §6).
    let is_ip = matches!(identifier.identifier, Identifier::Ip(_));
    let can = |kind: &&ChallengeType| {
        let offered = authorization.challenges.iter().any(|c| c.r#type == **kind);
        offered && !(is_ip && **kind == ChallengeType::TlsAlpn01)
    };
    kinds.iter().find(can).cloned().ok_or_else(|| {
        let offered: Vec<_> = authorization.challenges.iter().collect();
        let offered: Vec<_> = offered.iter().map(|c| name_of(&c.r#type)).collect();
        let kinds: Vec<_> = kinds.iter().map(name_of).collect();
        Error::new(format!(
            "{identifier}: the authority offers {}, and quaich can answer {}",
            offered.join(", "),
            kinds.join(", ")
        ))
    })
}

/// What is shown to prove control over `host`.
pub(crate) fn shown(
    kind: &ChallengeType,
    host: &str,
    token: &str,
    answer: &KeyAuthorization,
) -> Result<Challenge> {
    match kind {
        ChallengeType::TlsAlpn01 => certificate(host, answer.digest().as_ref()),
        _ => Ok(Challenge::Http01 {
            token: token.to_string(),
            answer: answer.as_str().to_string(),
        }),
    }
}

/// The self-signed certificate of tls-alpn-01 (RFC 8737 §3).
fn certificate(host: &str, digest: &[u8]) -> Result<Challenge> {
    let failed = |e: rcgen::Error| Error::new(format!("{host}: {e}"));
    let mut params = CertificateParams::new([host.to_string()]).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(Challenge::TlsAlpn01 {
        host: host.to_string(),
        chain: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// The name of a kind, as RFC 8555 and the configuration have it.
pub(crate) fn name_of(kind: &ChallengeType) -> &str {
    match kind {
        ChallengeType::Http01 => "http-01",
        ChallengeType::Dns01 => "dns-01",
        ChallengeType::TlsAlpn01 => "tls-alpn-01",
        ChallengeType::Unknown(name) => name,
        _ => "another",
    }
}
