//! `rewrite = { ... }`: other paths.

use crate::model::{Config, Rewrite};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    _out: &mut TomlWriter<'_>,
    (_own, _site): (&Rewrite, Option<&Rewrite>),
    _config: &Config,
) {
}
