//! `[acl.NAME]` and `when`.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use quaich_config::model::*;

/// How many acls there are.
const ACLS: usize = 3;

/// All of `[acl.NAME]`. None stands on itself: each on earlier ones only.
pub fn tables() -> impl Strategy<Value = Vec<Acl>> {
    vec(acl(), ACLS).prop_map(|acls| {
        let named = |(index, acl): (usize, Acl)| Acl {
            name: format!("acl{index}"),
            not: acl.not.into_iter().filter(|other| *other < index).collect(),
            any: acl.any.into_iter().filter(|other| *other < index).collect(),
            ..acl
        };
        acls.into_iter().enumerate().map(named).collect()
    })
}

/// `when` of a route.
pub fn when() -> impl Strategy<Value = Vec<usize>> {
    subsequence((0..ACLS).collect::<Vec<_>>(), 0..=ACLS)
}

/// `header`, `query` or `cookie`, with names that look like this.
pub fn fields(names: &'static str) -> impl Strategy<Value = Vec<FieldMatch>> {
    let fields = |(name, value)| FieldMatch { name, value };
    btree_map(names, value(), 0..3).prop_map(move |map| map.into_iter().map(fields).collect())
}

fn value() -> impl Strategy<Value = TextPattern> {
    prop_oneof![
        "([^~].{0,20})?".prop_map(TextPattern::Glob),
        "[a-z\"\\. ^$]{0,9}".prop_map(TextPattern::Regex),
    ]
}

fn host() -> impl Strategy<Value = TextPattern> {
    prop_oneof![
        "[a-z]{1,9}(\\.[a-z]{1,9}){0,2}".prop_map(TextPattern::Glob),
        "[a-z*?-]{0,9}\\*\\.[a-z]{1,9}".prop_map(TextPattern::Glob),
        "[a-z^$.]{0,9}".prop_map(TextPattern::Regex),
    ]
}

fn window() -> impl Strategy<Value = Window> {
    (1_u8..128, 0_u16..1440, 1_u16..=1440, -1439_i16..1440).prop_map(|(days, from, to, offset)| {
        Window {
            days,
            from,
            to: if from == to { to - 1 } else { to },
            offset,
        }
    })
}

prop_compose! {
    fn acl()(
        host in vec(host(), 0..3),
        path in select(vec![
            Vec::new(),
            vec![PathPattern::Exact("/a".into()), PathPattern::Prefix("/b/".into())],
            vec![PathPattern::Glob("*.php".into()), PathPattern::Regex("^/(x|y)$".into())],
        ]),
        method in vec("[A-Z]{1,9}", 0..3),
        client_ip in vec(any::<[u8; 4]>().prop_map(|ip| Network { addr: ip.into(), prefix: 32 }), 0..3),
        header in fields("[a-z-]{1,9}"),
        cookie in fields("[A-Za-z-]{1,9}"),
        query in fields("[a-zä=. ]{1,9}"),
        tls in of(any::<bool>()),
        time in vec(window(), 0..3),
        bounds in of((0_u64..1 << 35, 1_u64..1 << 35)),
        // Something must be there.
        after in 0_u64..1 << 35,
        (not, any) in (when(), when()),
    ) -> Acl {
        let (after, before) = match bounds {
            Some((after, length)) => (after, Some(after + length)),
            None => (after, None),
        };
        Acl {
            name: String::new(),
            host,
            path,
            method,
            client_ip,
            header,
            cookie,
            query,
            tls,
            time,
            after: Some(after),
            before,
            not,
            any,
        }
    }
}
