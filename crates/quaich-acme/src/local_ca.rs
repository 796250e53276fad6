//! The local development CA: made once per state directory, trusted by `quaich trust`.

use std::path::{Path, PathBuf};

use crate::store::Stored;
use crate::{Error, Result};

/// The CA, with its key.
pub struct Ca {
    _not_yet: (),
}

impl Ca {
    /// The root certificate, to be trusted.
    pub fn root_pem(&self) -> &str {
        ""
    }

    /// Its common name, as trust stores show it.
    pub fn common_name(&self) -> &str {
        ""
    }
}

/// The CA of `state_dir`; made there if there is none.
///
/// # Errors
/// It cannot be read or written, or what lies there is no CA. It is never replaced by itself: a
/// root that is trusted somewhere must not silently become another one.
pub fn ensure(_state_dir: &Path) -> Result<Ca> {
    Err(Error::new("the local CA is not built yet"))
}

/// Where the root certificate lies. It may not be there yet.
pub fn root_pem_path(state_dir: &Path) -> PathBuf {
    state_dir.join("local-ca/root.pem")
}

/// A certificate for `names` (DNS names, wildcards, IP addresses) below `ca`: the stored one while
/// it has more than a third of its life before it, else a new one, which is stored.
///
/// # Errors
/// A name that cannot be in a certificate, or a file that cannot be written.
pub fn certificate(_ca: &Ca, _state_dir: &Path, _names: &[String]) -> Result<Stored> {
    Err(Error::new("the local CA is not built yet"))
}
