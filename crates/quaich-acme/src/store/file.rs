//! Files of the state directory: private, and whole or absent.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// No file of the store is larger.
const LARGEST: u64 = 1 << 20;

/// Readable by the owner only.
pub(crate) const PRIVATE: u32 = 0o600;

/// Readable by everybody: the root certificate of the local CA.
pub(crate) const PUBLIC: u32 = 0o644;

/// Makes `path` and what is missing above it, for the owner only.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(|e| cannot("make", path, &e))
}

/// Puts `bytes` into the file `path` at once: whoever opens it finds the old or the new content,
/// after a loss of power too. The caller holds the folder's [`Lock`].
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder)?;
    let temporary = temporary(path);
    // A crash may have left one, with another mode.
    remove(&temporary)?;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(folder)?.sync_all());
    written.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        cannot("write", path, &e)
    })
}

fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// The content of `path`; `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(cannot("read", path, &e)),
    };
    let mut bytes = Vec::new();
    let got = file.take(LARGEST + 1).read_to_end(&mut bytes);
    got.map_err(|e| cannot("read", path, &e))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::new(format!(
            "{} is not a file of quaich: larger than {LARGEST} bytes",
            path.display()
        )));
    }
    Ok(Some(bytes))
}

/// Like [`read`], as text.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>> {
    let Some(bytes) = read(path)? else {
        return Ok(None);
    };
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| Error::new(format!("{} is garbled: not text", path.display())))
}

/// Removes `path` if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(cannot("remove", path, &e)),
        _ => Ok(()),
    }
}

/// The files in `folder` whose name ends with `.ENDING`, by name; none if there is no folder.
pub(crate) fn list(folder: &Path, ending: &str) -> Vec<PathBuf> {
    entries(folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == ending) && !is_hidden(path))
        .collect()
}

/// The folders in `folder`, by name; none if it is not there.
pub(crate) fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder)
        .into_iter()
        .filter(|path| path.is_dir() && !is_hidden(path))
        .collect()
}

/// Why `folder` cannot be read; `None` if it can, or is not there.
pub(crate) fn closed(folder: &Path) -> Option<Error> {
    let error = fs::read_dir(folder).err()?;
    (error.kind() != std::io::ErrorKind::NotFound).then(|| cannot("read", folder, &error))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    paths
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_none_or(|name| name.to_string_lossy().starts_with('.'))
}

/// Held while a process writes below a folder. It ends with the process.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `folder`, which is made; `None` if another process holds it.
    pub(crate) fn try_take(folder: &Path) -> Result<Option<Self>> {
        Self::take_by(folder, rustix::fs::FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes the lock of `folder`, which is made, as soon as it is free. Only for locks that are
    /// held for the time of a few writes.
    pub(crate) fn wait(folder: &Path) -> Result<Self> {
        match Self::take_by(folder, rustix::fs::FlockOperation::LockExclusive)? {
            Some(lock) => Ok(lock),
            None => Err(Error::new(format!("{} is locked", folder.display()))),
        }
    }

    fn take_by(folder: &Path, how: rustix::fs::FlockOperation) -> Result<Option<Self>> {
        make_folder(folder)?;
        let path = folder.join(".lock");
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE)
            .open(&path);
        let file = opened.map_err(|e| cannot("open", &path, &e))?;
        loop {
            match rustix::fs::flock(&file, how) {
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(cannot("lock", &path, &e.into())),
            }
        }
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_private_and_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/key.pem");
        write(&path, b"one", PRIVATE).unwrap();
        // What a crash in the middle of a write leaves.
        fs::write(temporary(&path), b"tw").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"one");
        write(&path, b"two", PRIVATE).unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"two");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert!(!temporary(&path).exists());
    }

    #[test]
    fn a_lock_is_held_once() {
        let folder = tempfile::tempdir().unwrap();
        let held = Lock::try_take(folder.path()).unwrap();
        assert!(held.is_some());
        assert!(Lock::try_take(folder.path()).unwrap().is_none());
        drop(held);
        assert!(Lock::try_take(folder.path()).unwrap().is_some());
    }

    #[test]
    fn what_is_no_file_of_ours_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        File::create(&path).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(read(&path).is_err());
        assert_eq!(read(&folder.path().join("absent")).unwrap(), None);
    }
}
