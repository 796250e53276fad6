//! The content of a file whose content filters work with, as the supervisor hands it to the front.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A file, read.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadedText {
    /// As the configuration names it.
    pub path: PathBuf,
    /// All of it.
    #[serde(with = "as_characters")]
    pub bytes: Vec<u8>,
}

// Lists of users must not get into a log by way of `{:?}`.
impl fmt::Debug for LoadedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("LoadedText");
        shown.field("path", &self.path).finish_non_exhaustive()
    }
}

/// Each byte as the character of its number: a list of numbers would be four times as long, and not
/// every file is UTF-8.
mod as_characters {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().copied().map(char::from).collect();
        to.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = text.chars().map(u8::try_from).collect::<Result<_, _>>();
        bytes.map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_arrives() {
        let text = LoadedText {
            path: "/etc/users".into(),
            bytes: (0..=255).collect(),
        };
        let json = serde_json::to_string(&text).expect("JSON");
        let back: LoadedText = serde_json::from_str(&json).expect("the same");
        assert_eq!(back, text);
        assert!(serde_json::from_str::<LoadedText>(r#"{"path":"a","bytes":"\u0100"}"#).is_err());
        assert!(!format!("{text:?}").contains("254"));
    }
}
