//! `request_headers` and `response_headers`: fields that are set, added, removed.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use quaich_config::model::*;

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    let text = select(vec![
        "",
        "a \"b\" \\",
        "{host}{path}",
        "{{x}}",
        "1, 2; {header.a}",
    ]);
    let pairs = vec(("[A-Z][a-z]{1,6}-[A-Z]", text.prop_map(String::from)), 0..3);
    pairs.prop_map(|mut pairs| {
        // A table of TOML has each key once.
        pairs.sort();
        pairs.dedup_by(|a, b| a.0 == b.0);
        pairs
    })
}

prop_compose! {
    fn edits(on: Vec<Answers>)(
        remove in vec("[A-Z][a-z]{1,6}-[*]?", 0..3),
        set in pairs(),
        append in pairs(),
        add in pairs(),
        on in select(on),
    ) -> Edits {
        Edits { remove, set, append, add, on }
    }
}

fn list(on: Vec<Answers>) -> impl Strategy<Value = Vec<Edits>> {
    let some = edits(on).prop_filter("such a table is no table", |edits| !edits.is_empty());
    vec(some, 0..2)
}

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Headers> {
    let request = list(vec![Answers::Any]);
    let response = list(vec![Answers::Any, Answers::Ok, Answers::Error]);
    (request, response, proptest::bool::ANY).prop_map(|(request, response, show_versions)| {
        Headers {
            request,
            response,
            show_versions,
        }
    })
}
