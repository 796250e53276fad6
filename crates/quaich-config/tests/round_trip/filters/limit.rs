//! `limit`: how much a client may ask for.

use proptest::prelude::*;
use quaich_config::model::*;

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Limits> {
    Just(Limits::default())
}

/// All of `[limit.NAME]`.
pub fn tables() -> impl Strategy<Value = Vec<Limit>> {
    Just(Vec::new())
}
