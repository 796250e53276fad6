//! `[acl.NAME]` and `when`.

use crate::lower::Lower;
use crate::lower::fields::Fields;
use crate::lower::site::Names;
use crate::model::Acl;

/// `[acl.NAME]`
pub(crate) fn tables(_cx: &mut Lower<'_>, _top: &Fields<'_>) -> Vec<Acl> {
    Vec::new()
}

/// `when` of a route: index into `Config::acls`.
pub(crate) fn when(
    _cx: &mut Lower<'_>,
    _names: &mut Names<'_>,
    _fields: &Fields<'_>,
) -> Option<usize> {
    None
}
