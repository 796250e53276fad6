//! `rewrite = { ... }` and its kin: other paths, other hosts, and the way back of mounted apps.

use crate::lower::show_path;
use crate::model::{Config, Rewrite, RewriteBack, RewriteRule, Slash};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    out: &mut TomlWriter<'_>,
    (own, site): (&Rewrite, Option<&Rewrite>),
    _config: &Config,
) {
    let before = site.cloned().unwrap_or_default();
    if own.rules.is_empty() && !before.rules.is_empty() {
        out.flag("rewrite", false);
    } else if own.rules != before.rules {
        out.inline_list("rewrite", &own.rules, rule);
    }
    match &own.canonical_host {
        same if *same == before.canonical_host => {}
        None => out.flag("canonical_host", false),
        Some(host) => out.text("canonical_host", host),
    }
    if own.slash != before.slash || site.is_none() {
        let word = match own.slash {
            Slash::Off => "off",
            Slash::Add => "add",
            Slash::Remove => "remove",
        };
        out.text("slash", word);
    }
    if own.back != before.back || site.is_none() {
        let word = match own.back {
            RewriteBack::Auto => "auto",
            RewriteBack::Always => "always",
            RewriteBack::Off => "off",
        };
        out.text("rewrite_back", word);
    }
}

fn rule(out: &mut TomlWriter<'_>, rule: &RewriteRule) {
    out.text("path", &show_path(&rule.path));
    out.text("to", &rule.to);
    if rule.reroute {
        out.text("then", "route");
    }
}
