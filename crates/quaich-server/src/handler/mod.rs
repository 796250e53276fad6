//! The end of a route: what answers a request.

pub mod files;
