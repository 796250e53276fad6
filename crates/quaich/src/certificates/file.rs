//! Reads files of certificates and keys, and says precisely why one cannot be read.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::account::user_name;
use crate::exit::{Code, Failure};

/// Bundles of authorities and revocation lists of large organisations are a few MiB.
const MAX_FILE: u64 = 16 << 20;

/// Tells one state of a file from another, without reading it. Symbolic links are followed: a
/// link that is pointed elsewhere is a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// That of `path` as it is now; `None` = it cannot be looked at.
    pub(super) fn of(path: &Path) -> Option<Stamp> {
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

/// The text of a PEM file. `whose` begins the message of a failure: ``certificate `shop` ``.
pub(super) fn read_pem(path: &Path, whose: &str) -> Result<String, Failure> {
    let bytes = read(path).map_err(|error| explain(path, whose, &error))?;
    let wrong = |why: &str| {
        let message = format!("{whose}: {} {why}", path.display());
        Failure::new(Code::Config, message)
    };
    if bytes.is_empty() {
        return Err(wrong("is empty"));
    }
    // A DER sequence of two length bytes, which no text begins with.
    if bytes.starts_with(&[0x30, 0x82]) {
        return Err(wrong("is not PEM but DER or PKCS#12").cure(
            "convert it: openssl x509 -inform der -in FILE -out FILE.pem, or \
             openssl pkcs12 -in FILE -out FILE.pem -nodes",
        ));
    }
    // Comments around the blocks may be in any encoding; the blocks are ASCII.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe in place of the file must not hang us.
    let flags = OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    read_all(file)
}

fn read_all(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_FILE {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

fn explain(path: &Path, whose: &str, error: &io::Error) -> Failure {
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
            failure(format!("{shown} cannot be read: {}", who_may(path))).cure(
                "start quaich as root, which reads keys before it drops privileges (`user` in \
                 `[server]`), or let this user read the file",
            )
        }
        io::ErrorKind::IsADirectory => failure(format!("{shown} is a folder, not a file")),
        io::ErrorKind::FileTooLarge => failure(format!("{shown} is larger than 16 MiB")),
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

    fn said(path: &Path) -> String {
        let failure = read_pem(path, "certificate `x`").map(drop).unwrap_err();
        failure.line()
    }

    #[test]
    fn what_is_no_readable_pem_file_is_said_to_be_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        assert!(said(&place("a.pem")).ends_with("a.pem does not exist"));
        assert!(said(&place("no/a.pem")).contains("nor does its folder"));
        std::os::unix::fs::symlink("gone.pem", place("link")).unwrap();
        assert!(said(&place("link")).ends_with("is a link to gone.pem, which does not exist"));
        assert!(said(dir.path()).ends_with("is a folder, not a file"));
        fs::write(place("empty"), "").unwrap();
        assert!(said(&place("empty")).ends_with("empty is empty"));
        fs::write(place("der"), [0x30, 0x82, 1, 2]).unwrap();
        assert!(said(&place("der")).contains("not PEM but DER or PKCS#12; convert it"));
    }

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
