//! `security = { ... }`: fields that tell browsers to be careful.

use proptest::prelude::*;
use quaich_config::model::*;

/// Of a site or route.
pub fn any() -> impl Strategy<Value = Security> {
    Just(Security::default())
}
