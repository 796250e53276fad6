//! `security`: fields that tell browsers to be careful.

use crate::model::{Config, Security};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    out: &mut TomlWriter<'_>,
    (own, site): (&Security, Option<&Security>),
    _config: &Config,
) {
    let none = Security::default();
    if own == site.unwrap_or(&none) {
        return;
    }
    if *own == none {
        return out.flag("security", false);
    }
    out.inline("security", |out| {
        out.flag("nosniff", own.nosniff);
        for (key, value) in [
            ("frame", &own.frame),
            ("referrer", &own.referrer),
            ("csp", &own.csp),
            ("csp_report_only", &own.csp_report_only),
            ("permissions", &own.permissions),
            ("opener", &own.opener),
            ("embedder", &own.embedder),
            ("resource", &own.resource),
        ] {
            out.text(key, value.as_deref().unwrap_or("off"));
        }
    });
}
