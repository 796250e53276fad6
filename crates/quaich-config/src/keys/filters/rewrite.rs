//! `rewrite = { ... }`: other paths.

use crate::keys::{Key, later};

/// `rewrite` of a site or route.
pub const REWRITE: Key = later("rewrite");
