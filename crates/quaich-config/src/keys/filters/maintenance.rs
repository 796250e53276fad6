//! `maintenance`: the site is closed for a while.

use crate::keys::{Key, later};

/// `maintenance` of a site or route.
pub const MAINTENANCE: Key = later("maintenance");
