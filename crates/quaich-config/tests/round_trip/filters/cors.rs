//! `cors = { ... }`: which other origins may read answers.

use proptest::prelude::*;
use quaich_config::model::*;

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Cors> {
    Just(Cors::default())
}
