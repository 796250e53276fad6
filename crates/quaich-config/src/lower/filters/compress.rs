//! `compress`: content codings of answers.

use crate::lower::Lower;
use crate::lower::fields::Fields;
use crate::lower::site::Names;
use crate::model::Compress;

/// Of a site, or of a route of a site with `site`.
pub(super) fn lower(
    _cx: &mut Lower<'_>,
    _names: &mut Names<'_>,
    (_fields, _site): (&Fields<'_>, Option<&Compress>),
) -> Compress {
    Compress::default()
}
