//! `compress`: content codings of answers.

use crate::keys::{Key, later};

/// `compress` of a site or route.
pub const COMPRESS: Key = later("compress");

/// `compress_min` of a site or route.
pub const COMPRESS_MIN: Key = later("compress_min");
