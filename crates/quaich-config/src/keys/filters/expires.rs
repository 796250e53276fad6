//! `expires`: how long answers may be kept.

use crate::keys::{Key, later};

/// `expires` of a site or route.
pub const EXPIRES: Key = later("expires");
