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
    /// These instead of those before. A file whose content is the same keeps its `Arc`.
    pub fn replace(&self, texts: Vec<LoadedText>) {
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        let mut old = std::mem::take(&mut *content);
        let kept = |text: LoadedText| {
            let same = old.remove(&text.path);
            let same = same.filter(|known| **known == *text.bytes);
            (text.path, same.unwrap_or_else(|| text.bytes.into()))
        };
        *content = texts.into_iter().map(kept).collect();
    }

    /// The content of a file. Another `Arc` means that it has changed.
    pub fn get(&self, path: &Path) -> Option<Arc<[u8]>> {
        let content = self.content.read().unwrap_or_else(PoisonError::into_inner);
        content.get(path).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_new() {
        let texts = Texts::default();
        let text = |path: &str, bytes: &[u8]| LoadedText {
            path: path.into(),
            bytes: bytes.into(),
        };
        texts.replace(vec![text("a", b"1"), text("b", b"1")]);
        let first = texts.get(Path::new("a"));
        texts.replace(vec![text("a", b"1"), text("b", b"2")]);
        let same = texts.get(Path::new("a"));
        assert!(Arc::ptr_eq(&first.expect("there"), &same.expect("there")));
        assert_eq!(&*texts.get(Path::new("b")).expect("there"), b"2");
        texts.replace(Vec::new());
        assert!(texts.get(Path::new("a")).is_none());
    }
}
