//! `error_pages`: what answers of an error status show.

use crate::model::{Config, ErrorPages};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    _out: &mut TomlWriter<'_>,
    (_own, _site): (&ErrorPages, Option<&ErrorPages>),
    _config: &Config,
) {
}
