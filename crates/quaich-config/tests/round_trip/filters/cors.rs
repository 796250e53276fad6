//! `cors = { ... }`: which other origins may read answers.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use quaich_config::model::*;

fn origin() -> impl Strategy<Value = OriginPattern> {
    let host = prop_oneof![
        "[a-z]{1,8}".prop_map(HostPattern::Exact),
        "[.][a-z]{1,8}[.]test".prop_map(HostPattern::Suffix),
    ];
    let port = prop_oneof![
        Just(OriginPort::Default),
        Just(OriginPort::Any),
        (1000_u16..).prop_map(OriginPort::Number),
    ];
    let scheme = select(vec!["http", "https", "tauri"]).prop_map(String::from);
    let plain = (scheme, host, port);
    prop_oneof![
        Just(OriginPattern::Null),
        "https://[a-z]{1,4}[.]test".prop_map(OriginPattern::Regex),
        plain.prop_map(|(scheme, host, port)| OriginPattern::Plain { scheme, host, port }),
    ]
}

fn names() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![vec("[A-Z]{1,8}", 0..3), Just(vec!["*".to_owned()])]
}

prop_compose! {
    fn policy()(
        origins in vec(origin(), 1..4),
        methods in names(),
        headers in names(),
        expose in vec("[A-Z]{1,8}", 0..3),
        credentials in proptest::bool::ANY,
        age in 0_u64..100_000,
    ) -> CorsPolicy {
        CorsPolicy {
            origins,
            methods,
            headers,
            expose,
            credentials,
            max_age: Duration::from_secs(age),
        }
    }
}

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Cors> {
    of(policy()).prop_map(|policy| Cors { policy })
}
