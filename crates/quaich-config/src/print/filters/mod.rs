//! The filters of sites and routes as text. One file a capability.

pub(super) mod acl;
pub(super) mod auth;
pub(super) mod compress;
pub(super) mod cors;
pub(super) mod error_pages;
pub(super) mod expires;
pub(super) mod headers;
pub(super) mod limit;
pub(super) mod maintenance;
pub(super) mod rewrite;
pub(super) mod security;

use super::TomlWriter;
use crate::model::{Config, Filters};

/// Those of a site, or of a route: then what it shares with `site` need not be written.
pub(super) fn print(
    out: &mut TomlWriter<'_>,
    (own, site): (&Filters, Option<&Filters>),
    config: &Config,
) {
    rewrite::print(out, (&own.rewrite, site.map(|site| &site.rewrite)), config);
    headers::print(out, (&own.headers, site.map(|site| &site.headers)), config);
    security::print(
        out,
        (&own.security, site.map(|site| &site.security)),
        config,
    );
    cors::print(out, (&own.cors, site.map(|site| &site.cors)), config);
    compress::print(
        out,
        (&own.compress, site.map(|site| &site.compress)),
        config,
    );
    expires::print(out, (&own.expires, site.map(|site| &site.expires)), config);
    error_pages::print(
        out,
        (&own.error_pages, site.map(|site| &site.error_pages)),
        config,
    );
    maintenance::print(
        out,
        (&own.maintenance, site.map(|site| &site.maintenance)),
        config,
    );
    limit::print(out, (&own.limit, site.map(|site| &site.limit)), config);
    auth::print(out, (&own.auth, site.map(|site| &site.auth)), config);
}
