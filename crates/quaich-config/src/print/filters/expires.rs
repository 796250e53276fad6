//! `expires`: how long answers may be kept.

use crate::lower::show_path;
use crate::model::{Config, Expires, ExpiresRule};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    out: &mut TomlWriter<'_>,
    (own, site): (&Expires, Option<&Expires>),
    _config: &Config,
) {
    if *own == site.cloned().unwrap_or_default() {
        return;
    }
    if own.rules.is_empty() {
        return out.flag("expires", false);
    }
    out.inlines("expires", &own.rules, rule);
}

fn rule(out: &mut TomlWriter<'_>, rule: &ExpiresRule) {
    if !rule.types.is_empty() {
        out.texts("type", &rule.types);
    }
    if !rule.paths.is_empty() {
        let paths: Vec<String> = rule.paths.iter().map(show_path).collect();
        out.texts("path", &paths);
    }
    if !rule.statuses.is_empty() {
        out.numbers("status", &rule.statuses);
    }
    out.text("age", &rule.age.show());
    if let Some(immutable) = rule.immutable {
        out.flag("immutable", immutable);
    }
    if !rule.cache_control.is_empty() {
        out.text("cache_control", &rule.cache_control);
    }
    if rule.force {
        out.flag("force", true);
    }
}
