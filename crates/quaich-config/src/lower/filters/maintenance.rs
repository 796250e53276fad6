//! `maintenance`: the site is closed for a while.

use super::error_pages::page_file;
use crate::addr;
use crate::lower::fields::{Each, Fields, Word};
use crate::lower::site::Names;
use crate::lower::{Lower, unknown};
use crate::model::Maintenance;

const KEY: &str = "maintenance";

/// Of a site, or of a route of a site with `site`: a route that has it says all of it.
pub(super) fn lower(
    cx: &mut Lower<'_>,
    names: &mut Names<'_>,
    (fields, site): (&Fields<'_>, Option<&Maintenance>),
) -> Maintenance {
    match fields.path_or_table(cx, KEY) {
        None => site.cloned().unwrap_or_default(),
        Some(Each::Off) => Maintenance {
            never: true,
            ..Maintenance::default()
        },
        Some(Each::Text(word)) => Maintenance {
            on: true,
            page: page_file(cx, KEY, &word),
            ..Maintenance::default()
        },
        Some(Each::Table(table)) => settings(cx, names, &table),
    }
}

fn settings(cx: &mut Lower<'_>, names: &Names<'_>, fields: &Fields<'_>) -> Maintenance {
    let page = fields.text(cx, "page");
    let when_file = fields.path(cx, "when_file");
    let mut settings = Maintenance {
        page: page.and_then(|word| page_file(cx, "page", &word)),
        retry_after: fields.time(cx, "retry_after"),
        on: match fields.has("on") {
            true => fields.flag(cx, "on"),
            false => when_file.is_none(),
        },
        when_file,
        ..Maintenance::default()
    };
    for word in fields.texts(cx, "allow").unwrap_or_default() {
        allow(cx, names, &word, &mut settings);
    }
    settings
}

/// Adds one entry of `allow`.
fn allow(cx: &mut Lower<'_>, names: &Names<'_>, word: &Word, settings: &mut Maintenance) {
    let acls = names.acls;
    if let Some(index) = acls.iter().position(|acl| acl.name == word.0) {
        settings.allow_acl.push(index);
        return;
    }
    match addr::network(&word.0) {
        Ok(network) => settings.allow.push(network),
        Err(reason) if word.0.contains(['/', '.', ':']) => cx.bad_word("allow", word, reason),
        Err(_) => {
            let names: Vec<&str> = acls.iter().map(|acl| acl.name.as_str()).collect();
            let what = ("acl", word.0.as_str());
            cx.report(unknown::reference("undefined-acl", what, word.1, &names));
        }
    }
}
