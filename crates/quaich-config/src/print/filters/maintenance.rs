//! `maintenance`: the site is closed for a while.

use crate::addr::show_network;
use crate::model::{Config, Maintenance};
use crate::print::TomlWriter;
use crate::units::show_duration;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    out: &mut TomlWriter<'_>,
    (own, site): (&Maintenance, Option<&Maintenance>),
    config: &Config,
) {
    let nothing = Maintenance::default();
    if own == site.unwrap_or(&nothing) {
        return;
    }
    if own.never {
        return out.flag("maintenance", false);
    }
    out.inline("maintenance", |out| {
        out.maybe_path("page", own.page.as_deref());
        let acls = own.allow_acl.iter().filter_map(|at| config.acls.get(*at));
        let names = acls.map(|acl| acl.name.clone());
        let allow: Vec<String> = own.allow.iter().map(show_network).chain(names).collect();
        out.texts("allow", &allow);
        out.text("retry_after", &show_duration(own.retry_after));
        out.maybe_path("when_file", own.when_file.as_deref());
        out.flag("on", own.on);
    });
}
