//! Equal keys to the same server, as long as it can be used; when it cannot, only its keys move.
//! Pure; called by `sticky`.

use std::net::IpAddr;
use std::sync::Arc;

use crate::upstream::server::Server;

/// The server of those that `may` be used to which `key` belongs (weighted rendezvous hashing).
pub(super) fn choose(
    servers: &[Arc<Server>],
    key: u64,
    may: impl Fn(&Server) -> bool,
) -> Option<&Arc<Server>> {
    let weighed = servers.iter().filter(|server| may(server));
    let scored = weighed.map(|server| (score(server, key), server));
    let best = scored.max_by(|one, other| one.0.total_cmp(&other.0));
    best.map(|(_, server)| server)
}

/// The greatest wins, each server as often as its weight says.
fn score(server: &Server, key: u64) -> f64 {
    let mixed = mix(hash(server.name().as_bytes()) ^ key);
    // Between 0 and 1, neither included.
    let share = ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    f64::from(server.weight()) / -share.ln()
}

/// The key of an address: a client with IPv6 has a /64 of them.
pub(super) fn of_address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => hash(&address.octets()),
        IpAddr::V6(address) => hash(address.octets().get(..8).unwrap_or_default()),
    }
}

/// The key of a text, the same in every process (FNV-1a).
pub(super) fn hash(text: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(text.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// Spreads what differs in few bits over all (the last step of SplitMix64).
fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn servers(count: usize) -> Arc<[Arc<Server>]> {
        let names: Vec<String> = (0..count).map(|n| format!("\"s{n}:80\"")).collect();
        let keys = format!("servers = [{}]", names.join(", "));
        crate::upstream::sticky::tests::group(&keys).servers()
    }

    fn spread(servers: &[Arc<Server>], may: impl Fn(&Server) -> bool + Copy) -> Vec<String> {
        let chosen = |n: u64| choose(servers, hash(&n.to_le_bytes()), may).unwrap();
        (0..4000).map(|n| chosen(n).name().to_owned()).collect()
    }

    #[test]
    fn keys_spread_evenly_and_only_those_of_a_lost_server_move() {
        let servers = servers(4);
        let before = spread(&servers, |_| true);
        let mut count = HashMap::<_, u32>::new();
        for name in &before {
            *count.entry(name).or_default() += 1;
        }
        assert!(count.values().all(|n| (850..1150).contains(n)), "{count:?}");
        let after = spread(&servers, |server| server.name() != "s1:80");
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || before == "s1:80");
        }
    }

    #[test]
    fn weights_are_shares() {
        let servers = servers(2);
        servers[0].set_weight(3);
        let first = spread(&servers, |_| true);
        let first = first.iter().filter(|name| *name == "s0:80").count();
        assert!((2850..3150).contains(&first), "{first}");
    }

    #[test]
    fn a_client_with_ipv6_is_its_network() {
        let key = |text: &str| of_address(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }
}
