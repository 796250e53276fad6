//! `limit`: how much a client may ask for.

use serde::{Deserialize, Serialize};

use crate::model::Config;

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {}

impl Limits {
    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        None
    }
}

/// `[limit.NAME]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Table name.
    pub name: String,
}
