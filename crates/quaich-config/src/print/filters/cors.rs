//! `cors = { ... }`: which other origins may read answers.

use crate::model::{Config, Cors};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    _out: &mut TomlWriter<'_>,
    (_own, _site): (&Cors, Option<&Cors>),
    _config: &Config,
) {
}
