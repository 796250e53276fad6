//! `limit`: how much a client may ask for.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use quaich_config::model::*;

/// How many limits there are.
const COUNT: usize = 3;

fn networks() -> impl Strategy<Value = Vec<Network>> {
    let all = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::/0"];
    let all = all.map(|text| quaich_config::addr::network(text).expect("a network"));
    subsequence(all.to_vec(), 0..3)
}

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Limits> {
    let named = subsequence((0..COUNT).collect::<Vec<_>>(), 0..=COUNT).prop_shuffle();
    (named, networks(), networks()).prop_map(|(named, allow, deny)| Limits { named, allow, deny })
}

fn key() -> impl Strategy<Value = LimitKey> {
    prop_oneof![
        select(vec![
            LimitKey::ClientIp,
            LimitKey::User,
            LimitKey::Host,
            LimitKey::Route,
            LimitKey::All,
        ]),
        "[a-z-]{1,9}".prop_map(LimitKey::Header),
        "[a-zA-Z-]{1,9}".prop_map(LimitKey::Cookie),
        "[a-z]{0,4}\\{host\\}".prop_map(LimitKey::Template),
    ]
}

prop_compose! {
    fn rate()(
        (count, millis) in (1_u32..=1_000_000, 1_u64..100_000),
        burst in 1_u32..=1000,
        delay in of(1_u32..=1000),
    ) -> LimitRate {
        LimitRate {
            count,
            per: std::time::Duration::from_millis(millis),
            burst,
            delay: delay.map(|delay| delay.min(burst)),
        }
    }
}

prop_compose! {
    fn limit()(
        key in vec(key(), 1..3),
        (rate, concurrency, status) in (of(rate()), 0_u32..1000, 400_u16..600),
        numbers: [u64; 2],
        flags: [bool; 2],
        max_keys in 1_u32..1_000_000,
        when in super::acl::when(),
    ) -> Limit {
        Limit {
            name: String::new(),
            key,
            rate,
            concurrency,
            bandwidth: numbers[0],
            after: if numbers[0] > 0 { numbers[1] } else { 0 },
            when,
            status,
            headers: flags[0],
            dry_run: flags[1],
            max_keys,
        }
    }
}

/// All of `[limit.NAME]`.
pub fn tables() -> impl Strategy<Value = Vec<Limit>> {
    vec(limit(), COUNT).prop_map(|limits| {
        let named = limits.into_iter().enumerate().map(|(index, limit)| Limit {
            name: format!("limit{index}"),
            ..limit
        });
        named.collect()
    })
}
