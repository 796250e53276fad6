//! The filters of sites and routes. One file a capability.

pub(crate) mod acl;
pub(crate) mod auth;
pub(crate) mod compress;
pub(crate) mod cors;
pub(crate) mod error_pages;
pub(crate) mod expires;
pub(crate) mod headers;
pub(crate) mod limit;
pub(crate) mod maintenance;
pub(crate) mod rewrite;
pub(crate) mod security;

use crate::lower::Lower;
use crate::lower::fields::Fields;
use crate::lower::site::Names;
use crate::model::Filters;

/// Reads the filters of a site, or of a route of the site that has `site`.
pub(crate) fn lower(
    cx: &mut Lower<'_>,
    names: &mut Names<'_>,
    (fields, site): (&Fields<'_>, Option<&Filters>),
) -> Filters {
    Filters {
        rewrite: rewrite::lower(cx, names, (fields, site.map(|site| &site.rewrite))),
        headers: headers::lower(cx, names, (fields, site.map(|site| &site.headers))),
        security: security::lower(cx, names, (fields, site.map(|site| &site.security))),
        cors: cors::lower(cx, names, (fields, site.map(|site| &site.cors))),
        compress: compress::lower(cx, names, (fields, site.map(|site| &site.compress))),
        expires: expires::lower(cx, names, (fields, site.map(|site| &site.expires))),
        error_pages: error_pages::lower(cx, names, (fields, site.map(|site| &site.error_pages))),
        maintenance: maintenance::lower(cx, names, (fields, site.map(|site| &site.maintenance))),
        limit: limit::lower(cx, names, (fields, site.map(|site| &site.limit))),
        auth: auth::lower(cx, names, (fields, site.map(|site| &site.auth))),
    }
}
