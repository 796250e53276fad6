//! `request_headers` and `response_headers`: fields that are set, added, removed.

use crate::keys::{Key, later};

/// `request_headers` of a site or route.
pub const REQUEST_HEADERS: Key = later("request_headers");

/// `response_headers` of a site or route.
pub const RESPONSE_HEADERS: Key = later("response_headers");
