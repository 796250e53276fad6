//! `cors = { ... }`: which other origins may read answers.

use crate::model::{Config, Cors, OriginPattern};
use crate::print::TomlWriter;
use crate::units::show_duration;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    out: &mut TomlWriter<'_>,
    (own, site): (&Cors, Option<&Cors>),
    _config: &Config,
) {
    if *own == site.cloned().unwrap_or_default() {
        return;
    }
    let Some(policy) = &own.policy else {
        return out.flag("cors", false);
    };
    out.inline("cors", |out| {
        let origins: Vec<String> = policy.origins.iter().map(OriginPattern::show).collect();
        out.texts("origins", &origins);
        out.texts("methods", &policy.methods);
        out.texts("headers", &policy.headers);
        out.texts("expose", &policy.expose);
        out.flag("credentials", policy.credentials);
        out.text("max_age", &show_duration(policy.max_age));
    });
}
