//! Where the verbs that need no file keep what must outlive them: one folder for each user.

use std::env;
use std::path::PathBuf;

use crate::exit::{Code, Failure};

/// `$XDG_STATE_HOME/quaich`, else `~/.local/state/quaich`. It may not be there yet.
pub(crate) fn of_user() -> Result<PathBuf, Failure> {
    let folder = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = folder("XDG_STATE_HOME");
    let state = state.or_else(|| Some(folder("HOME")?.join(".local/state")));
    state.map(|state| state.join("quaich")).ok_or_else(|| {
        let message = "there is no place for the local CA: neither HOME nor XDG_STATE_HOME is set";
        Failure::new(Code::Config, message)
    })
}
