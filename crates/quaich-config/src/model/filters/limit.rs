//! `limit`: how much a client may ask for.

use serde::{Deserialize, Serialize};

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {}

/// `[limit.NAME]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Table name.
    pub name: String,
}
