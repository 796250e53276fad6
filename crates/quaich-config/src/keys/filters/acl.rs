//! `[acl.NAME]` and `when`.

use crate::keys::{Key, later};

/// `when` of a site or route.
pub const WHEN: Key = later("when");

/// `[acl.NAME]`
pub const TABLES: Key = later("acl");
