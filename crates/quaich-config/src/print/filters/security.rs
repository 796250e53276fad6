//! `security = { ... }`: fields that tell browsers to be careful.

use crate::model::{Config, Security};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    _out: &mut TomlWriter<'_>,
    (_own, _site): (&Security, Option<&Security>),
    _config: &Config,
) {
}
