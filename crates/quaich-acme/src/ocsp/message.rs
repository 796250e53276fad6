//! OCSP messages (RFC 6960): the question about one certificate, and what an answer says.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use x509_parser::asn1_rs::{BitString, FromDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_OCSP;
use x509_parser::time::ASN1Time;
use x509_parser::verify::verify_signature;
use x509_parser::x509::AlgorithmIdentifier;

use super::der::{self, Element, Reader};
use crate::{Error, Result, clock, x509};

/// SHA-1, 1.3.14.3.2.26. Here it names a certificate and protects nothing, and many responders
/// know no other (RFC 9654 changes the nonce only).
const SHA1: [u8; 5] = [0x2b, 0x0e, 0x03, 0x02, 0x1a];

/// id-pkix-ocsp-basic, 1.3.6.1.5.5.7.48.1.1.
const BASIC: [u8; 9] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];

/// How far clocks may differ, in seconds.
const SKEW: u64 = 300;

/// Certificates of responders that are looked at in one answer.
const MOST_RESPONDERS: usize = 4;

/// Which certificate is asked about, by whom it was issued.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    issuer: X509Certificate<'a>,
    serial: Vec<u8>,
    name_hash: Vec<u8>,
    key_hash: Vec<u8>,
}

/// What the authority says of the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its answer can be stapled.
    Good(Good),
    /// It has taken the certificate back.
    Revoked,
}

/// An answer that is good to staple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Good {
    /// Until when it holds, in seconds since 1970.
    pub next_update: u64,
}

impl<'a> Subject<'a> {
    /// The certificate `leaf`, issued by `issuer`.
    ///
    /// # Errors
    /// One cannot be parsed, or the one did not issue the other.
    pub(crate) fn new(leaf: &[u8], issuer: &'a [u8]) -> Result<Self> {
        let leaf = x509::parse(leaf)?;
        let issuer = x509::parse(issuer)?;
        if leaf.verify_signature(Some(issuer.public_key())).is_err() {
            let message = "the second certificate in the file is not the issuer of the first";
            return Err(Error::new(message));
        }
        let hash = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec();
        Ok(Self {
            serial: leaf.raw_serial().to_vec(),
            name_hash: hash(issuer.subject().as_raw()),
            key_hash: hash(&issuer.public_key().subject_public_key.data),
            issuer,
        })
    }

    /// The question, DER.
    pub(crate) fn request(&self) -> Vec<u8> {
        let sequence = |parts: &[&[u8]]| der::element(der::SEQUENCE, parts);
        let algorithm = sequence(&[&der::element(der::OID, &[&SHA1]), &[der::NULL, 0]]);
        let id = sequence(&[
            &algorithm,
            &der::element(der::OCTET_STRING, &[&self.name_hash]),
            &der::element(der::OCTET_STRING, &[&self.key_hash]),
            &der::element(der::INTEGER, &[&self.serial]),
        ]);
        // Without a nonce: answers with one are made for us alone, and most responders make none.
        let list = sequence(&[&sequence(&[&id])]);
        sequence(&[&sequence(&[&list])])
    }

    /// What `answer` says of the certificate at the time `now`.
    ///
    /// # Errors
    /// It says nothing, is not signed by the issuer or on its behalf, is about another certificate,
    /// or is not of this time.
    pub(crate) fn check(&self, answer: &[u8], now: u64) -> Result<Standing> {
        let basic = basic_answer(answer)?;
        self.check_signature(&basic, now)?;
        let mut responses = basic.responses;
        // An answer may speak of several certificates.
        while let Some(single) = responses.next() {
            if let Some(single) = Single::read(&single)
                && self.is_meant_by(single.id)
            {
                return single.judge(now);
            }
        }
        Err(Error::new("the answer is about another certificate"))
    }

    fn is_meant_by(&self, id: Reader<'_>) -> bool {
        let mut id = id;
        let algorithm = id.enter(der::SEQUENCE);
        let oid = algorithm.and_then(|mut algorithm| algorithm.optional(der::OID));
        let mut same = |tag: u8, wanted: &[u8]| {
            id.optional(tag)
                .is_some_and(|element| element.content == wanted)
        };
        oid.is_some_and(|oid| oid.content == SHA1)
            && same(der::OCTET_STRING, &self.name_hash)
            && same(der::OCTET_STRING, &self.key_hash)
            && same(der::INTEGER, &self.serial)
    }

