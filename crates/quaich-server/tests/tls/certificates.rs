//! Certificates made for one test.

use quaich_config::model::HostPattern;
use quaich_server::link::{ClientTrust, Identity, Material};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
    RevokedCertParams, SerialNumber, date_time_ymd,
};

/// An authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Leaf {
    pub cert: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "Test Authority");
        name.push(DnType::OrganizationName, "Quaich, Tests");
        let key = KeyPair::generate().expect("a key");
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("an authority"),
        }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server's certificate with an ECDSA key.
    pub fn server(&self, names: &[&str]) -> Leaf {
        self.issue(names, KeyPair::generate().expect("a key"), |_| {})
    }

    /// The same with an RSA key.
    pub fn rsa_server(&self, names: &[&str]) -> Leaf {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key");
        self.issue(names, key, |_| {})
    }

    /// A client's certificate.
    pub fn client(&self, name: &str, serial: u64) -> Leaf {
        self.issue(&[], KeyPair::generate().expect("a key"), |params| {
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params.serial_number = Some(SerialNumber::from(serial));
        })
    }

    pub fn issue(
        &self,
        names: &[&str],
        key: KeyPair,
        change: impl Fn(&mut CertificateParams),
    ) -> Leaf {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        Leaf {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A revocation list, as PEM.
    pub fn revoke(&self, serials: &[u64]) -> String {
        let revoked = serials.iter().map(|&serial| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("a list");
        list.pem().expect("a text")
    }
}

impl Leaf {
    /// As the supervisor hands it over, for these hosts.
    pub fn identity(&self, name: &str, hosts: &[&str]) -> Identity {
        let hosts = hosts.iter().map(|host| match host.strip_prefix('*') {
            Some(suffix) => HostPattern::Suffix(suffix.to_owned()),
            None => HostPattern::Exact((*host).to_owned()),
        });
        Identity {
            name: name.to_owned(),
            chain: self.cert.clone(),
            key: self.key.clone(),
            hosts: hosts.collect(),
            ocsp: None,
        }
    }
}

/// Material with nothing but these identities.
pub fn material(identities: Vec<Identity>) -> Material {
    Material {
        identities,
        clients: vec![ClientTrust::default()],
        upstreams: Vec::new(),
    }
}
