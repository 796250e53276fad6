//! `maintenance`: the site is closed for a while.

use serde::{Deserialize, Serialize};

use crate::model::{Config, TextFile};

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Maintenance {}

impl Maintenance {
    /// Files whose content it works with.
    pub fn texts(&self) -> Vec<TextFile> {
        Vec::new()
    }

    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        None
    }
}
