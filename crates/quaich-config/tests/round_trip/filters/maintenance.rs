//! `maintenance`: the site is closed for a while.

use proptest::prelude::*;
use quaich_config::model::*;

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Maintenance> {
    Just(Maintenance::default())
}
