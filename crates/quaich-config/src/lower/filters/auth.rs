//! `auth`: who may come in.

use crate::lower::Lower;
use crate::lower::fields::Fields;
use crate::lower::site::Names;
use crate::model::{Access, Auth};

/// Of a site, or of a route of a site with `site`.
pub(super) fn lower(
    _cx: &mut Lower<'_>,
    _names: &mut Names<'_>,
    (_fields, _site): (&Fields<'_>, Option<&Access>),
) -> Access {
    Access::default()
}

/// `[auth.NAME]`
pub(crate) fn tables(_cx: &mut Lower<'_>, _top: &Fields<'_>) -> Vec<Auth> {
    Vec::new()
}
