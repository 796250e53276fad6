//! `expires`: how long answers may be kept.

use crate::model::{Config, Expires};
use crate::print::TomlWriter;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    _out: &mut TomlWriter<'_>,
    (_own, _site): (&Expires, Option<&Expires>),
    _config: &Config,
) {
}
