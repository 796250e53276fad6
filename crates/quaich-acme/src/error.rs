//! What went wrong, in words for an operator: what, for which name or file, and what to do.

use std::fmt;

/// A failure as one message. It never holds a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

/// A result whose failure is a message.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
