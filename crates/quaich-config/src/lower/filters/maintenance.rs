//! `maintenance`: the site is closed for a while.

use crate::lower::Lower;
use crate::lower::fields::Fields;
use crate::lower::site::Names;
use crate::model::Maintenance;

/// Of a site, or of a route of a site with `site`.
pub(super) fn lower(
    _cx: &mut Lower<'_>,
    _names: &mut Names<'_>,
    (_fields, _site): (&Fields<'_>, Option<&Maintenance>),
) -> Maintenance {
    Maintenance::default()
}
