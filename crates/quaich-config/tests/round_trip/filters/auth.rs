//! `auth`: who may come in.

use proptest::prelude::*;
use quaich_config::model::*;

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Access> {
    Just(Access::default())
}

/// All of `[auth.NAME]`.
pub fn tables() -> impl Strategy<Value = Vec<Auth>> {
    Just(Vec::new())
}
