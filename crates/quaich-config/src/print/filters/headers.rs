//! `request_headers` and `response_headers`: fields that are set, added, removed.

use crate::model::{Config, Headers};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    _out: &mut TomlWriter<'_>,
    (_own, _site): (&Headers, Option<&Headers>),
    _config: &Config,
) {
}
