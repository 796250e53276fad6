//! Files that the configuration names: read whole, looked at for changes, and precisely why one cannot
//! be read.
//!
//! Called by `certificates` and `texts`. Never waits for a file that is a pipe.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::account::user_name;
use crate::exit::{Code, Failure};

/// Tells one state of a file from another, without reading it. Symbolic links are followed: a
/// link that is pointed elsewhere is a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// That of `path` as it is now; `None` = it cannot be looked at.
    pub(crate) fn of(path: &Path) -> Option<Stamp> {
        let found = fs::metadata(path).ok()?;
        Some(Stamp {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// Why a file cannot be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The system says so.
    Io(io::Error),
    /// It is larger than so many MiB.
    TooLarge(u64),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The content of a file of at most `limit` bytes, whole MiB.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Unreadable> {
    // A pipe in place of the file must not hang us.
    let flags = OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
    }
    read_all(file, limit)
}

fn read_all(file: File, limit: u64) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(Unreadable::TooLarge(limit >> 20)),
        false => Ok(bytes),
    }
}

impl Unreadable {
    /// The same for people. `whose` begins the message: ``certificate `shop` ``; `cure` helps where
    /// the file may not be read.
    pub(crate) fn explain(&self, path: &Path, whose: &str, cure: &str) -> Failure {
        match self {
            Self::Io(error) => explain(path, whose, error, cure),
            Self::TooLarge(limit) => {
                let shown = path.display();
                let message = format!("{whose}: {shown} is larger than {limit} MiB");
                Failure::new(Code::Config, message)
            }
        }
    }
}

fn explain(path: &Path, whose: &str, error: &io::Error, cure: &str) -> Failure {
    let shown = path.display();
    let failure = |why: String| Failure::new(Code::Config, format!("{whose}: {why}"));
    match error.kind() {
        io::ErrorKind::NotFound => match fs::read_link(path) {
            Ok(target) => failure(format!(
                "{shown} is a link to {}, which does not exist",
                target.display()
            )),
            Err(_) => match missing_folder(path) {
                Some(folder) => failure(format!(
                    "{shown} does not exist, nor does its folder {}",
                    folder.display()
                )),
                None => failure(format!("{shown} does not exist")),
            },
        },
        io::ErrorKind::PermissionDenied => {
            failure(format!("{shown} cannot be read: {}", who_may(path))).cure(cure)
        }
        io::ErrorKind::IsADirectory => failure(format!("{shown} is a folder, not a file")),
        _ => failure(format!("{shown} cannot be read: {error}")),
    }
}

fn missing_folder(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.exists())
}

/// Who we are, and whose file it is; or the first folder on the way that is closed to us.
fn who_may(path: &Path) -> String {
    let me = person(rustix::process::geteuid().as_raw());
    let closed = path
        .ancestors()
        .skip(1)
        .find_map(|folder| Some((folder, fs::metadata(folder).ok()?)));
    match (fs::metadata(path), closed) {
        (Ok(found), _) => format!("quaich runs as {me}, and the file {}", rights(&found)),
        (Err(_), Some((folder, found))) => {
            let folder = folder.display();
            format!(
                "quaich runs as {me}, and the folder {folder} {}",
                rights(&found)
            )
        }
        (Err(_), None) => format!("quaich runs as {me}"),
    }
}

fn rights(found: &Metadata) -> String {
    let (owner, mode) = (person(found.uid()), found.mode() & 0o7777);
    format!("belongs to {owner} with mode {mode:04o}")
}

fn person(uid: u32) -> String {
    user_name(uid).unwrap_or_else(|| format!("user {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_replaced_or_written_has_another_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("a"), dir.path().join("link"));
        assert_eq!(Stamp::of(&path), None);
        fs::write(&path, "one").unwrap();
        std::os::unix::fs::symlink("a", &link).unwrap();
        let first = Stamp::of(&link);
        assert_eq!(first, Stamp::of(&path));
        fs::write(dir.path().join("b"), "two").unwrap();
        fs::rename(dir.path().join("b"), &path).unwrap();
        assert_ne!(first, Stamp::of(&link));
    }
}
