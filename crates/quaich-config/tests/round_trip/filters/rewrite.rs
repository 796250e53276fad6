//! `rewrite = { ... }` and its kin.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use quaich_config::model::*;

fn rule() -> impl Strategy<Value = RewriteRule> {
    let patterns = select(vec![
        (PathPattern::Exact("/a b".into()), "/x?a={header.x}{query}"),
        (PathPattern::Prefix("/old/".into()), "/new/{1}?"),
        (PathPattern::Glob("*.php".into()), "{path}.py"),
        (
            PathPattern::Regex("^/(?P<id>[0-9]+)/(.*)$".into()),
            "/{2}/{id}{{}}",
        ),
    ]);
    (patterns, proptest::bool::ANY).prop_map(|((path, to), reroute)| RewriteRule {
        path,
        to: to.into(),
        reroute,
    })
}

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Rewrite> {
    (
        vec(rule(), 0..3),
        of("[a-z]{1,9}\\.example"),
        select(vec![Slash::Off, Slash::Add, Slash::Remove]),
        select(vec![
            RewriteBack::Auto,
            RewriteBack::Always,
            RewriteBack::Off,
        ]),
    )
        .prop_map(|(rules, canonical_host, slash, back)| Rewrite {
            rules,
            canonical_host,
            slash,
            back,
        })
}
