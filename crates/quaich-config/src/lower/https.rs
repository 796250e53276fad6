//! What TLS means for a site (`redirect_https`, `hsts`, `tls_client`), and whether listeners,
//! certificates and sites fit together.

use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::document::Data;
use crate::keys;
use crate::lower::fields::{Fields, is_off};
use crate::lower::site::Names;
use crate::lower::{Lower, acme, tls};
use crate::model::{
    AcmeChallenge, ClientAuth, ClientAuthMode, HostPattern, ListenAddr, Listener, Server, Tls,
};
use crate::source::Span;

/// The keys of a site that are about TLS.
pub(crate) struct Https {
    pub(crate) redirect: bool,
    pub(crate) hsts: Option<String>,
    pub(crate) client: Option<ClientAuth>,
}

/// Where a site can be reached.
struct Reach {
    plain: bool,
    tls: bool,
    /// Over plain HTTP on port 80 and nowhere else, and over TLS on port 443.
    standard: bool,
}

impl Reach {
    /// `indices` are those of a site: none is all.
    fn new(server: &Server, indices: &[usize]) -> Self {
        let on = |(index, listener): (usize, _)| {
            (indices.is_empty() || indices.contains(&index)).then_some(listener)
        };
        let named = || server.listeners.iter().enumerate().filter_map(on);
        // Only a browser can be sent elsewhere; certificates are for all.
        let listeners = || named().filter(|listener| listener.other.is_none());
        let plain = |listener: &&Listener| !listener.tls;
        Self {
            plain: listeners().any(|l| !l.tls),
            tls: named().any(|l| l.tls),
            standard: listeners().any(|l| l.tls && has_port(l, 443))
                && listeners().filter(plain).all(|l| has_port(l, 80))
                && listeners().any(|l| !l.tls),
        }
    }
}

fn has_port(listener: &Listener, port: u16) -> bool {
    matches!(&listener.addr, ListenAddr::Tcp(addr) if addr.port() == port)
}

/// Reads the keys of one site; notes the names that ACME has to care for.
pub(crate) fn site(
    cx: &mut Lower<'_>,
    names: &mut Names<'_>,
    fields: &Fields<'_>,
    (hosts, listeners): (&[HostPattern], &[usize]),
) -> Https {
    let reach = Reach::new(names.server, listeners);
    if reach.tls {
        warn_of_wildcards(cx, names.tls, fields, hosts);
        let Tls {
            acme, certificates, ..
        } = &mut *names.tls;
        if let Some(acme) = acme {
            acme::add_names(acme, certificates, hosts);
        }
    }
    let redirect = redirect(cx, names, fields, (&reach, hosts));
    Https {
        hsts: hsts(cx, names.server, fields, &reach),
        client: client(cx, names.tls, fields, (&reach, redirect)),
        redirect,
    }
}

fn warn_of_wildcards(cx: &mut Lower<'_>, tls: &Tls, fields: &Fields<'_>, hosts: &[HostPattern]) {
    if tls.acme.is_none() || tls.local_ca || has_open_certificate(tls) {
        return;
    }
    let wildcard = |host: &&HostPattern| {
        matches!(host, HostPattern::Suffix(_)) && !acme::is_covered(&tls.certificates, host)
    };
    if let Some(host) = hosts.iter().find(wildcard) {
        let host = crate::addr::show_host(host);
        let message = format!("`{host}` gets no certificate: for wildcards ACME needs dns-01");
        let help = "dns-01 is not in this version of quaich: name the hosts one by one, or give \
                    the wildcard certificate in [tls.cert.NAME]";
        let diagnostic = Diagnostic::warning("no-certificate", fields.place("hosts"), message);
        cx.report(diagnostic.help(help));
    }
}

/// Whether there is a certificate whose names are not known before its file is read.
fn has_open_certificate(tls: &Tls) -> bool {
    tls.certificates.iter().any(|c| c.hosts.is_none())
}

fn redirect(
    cx: &mut Lower<'_>,
    names: &Names<'_>,
    fields: &Fields<'_>,
    (reach, hosts): (&Reach, &[HostPattern]),
) -> bool {
    match fields.auto_flag(cx, "redirect_https") {
        None => reach.standard && may_have_certificates(names.tls, hosts),
        Some(false) => false,
        Some(true) => {
            // A trusted proxy may speak TLS in our place and say so.
            if !reach.tls && names.server.trust.is_empty() && !names.server.listeners.is_empty() {
                let message = "`redirect_https` leads nowhere: no listener of this site speaks TLS";
                let help = "listen = [\":80\", \":443\"], or `trust` in [server] when a proxy in \
                            front speaks TLS";
                let place = fields.place("redirect_https");
                cx.report(Diagnostic::error("no-tls-listener", place, message).help(help));
            }
            true
        }
    }
}

