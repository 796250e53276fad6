//! A temporary folder that holds one test's configuration, files and apps.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder of its own for each test; removed at the end.
#[derive(Debug)]
pub struct TempSite {
    dir: TempDir,
}

impl TempSite {
    /// A new, empty folder.
    ///
    /// # Panics
    /// When the system has no room for one.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "making a folder is an effect")]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("quaich-test-").tempdir();
        Self {
            dir: dir.expect("a temporary folder can be made"),
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path below the folder, as text for a configuration.
    #[must_use]
    pub fn join(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Writes a file, and the folders that it needs; returns its path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("folders of a test file can be made");
        }
        fs::write(&path, content).expect("a test file can be written");
        path
    }

    /// Reads a file as text; `""` when it does not exist.
    #[must_use]
    pub fn read(&self, relative: &str) -> String {
        fs::read(self.join(relative))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}
