//! Filters of any kind. One file a capability.

use proptest::prelude::*;
use quaich_config::model::*;

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

/// Of a site or route, where there are so many of the named tables.
pub fn filters() -> impl Strategy<Value = Filters> {
    let first = (
        rewrite::any(),
        headers::any(),
        security::any(),
        cors::any(),
        compress::any(),
    );
    let second = (
        expires::any(),
        error_pages::any(),
        maintenance::any(),
        limit::any(),
        auth::any(),
    );
    (first, second).prop_map(|(first, second)| {
        let (rewrite, headers, security, cors, compress) = first;
        let (expires, error_pages, maintenance, limit, auth) = second;
        Filters {
            rewrite,
            headers,
            security,
            cors,
            compress,
            expires,
            error_pages,
            maintenance,
            limit,
            auth,
        }
    })
}
