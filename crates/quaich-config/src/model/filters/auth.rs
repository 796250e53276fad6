//! `auth`: who may come in.

use serde::{Deserialize, Serialize};

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Access {}

/// `[auth.NAME]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Auth {
    /// Table name.
    pub name: String,
}
