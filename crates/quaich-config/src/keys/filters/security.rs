//! `security = { ... }`: fields that tell browsers to be careful.

use crate::keys::{Key, later};

/// `security` of a site or route.
pub const SECURITY: Key = later("security");
