//! `limit`: how much a client may ask for.

use crate::model::{Config, Limit, Limits};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    _out: &mut TomlWriter<'_>,
    (_own, _site): (&Limits, Option<&Limits>),
    _config: &Config,
) {
}

/// `[limit.NAME]`
pub(in crate::print) fn table(_out: &mut TomlWriter<'_>, _table: &Limit, _config: &Config) {}
