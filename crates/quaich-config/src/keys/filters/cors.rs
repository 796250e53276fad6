//! `cors = { ... }`: which other origins may read answers.

use crate::keys::{Key, later};

/// `cors` of a site or route.
pub const CORS: Key = later("cors");
