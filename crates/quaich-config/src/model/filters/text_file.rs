//! Files whose content filters work with.

use std::path::PathBuf;

/// One of them, of at most 1 MiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFile {
    /// Absolute.
    pub path: PathBuf,
    /// Who names it, for messages: ``site `shop` ``.
    pub place: String,
    /// Whether it may be missing.
    pub optional: bool,
}

impl TextFile {
    /// A file that must be there. `what` it is begins its name in messages, such as `users`.
    pub fn needed(path: impl Into<PathBuf>, what: &str) -> Self {
        Self {
            path: path.into(),
            place: what.to_owned(),
            optional: false,
        }
    }

    /// The same, where it may be missing.
    pub fn optional(path: impl Into<PathBuf>, what: &str) -> Self {
        Self {
            optional: true,
            ..Self::needed(path, what)
        }
    }

    /// As named in `place`.
    #[must_use]
    pub(crate) fn of(mut self, place: String) -> Self {
        self.place = format!("{} of {place}", self.place);
        self
    }
}
