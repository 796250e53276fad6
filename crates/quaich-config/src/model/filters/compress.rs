//! `compress`: content codings of answers.

use serde::{Deserialize, Serialize};

use crate::model::Config;

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Compress {}

impl Compress {
    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        None
    }
}
