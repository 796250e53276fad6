//! `auth`: who may come in.

use serde::{Deserialize, Serialize};

use crate::model::{Config, TextFile};

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Access {}

impl Access {
    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        None
    }
}

/// `[auth.NAME]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Auth {
    /// Table name.
    pub name: String,
}

impl Auth {
    /// Files whose content it works with.
    pub fn texts(&self) -> Vec<TextFile> {
        Vec::new()
    }
}