/// Whether every exact host has, or may have, a certificate.
fn may_have_certificates(tls: &Tls, hosts: &[HostPattern]) -> bool {
    let by_acme = |host: &HostPattern| tls.acme.is_some() && acme::is_nameable(host);
    let covered = |host: &HostPattern| match host {
        HostPattern::Exact(_) => by_acme(host) || acme::is_covered(&tls.certificates, host),
        HostPattern::Suffix(_) | HostPattern::Any => true,
    };
    tls.local_ca || has_open_certificate(tls) || hosts.iter().all(covered)
}

/// The field's value: `max-age=31536000; includeSubDomains; preload`.
fn hsts(cx: &mut Lower<'_>, server: &Server, fields: &Fields<'_>, reach: &Reach) -> Option<String> {
    let entry = fields.entry(cx, "hsts")?;
    if is_off(&entry.value) {
        return None;
    }
    if !reach.tls && server.trust.is_empty() && !server.listeners.is_empty() {
        let message = "`hsts` is never sent: no listener of this site speaks TLS";
        cx.report(Diagnostic::warning(
            "no-tls-listener",
            entry.key_span,
            message,
        ));
    }
    let path = format!("{}.hsts", fields.path);
    let span = entry.value.span;
    match &entry.value.data {
        Data::Table(table) => {
            let table = Fields::open(cx, &keys::HSTS, Some(table), (path, span));
            return Some(hsts_of(cx, &table));
        }
        Data::Bool(true) => {
            let table = Fields::absent(&keys::HSTS, path, span);
            return Some(hsts_of(cx, &table));
        }
        Data::Text(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
            cx.no_unit("hsts", &entry.value, no_unit(text));
        }
        Data::Text(text) => match crate::units::duration(text) {
            Ok(age) => return Some(format!("max-age={}", age.as_secs())),
            Err(_) => {
                let reason = "expected a duration such as \"365d\", true, \"off\", or \
                              { max_age = \"365d\", include_subdomains = true }";
                cx.bad_value("hsts", &entry.value, reason.into());
            }
        },
        Data::Integer(number) => {
            cx.no_unit("hsts", &entry.value, no_unit(&number.to_string()));
        }
        _ => cx.wrong_type(
            "hsts",
            &entry.value,
            "a time such as \"365d\", true or a table",
        ),
    }
    None
}

/// A small number is meant in days, a large one in seconds, as the field has it.
fn no_unit(number: &str) -> String {
    let unit = if number.len() < 5 { "d" } else { "s" };
    format!("a bare number has no unit: write \"{number}{unit}\"")
}

/// Browsers' lists take no name with less.
const PRELOAD: Duration = Duration::from_secs(365 * 86_400);

fn hsts_of(cx: &mut Lower<'_>, table: &Fields<'_>) -> String {
    let age = table.time(cx, "max_age");
    let below = table.flag(cx, "include_subdomains");
    let preload = table.flag(cx, "preload");
    if preload && !(below && age >= PRELOAD) {
        let message = "`preload` needs `include_subdomains` and a `max_age` of 365 days";
        let help = "{ max_age = \"730d\", include_subdomains = true, preload = true }";
        let diagnostic = Diagnostic::error("bad-value", table.place("preload"), message);
        table.missing(cx, diagnostic.help(help));
    }
    let below = if below { "; includeSubDomains" } else { "" };
    let preload = if preload { "; preload" } else { "" };
    format!("max-age={}{below}{preload}", age.as_secs())
}

/// What `tls_client` of the site says, when that is other than `[tls.client]`.
fn client(
    cx: &mut Lower<'_>,
    config: &Tls,
    fields: &Fields<'_>,
    (reach, redirect): (&Reach, bool),
) -> Option<ClientAuth> {
    let table = fields.table(cx, "tls_client");
    let base = tls::settled(config.client.clone());
    let own = match fields.has("tls_client") {
        true => tls::settled(tls::client(cx, &table, &config.client)),
        false => base.clone(),
    };
    let required = own.mode == ClientAuthMode::Require;
    if fields.has("tls_client") && own.mode != ClientAuthMode::Off && !reach.tls && reach.plain {
        let message = "`tls_client` has no effect: no listener of this site speaks TLS";
        let place = fields.place("tls_client");
        let diagnostic = Diagnostic::error("no-tls-listener", place, message);
        cx.report(diagnostic.help("listen = [\":443\"]"));
    } else if required && reach.tls && reach.plain && !redirect {
        let message = "clients without certificate reach this site over plain HTTP";
        let help = "redirect_https = true, or name only listeners with TLS in `listen`";
        let diagnostic = Diagnostic::warning("plain-bypass", fields.place("tls_client"), message);
        cx.report(diagnostic.help(help));
    }
    (own != base).then_some(own)
}

