//! Every way of choosing, on groups of servers without sockets.

use std::sync::Arc;
use std::time::Duration;

use quaich_config::model::{Balance, HashKey};

use super::samples::group;
use crate::clock::precise_micros;
use crate::link::UpstreamMaterial;
use crate::upstream::group::{Group, Slot, Wish};
use crate::upstream::server::Mode;

const HASH: Balance = Balance::Hash(HashKey::Path);

fn plain(balance: Balance, weights: &[u32]) -> Arc<Group> {
    group(balance, weights, |_, _| {})
}

fn choose(group: &Group) -> Slot {
    group.choose(&Wish::default()).expect("a server")
}

fn keyed(group: &Group, key: u64) -> String {
    let wish = Wish {
        hash: Some(crate::upstream::hash::mix(key)),
        ..Wish::default()
    };
    group.choose(&wish).unwrap().server().name().to_owned()
}

fn served(group: &Group) -> Vec<u64> {
    group.servers().iter().map(|s| s.served()).collect()
}

/// Shares of `requests` that end at once are within one percent of all.
fn expect_shares(group: &Group, weights: &[u32], requests: u64) {
    for _ in 0..requests {
        choose(group);
    }
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    for (weight, served) in weights.iter().zip(served(group)) {
        let due = f64::from(*weight) / total as f64;
        let got = served as f64 / requests as f64;
        assert!((due - got).abs() <= 0.01, "{due} and {got}");
    }
}

#[test]
fn turns_follow_the_weights() {
    expect_shares(&plain(Balance::RoundRobin, &[5, 3, 2]), &[5, 3, 2], 10_000);
    expect_shares(&plain(Balance::RoundRobin, &[1; 4]), &[1; 4], 10_000);
}

#[test]
fn turns_follow_the_weights_when_their_period_would_be_too_long() {
    let weights: Vec<u32> = (0..40).map(|n| 65_000 + n).collect();
    let group = plain(Balance::RoundRobin, &weights);
    expect_shares(&group, &weights, 10_000);
    let least = served(&group).into_iter().min();
    assert_eq!(least, Some(250), "evenly interleaved");
}

#[test]
fn turns_are_shared_by_all_threads() {
    let group = plain(Balance::RoundRobin, &[5, 3, 2]);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let group = group.clone();
            std::thread::spawn(move || (0..2500).for_each(|_| drop(choose(&group))))
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!(served(&group), [5000, 3000, 2000]);
}

#[test]
fn draws_follow_the_weights() {
    expect_shares(&plain(Balance::Random, &[5, 3, 2]), &[5, 3, 2], 100_000);
}

#[test]
fn the_least_busy_server_is_next_and_idle_ones_take_turns() {
    for count in [4, 40] {
        let group = plain(Balance::LeastConn, &vec![1; count]);
        let mut held: Vec<Slot> = (0..count).map(|_| choose(&group)).collect();
        assert_eq!(served(&group), vec![1; count]);
        let free = held.swap_remove(count / 2);
        let name = free.server().name().to_owned();
        drop(free);
        assert_eq!(choose(&group).server().name(), name);
        drop(held);
        for _ in 0..count {
            choose(&group);
        }
        let served = served(&group);
        assert!(served.iter().all(|n| (2..=3).contains(n)), "{served:?}");
    }
}

#[test]
fn the_least_busy_server_is_so_for_its_weight() {
    for filler in [0, 30] {
        let weights: Vec<u32> = [6, 2].into_iter().chain(vec![0; filler]).collect();
        let group = plain(Balance::LeastConn, &weights);
        let held: Vec<Slot> = (0..80).map(|_| choose(&group)).collect();
        let running: Vec<_> = group.servers().iter().map(|s| s.running()).collect();
        assert!((59..=61).contains(&running[0]), "{running:?}");
        drop(held);
    }
}

#[test]
fn the_less_busy_of_two_is_taken() {
    let group = plain(Balance::P2c, &[1; 50]);
    let held: Vec<Slot> = (0..5000).map(|_| choose(&group)).collect();
    let most = group.servers().iter().map(|s| s.running()).max().unwrap();
    assert!(most < 108, "{most}");
    drop(held);
}

