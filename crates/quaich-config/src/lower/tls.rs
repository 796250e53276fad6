//! `[tls]`, `[tls.cert.NAME]`, `[tls.client]` and `tls_client` of a site. What they mean for
//! listeners and sites is in `https`.

use std::path::PathBuf;

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::lower::fields::{Fields, Word};
use crate::lower::{Lower, acme};
use crate::model::{
    Certificate, ClientAuth, ClientAuthMode, HostPattern, Tls, TlsVersion, UnknownSni,
};

pub(crate) fn lower(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Tls {
    let clients = fields.table(cx, "client");
    Tls {
        min: match fields.word(cx, "min").as_str() {
            "1.3" => TlsVersion::V13,
            _ => TlsVersion::V12,
        },
        session_tickets: fields.flag(cx, "session_tickets"),
        ocsp: fields.flag(cx, "ocsp"),
        unknown_sni: match fields.word(cx, "unknown_sni").as_str() {
            "default" => UnknownSni::Default,
            _ => UnknownSni::Reject,
        },
        local_ca: fields.flag(cx, "local_ca"),
        certificates: certificates(cx, fields),
        client: client(cx, &clients, &ClientAuth::default()),
        acme: acme::lower(cx, fields),
    }
}

fn certificates(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Vec<Certificate> {
    let mut found = Vec::new();
    for (name, table) in fields.named(cx, "cert") {
        let (cert, key) = pair(cx, &table);
        if !table.has("cert") && !table.has("key") {
            let message = format!("certificate `{}` names no files", name.0);
            let help = "cert = \"fullchain.pem\", key = \"privkey.pem\"";
            let diagnostic = Diagnostic::error("missing-key", table.span, message);
            table.missing(cx, diagnostic.help(help));
        }
        found.push(Certificate {
            name: name.0,
            cert: cert.unwrap_or_default(),
            key: key.unwrap_or_default(),
            hosts: hosts(cx, &table),
        });
    }
    found
}

/// `cert` and `key`, of which none goes without the other.
pub(crate) fn pair(cx: &mut Lower<'_>, table: &Fields<'_>) -> (Option<PathBuf>, Option<PathBuf>) {
    for (given, other) in [("cert", "key"), ("key", "cert")] {
        if table.has(given) && !table.has(other) {
            let message = format!("`{given}` stands without `{other}`");
            let diagnostic = Diagnostic::error("missing-key", table.place(given), message);
            let help = match other {
                "key" => "key = \"privkey.pem\"; one file that holds both may be named twice",
                _ => "cert = \"fullchain.pem\"",
            };
            table.missing(cx, diagnostic.help(help));
        }
    }
    (table.path(cx, "cert"), table.path(cx, "key"))
}

/// `None`: those in the certificate.
fn hosts(cx: &mut Lower<'_>, table: &Fields<'_>) -> Option<Vec<HostPattern>> {
    let words = table.texts(cx, "hosts")?;
    if let [word] = &words[..]
        && word.0 == "from cert"
    {
        return None;
    }
    if words.is_empty() {
        let message = "a certificate for no host is never used";
        let diagnostic = Diagnostic::error("bad-value", table.place("hosts"), message);
        cx.report(diagnostic.help("without `hosts` it is used for the names that it holds"));
    }
    Some(words.iter().filter_map(|word| host(cx, word)).collect())
}

fn host(cx: &mut Lower<'_>, word: &Word) -> Option<HostPattern> {
    let reason = match addr::host(&word.0) {
        Ok(HostPattern::Any) => {
            "no certificate holds every name; `unknown_sni = \"default\"` gives the first one to \
             all others"
                .into()
        }
        Ok(host) => return Some(host),
        Err(reason) => reason,
    };
    cx.bad_word("hosts", word, reason);
    None
}

/// Reads `[tls.client]` or `tls_client`; without `ca` both files are those of `base`. They stay
/// also with `mode = "off"`, until [`settled`].
pub(crate) fn client(cx: &mut Lower<'_>, fields: &Fields<'_>, base: &ClientAuth) -> ClientAuth {
    let mode = match fields.word(cx, "mode").as_str() {
        "request" => ClientAuthMode::Request,
        "require" => ClientAuthMode::Require,
        _ => ClientAuthMode::Off,
    };
    let auth = ClientAuth {
        mode,
        crl: match fields.has("ca") || fields.has("crl") {
            true => fields.path(cx, "crl"),
            false => base.crl.clone(),
        },
        ca: fields.path(cx, "ca").or_else(|| base.ca.clone()),
    };
    let lonely = ["ca", "crl"].into_iter().find(|name| fields.has(name));
    if let (Some(given), false) = (lonely, fields.has("mode")) {
        let message = format!("`{given}` stands without `mode`: no client would be asked");
        let diagnostic = Diagnostic::error("missing-key", fields.place(given), message);
        let help = "mode = \"require\", \"request\" or \"off\"";
        fields.missing(cx, diagnostic.help(help));
    }
    if mode != ClientAuthMode::Off && auth.ca.is_none() && !fields.has("ca") {
        let message = "certificates of clients are asked for, but no `ca` says which are good";
        let diagnostic = Diagnostic::error("missing-key", fields.place("mode"), message);
        fields.missing(cx, diagnostic.help("ca = \"clients.pem\""));
    }
    auth
}

/// Without files when nobody is asked, so that equal rules compare equal.
pub(crate) fn settled(auth: ClientAuth) -> ClientAuth {
    match auth.mode {
        ClientAuthMode::Off => ClientAuth::default(),
        _ => auth,
    }
}
