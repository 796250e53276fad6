//! `[tls]` and the keys of sites and upstreams that are about TLS.

use crate::addr;
use crate::model::{
    Acme, AcmeChallenge, ClientAuth, ClientAuthMode, H2, HostPattern, Site, Tls, TlsVersion,
    UnknownSni, Upstream, UpstreamTls,
};
use crate::print::TomlWriter;

pub(super) fn tls(out: &mut TomlWriter<'_>, tls: &Tls) {
    out.table("tls");
    out.text(
        "min",
        match tls.min {
            TlsVersion::V12 => "1.2",
            TlsVersion::V13 => "1.3",
        },
    );
    out.flag("session_tickets", tls.session_tickets);
    out.flag("ocsp", tls.ocsp);
    out.text(
        "unknown_sni",
        match tls.unknown_sni {
            UnknownSni::Reject => "reject",
            UnknownSni::Default => "default",
        },
    );
    out.flag("local_ca", tls.local_ca);
    if let Some(item) = &tls.acme {
        acme(out, item);
    }
    for certificate in &tls.certificates {
        out.table(&format!("tls.cert.{}", certificate.name));
        out.text("cert", &certificate.cert.to_string_lossy());
        out.text("key", &certificate.key.to_string_lossy());
        match &certificate.hosts {
            Some(hosts) => out.texts("hosts", &shown(hosts)),
            None => out.text("hosts", "from cert"),
        }
    }
    out.table("tls.client");
    client(out, &tls.client);
}

fn shown(hosts: &[HostPattern]) -> Vec<String> {
    hosts.iter().map(addr::show_host).collect()
}

fn acme(out: &mut TomlWriter<'_>, acme: &Acme) {
    out.table("tls.acme");
    out.maybe_text("email", acme.email.as_deref());
    out.text("directory", &acme.directory);
    out.maybe_path("ca_file", acme.ca_file.as_deref());
    out.text(
        "challenge",
        match acme.challenge {
            AcmeChallenge::Auto => "auto",
            AcmeChallenge::Http01 => "http-01",
            AcmeChallenge::TlsAlpn01 => "tls-alpn-01",
        },
    );
    out.maybe_text("profile", acme.profile.as_deref());
    if let Some(eab) = &acme.eab {
        out.inline("eab", |out| {
            out.text("kid", &eab.kid);
            out.text("key_file", &eab.key_file.to_string_lossy());
        });
    }
}

fn client(out: &mut TomlWriter<'_>, client: &ClientAuth) {
    out.text(
        "mode",
        match client.mode {
            ClientAuthMode::Off => "off",
            ClientAuthMode::Request => "request",
            ClientAuthMode::Require => "require",
        },
    );
    out.maybe_path("ca", client.ca.as_deref());
    out.maybe_path("crl", client.crl.as_deref());
}

pub(super) fn upstream(out: &mut TomlWriter<'_>, upstream: &Upstream) {
    match upstream.h2 {
        H2::Auto => out.text("h2", "auto"),
        H2::On => out.flag("h2", true),
        H2::Off => out.flag("h2", false),
    }
    let tls = &upstream.tls;
    if *tls == UpstreamTls::default() {
        return;
    }
    out.inline("tls", |out| {
        out.maybe_path("ca", tls.ca.as_deref());
        out.maybe_text("sni", tls.sni.as_deref());
        out.maybe_path("cert", tls.cert.as_deref());
        out.maybe_path("key", tls.key.as_deref());
        out.flag("verify", tls.verify);
    });
}

pub(super) fn site(out: &mut TomlWriter<'_>, site: &Site) {
    out.flag("redirect_https", site.redirect_https);
    match &site.hsts {
        Some(value) => hsts(out, value),
        None => out.flag("hsts", false),
    }
    if let Some(auth) = &site.tls_client {
        out.inline("tls_client", |out| client(out, auth));
    }
}

/// Writes the field's value as the table that makes it.
fn hsts(out: &mut TomlWriter<'_>, value: &str) {
    let has = |word| value.split("; ").any(|part| part == word);
    let age = value
        .split("; ")
        .find_map(|part| part.strip_prefix("max-age="));
    out.inline("hsts", |out| {
        out.text("max_age", &format!("{}s", age.unwrap_or("0")));
        out.flag("include_subdomains", has("includeSubDomains"));
        out.flag("preload", has("preload"));
    });
}
