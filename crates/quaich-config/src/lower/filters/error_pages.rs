//! `error_pages` and `replace_errors`: what answers of an error status show.

use std::path::PathBuf;

use crate::diagnostic::Diagnostic;
use crate::document::{Data, Value};
use crate::lower::Lower;
use crate::lower::fields::{Each, Fields, Word, is_off};
use crate::lower::site::Names;
use crate::model::{ErrorPage, ErrorPages, Replace, Statuses};

/// What a page can be, by the end of its name.
const ENDINGS: [&str; 5] = ["html", "htm", "json", "txt", "xml"];

/// Of a site, or of a route of a site with `site`: a route has the pages of its site but for the
/// statuses that it names itself.
pub(super) fn lower(
    cx: &mut Lower<'_>,
    _names: &mut Names<'_>,
    (fields, site): (&Fields<'_>, Option<&ErrorPages>),
) -> ErrorPages {
    let site = site.cloned().unwrap_or_default();
    ErrorPages {
        pages: pages(cx, fields, site.pages),
        replace: replace(cx, fields).unwrap_or(site.replace),
    }
}

fn pages(cx: &mut Lower<'_>, fields: &Fields<'_>, inherited: Vec<ErrorPage>) -> Vec<ErrorPage> {
    let Some(each) = fields.each(cx, "error_pages") else {
        return inherited;
    };
    let Some(each) = each else {
        return Vec::new();
    };
    let mut pages = inherited;
    for (name, value) in each {
        let Some(of) = Statuses::parse(&name.0) else {
            let reason = "expected a status from 400 to 599, \"4xx\", \"5xx\" or \"*\"";
            cx.bad_word("error_pages", &name, reason);
            continue;
        };
        pages.retain(|page| page.of != of);
        let (file, status) = match value {
            Each::Off => continue,
            Each::Text(word) => (Some(word), None),
            Each::Table(table) => {
                let file = table.text(cx, "page");
                if file.is_none() {
                    let message = format!("the page of `{}` has no `page`", name.0);
                    let diagnostic = Diagnostic::error("missing-key", table.span, message);
                    let help =
                        "error_pages = { 502 = { page = \"errors/502.html\", status = 503 } }";
                    table.missing(cx, diagnostic.help(help));
                }
                let status = table.count(cx, "status");
                (file, status.and_then(|status| u16::try_from(status).ok()))
            }
        };
        let file = file.and_then(|word| page_file(cx, "error_pages", &word));
        pages.extend(file.map(|file| ErrorPage { of, file, status }));
    }
    pages.sort_by_key(|page| page.of);
    pages
}

/// The file of a page, the value of `key`, if it can be one.
pub(super) fn page_file(cx: &mut Lower<'_>, key: &str, word: &Word) -> Option<PathBuf> {
    let path = cx.absolute(&word.0, word.1);
    let ending = path.extension().and_then(|ending| ending.to_str());
    if ending.is_some_and(|ending| ENDINGS.contains(&ending)) {
        return Some(path);
    }
    let reason = "a page is a file whose name ends in .html, .htm, .json, .txt or .xml";
    cx.bad_word(key, word, reason);
    None
}

/// `None` = the key is not there.
fn replace(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<Replace> {
    const KEY: &str = "replace_errors";
    let value = &fields.entry(cx, KEY)?.value;
    if is_off(value) {
        return Some(Replace::Off);
    }
    let one = |cx: &mut Lower<'_>, value: &Value| {
        let text = match &value.data {
            Data::Text(text) => text.clone(),
            Data::Integer(number) => number.to_string(),
            _ => {
                cx.wrong_type(KEY, value, "true, false or a list such as [502, \"5xx\"]");
                return None;
            }
        };
        let statuses = Statuses::parse(&text);
        if statuses.is_none() {
            let reason = "expected a status from 400 to 599, \"4xx\", \"5xx\" or \"*\"";
            cx.bad_value(KEY, value, reason.into());
        }
        statuses
    };
    let mut found: Vec<Statuses> = match &value.data {
        Data::Bool(true) => return Some(Replace::WithPage),
        Data::Array(items) => items.iter().filter_map(|item| one(cx, item)).collect(),
        _ => one(cx, value).into_iter().collect(),
    };
    found.sort();
    found.dedup();
    Some(match found.is_empty() {
        true => Replace::Off,
        false => Replace::These(found),
    })
}
