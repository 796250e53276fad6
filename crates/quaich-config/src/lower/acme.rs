//! `[tls.acme]`, and which names of the sites it gets certificates for.

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::lower::Lower;
use crate::lower::fields::{Fields, Word};
use crate::model::{Acme, AcmeChallenge, AcmeEab, Certificate, HostPattern};
use crate::nearest::nearest;

/// Short names of directories.
const DIRECTORIES: [(&str, &str); 3] = [
    (
        "letsencrypt",
        "https://acme-v02.api.letsencrypt.org/directory",
    ),
    (
        "letsencrypt-staging",
        "https://acme-staging-v02.api.letsencrypt.org/directory",
    ),
    ("zerossl", "https://acme.zerossl.com/v2/DV90"),
];

/// Public CAs put at most so many names into one certificate.
const NAMES_PER_CERTIFICATE: usize = 100;

/// Reads the table of `[tls]`; `names` stays empty until the sites are known.
pub(crate) fn lower(cx: &mut Lower<'_>, tls: &Fields<'_>) -> Option<Acme> {
    let fields = tls.table(cx, "acme");
    if !tls.has("acme") {
        return None;
    }
    let directory = fields.text_or_default(cx, "directory");
    let acme = Acme {
        email: fields.text(cx, "email").and_then(|word| email(cx, &word)),
        directory: directory_url(cx, &directory),
        ca_file: fields.path(cx, "ca_file"),
        challenge: challenge(cx, &fields),
        profile: fields.text(cx, "profile").map(|word| word.0),
        eab: eab(cx, &fields),
        names: Vec::new(),
    };
    if directory.0 == "zerossl" && acme.eab.is_none() && !fields.has("eab") {
        let message = "zerossl gives certificates to accounts only that it knows already";
        let help = "eab = { kid = \"...\", key_file = \"eab.key\" }, both from zerossl.com";
        let diagnostic = Diagnostic::error("missing-key", directory.1, message);
        fields.missing(cx, diagnostic.help(help));
    }
    Some(acme)
}

fn email(cx: &mut Lower<'_>, word: &Word) -> Option<String> {
    let address = word.0.strip_prefix("mailto:").unwrap_or(&word.0);
    let good = address.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && matches!(addr::host(host), Ok(HostPattern::Exact(_)))
    });
    if good && address.is_ascii() && !address.contains([' ', ',']) {
        return Some(address.to_owned());
    }
    cx.bad_word(
        "email",
        word,
        "expected an address such as \"ops@example.org\"",
    );
    None
}

fn directory_url(cx: &mut Lower<'_>, word: &Word) -> String {
    if let Some((_, url)) = DIRECTORIES.iter().find(|(name, _)| *name == word.0) {
        return (*url).to_owned();
    }
    let names = || DIRECTORIES.iter().map(|(name, _)| *name);
    let reason = if let Some(rest) = word.0.strip_prefix("https://") {
        let authority = rest.split('/').next().unwrap_or_default();
        if !authority.is_empty() && word.0.bytes().all(|b| b.is_ascii_graphic()) {
            return word.0.clone();
        }
        "expected a URL such as \"https://ca.internal/acme/directory\"".into()
    } else if word.0.starts_with("http://") {
        "the directory of a CA is asked over https".into()
    } else if let Some(near) = nearest(&word.0, names()) {
        format!("did you mean \"{near}\"?")
    } else {
        let known: Vec<&str> = names().collect();
        format!("expected {} or an https URL", known.join(", "))
    };
    cx.bad_word("directory", word, reason);
    String::new()
}

fn challenge(cx: &mut Lower<'_>, fields: &Fields<'_>) -> AcmeChallenge {
    let word = fields.text_or_default(cx, "challenge");
    match word.0.as_str() {
        "auto" => return AcmeChallenge::Auto,
        "http-01" => return AcmeChallenge::Http01,
        "tls-alpn-01" => return AcmeChallenge::TlsAlpn01,
        "dns-01" => {
            let message = "challenge `dns-01` is not in this version of quaich";
            let help = "challenge = \"http-01\" or \"tls-alpn-01\"";
            cx.report(Diagnostic::error("not-yet", word.1, message).help(help));
        }
        other => {
            let known = ["auto", "http-01", "tls-alpn-01"];
            let reason = match nearest(other, known) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("expected one of {}", known.join(", ")),
            };
            cx.bad_word("challenge", &word, reason);
        }
    }
    AcmeChallenge::Auto
}

