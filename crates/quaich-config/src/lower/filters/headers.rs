//! `request_headers` and `response_headers`: fields that are set, added, removed.

use crate::lower::Lower;
use crate::lower::fields::Fields;
use crate::lower::site::Names;
use crate::model::Headers;

/// Of a site, or of a route of a site with `site`.
pub(super) fn lower(
    _cx: &mut Lower<'_>,
    _names: &mut Names<'_>,
    (_fields, _site): (&Fields<'_>, Option<&Headers>),
) -> Headers {
    Headers::default()
}
