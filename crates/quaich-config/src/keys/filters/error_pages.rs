//! `error_pages`: what answers of an error status show.

use crate::keys::{Key, later};

/// `error_pages` of a site or route.
pub const ERROR_PAGES: Key = later("error_pages");
