//! Which sites are closed for maintenance, as the supervisor says.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// All that is said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// What the operator has said: indices into `Config::sites`, closed or open.
    pub commands: Vec<(usize, bool)>,
    /// Of the files that `when_file` names those that are there.
    pub files: Vec<PathBuf>,
}

impl Closed {
    /// What the operator has said of a site.
    pub fn by_command(&self, site: usize) -> Option<bool> {
        let said = self.commands.iter().find(|(index, _)| *index == site);
        said.map(|(_, closed)| *closed)
    }
}
