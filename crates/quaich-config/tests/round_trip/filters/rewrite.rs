//! `rewrite = { ... }`: other paths.

use proptest::prelude::*;
use quaich_config::model::*;

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Rewrite> {
    Just(Rewrite::default())
}
