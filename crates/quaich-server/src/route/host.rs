//! Host names: exact, `*.suffix`, `*`.

use std::collections::HashMap;

use quaich_config::model::{HostPattern, Site};

/// Which sites may serve a host, best first.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: HashMap<Vec<u8>, Vec<usize>>,
    /// Keys begin with a dot.
    suffix: HashMap<Vec<u8>, Vec<usize>>,
    any: Vec<usize>,
}

impl Hosts {
    pub(super) fn compile(sites: &[Site]) -> Self {
        let mut hosts = Self::default();
        for (index, site) in sites.iter().enumerate() {
            for pattern in &site.hosts {
                match pattern {
                    HostPattern::Exact(name) => hosts.exact.entry(name.clone().into_bytes()),
                    HostPattern::Suffix(name) => hosts.suffix.entry(name.clone().into_bytes()),
                    HostPattern::Any => {
                        hosts.any.push(index);
                        continue;
                    }
                }
                .or_default()
                .push(index);
            }
        }
        hosts
    }

    /// Indices of sites for a lower-case host without port.
    pub(super) fn candidates<'h>(&'h self, host: &'h [u8]) -> impl Iterator<Item = usize> + 'h {
        let exact = match self.exact.is_empty() {
            true => None,
            false => self.exact.get(host),
        };
        let labels = if self.suffix.is_empty() {
            &[][..]
        } else {
            host
        };
        let suffixes = labels
            .iter()
            .enumerate()
            // At least one byte must stand before the suffix.
            .filter(|&(at, &byte)| at > 0 && byte == b'.')
            .filter_map(|(at, _)| self.suffix.get(&labels[at..]));
        exact
            .into_iter()
            .chain(suffixes)
            .flatten()
            .chain(&self.any)
            .copied()
    }
}

/// Whether a host matches one pattern.
pub(super) fn matches(pattern: &HostPattern, host: &[u8]) -> bool {
    match pattern {
        HostPattern::Exact(name) => name.as_bytes() == host,
        HostPattern::Suffix(suffix) => {
            host.len() > suffix.len() && host.ends_with(suffix.as_bytes())
        }
        HostPattern::Any => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites(patterns: &[&[HostPattern]]) -> Vec<Site> {
        patterns
            .iter()
            .map(|hosts| Site {
                name: String::new(),
                hosts: hosts.to_vec(),
                listeners: Vec::new(),
                routes: Vec::new(),
                access_log: true,
                redirect_https: false,
                hsts: None,
                tls_client: None,
                filters: quaich_config::model::Filters::default(),
            })
            .collect()
    }

    #[test]
    fn exact_wins_over_longest_suffix_wins_over_any() {
        let hosts = Hosts::compile(&sites(&[
            &[HostPattern::Any],
            &[HostPattern::Suffix(".example.org".into())],
            &[HostPattern::Suffix(".a.example.org".into())],
            &[HostPattern::Exact("b.a.example.org".into())],
        ]));
        let order = |host: &str| hosts.candidates(host.as_bytes()).collect::<Vec<_>>();
        assert_eq!(order("b.a.example.org"), [3, 2, 1, 0]);
        assert_eq!(order("c.a.example.org"), [2, 1, 0]);
        assert_eq!(order("example.org"), [0]);
        assert_eq!(order("evilexample.org"), [0]);
        assert_eq!(order(".example.org"), [0]);
        assert_eq!(order(""), [0]);
    }
}
