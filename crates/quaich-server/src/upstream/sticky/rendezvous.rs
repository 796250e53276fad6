//! Equal keys to the same server, as long as it can be used; when it cannot, only its keys move.
//! Pure; called by `sticky`.

use std::sync::Arc;

use crate::upstream::hash;
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
    let mixed = hash::mix(hash::of(server.name().as_bytes()) ^ key);
    // Between 0 and 1, neither included.
    let share = ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    f64::from(server.weight()) / -share.ln()
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
        let chosen = |n: u64| choose(servers, hash::of(&n.to_le_bytes()), may).unwrap();
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
}