#[test]
fn the_first_with_room_is_taken() {
    for count in [3, 30] {
        let group = group(Balance::First, &vec![1; count], |_, s| s.max_conns = 2);
        let held: Vec<Slot> = (0..2 * count).map(|_| choose(&group)).collect();
        let names: Vec<_> = held.iter().map(|slot| slot.server().place()).collect();
        let expected: Vec<_> = (0..count).flat_map(|n| [n, n]).collect();
        assert_eq!(names, expected);
        assert!(group.choose(&Wish::default()).is_err(), "all are full");
        drop(held);
        assert_eq!(choose(&group).server().place(), 0);
    }
}

#[test]
fn equal_keys_go_to_equal_servers_and_few_move_when_one_fails() {
    let group = plain(HASH, &[1; 10]);
    let before: Vec<_> = (0..2000).map(|key| keyed(&group, key)).collect();
    let again: Vec<_> = (0..2000).map(|key| keyed(&group, key)).collect();
    assert_eq!(before, again);
    let victim = group.servers()[3].clone();
    victim.set_mode(Mode::Maint);
    group.changed();
    for (key, before) in before.iter().enumerate() {
        let after = keyed(&group, key as u64);
        assert_eq!(after == *before, before != victim.name());
    }
    victim.set_mode(Mode::Ready);
    group.changed();
    let back: Vec<_> = (0..2000).map(|key| keyed(&group, key)).collect();
    assert_eq!(before, back);
}

#[test]
fn a_key_that_everybody_asks_for_does_not_bury_its_server() {
    let group = plain(HASH, &[1; 4]);
    let wish = Wish {
        hash: Some(42),
        ..Wish::default()
    };
    let held: Vec<Slot> = (0..400).map(|_| group.choose(&wish).unwrap()).collect();
    let most = group.servers().iter().map(|s| s.running()).max().unwrap();
    assert!(most <= 126, "{most} of 400 on one of four");
    drop(held);
}

#[test]
fn backups_are_used_only_while_nobody_else_is_there() {
    for balance in [
        Balance::RoundRobin,
        Balance::LeastConn,
        Balance::Random,
        HASH,
    ] {
        let group = group(balance, &[1; 3], |n, server| server.backup = n == 2);
        (0..100).for_each(|_| drop(choose(&group)));
        assert_eq!(group.servers()[2].served(), 0);
        group.servers()[0].set_mode(Mode::Maint);
        group.servers()[1].set_mode(Mode::Maint);
        group.changed();
        assert_eq!(choose(&group).server().place(), 2);
        group.servers()[0].set_mode(Mode::Ready);
        group.changed();
        assert_eq!(choose(&group).server().place(), 0);
    }
}

#[test]
fn a_backup_is_used_when_all_others_have_failed_the_request() {
    for balance in [Balance::RoundRobin, Balance::LeastConn, Balance::P2c, HASH] {
        let group = group(balance, &[1; 2], |n, server| server.backup = n == 1);
        let tried = [group.servers()[0].clone()];
        let wish = Wish {
            tried: &tried,
            hash: Some(1),
            ..Wish::default()
        };
        let slot = group.choose(&wish).expect("the backup");
        assert_eq!(slot.server().place(), 1);
    }
}

#[test]
fn a_weight_that_an_operator_gives_counts_also_where_keys_are_hashed() {
    let group = plain(HASH, &[0]);
    assert!(group.choose(&Wish::default()).is_err());
    group.servers()[0].set_weight(3);
    group.changed();
    assert_eq!(choose(&group).server().place(), 0);
}

#[test]
fn a_long_period_gets_around_a_full_server_and_ends_when_all_are_full() {
    let group = group(Balance::RoundRobin, &[100_003, 1], |_, s| s.max_conns = 1);
    let held = [choose(&group), choose(&group)];
    assert_eq!(served(&group), [1, 1]);
    assert!(group.choose(&Wish::default()).is_err());
    drop(held);
}

