//! `rewrite = { ... }`: other paths.

use serde::{Deserialize, Serialize};

use crate::model::Config;

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rewrite {}

impl Rewrite {
    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        None
    }
}
