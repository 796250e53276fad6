//! `request_headers` and `response_headers`: fields that are set, added, removed.

use crate::model::{Answers, Config, Edits, Headers};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    out: &mut TomlWriter<'_>,
    (own, site): (&Headers, Option<&Headers>),
    _config: &Config,
) {
    let inherited = site.map(|site| &site.request[..]);
    side(out, "request_headers", (&own.request, inherited), None);
    let inherited = site.map(|site| &site.response[..]);
    let shown = site.is_some_and(|site| site.show_versions);
    let hide = (own.show_versions != shown).then_some(!own.show_versions);
    side(out, "response_headers", (&own.response, inherited), hide);
}

fn side(
    out: &mut TomlWriter<'_>,
    key: &str,
    (all, inherited): (&[Edits], Option<&[Edits]>),
    hide: Option<bool>,
) {
    let before = inherited.unwrap_or_default();
    let (inherits, rest) = match all.strip_prefix(before) {
        Some(rest) => (true, rest),
        None => (false, all),
    };
    if rest.is_empty() && inherits && hide.is_none() {
        return;
    }
    out.inline(key, |out| {
        for edits in rest {
            table(out, edits);
        }
        if !inherits {
            out.flag("inherit", false);
        }
        if let Some(hide) = hide {
            out.flag("hide", hide);
        }
    });
}

fn table(out: &mut TomlWriter<'_>, edits: &Edits) {
    if !edits.remove.is_empty() {
        out.texts("remove", &edits.remove);
    }
    for (key, pairs) in [
        ("set", &edits.set),
        ("append", &edits.append),
        ("add", &edits.add),
    ] {
        out.pairs(key, pairs.iter().map(|(name, text)| (&**name, &**text)));
    }
    match edits.on {
        Answers::Any => {}
        Answers::Ok => out.text("on", "ok"),
        Answers::Error => out.text("on", "error"),
    }
}
