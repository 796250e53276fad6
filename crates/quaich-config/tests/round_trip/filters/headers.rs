//! `request_headers` and `response_headers`: fields that are set, added, removed.

use proptest::prelude::*;
use quaich_config::model::*;

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Headers> {
    Just(Headers::default())
}
