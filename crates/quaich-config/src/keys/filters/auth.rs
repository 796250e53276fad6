//! `auth`: who may come in.

use crate::keys::{Key, later};

/// `auth` of a site or route.
pub const AUTH: Key = later("auth");

/// `[auth.NAME]`
pub const TABLES: Key = later("auth");