    /// Signed by the issuer, or by a responder that the issuer has made one (RFC 6960 §4.2.2.2).
    fn check_signature(&self, basic: &Basic<'_>, now: u64) -> Result<()> {
        if basic.is_signed_by(&self.issuer) {
            return Ok(());
        }
        let mut certificates = basic.certificates;
        for _ in 0..MOST_RESPONDERS {
            let Some(element) = certificates.as_mut().and_then(Reader::next) else {
                break;
            };
            if let Ok(responder) = x509::parse(element.whole)
                && self.is_responder(&responder, now)
                && basic.is_signed_by(&responder)
            {
                return Ok(());
            }
        }
        Err(Error::new(
            "the answer is not signed by the issuer of the certificate",
        ))
    }

    fn is_responder(&self, responder: &X509Certificate<'_>, now: u64) -> bool {
        let by_issuer = responder.verify_signature(Some(self.issuer.public_key()));
        let usage = responder.extended_key_usage().ok().flatten();
        let now = i64::try_from(now).ok();
        let now = now.and_then(|now| ASN1Time::from_timestamp(now).ok());
        by_issuer.is_ok()
            && usage.is_some_and(|usage| usage.value.ocsp_signing)
            && now.is_some_and(|now| responder.validity().is_valid_at(now))
    }
}

/// The signed part of an answer.
struct Basic<'a> {
    signed: &'a [u8],
    responses: Reader<'a>,
    algorithm: &'a [u8],
    signature: &'a [u8],
    certificates: Option<Reader<'a>>,
}

impl Basic<'_> {
    fn is_signed_by(&self, signer: &X509Certificate<'_>) -> bool {
        let Ok((_, algorithm)) = AlgorithmIdentifier::from_der(self.algorithm) else {
            return false;
        };
        let signature = BitString::new(0, self.signature);
        verify_signature(signer.public_key(), &algorithm, &signature, self.signed).is_ok()
    }
}

/// `OCSPResponse` (RFC 6960 §4.2.1).
fn basic_answer(answer: &[u8]) -> Result<Basic<'_>> {
    let garbled = || Error::new("what the responder sent is no OCSP answer");
    let mut response = Reader::new(answer)
        .enter(der::SEQUENCE)
        .ok_or_else(garbled)?;
    let status = response.optional(der::ENUMERATED).ok_or_else(garbled)?;
    if status.content != [0] {
        return Err(Error::new(format!(
            "the responder refuses: {}",
            status_name(status.content)
        )));
    }
    read_basic(response).ok_or_else(garbled)
}

fn read_basic(mut response: Reader<'_>) -> Option<Basic<'_>> {
    let mut bytes = response.enter(der::context(0))?.enter(der::SEQUENCE)?;
    if bytes.optional(der::OID)?.content != BASIC {
        return None;
    }
    let mut basic = bytes.enter(der::OCTET_STRING)?.enter(der::SEQUENCE)?;
    let signed = basic.optional(der::SEQUENCE)?;
    let algorithm = basic.optional(der::SEQUENCE)?.whole;
    // The first byte tells the bits that are not used in the last one.
    let signature = basic
        .optional(der::BIT_STRING)?
        .content
        .strip_prefix(&[0])?;
    let certificates = basic
        .enter(der::context(0))
        .and_then(|mut explicit| explicit.enter(der::SEQUENCE));

    let mut data = Reader::new(signed.content);
    let _version = data.optional(der::context(0));
    let _responder = data.next()?;
    let _produced_at = data.next()?;
    Some(Basic {
        signed: signed.whole,
        responses: data.enter(der::SEQUENCE)?,
        algorithm,
        signature,
        certificates,
    })
}

fn status_name(status: &[u8]) -> &'static str {
    match status {
        [1] => "malformedRequest",
        [2] => "internalError",
        [3] => "tryLater",
        [5] => "sigRequired",
        [6] => "unauthorized",
        _ => "for a reason without name",
    }
}

/// `SingleResponse`: what is said of one certificate.
struct Single<'a> {
    id: Reader<'a>,
    status: u8,
    this_update: u64,
    next_update: Option<u64>,
}

impl<'a> Single<'a> {
    fn read(element: &Element<'a>) -> Option<Self> {
        let mut single = Reader::new(element.content);
        let id = single.enter(der::SEQUENCE)?;
        let status = single.next()?.tag;
        let this_update = time(&single.next()?)?;
        let next = single.enter(der::context(0));
        let next_update = match next {
            Some(mut explicit) => Some(time(&explicit.next()?)?),
            None => None,
        };
        Some(Self {
            id,
            status,
            this_update,
            next_update,
        })
    }

