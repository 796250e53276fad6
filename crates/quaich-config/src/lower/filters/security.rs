//! `security = { ... }`: fields that tell browsers to be careful.

use crate::lower::Lower;
use crate::lower::fields::Fields;
use crate::lower::site::Names;
use crate::model::Security;

/// Of a site, or of a route of a site with `site`.
pub(super) fn lower(
    _cx: &mut Lower<'_>,
    _names: &mut Names<'_>,
    (_fields, _site): (&Fields<'_>, Option<&Security>),
) -> Security {
    Security::default()
}
