//! `security = { ... }`: fields that tell browsers to be careful.

use serde::{Deserialize, Serialize};

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Security {}
