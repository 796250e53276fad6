//! `error_pages` and `replace_errors`: what answers of an error status show.

use crate::model::{Config, ErrorPages, Replace};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    out: &mut TomlWriter<'_>,
    (own, site): (&ErrorPages, Option<&ErrorPages>),
    _config: &Config,
) {
    let nothing = ErrorPages::default();
    let site = site.unwrap_or(&nothing);
    pages(out, own, site);
    if own.replace == site.replace {
        return;
    }
    match &own.replace {
        Replace::Off => out.flag("replace_errors", false),
        Replace::WithPage => out.flag("replace_errors", true),
        Replace::These(these) => {
            let these: Vec<String> = these.iter().map(|of| of.show()).collect();
            out.texts("replace_errors", &these);
        }
    }
}

fn pages(out: &mut TomlWriter<'_>, own: &ErrorPages, site: &ErrorPages) {
    if own.pages == site.pages {
        return;
    }
    if own.pages.is_empty() {
        return out.flag("error_pages", false);
    }
    out.inline("error_pages", |out| {
        for page in &own.pages {
            if site.pages.contains(page) {
                continue;
            }
            let (of, file) = (page.of.show(), page.file.to_string_lossy());
            match page.status {
                None => out.text(&of, &file),
                Some(status) => out.within(&of, |out| {
                    out.text("page", &file);
                    out.number("status", status);
                }),
            }
        }
        for page in &site.pages {
            if own.pages.iter().all(|own| own.of != page.of) {
                out.flag(&page.of.show(), false);
            }
        }
    });
}