#[test]
fn a_weight_of_zero_gets_no_new_clients_but_keeps_its_own() {
    let group = plain(Balance::RoundRobin, &[0, 1]);
    (0..10).for_each(|_| drop(choose(&group)));
    assert_eq!(served(&group), [0, 10]);
    let known = group.servers()[0].clone();
    let wish = Wish {
        known: Some(&known),
        ..Wish::default()
    };
    assert_eq!(group.choose(&wish).unwrap().server().place(), 0);
}

#[test]
fn a_server_that_was_tried_is_tried_again_only_when_no_other_is_there() {
    let many: &[u32] = &[1; 40];
    for weights in [&[1, 1][..], many] {
        for balance in [Balance::RoundRobin, Balance::LeastConn, Balance::P2c, HASH] {
            let group = plain(balance, weights);
            let servers = group.servers();
            let (left, tried) = servers.split_first().unwrap();
            let wish = |tried| Wish {
                tried,
                hash: Some(1),
                ..Wish::default()
            };
            for _ in 0..10 {
                let slot = group.choose(&wish(tried)).unwrap();
                assert!(Arc::ptr_eq(slot.server(), left));
            }
            assert!(group.choose(&wish(&servers)).is_ok());
        }
    }
}

#[test]
fn a_server_that_returns_gets_a_growing_share() {
    let mut settings = super::samples::upstream(Balance::RoundRobin);
    settings.slow_start = Duration::from_secs(100);
    for name in ["a:80", "b:80"] {
        settings.servers.push(super::samples::server(name, 1));
    }
    let group = Group::new(&settings, &UpstreamMaterial::default(), 1);
    let servers = group.servers();
    let (back, now) = (&servers[1], precise_micros());
    let shares = || {
        group.changed();
        let before = back.served();
        (0..1010).for_each(|_| drop(choose(&group)));
        back.served() - before
    };
    assert_eq!(shares(), 505, "at its start it has all");
    back.set_mode(Mode::Maint);
    back.set_mode(Mode::Ready);
    assert_eq!(shares(), 10, "one hundredth of the weight");
    assert!(back.grow(now + 50_000_000));
    assert!((330..=340).contains(&shares()), "half of the weight");
    assert!(back.grow(now + 150_000_000));
    assert!(!back.grow(now + 150_000_001), "it has all again");
    assert_eq!(shares(), 505);
}

#[test]
fn nobody_is_chosen_among_none() {
    let group = plain(Balance::RoundRobin, &[1]);
    group.servers()[0].set_mode(Mode::Maint);
    group.changed();
    assert!(group.choose(&Wish::default()).is_err());
}

/// Of this thread: others may run meanwhile.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// `cargo test --release -p quaich-server --lib choosing_among -- --ignored --nocapture`
#[test]
#[ignore = "measures time"]
fn choosing_among_ten_thousand_takes_at_most_300_ns() {
    let uneven: Vec<u32> = (0..10_000).map(|n| 1 + n % 97).collect();
    let ways = [
        ("round robin, 4 equal", Balance::RoundRobin, vec![1; 4]),
        ("round robin, equal", Balance::RoundRobin, vec![1; 10_000]),
        ("round robin", Balance::RoundRobin, uneven.clone()),
        ("least-conn, 4", Balance::LeastConn, vec![1; 4]),
        ("least-conn", Balance::LeastConn, uneven.clone()),
        ("p2c", Balance::P2c, uneven.clone()),
        ("random", Balance::Random, uneven.clone()),
        ("first", Balance::First, uneven.clone()),
        ("hash", HASH, uneven),
    ];
    for (name, balance, weights) in ways {
        let group = plain(balance, &weights);
        let start = cpu_time();
        let plan = group.plan();
        let planned = cpu_time() - start;
        let start = cpu_time();
        const ROUNDS: u32 = 1_000_000;
        for round in 0..ROUNDS {
            let wish = Wish {
                hash: Some(crate::upstream::hash::mix(round.into())),
                ..Wish::default()
            };
            drop(plan.choose(&wish));
        }
        let each = (cpu_time() - start) / ROUNDS;
        println!("{name}: {each:?} each, planned in {planned:?}");
        assert!(each.as_nanos() <= 300, "{name}: {each:?}");
    }
}
