//! `limit`, `allow`, `deny`: who may ask, and for how much.

use crate::addr::show_network;
use crate::model::{Config, Limit, LimitKey, Limits};
use crate::print::TomlWriter;
use crate::print::filters::acl;
use crate::units::{show_rate, show_size};

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    out: &mut TomlWriter<'_>,
    (own, site): (&Limits, Option<&Limits>),
    config: &Config,
) {
    let nothing = Limits::default();
    let from = site.unwrap_or(&nothing);
    let name = |at: &usize| config.limits.get(*at).map(|limit| limit.name.as_str());
    let words: Vec<&str> = match own.named.strip_prefix(&from.named[..]) {
        Some(more) => more.iter().filter_map(name).collect(),
        None => ["off"]
            .into_iter()
            .chain(own.named.iter().filter_map(name))
            .collect(),
    };
    match words[..] {
        [] => {}
        [word] => out.text("limit", word),
        _ => out.texts("limit", &words),
    }
    if (&own.allow, &own.deny) == (&from.allow, &from.deny) {
        return;
    }
    for (key, list) in [("allow", &own.allow), ("deny", &own.deny)] {
        let shown: Vec<String> = list.iter().map(show_network).collect();
        match shown.is_empty() {
            true => out.text(key, "off"),
            false => out.texts(key, &shown),
        }
    }
}

/// `[limit.NAME]`
pub(in crate::print) fn table(out: &mut TomlWriter<'_>, table: &Limit, config: &Config) {
    out.table(&format!("limit.{}", table.name));
    if let Some(rate) = &table.rate {
        out.text("rate", &rate.written());
        out.number("burst", rate.burst);
        match rate.delay {
            Some(count) => out.number("delay", count),
            None => out.flag("delay", false),
        }
    }
    let keys: Vec<String> = table.key.iter().map(LimitKey::written).collect();
    out.texts("key", &keys);
    acl::when(out, &table.when, config);
    out.number("concurrency", table.concurrency);
    if table.bandwidth > 0 {
        out.text("bandwidth", &show_rate(table.bandwidth));
        out.text("after", &show_size(table.after));
    }
    out.number("status", table.status);
    out.flag("headers", table.headers);
    out.flag("dry_run", table.dry_run);
    out.number("max_keys", table.max_keys);
}
