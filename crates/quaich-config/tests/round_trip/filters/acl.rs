//! `[acl.NAME]` and `when`.

use proptest::prelude::*;
use quaich_config::model::*;

/// All of `[acl.NAME]`.
pub fn tables() -> impl Strategy<Value = Vec<Acl>> {
    Just(Vec::new())
}

/// `when` of a route.
pub fn when() -> impl Strategy<Value = Option<usize>> {
    Just(None)
}
