//! The identity in a client's certificate, in the words that apps and servers are told.

use std::fmt::Write;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// A client's certificate that was found to be good. All texts are printable ASCII, but for the names of its user.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Distinguished name as RFC 4514 writes it, the most specific part first.
    pub subject: String,
    /// Its common names, the most specific one first.
    pub common_names: Vec<String>,
    /// Mail addresses among its other names.
    pub emails: Vec<String>,
    /// Hosts among its other names.
    pub hosts: Vec<String>,
    /// That of who signed it.
    pub issuer: String,
    /// Serial number, upper-case hexadecimal.
    pub serial: String,
    /// SHA-256 of the certificate, lower-case hexadecimal.
    pub fingerprint: String,
    /// `Jan  2 03:04:05 2026 GMT`
    pub not_before: String,
    /// The same.
    pub not_after: String,
    /// The certificate as PEM.
    pub pem: String,
    /// The certificate as a field value (RFC 9440 section 2.1).
    pub field: String,
    /// Seconds since 1970 until which it is valid.
    pub expires: i64,
}

impl ClientCertificate {
    /// Reads `der`; none if it cannot be read, which cannot happen after it was verified.
    pub(super) fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let base64 = base64(der);
        let (emails, hosts) = other_names(&certificate);
        Some(Self {
            subject: name(certificate.subject()),
            common_names: common_names(certificate.subject()),
            emails,
            hosts,
            issuer: name(certificate.issuer()),
            serial: hex_upper(certificate.raw_serial()),
            fingerprint: fingerprint(der),
            not_before: date(&validity.not_before),
            not_after: date(&validity.not_after),
            pem: pem(&base64),
            field: format!(":{base64}:"),
            expires: validity.not_after.timestamp(),
        })
    }
}

fn common_names(subject: &X509Name<'_>) -> Vec<String> {
    let names = subject.iter_common_name();
    let mut names: Vec<String> = names
        .filter_map(|name| plain(name.as_str().ok()?))
        .collect();
    names.reverse();
    names
}

/// Mail addresses and hosts.
fn other_names(certificate: &X509Certificate<'_>) -> (Vec<String>, Vec<String>) {
    let (mut emails, mut hosts) = (Vec::new(), Vec::new());
    let extension = certificate.subject_alternative_name();
    let names = extension
        .ok()
        .flatten()
        .map(|found| &found.value.general_names);
    for name in names.into_iter().flatten() {
        match name {
            GeneralName::RFC822Name(email) => emails.extend(plain(email)),
            GeneralName::DNSName(host) => hosts.extend(plain(host)),
            _ => {}
        }
    }
    (emails, hosts)
}

/// A name that holds nothing that could make another one of it.
fn plain(name: &str) -> Option<String> {
    let plain = !name.is_empty() && !name.chars().any(char::is_control);
    plain.then(|| name.to_owned())
}

fn pem(base64: &str) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.extend(line.iter().map(|&byte| char::from(byte)));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

fn base64(der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(der.len().div_ceil(3) * 4);
    for group in der.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = bits >> (18 - 6 * place) & 63;
            text.push(match place <= group.len() {
                true => char::from(ALPHABET[digit as usize]),
                false => '=',
            });
        }
    }
    text
}

