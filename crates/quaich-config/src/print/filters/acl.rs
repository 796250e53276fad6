//! `[acl.NAME]` and `when`.

use crate::model::{Acl, Config};
use crate::print::TomlWriter;

/// `[acl.NAME]`
pub(in crate::print) fn table(_out: &mut TomlWriter<'_>, _table: &Acl, _config: &Config) {}

/// `when`
pub(in crate::print) fn when(_out: &mut TomlWriter<'_>, _when: Option<usize>, _config: &Config) {}
