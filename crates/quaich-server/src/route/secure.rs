//! What a site says about `https`: where plain HTTP is sent, and what browsers shall remember.

use std::collections::HashSet;

use quaich_config::model::{self, ClientAuthMode, Config, HostPattern, ListenAddr, Listener};
use quaich_proto::method::Method;

/// `redirect_https` and `hsts` of a site.
#[derive(Debug, Default)]
pub struct Secure {
    /// Whether requests over plain HTTP are redirected.
    pub redirect: bool,
    /// The listener that they are sent to; `None` = port 443 of whoever speaks TLS for us.
    pub listener: Option<usize>,
    /// Hosts of this site by name. While one has no certificate, it is answered over plain HTTP:
    /// over TLS there would be nobody. Empty where that would pass by the certificates that clients
    /// must show, and where another server speaks TLS for us.
    named: HashSet<Vec<u8>>,
    /// Value of `Strict-Transport-Security`.
    pub hsts: Option<Vec<u8>>,
}

impl Secure {
    pub(super) fn new(site: &model::Site, config: &Config) -> Self {
        let listeners = &config.server.listeners;
        let of_site = |index: &usize| site.listeners.is_empty() || site.listeners.contains(index);
        let with_tls = || {
            let secure = |l: &Listener| l.tls && l.other.is_none();
            let all = listeners.iter().enumerate().filter(move |(_, l)| secure(l));
            all.filter(|(index, _)| of_site(index))
        };
        let standard =
            |listener: &Listener| matches!(listener.addr, ListenAddr::Tcp(a) if a.port() == 443);
        // Nobody can be sent to a unix socket.
        let usable = |listener: &Listener| !matches!(listener.addr, ListenAddr::Unix(_));
        let found = with_tls()
            .find(|(_, listener)| standard(listener))
            .or_else(|| with_tls().find(|(_, listener)| usable(listener)));
        Self {
            redirect: site.redirect_https,
            listener: found.map(|(index, _)| index),
            named: match found {
                Some(_) => named(site, &config.tls),
                None => HashSet::new(),
            },
            hsts: site.hsts.clone().map(String::into_bytes),
        }
    }

    /// Whether `host` (lower case) is answered over plain HTTP while it has no certificate.
    pub fn may_stay(&self, host: &[u8]) -> bool {
        self.named.contains(host)
    }
}

fn named(site: &model::Site, tls: &model::Tls) -> HashSet<Vec<u8>> {
    let client = site.tls_client.as_ref().unwrap_or(&tls.client);
    if client.mode == ClientAuthMode::Require {
        return HashSet::new();
    }
    let name = |host: &HostPattern| match host {
        HostPattern::Exact(name) => Some(name.clone().into_bytes()),
        _ => None,
    };
    site.hosts.iter().filter_map(name).collect()
}

/// The status of the redirect. 308 keeps method and body; old clients know only 301, which changes
/// neither of GET and HEAD.
pub fn https_code(method: Method) -> u16 {
    match method {
        Method::Get | Method::Head => 301,
        _ => 308,
    }
}

/// Writes `https://HOST[:PORT]PATH[?QUERY]`. `host` is the name that chose the site, so that nobody
/// is sent elsewhere; `port` is left out where it is 443 or not known (0).
pub fn location(
    out: &mut Vec<u8>,
    (host, port): (&[u8], u16),
    (path, query): (&[u8], Option<&[u8]>),
) {
    out.extend_from_slice(b"https://");
    out.extend_from_slice(host);
    if port != 443 && port != 0 {
        out.extend_from_slice(format!(":{port}").as_bytes());
    }
    out.extend_from_slice(path);
    if let Some(query) = query {
        out.push(b'?');
        out.extend_from_slice(query);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use quaich_config::{Surroundings, parse};

    use super::*;

    fn secure(listeners: &str, site: &str) -> Secure {
        let text = format!(
            "{listeners}\n[tls.cert.a]\ncert = \"a.pem\"\nkey = \"a.key\"\n\
             [site.main]\nroot = \"public\"\nredirect_https = true\n{site}"
        );
        let loaded = parse("a.toml", &text, Path::new("/srv"), &Surroundings::default());
        let config = loaded
            .config
            .unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        Secure::new(&config.sites[0], &config)
    }

    #[test]
    fn clients_are_sent_to_port_443_if_there_is_one() {
        let two = "[server]\nlisten = [\":80\", \":8443\", \":443\"]\n\
                   [[server.listener]]\naddr = \":9443\"\ntls = true\n";
        assert_eq!(secure(two, "").listener, Some(2));
        let named = secure(two, "listen = [\":80\", \":9443\"]\n");
        assert_eq!(named.listener, Some(3));
        let trusted = "[server]\nlisten = [\":80\"]\ntrust = [\"10.0.0.0/8\"]\n";
        assert_eq!(secure(trusted, "").listener, None);
    }

    #[test]
    fn only_named_hosts_stay_on_plain_http_and_never_past_the_rules_for_clients() {
        let server = "[server]\nlisten = [\":80\", \":443\"]\n[tls.acme]\n";
        let hosts = "hosts = [\"a.example\", \"*.a.example\", \"192.0.2.1\"]\n";
        let open = secure(server, hosts);
        assert!(open.may_stay(b"a.example") && open.may_stay(b"192.0.2.1"));
        assert!(!open.may_stay(b"x.a.example"));
        let strict = "tls_client = { mode = \"require\", ca = \"ca.pem\" }\n";
        let strict = secure(server, &format!("{hosts}{strict}"));
        assert!(!strict.may_stay(b"a.example"));
    }

    #[test]
    fn the_port_stands_in_the_location_only_when_it_must() {
        let written = |port, query| {
            let mut out = Vec::new();
            location(&mut out, (b"a.example", port), (b"/x", query));
            String::from_utf8(out).expect("text")
        };
        assert_eq!(written(443, None), "https://a.example/x");
        assert_eq!(written(0, Some(&b""[..])), "https://a.example/x?");
        assert_eq!(
            written(8443, Some(&b"q=1"[..])),
            "https://a.example:8443/x?q=1"
        );
    }
}
