//! `expires`: how long answers may be kept.

use proptest::prelude::*;
use quaich_config::model::*;

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Expires> {
    Just(Expires::default())
}