fn hex_upper(bytes: &[u8]) -> String {
    // A number that would look negative has a zero before it.
    let bytes = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

fn fingerprint(der: &[u8]) -> String {
    let provider = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let hash = provider
        .tls13()
        .map(|suite| suite.common.hash_provider.hash(der));
    let bytes = hash.as_ref().map_or(&[][..], |hash| hash.as_ref());
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// As OpenSSL prints it.
fn date(time: &ASN1Time) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let time = time.to_datetime();
    let month = MONTHS[usize::from(u8::from(time.month()) - 1)];
    let (hour, minute, second) = time.to_hms();
    let (day, year) = (time.day(), time.year());
    format!("{month} {day:2} {hour:02}:{minute:02}:{second:02} {year} GMT")
}

/// Short names of attributes, as OpenSSL has them.
const ATTRIBUTES: [(&str, &str); 19] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// RFC 4514: the last part first, what has a meaning of its own escaped, and all that is not
/// printable ASCII as well.
fn name(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for part in parts.into_iter().rev() {
        if !text.is_empty() {
            text.push(',');
        }
        for (index, attribute) in part.iter().enumerate() {
            if index > 0 {
                text.push('+');
            }
            push_attribute(&mut text, attribute);
        }
    }
    text
}

fn push_attribute(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let oid = attribute.attr_type().to_id_string();
    let known = ATTRIBUTES.iter().find(|(known, _)| *known == oid);
    match (known, attribute.as_str()) {
        (Some((_, short)), Ok(value)) => {
            text.push_str(short);
            text.push('=');
            push_escaped(text, value);
        }
        (_, _) => {
            let _ = write!(text, "{oid}=#");
            for byte in attribute.attr_value().data {
                let _ = write!(text, "{byte:02X}");
            }
        }
    }
}

fn push_escaped(text: &mut String, value: &str) {
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        let special = match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => true,
            b'#' => at == 0,
            b' ' => at == 0 || at == last,
            _ => false,
        };
        match byte {
            _ if special => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => _ = write!(text, "\\{byte:02X}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber, date_time_ymd};

    use super::*;

    fn read(subject: &[(DnType, &str)], serial: u64) -> ClientCertificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = date_time_ymd(2024, 2, 3);
        params.not_after = date_time_ymd(2034, 11, 30);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        ClientCertificate::read(certificate.der()).unwrap()
    }

    #[test]
    fn names_are_written_from_the_most_specific_part_on() {
        let subject = [
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Quaich, Tests"),
            (DnType::CommonName, "#alice <née> + \"bob\" "),
        ];
        let certificate = read(&subject, 0xc0ffee);
        assert_eq!(
            certificate.subject,
            "CN=\\#alice \\<n\\C3\\A9e\\> \\+ \\\"bob\\\"\\ ,O=Quaich\\, Tests,C=DE"
        );
        assert_eq!(certificate.issuer, certificate.subject);
    }

    #[test]
    fn numbers_dates_and_encodings() {
        let certificate = read(&[(DnType::CommonName, "a")], 0xc0ffee);
        assert_eq!(certificate.serial, "C0FFEE");
        assert_eq!(certificate.not_before, "Feb  3 00:00:00 2024 GMT");
        assert_eq!(certificate.not_after, "Nov 30 00:00:00 2034 GMT");
        assert_eq!(certificate.fingerprint.len(), 64);
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foo"), "Zm9v");
        assert!(certificate.field.starts_with(":MII") && certificate.field.ends_with(':'));
        assert!(certificate.pem.lines().all(|line| line.len() <= 64));
    }

    #[test]
    fn openssl_reads_the_same() {
        use std::io::Write;
        let certificate = read(
            &[
                (DnType::CommonName, "Ünal, \"x\""),
                (DnType::CountryName, "DE"),
            ],
            77,
        );
        let mut openssl = std::process::Command::new("openssl")
            .args([
                "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-serial", "-dates",
            ])
            .args(["-fingerprint", "-sha256"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("openssl is installed");
        let mut input = openssl.stdin.take().unwrap();
        input.write_all(certificate.pem.as_bytes()).unwrap();
        drop(input);
        let output = openssl.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let fingerprint = text.lines().last().unwrap().replace(':', "").to_lowercase();
        assert!(
            text.contains(&format!("subject={}\n", certificate.subject)),
            "{text}"
        );
        assert!(
            text.contains(&format!("serial={}\n", certificate.serial)),
            "{text}"
        );
        assert!(
            text.contains(&format!("notBefore={}\n", certificate.not_before)),
            "{text}"
        );
        assert!(fingerprint.ends_with(&certificate.fingerprint), "{text}");
    }
}
