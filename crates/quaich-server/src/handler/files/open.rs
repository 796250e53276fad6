//! Opening below a static root: the only place here that turns a name into a descriptor.
//!
//! `resolve` and `listing` call it, inline with `Wait::No` and on the blocking pool with
//! `Wait::Allowed`. It must never return anything but a regular file or a directory, never wait for
//! a disk under `Wait::No`, and never leave the root unless the settings say `symlinks = "follow"`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use quaich_config::model::Symlinks;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Statx, StatxFlags, openat2, statx};
use rustix::io::{Errno, IoSliceMut, ReadWriteFlags, preadv2};

/// Retries of a lookup that a concurrent rename disturbed (`openat2(2)`, `EAGAIN`).
const LOOKUP_RETRIES: usize = 8;

/// Whether a call may wait for a disk or a network file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// On the event loop: answer from the kernel's caches or say `WouldWait`.
    No,
    /// On the blocking pool.
    Allowed,
}

/// Why a name gave no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenError {
    /// No such name, outside the root, a forbidden link, or not a file or directory.
    Missing,
    /// It is there and the process may not read it.
    Forbidden,
    /// Only with `Wait::No`: the answer is not in the kernel's caches.
    WouldWait,
    /// The system refuses: out of descriptors or memory, I/O error.
    Failed(Errno),
}

/// What a name led to.
#[derive(Debug)]
pub(super) enum Opened {
    /// A regular file, open for reading.
    File(OwnedFd, Identity),
    /// A directory, open for reading.
    Directory(OwnedFd),
}

/// What tells one state of a file's content from another. Equal identities mean equal bytes, given
/// that `changed` lies at least `SETTLED` seconds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: (u32, u32),
    inode: u64,
    /// Bytes.
    pub(super) size: u64,
    /// Modification time: seconds since 1970 and nanoseconds.
    pub(super) modified: (i64, u32),
    /// Time of the last change of content or attributes; cannot be set by programs.
    changed: (i64, u32),
}

/// Seconds after which a further change is sure to show in a file's timestamps, on every file
/// system in use (FAT counts in steps of two seconds).
const SETTLED: i64 = 2;

impl Identity {
    fn of(stat: &Statx) -> Self {
        Self {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            size: stat.stx_size,
            modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
            changed: (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        }
    }

    /// Whether the timestamps are old enough at `now` (seconds since 1970) to be believed.
    pub(super) fn settled(&self, now: u64) -> bool {
        i64::try_from(now).is_ok_and(|now| now.saturating_sub(self.changed.0) >= SETTLED)
    }
}

/// An entry of a directory, as a listing shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryFacts {
    /// Directory, else regular file.
    pub(super) directory: bool,
    /// Bytes.
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) modified: i64,
}

/// A static root: a directory descriptor and the rule for symbolic links below it.
#[derive(Debug)]
pub(super) struct Root {
    dir: OwnedFd,
    resolve: ResolveFlags,
}

impl Root {
    /// `dir` is a directory, opened with `O_PATH` or for reading.
    pub(super) fn new(dir: OwnedFd, symlinks: Symlinks) -> Self {
        let links = match symlinks {
            Symlinks::Off => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
            Symlinks::Inside => ResolveFlags::BENEATH,
            Symlinks::Follow => ResolveFlags::empty(),
        };
        Self {
            dir,
            resolve: links | ResolveFlags::NO_MAGICLINKS,
        }
    }

    /// Opens `path`, relative to the root and free of `..`; empty means the root itself.
    pub(super) fn open(&self, path: &[u8], wait: Wait) -> Result<Opened, OpenError> {
        // O_NONBLOCK: opening a FIFO must not wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = self.lookup(path, flags, wait)?;
        let stat = facts(fd.as_fd(), wait).map_err(OpenError::Failed)?;
        match rustix::fs::FileType::from_raw_mode(stat.stx_mode.into()) {
            rustix::fs::FileType::RegularFile => Ok(Opened::File(fd, Identity::of(&stat))),
            rustix::fs::FileType::Directory => Ok(Opened::Directory(fd)),
            _ => Err(OpenError::Missing),
        }
    }