    fn judge(&self, now: u64) -> Result<Standing> {
        const GOOD: u8 = der::context_primitive(0);
        const REVOKED: u8 = der::context(1);
        match self.status {
            GOOD => {}
            REVOKED => return Ok(Standing::Revoked),
            _ => return Err(Error::new("the responder does not know the certificate")),
        }
        // Without an end there is always newer information; a day is what we ask for it anyway.
        let next_update = self.next_update.unwrap_or(self.this_update + clock::DAY);
        if self.this_update > now + SKEW {
            return Err(Error::new("the answer is from the future: check the clock"));
        }
        if next_update <= now {
            return Err(Error::new("the answer is out of date"));
        }
        Ok(Standing::Good(Good { next_update }))
    }
}

fn time(element: &Element<'_>) -> Option<u64> {
    let (_, time) = ASN1Time::from_der(element.whole).ok()?;
    u64::try_from(time.timestamp()).ok()
}

/// The responder that a certificate names (its AIA extension), if it is an `http://` URL.
pub(crate) fn responder(certificate: &X509Certificate<'_>) -> Option<String> {
    certificate.iter_extensions().find_map(|extension| {
        let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() else {
            return None;
        };
        let mut ways = access.accessdescs.iter();
        ways.find_map(|way| match &way.access_location {
            GeneralName::URI(url)
                if way.access_method == OID_PKIX_ACCESS_DESCRIPTOR_OCSP
                    && url.starts_with("http://") =>
            {
                Some((*url).to_string())
            }
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    /// A CA and a certificate that it issued, DER.
    fn pair() -> (Vec<u8>, Vec<u8>) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let leaf = CertificateParams::new(["a.example".to_string()]).unwrap();
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &ca).unwrap();
        (ca.der().to_vec(), leaf.der().to_vec())
    }

    #[test]
    fn the_question_is_well_formed() {
        let (ca, leaf) = pair();
        let question = Subject::new(&leaf, &ca).unwrap().request();
        let mut reader = Reader::new(&question);
        let id = (0..4).fold(reader.enter(der::SEQUENCE), |inner, _| {
            inner.and_then(|mut inner| inner.enter(der::SEQUENCE))
        });
        let mut id = id.unwrap();
        assert!(id.optional(der::SEQUENCE).is_some());
        assert_eq!(id.optional(der::OCTET_STRING).unwrap().content.len(), 20);
        assert_eq!(id.optional(der::OCTET_STRING).unwrap().content.len(), 20);
        assert!(id.optional(der::INTEGER).is_some());
        assert!(id.next().is_none() && reader.next().is_none());
    }

    #[test]
    fn refusals_have_names() {
        let (ca, leaf) = pair();
        let subject = Subject::new(&leaf, &ca).unwrap();
        let refused = subject.check(&[0x30, 3, 0x0a, 1, 3], 0).unwrap_err();
        assert_eq!(refused.to_string(), "the responder refuses: tryLater");
    }

    #[test]
    fn whatever_comes_is_refused_without_a_crash() {
        let (ca, leaf) = pair();
        let subject = Subject::new(&leaf, &ca).unwrap();
        // Well-formed on the outside, so that the inside is looked at; `seed` is any number.
        let mut seed = 1_u64;
        for length in 0..2000 {
            let noise: Vec<u8> = (0..length % 97)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (seed >> 56) as u8
                })
                .collect();
            let sequence = |parts: &[&[u8]]| der::element(der::SEQUENCE, parts);
            let data = sequence(&[&der::element(0xa2, &[]), &[0x18, 0], &sequence(&[&noise])]);
            let bits = der::element(der::BIT_STRING, &[&[0], &noise]);
            let basic = sequence(&[&data, &sequence(&[&noise]), &bits, &noise]);
            let bytes = sequence(&[
                &der::element(der::OID, &[&BASIC]),
                &der::element(der::OCTET_STRING, &[&basic]),
            ]);
            let answer = sequence(&[&[der::ENUMERATED, 1, 0], &der::element(0xa0, &[&bytes])]);
            assert!(subject.check(&answer, 0).is_err());
            assert!(subject.check(&noise, u64::MAX).is_err());
        }
    }
}
