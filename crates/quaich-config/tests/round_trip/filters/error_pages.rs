//! `error_pages`: what answers of an error status show.

use proptest::prelude::*;
use quaich_config::model::*;

/// Of a site or route.
pub fn any() -> impl Strategy<Value = ErrorPages> {
    Just(ErrorPages::default())
}
