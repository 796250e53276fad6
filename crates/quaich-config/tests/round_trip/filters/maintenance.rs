//! `maintenance`: the site is closed for a while.

use std::time::Duration;

use proptest::option::of;
use proptest::prelude::*;
use quaich_config::model::*;

fn settings() -> impl Strategy<Value = Maintenance> {
    let page = of("/[a-z \"]{1,9}\\.html").prop_map(|page| page.map(Into::into));
    let when_file = of("/run/[a-z \"]{1,9}").prop_map(|file| file.map(Into::into));
    let prefixes = proptest::collection::vec(8_u8..=32, 0..3);
    let parts = (
        page,
        when_file,
        prefixes,
        proptest::bool::ANY,
        1_u64..1 << 40,
    );
    parts.prop_map(|(page, when_file, prefixes, on, millis)| {
        let network = |prefix| Network {
            addr: [10, 0, 0, 0].into(),
            prefix,
        };
        Maintenance {
            on,
            never: false,
            page,
            allow: prefixes.into_iter().map(network).collect(),
            allow_acl: Vec::new(),
            retry_after: Duration::from_millis(millis),
            when_file,
        }
    })
}

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Maintenance> {
    let never = Maintenance {
        never: true,
        ..Maintenance::default()
    };
    prop_oneof![Just(Maintenance::default()), Just(never), settings()]
}
