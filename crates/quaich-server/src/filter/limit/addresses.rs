//! `allow` and `deny`: which addresses may ask.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use quaich_config::model::{Limits, Network};

use crate::forwarded::canonical;

/// Both lists of one route.
#[derive(Debug)]
pub(super) struct Addresses {
    /// Networks of each length, the longest first, and whether they are let in.
    lengths: Vec<(u8, HashMap<u128, bool>)>,
    /// What holds for all others.
    otherwise: bool,
}

impl Addresses {
    /// `None` without lists.
    pub(super) fn new(settings: &Limits) -> Option<Self> {
        if settings.allow.is_empty() && settings.deny.is_empty() {
            return None;
        }
        let mut lengths = Vec::<(u8, HashMap<u128, bool>)>::new();
        // Of equal networks the last one holds: `deny`.
        for (list, admitted) in [(&settings.allow, true), (&settings.deny, false)] {
            for network in list {
                let Network { addr, prefix } = canonical(network);
                let (bits, length) = (bits(addr), prefix + offset(addr));
                let same = lengths.iter().position(|(known, _)| *known == length);
                let at = same.unwrap_or_else(|| {
                    lengths.push((length, HashMap::new()));
                    lengths.len() - 1
                });
                lengths[at].1.insert(first(bits, length), admitted);
            }
        }
        lengths.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        Some(Self {
            lengths,
            otherwise: settings.allow.is_empty(),
        })
    }

    /// Whether a client may ask. One without address came over a unix socket: it is on this machine.
    pub(super) fn admits(&self, addr: Option<IpAddr>) -> bool {
        let addr = addr.map_or(Ipv4Addr::LOCALHOST.into(), |addr| addr.to_canonical());
        let bits = bits(addr);
        let found = self.lengths.iter().find_map(|(length, networks)| {
            // `::/0` holds no IPv4 address.
            let known = addr.is_ipv6() || *length >= offset(addr);
            known.then(|| networks.get(&first(bits, *length)))?
        });
        found.copied().unwrap_or(self.otherwise)
    }
}

/// IPv4 addresses lie where IPv6 has them.
fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped().to_bits(),
        IpAddr::V6(addr) => addr.to_bits(),
    }
}

fn offset(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 96 } else { 0 }
}

fn first(bits: u128, length: u8) -> u128 {
    let free = 128 - u32::from(length).min(128);
    let mask = u128::MAX.checked_shl(free).unwrap_or(0);
    bits & mask
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> Addresses {
        let read = |list: &[&str]| {
            let networks = list.iter().map(|text| quaich_config::addr::network(text));
            networks.collect::<Result<_, _>>().expect("networks")
        };
        let settings = Limits {
            allow: read(allow),
            deny: read(deny),
            ..Limits::default()
        };
        Addresses::new(&settings).expect("there are lists")
    }

    fn admits(rules: &Addresses, addr: &str) -> bool {
        rules.admits(Some(addr.parse().expect("an address")))
    }

    #[test]
    fn the_longest_prefix_decides_and_deny_if_equal() {
        let rules = rules(&["10.0.0.0/8", "10.1.1.1"], &["10.1.0.0/16", "10.0.0.0/8"]);
        for (addr, expected) in [
            ("10.1.1.1", true),
            ("10.1.1.2", false),
            ("10.2.0.0", false),
            ("::ffff:10.1.1.1", true),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(admits(&rules, addr), expected, "{addr}");
        }
    }

    #[test]
    fn without_allow_everybody_else_may_ask() {
        let rules = rules(&[], &["2001:db8::/32", "192.0.2.0/24"]);
        for (addr, expected) in [
            ("2001:db8::1", false),
            ("2001:db9::1", true),
            ("192.0.2.9", false),
            ("192.0.3.9", true),
        ] {
            assert_eq!(admits(&rules, addr), expected, "{addr}");
        }
        assert!(rules.admits(None));
    }

    #[test]
    fn all_of_one_family_is_not_all_of_the_other() {
        let rules = rules(&["::/0"], &[]);
        assert!(admits(&rules, "2001:db8::1"));
        assert!(!admits(&rules, "192.0.2.1"));
        assert!(!rules.admits(None));
    }

    proptest! {
        #[test]
        fn it_decides_as_a_walk_over_both_lists_does(
            lists in proptest::collection::vec((any::<u32>(), 0_u8..=32, any::<bool>()), 1..8),
            addr: u32, near in 0_usize..8,
        ) {
            let network = |bits: u32, prefix: u8| {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                Network { addr: IpAddr::V4((bits & mask).into()), prefix }
            };
            let of = |wanted: bool| {
                let list = lists.iter().filter(move |entry| entry.2 == wanted);
                list.map(|entry| network(entry.0, entry.1)).collect::<Vec<_>>()
            };
            let (allow, deny) = (of(true), of(false));
            // Often one that a network holds.
            let addr = lists.get(near).map_or(addr, |entry| entry.0);
            let holds = |network: &&Network| {
                let IpAddr::V4(first) = network.addr else { return false };
                let free = 32 - u32::from(network.prefix);
                (first.to_bits() ^ addr).checked_shr(free).unwrap_or(0) == 0
            };
            let longest = |list: &[Network]| list.iter().filter(holds).map(|n| n.prefix).max();
            let expected = match (longest(&allow), longest(&deny)) {
                (None, None) => allow.is_empty(),
                (allowed, denied) => allowed > denied,
            };
            let rules = Addresses::new(&Limits { allow, deny, ..Limits::default() });
            let found = rules.expect("lists").admits(Some(IpAddr::V4(addr.into())));
            prop_assert_eq!(found, expected);
        }
    }
}
