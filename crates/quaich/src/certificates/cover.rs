//! Which names there must be certificates for, and which certificate covers which.

use quaich_config::Config;
use quaich_config::model::{HostPattern, ListenAddr, Site};

/// How a name in a certificate is used for hosts.
pub(super) fn pattern(name: &str) -> HostPattern {
    match name.strip_prefix('*') {
        Some(suffix) if suffix.starts_with('.') => HostPattern::Suffix(suffix.to_owned()),
        _ => HostPattern::Exact(name.to_owned()),
    }
}

/// The name in a certificate that stands for `pattern`; `None` = no name could.
pub(super) fn name_of(pattern: &HostPattern) -> Option<String> {
    match pattern {
        HostPattern::Exact(host) => Some(host.clone()),
        HostPattern::Suffix(suffix) => Some(format!("*{suffix}")),
        HostPattern::Any => None,
    }
}

/// Whether a certificate for `pattern` is one for the name `host`, which may be a wildcard itself.
/// A wildcard stands for one label (RFC 9525 section 6.3).
pub(super) fn covers(pattern: &HostPattern, host: &str) -> bool {
    match pattern {
        HostPattern::Exact(name) => name == host,
        HostPattern::Suffix(suffix) => host
            .strip_suffix(suffix.as_str())
            .is_some_and(|label| !label.is_empty() && !label.contains('.')),
        HostPattern::Any => true,
    }
}

/// Whether one of `patterns` covers `host`.
pub(super) fn any_covers<'a>(
    patterns: impl IntoIterator<Item = &'a HostPattern>,
    host: &str,
) -> bool {
    patterns.into_iter().any(|pattern| covers(pattern, host))
}

/// The sites that are reached over TLS.
pub(super) fn sites_with_tls(config: &Config) -> impl Iterator<Item = &Site> {
    let listeners = &config.server.listeners;
    config
        .sites
        .iter()
        .filter(move |site| match site.listeners.is_empty() {
            true => listeners.iter().any(|listener| listener.tls),
            false => site
                .listeners
                .iter()
                .any(|index| listeners.get(*index).is_some_and(|listener| listener.tls)),
        })
}

/// The names of a site that a certificate of the local CA must have, without those that are
/// `covered`. A site for all hosts is called by the names of this machine.
pub(super) fn local_names(
    config: &Config,
    site: &Site,
    covered: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut names = Vec::new();
    for host in &site.hosts {
        match name_of(host) {
            Some(name) => names.push(name),
            None => names.extend(names_of_this_machine(config)),
        }
    }
    names.retain(|name| !covered(name));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn names_of_this_machine(config: &Config) -> Vec<String> {
    let mut names = ["localhost", "*.localhost", "127.0.0.1", "::1"]
        .map(str::to_owned)
        .to_vec();
    let node = rustix::system::uname();
    let node = node.nodename().to_string_lossy().to_ascii_lowercase();
    if is_dns_name(&node) {
        names.push(node);
    }
    for listener in config
        .server
        .listeners
        .iter()
        .filter(|listener| listener.tls)
    {
        if let ListenAddr::Tcp(addr) = listener.addr
            && !addr.ip().is_unspecified()
        {
            names.push(addr.ip().to_string());
        }
    }
    names
}

fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_of_a_certificate_is_one_label() {
        let wildcard = pattern("*.example.org");
        assert_eq!(wildcard, HostPattern::Suffix(".example.org".into()));
        assert!(covers(&wildcard, "a.example.org"));
        assert!(covers(&wildcard, "*.example.org"));
        assert!(!covers(&wildcard, "a.b.example.org"));
        assert!(!covers(&wildcard, "example.org"));
        assert!(!covers(&wildcard, ".example.org"));
        assert!(covers(&pattern("example.org"), "example.org"));
        assert!(!covers(&pattern("example.org"), "a.example.org"));
    }

    #[test]
    fn names_of_machines_are_those_that_dns_could_have() {
        assert!(is_dns_name("build-7"));
        assert!(is_dns_name("build-7.example.org"));
        for bad in ["", "a b", "-a", "a-", "a..b", "a_b", &"x".repeat(64)] {
            assert!(!is_dns_name(bad), "{bad}");
        }
    }
}
