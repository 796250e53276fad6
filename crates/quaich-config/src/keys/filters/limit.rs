//! `limit`: how much a client may ask for.

use crate::keys::{Key, later};

/// `limit` of a site or route.
pub const LIMIT: Key = later("limit");

/// `[limit.NAME]`
pub const TABLES: Key = later("limit");
