//! `compress`: content codings of answers.

use crate::model::{Compress, Config};
use crate::print::TomlWriter;
use crate::units::show_size;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    out: &mut TomlWriter<'_>,
    (own, site): (&Compress, Option<&Compress>),
    _config: &Config,
) {
    if site == Some(own) {
        return;
    }
    if !own.is_on() {
        return out.flag("compress", false);
    }
    let codings: Vec<&str> = own.codings.iter().map(|coding| coding.name()).collect();
    let default = Compress::default();
    let short = Compress {
        codings: own.codings.clone(),
        min: own.min,
        ..default
    };
    // What a route does not write would be its site's.
    if site.is_none() && short == *own {
        out.texts("compress", &codings);
        out.text("compress_min", &show_size(own.min));
        return;
    }
    out.inline("compress", |out| {
        out.texts("codings", &codings);
        out.text("min", &show_size(own.min));
        out.texts("types", &own.types);
        out.number("zstd", own.levels.zstd);
        out.number("br", own.levels.br);
        out.number("gzip", own.levels.gzip);
        out.flag("cookies", own.cookies);
    });
}