fn eab(cx: &mut Lower<'_>, acme: &Fields<'_>) -> Option<AcmeEab> {
    let fields = acme.table(cx, "eab");
    if !acme.has("eab") {
        return None;
    }
    for name in ["kid", "key_file"] {
        if !fields.has(name) {
            let message = format!("`eab` has no `{name}`");
            let diagnostic = Diagnostic::error("missing-key", fields.span, message);
            let help = "eab = { kid = \"...\", key_file = \"eab.key\" }";
            fields.missing(cx, diagnostic.help(help));
        }
    }
    let kid = fields.text(cx, "kid").map(|word| word.0);
    let key_file = fields.path(cx, "key_file");
    Some(AcmeEab {
        kid: kid?,
        key_file: key_file?,
    })
}

/// Whether a CA can be asked for a certificate of this host: one name of the DNS.
pub(crate) fn is_nameable(host: &HostPattern) -> bool {
    let HostPattern::Exact(name) = host else {
        return false;
    };
    let is_address = name.starts_with('[') || name.parse::<std::net::Ipv4Addr>().is_ok();
    let is_local = name == "localhost" || name.ends_with(".localhost");
    !is_address && !is_local
}

/// Whether the `hosts` of one of these certificates hold the host. A wildcard of a certificate
/// holds one label; that of a site is held by its like.
pub(crate) fn is_covered(certificates: &[Certificate], host: &HostPattern) -> bool {
    let holds = |pattern: &HostPattern| match (pattern, host) {
        (HostPattern::Suffix(suffix), HostPattern::Exact(name)) => name
            .strip_suffix(suffix.as_str())
            .is_some_and(|label| !label.is_empty() && !label.contains('.')),
        _ => pattern == host,
    };
    certificates
        .iter()
        .filter_map(|certificate| certificate.hosts.as_ref())
        .flatten()
        .any(holds)
}

/// Adds what is to be got for a site with TLS that has these hosts.
pub(crate) fn add_names(acme: &mut Acme, certificates: &[Certificate], hosts: &[HostPattern]) {
    let mut names: Vec<String> = Vec::new();
    for host in hosts {
        let HostPattern::Exact(name) = host else {
            continue;
        };
        let known = acme.names.iter().flatten().chain(&names).any(|n| n == name);
        if is_nameable(host) && !is_covered(certificates, host) && !known {
            names.push(name.clone());
        }
    }
    acme.names
        .extend(names.chunks(NAMES_PER_CERTIFICATE).map(<[String]>::to_vec));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostPattern {
        addr::host(text).expect(text)
    }

    #[test]
    fn a_wildcard_of_a_certificate_holds_one_label() {
        let certificate = Certificate {
            name: "a".into(),
            cert: "a.pem".into(),
            key: "a.key".into(),
            hosts: Some(vec![host("*.a.example"), host("b.example")]),
        };
        let covered = |name| is_covered(std::slice::from_ref(&certificate), &host(name));
        for name in ["x.a.example", "*.a.example", "b.example"] {
            assert!(covered(name), "{name}");
        }
        for name in [
            "a.example",
            "x.y.a.example",
            "*.b.example",
            "*",
            "x.b.example",
        ] {
            assert!(!covered(name), "{name}");
        }
    }

    #[test]
    fn only_single_names_of_the_dns_are_asked_for() {
        for name in ["shop.example.org", "intranet"] {
            assert!(is_nameable(&host(name)), "{name}");
        }
        for name in [
            "*",
            "*.a.example",
            "192.0.2.1",
            "[::1]",
            "localhost",
            "a.localhost",
        ] {
            assert!(!is_nameable(&host(name)), "{name}");
        }
    }
}
