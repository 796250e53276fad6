//! Certificates of a test's own CA: of servers, of clients, good ones and bad ones, as PEM files.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    CrlDistributionPoint, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RevokedCertParams, RsaKeySize,
    SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;

use crate::TempSite;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate authority that lives as long as the test.
pub struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate, its issuer's, and its key.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// PEM: the certificate, then the CA's.
    pub chain: String,
    /// PEM, PKCS#8.
    pub key: String,
    /// The certificate alone, as it is shown in a handshake.
    pub der: CertificateDer<'static>,
    serial: SerialNumber,
}

impl Ca {
    /// A CA of this name with a P-256 key.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, p256());
        Self {
            issuer: issuer.expect("a CA can sign itself"),
        }
    }

    /// The CA's certificate as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The CA's certificate.
    #[must_use]
    pub fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// A server's certificate for these names (or IP addresses) with a P-256 key.
    #[must_use]
    pub fn server(&self, names: &[&str]) -> Leaf {
        self.sign(server_of(names), p256())
    }

    /// The same with an RSA key of 2048 bits.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn rsa_server(&self, names: &[&str]) -> Leaf {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
        self.sign(server_of(names), key.expect("an RSA key can be made"))
    }

    /// A server's certificate whose time is over.
    #[must_use]
    pub fn expired(&self, names: &[&str]) -> Leaf {
        let mut params = server_of(names);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign(params, p256())
    }

    /// A client's certificate with this common name.
    #[must_use]
    pub fn client(&self, name: &str) -> Leaf {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Quaich Tests");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, p256())
    }

    /// A revocation list (PEM) that names these certificates.
    ///
    /// # Panics
    /// When it cannot be signed.
    #[must_use]
    pub fn revoking(&self, leaves: &[&Leaf]) -> String {
        let revoked = |leaf: &&Leaf| RevokedCertParams {
            serial_number: leaf.serial.clone(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2040, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: leaves.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("a CA can sign a list");
        list.pem().expect("a list can be written as PEM")
    }

    fn sign(&self, mut params: CertificateParams, key: KeyPair) -> Leaf {
        let mut serial = [1; 16];
        rustls::crypto::aws_lc_rs::default_provider()
            .secure_random
            .fill(&mut serial[1..])
            .expect("there is randomness");
        let serial = SerialNumber::from(serial.to_vec());
        params.serial_number = Some(serial.clone());
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&key, &self.issuer);
        let signed = signed.expect("a CA can sign a certificate");
        Leaf {
            chain: signed.pem() + &self.issuer.pem(),
            key: key.serialize_pem(),
            der: signed.der().clone(),
            serial,
        }
    }
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ca").finish_non_exhaustive()
    }
}

impl Leaf {
    /// Writes `NAME.crt` and `NAME.key` into a folder.
    pub fn write(&self, site: &TempSite, name: &str) {
        site.write(&format!("{name}.crt"), &self.chain);
        site.write(&format!("{name}.key"), &self.key);
    }
}

fn p256() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key can be made")
}

fn server_of(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    if let Some(first) = names.first() {
        params.distinguished_name.push(DnType::CommonName, *first);
    }
    let alternative = |name: &&str| match name.parse::<IpAddr>() {
        Ok(ip) => SanType::IpAddress(ip),
        Err(_) => SanType::DnsName((*name).try_into().expect("a name in ASCII")),
    };
    params.subject_alt_names = names.iter().map(alternative).collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // As public CAs do: browsers and testssl.sh complain of more than 398 days, and of certificates
    // that cannot be revoked.
    let today = SystemTime::now().duration_since(UNIX_EPOCH);
    let today = date_time_ymd(1970, 1, 1) + today.expect("a clock behind 1970");
    params.not_before = today - DAY;
    params.not_after = today + 90 * DAY;
    params.crl_distribution_points = vec![CrlDistributionPoint {
        uris: vec!["http://crl.test/list".to_string()],
    }];
    params
}
