//! `expires`: how long answers may be kept.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use quaich_config::model::*;

fn age() -> impl Strategy<Value = Age> {
    let time = || (0_u64..1 << 40).prop_map(Duration::from_millis);
    prop_oneof![
        select(vec![Age::Off, Age::Max, Age::NoCache, Age::NoStore]),
        time().prop_map(Age::For),
        time().prop_map(Age::Modified),
    ]
}

prop_compose! {
    fn rule()(
        types in vec("[a-z]{1,8}/([a-z]{1,8}|[*])", 0..3),
        paths in vec(
            prop_oneof![
                "/[a-z]{0,8}".prop_map(PathPattern::Exact),
                "/[a-z]{1,8}/".prop_map(PathPattern::Prefix),
                "[*][.][a-z]{1,4}".prop_map(PathPattern::Glob),
                "[a-z]{1,4}".prop_map(|name| PathPattern::Regex(format!("^/{name}$"))),
            ],
            0..3,
        ),
        statuses in vec(200_u16..600, 0..3),
        age in age(),
        immutable in of(proptest::bool::ANY),
        cache_control in select(vec!["", "public", "private, stale-while-revalidate=60"]),
        force in proptest::bool::ANY,
    ) -> ExpiresRule {
        ExpiresRule {
            types,
            paths,
            statuses,
            age,
            immutable,
            cache_control: cache_control.to_owned(),
            force,
        }
    }
}

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Expires> {
    vec(rule(), 0..3).prop_map(|rules| Expires { rules })
}