/// Checks `[tls]` against the listeners, after all sites are known. `places` are where the
/// listeners stand.
pub(crate) fn check(
    cx: &mut Lower<'_>,
    fields: &Fields<'_>,
    (config, server): (&Tls, &Server),
    places: &[Span],
) {
    let mut with_tls = server.listeners.iter().zip(places).filter(|(l, _)| l.tls);
    let Some((listener, place)) = with_tls.next() else {
        return warn_of_unused(cx, fields, config, server);
    };
    let none = config.certificates.is_empty() && !config.local_ca;
    match &config.acme {
        None if none && !fields.has("cert") => no_certificate(cx, fields, (listener, *place)),
        Some(acme) if none && acme.names.is_empty() => {
            let message = "no site has a host that a certificate could be got for";
            let help = "hosts = [\"shop.example.org\"] in the site; an ACME CA needs names of the \
                        DNS";
            let place = fields.place("acme");
            fields.missing(
                cx,
                Diagnostic::error("no-certificate", place, message).help(help),
            );
        }
        _ => {}
    }
    warn_of_ports(cx, fields, (config, server));
}

fn no_certificate(cx: &mut Lower<'_>, fields: &Fields<'_>, (on, place): (&Listener, Span)) {
    let message = format!("`{}` speaks TLS, but there is no certificate", on.name);
    let help = "one of these gives it one:\n\
                [tls.acme]\n\
                email = \"ops@example.org\"     # from Let's Encrypt\n\
                [tls.cert.main]\n\
                cert = \"fullchain.pem\"        # from files\n\
                key = \"privkey.pem\"\n\
                [tls]\n\
                local_ca = true               # for development";
    fields.missing(
        cx,
        Diagnostic::error("no-certificate", place, message).help(help),
    );
}

fn warn_of_unused(cx: &mut Lower<'_>, fields: &Fields<'_>, config: &Tls, server: &Server) {
    let what = if config.acme.is_some() {
        "acme"
    } else if !config.certificates.is_empty() {
        "cert"
    } else if config.client.mode != ClientAuthMode::Off {
        "client"
    } else if config.local_ca {
        "local_ca"
    } else {
        return;
    };
    if server.listeners.is_empty() {
        return;
    }
    let message = format!("`tls.{what}` is not used: no listener speaks TLS");
    let diagnostic = Diagnostic::warning("no-tls-listener", fields.place(what), message);
    let help = "listen = [\":443\"], or `tls = true` in [[server.listener]] for another port";
    cx.report(diagnostic.help(help));
}

/// CAs connect to ports 80 and 443 only.
fn warn_of_ports(cx: &mut Lower<'_>, fields: &Fields<'_>, (config, server): (&Tls, &Server)) {
    let Some(acme) = config.acme.as_ref().filter(|acme| !acme.names.is_empty()) else {
        return;
    };
    let http = server.listeners.iter().any(|l| !l.tls && has_port(l, 80));
    let https = server.listeners.iter().any(|l| l.tls && has_port(l, 443));
    // Behind sockets of systemd and the like stands any port.
    let opaque = |l: &Listener| !matches!(l.addr, ListenAddr::Tcp(_));
    if server.listeners.iter().any(opaque) {
        return;
    }
    let wanted = match acme.challenge {
        AcmeChallenge::Http01 if !http => "port 80 without TLS",
        AcmeChallenge::TlsAlpn01 if !https => "port 443 with TLS",
        AcmeChallenge::Auto if !http && !https => "port 80 without TLS or port 443 with TLS",
        _ => return,
    };
    let message = format!("no listener is on {wanted}, where the CA connects to");
    let help = "this is right only if such a port is forwarded to a listener of that kind";
    let diagnostic = Diagnostic::warning("acme-port", fields.place("acme"), message);
    cx.report(diagnostic.help(help));
}
