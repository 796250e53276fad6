//! `maintenance`: the site is closed for a while.

use serde::{Deserialize, Serialize};

use crate::model::Config;

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Maintenance {}

impl Maintenance {
    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        None
    }
}
