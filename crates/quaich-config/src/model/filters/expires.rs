//! `expires`: how long answers may be kept.

use serde::{Deserialize, Serialize};

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expires {}
