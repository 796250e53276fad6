//! `[acl.NAME]`: conditions with a name.

use serde::{Deserialize, Serialize};

/// `[acl.NAME]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Acl {
    /// Table name.
    pub name: String,
}
