//! `compress`: content codings of answers.

use proptest::prelude::*;
use quaich_config::model::*;

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Compress> {
    Just(Compress::default())
}
