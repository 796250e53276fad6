//! The keys of filters: those that sites and routes have, and the tables that they name. One file a
//! capability.

pub mod acl;
pub mod auth;
pub mod compress;
pub mod cors;
pub mod error_pages;
pub mod expires;
pub mod headers;
pub mod limit;
pub mod maintenance;
pub mod rewrite;
pub mod security;
