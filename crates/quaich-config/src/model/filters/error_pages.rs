//! `error_pages`: what answers of an error status show.

use serde::{Deserialize, Serialize};

use crate::model::Config;

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorPages {}

impl ErrorPages {
    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        None
    }
}
