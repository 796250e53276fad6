//! `auth`: who may come in.

use crate::model::{Access, Auth, Config};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    _out: &mut TomlWriter<'_>,
    (_own, _site): (&Access, Option<&Access>),
    _config: &Config,
) {
}

/// `[auth.NAME]`
pub(in crate::print) fn table(_out: &mut TomlWriter<'_>, _table: &Auth, _config: &Config) {}