    /// What stands at `path`, without opening it for reading; waits for the disk.
    pub(super) fn entry(&self, path: &[u8]) -> Result<EntryFacts, OpenError> {
        let fd = self.lookup(path, OFlags::PATH | OFlags::CLOEXEC, Wait::Allowed)?;
        let stat = facts(fd.as_fd(), Wait::Allowed).map_err(OpenError::Failed)?;
        let directory = match rustix::fs::FileType::from_raw_mode(stat.stx_mode.into()) {
            rustix::fs::FileType::RegularFile => false,
            rustix::fs::FileType::Directory => true,
            _ => return Err(OpenError::Missing),
        };
        Ok(EntryFacts {
            directory,
            size: stat.stx_size,
            modified: stat.stx_mtime.tv_sec,
        })
    }

    fn lookup(&self, path: &[u8], flags: OFlags, wait: Wait) -> Result<OwnedFd, OpenError> {
        let path = if path.is_empty() { b"." } else { path };
        let resolve = match wait {
            Wait::No => self.resolve | ResolveFlags::CACHED,
            Wait::Allowed => self.resolve,
        };
        for _ in 0..LOOKUP_RETRIES {
            match openat2(&self.dir, path, flags, Mode::empty(), resolve) {
                Ok(fd) => return Ok(fd),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if wait == Wait::Allowed => {}
                Err(errno) => return Err(refusal(errno, wait)),
            }
        }
        Err(OpenError::Missing)
    }
}

fn refusal(errno: Errno, wait: Wait) -> OpenError {
    match errno {
        // EINVAL: a kernel before 5.12, which does not know RESOLVE_CACHED.
        Errno::AGAIN | Errno::INVAL if wait == Wait::No => OpenError::WouldWait,
        Errno::ACCESS | Errno::PERM => OpenError::Forbidden,
        Errno::NOENT
        | Errno::NOTDIR
        | Errno::LOOP
        | Errno::XDEV
        | Errno::NAMETOOLONG
        | Errno::INVAL
        | Errno::NXIO
        | Errno::NODEV
        | Errno::ILSEQ => OpenError::Missing,
        other => OpenError::Failed(other),
    }
}

fn facts(fd: BorrowedFd<'_>, wait: Wait) -> Result<Statx, Errno> {
    let sync = match wait {
        Wait::No => AtFlags::STATX_DONT_SYNC,
        Wait::Allowed => AtFlags::empty(),
    };
    statx(fd, c"", AtFlags::EMPTY_PATH | sync, StatxFlags::BASIC_STATS)
}

/// The whole content of a small file, or `None` when it changed meanwhile and must be sent from its
/// descriptor. `WouldWait` as in `Root::open`.
pub(super) fn read_all(
    fd: BorrowedFd<'_>,
    identity: &Identity,
    wait: Wait,
) -> Result<Option<Box<[u8]>>, OpenError> {
    let Ok(size) = usize::try_from(identity.size) else {
        return Ok(None);
    };
    let mut content = vec![0; size];
    let mut filled = 0;
    while let Some(rest) = content.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read_at(fd, rest, filled as u64, wait) {
            Ok(0) => return Ok(None),
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) if wait == Wait::No => {
                return Err(OpenError::WouldWait);
            }
            Err(errno) => return Err(OpenError::Failed(errno)),
        }
    }
    let after = facts(fd, wait).map_err(OpenError::Failed)?;
    Ok((Identity::of(&after) == *identity).then(|| content.into_boxed_slice()))
}

fn read_at(fd: BorrowedFd<'_>, into: &mut [u8], at: u64, wait: Wait) -> Result<usize, Errno> {
    match wait {
        Wait::No => preadv2(fd, &mut [IoSliceMut::new(into)], at, ReadWriteFlags::NOWAIT),
        Wait::Allowed => rustix::io::pread(fd, into, at),
    }
}
