//! `maintenance`: the site is closed for a while.

use crate::model::{Config, Maintenance};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    _out: &mut TomlWriter<'_>,
    (_own, _site): (&Maintenance, Option<&Maintenance>),
    _config: &Config,
) {
}
