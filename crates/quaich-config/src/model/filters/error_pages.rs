//! `error_pages`: what answers of an error status show.

use serde::{Deserialize, Serialize};

use crate::model::{Config, TextFile};

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorPages {}

impl ErrorPages {
    /// Files whose content it works with.
    pub fn texts(&self) -> Vec<TextFile> {
        Vec::new()
    }

    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        None
    }
}
