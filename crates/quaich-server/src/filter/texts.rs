//! Files whose content filters work with, as the supervisor read them: pages, lists of users.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::link::LoadedText;

/// All of them, of all threads.
#[derive(Debug, Default)]
pub struct Texts {
    content: RwLock<HashMap<PathBuf, Arc<[u8]>>>,
}

impl Texts {
    /// These instead of those before.
    pub fn replace(&self, texts: Vec<LoadedText>) {
        let content = texts.into_iter().map(|text| (text.path, text.bytes.into()));
        let content = content.collect();
        *self.content.write().unwrap_or_else(PoisonError::into_inner) = content;
    }

    /// The content of a file. Another `Arc` means that it has changed.
    pub fn get(&self, path: &Path) -> Option<Arc<[u8]>> {
        let content = self.content.read().unwrap_or_else(PoisonError::into_inner);
        content.get(path).cloned()
    }
}
