//! `error_pages` and `replace_errors`: what answers of an error status show.

use proptest::collection::{btree_map, btree_set};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use quaich_config::model::*;

fn statuses() -> impl Strategy<Value = Statuses> {
    prop_oneof![
        (400_u16..600).prop_map(Statuses::One),
        select(vec![
            Statuses::One(404),
            Statuses::Class(4),
            Statuses::Class(5),
            Statuses::Any,
        ]),
    ]
}

fn replace() -> impl Strategy<Value = Replace> {
    prop_oneof![
        Just(Replace::Off),
        Just(Replace::WithPage),
        btree_set(statuses(), 1..3).prop_map(|these| Replace::These(these.into_iter().collect())),
    ]
}

/// Of a site or route.
pub fn any() -> impl Strategy<Value = ErrorPages> {
    let file = "/[a-zä \"]{1,9}/[a-z]{1,9}\\.(html|htm|json|txt|xml)";
    let pages = btree_map(statuses(), (file, of(200_u16..600)), 0..4);
    (pages, replace()).prop_map(|(pages, replace)| {
        let page = |(of, (file, status)): (_, (String, _))| ErrorPage {
            of,
            file: file.into(),
            status,
        };
        ErrorPages {
            pages: pages.into_iter().map(page).collect(),
            replace,
        }
    })
}
