//! `compress`: content codings of answers.

use crate::model::{Compress, Config};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    _out: &mut TomlWriter<'_>,
    (_own, _site): (&Compress, Option<&Compress>),
    _config: &Config,
) {
}
