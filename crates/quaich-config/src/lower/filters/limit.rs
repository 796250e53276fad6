//! `limit`: how much a client may ask for.

use crate::lower::Lower;
use crate::lower::fields::Fields;
use crate::lower::site::Names;
use crate::model::{Limit, Limits};

/// Of a site, or of a route of a site with `site`.
pub(super) fn lower(
    _cx: &mut Lower<'_>,
    _names: &mut Names<'_>,
    (_fields, _site): (&Fields<'_>, Option<&Limits>),
) -> Limits {
    Limits::default()
}

/// `[limit.NAME]`
pub(crate) fn tables(_cx: &mut Lower<'_>, _top: &Fields<'_>) -> Vec<Limit> {
    Vec::new()
}
