//! `error_pages`: what answers of an error status show.

use serde::{Deserialize, Serialize};

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorPages {}
