//! Bodies that wait: in memory first, then in an unlinked file.
//!
//! Request bodies wait until they are whole, responses until a slow client takes them. The file is
//! written on a thread for blocking work and sent with `sendfile`; it has no name, so that nothing
//! is left behind whatever happens.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

/// Bytes of a response that are kept in memory for a slow client.
const MEMORY: usize = 256 * 1024;

/// Bytes of all responses of a thread that are kept so; beyond, each has [`LITTLE`].
const MEMORY_OF_ALL: usize = 16 * 1024 * 1024;
const LITTLE: usize = 16 * 1024;

/// Bytes of a response that are kept on disk for it. Beyond, its source has to wait.
const DISK: u64 = 1024 * 1024 * 1024;

/// Bytes gathered before they are written to a file.
const BATCH: usize = 256 * 1024;

thread_local! {
    /// Bytes that all spools of the thread hold in memory.
    static HELD: Cell<usize> = const { Cell::new(0) };
    /// Files of responses that wait, and how many there may be: clients that take nothing must leave
    /// descriptors for the others.
    static FILES: Cell<usize> = const { Cell::new(0) };
    static MOST_FILES: usize = most_files();
}

/// An eighth of the descriptors that the process may have, for each thread.
fn most_files() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let share = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit / 8).unwrap_or(usize::MAX)
    });
    share.clamp(8, 4096)
}

/// Counts a file while a response waits in it.
#[derive(Debug)]
struct Counted;

impl Counted {
    fn new() -> Self {
        FILES.set(FILES.get() + 1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // A thread that ends may drop responses after its counts are gone.
        let _ = FILES.try_with(|files| files.set(files.get().saturating_sub(1)));
    }
}

/// An unlinked file that grows at its end.
#[derive(Debug)]
pub struct SpoolFile {
    file: Arc<File>,
    written: u64,
}

impl SpoolFile {
    /// A new, empty file in the directory for temporary files.
    pub async fn create() -> io::Result<Self> {
        let file = tokio::task::spawn_blocking(|| {
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            let mode = Mode::RUSR | Mode::WUSR;
            rustix::fs::open(std::env::temp_dir(), flags, mode)
        });
        let fd: OwnedFd = file.await.map_err(io::Error::other)??;
        Ok(Self {
            file: Arc::new(fd.into()),
            written: 0,
        })
    }

    /// Appends `bytes`; they are given back empty, for their memory.
    pub async fn append(&mut self, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let (file, at) = (self.file.clone(), self.written);
        let count = bytes.len() as u64;
        let write = move || {
            file.write_all_at(&bytes, at)?;
            bytes.clear();
            io::Result::Ok(bytes)
        };
        let bytes = tokio::task::spawn_blocking(write)
            .await
            .map_err(io::Error::other)??;
        self.written += count;
        Ok(bytes)
    }

    /// Reads into all of `bytes` from `offset` on, as far as there is something; they are given back
    /// shortened to that.
    pub async fn read(&self, offset: u64, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let file = self.file.clone();
        let read = move || {
            let count = file.read_at(&mut bytes, offset)?;
            bytes.truncate(count);
            io::Result::Ok(bytes)
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(io::Error::other)?
    }

    /// Bytes in it.
    pub fn len(&self) -> u64 {
        self.written
    }

    /// A descriptor of the same file for another process.
    pub fn share(&self) -> io::Result<OwnedFd> {
        self.file.as_fd().try_clone_to_owned()
    }
}

/// Collects a request body whose size is not known to be small.
#[derive(Debug, Default)]
pub struct Collector {
    memory: Vec<u8>,
    file: Option<SpoolFile>,
}

/// A whole request body.
#[derive(Debug)]
pub enum Collected {
    /// Small enough for memory.
    Memory(Vec<u8>),
    /// In a file.
    File(SpoolFile),
}

impl Collector {
    /// Adds a piece.
    pub async fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        self.memory.extend_from_slice(piece);
        if self.memory.len() >= BATCH {
            self.spill().await?;
        }
        Ok(())
    }

    async fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(SpoolFile::create().await?),
        };
        self.memory = file.append(std::mem::take(&mut self.memory)).await?;
        Ok(())
    }

    /// The whole body; in memory only when it has at most `most` bytes.
    pub async fn finish(mut self, most: usize) -> io::Result<Collected> {
        if self.file.is_none() && self.memory.len() <= most {
            return Ok(Collected::Memory(self.memory));
        }
        if !self.memory.is_empty() {
            self.spill().await?;
        }
        match self.file {
            Some(file) => Ok(Collected::File(file)),
            None => Ok(Collected::Memory(self.memory)),
        }
    }
}

/// A response on its way to a client that may be slower than its source. One side pushes, the other
/// takes; both belong to one task, which polls one after the other has moved.
#[derive(Debug, Default)]
pub struct Spool {
    parts: RefCell<VecDeque<Waiting>>,
    memory: Cell<usize>,
    disk: Cell<u64>,
    /// One for all files of this response: there is one at a time, and one that is being sent.
    file: RefCell<Option<Counted>>,
    ended: Cell<bool>,
    moves: Cell<u64>,
}

/// A part that waits.
#[derive(Debug)]
enum Waiting {
    Memory(Vec<u8>),
    Spooled(SpoolFile),
    File {
        file: Arc<File>,
        offset: u64,
        length: u64,
    },
}

/// The next part of the response.
#[derive(Debug)]
pub enum Part {
    /// These bytes.
    Memory(Vec<u8>),
    /// Bytes of a file.
    File {
        /// Open for reading.
        file: Arc<File>,
        /// From its start.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// Nothing now.
    Nothing,
    /// Nothing any more.
    End,
}

impl Spool {
    /// Whether no more should be pushed now. A response that may have no file waits with one piece in
    /// memory, for its own client only.
    pub fn is_full(&self) -> bool {
        self.disk.get() >= DISK
            || !self.may_have_file() && self.memory.get() > 0 && !self.fits(LITTLE)
    }

    fn may_have_file(&self) -> bool {
        self.file.borrow().is_some() || FILES.get() < MOST_FILES.with(|most| *most)
    }

    fn fits(&self, count: usize) -> bool {
        let with = self.memory.get() + count;
        with <= LITTLE || with <= MEMORY && HELD.get() + count <= MEMORY_OF_ALL
    }

    fn hold(&self, count: usize) {
        self.memory.set(self.memory.get() + count);
        HELD.set(HELD.get() + count);
    }

    fn release(&self, count: usize) {
        self.memory.set(self.memory.get().saturating_sub(count));
        let _ = HELD.try_with(|held| held.set(held.get().saturating_sub(count)));
    }

    /// Adds bytes; `bytes` is empty afterwards.
    pub async fn push(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        if self.fits(bytes.len()) || !self.may_have_file() {
            self.hold(bytes.len());
            self.push_memory(bytes);
            return Ok(());
        }
        let last = match self.parts.borrow_mut().pop_back() {
            Some(Waiting::Spooled(file)) => Ok(file),
            other => Err(other),
        };
        let mut file = match last {
            Ok(file) => file,
            Err(other) => {
                self.parts.borrow_mut().extend(other);
                self.file.borrow_mut().get_or_insert_with(Counted::new);
                SpoolFile::create().await?
            }
        };
        self.disk.set(self.disk.get() + bytes.len() as u64);
        // The other side finds less meanwhile, but nothing out of order: this part is the last.
        *bytes = file.append(std::mem::take(bytes)).await?;
        self.add(Waiting::Spooled(file));
        Ok(())
    }

    fn push_memory(&self, bytes: &mut Vec<u8>) {
        if let Some(Waiting::Memory(last)) = self.parts.borrow_mut().back_mut() {
            last.append(bytes);
            return self.moved();
        }
        self.add(Waiting::Memory(std::mem::take(bytes)));
    }

    /// Adds bytes of a regular file.
    pub fn push_file(&self, fd: OwnedFd, offset: u64, length: u64) {
        self.add(Waiting::File {
            file: Arc::new(fd.into()),
            offset,
            length,
        });
    }

    fn add(&self, part: Waiting) {
        self.parts.borrow_mut().push_back(part);
        self.moved();
    }

    fn moved(&self) {
        self.moves.set(self.moves.get() + 1);
    }

    /// Nothing will be added any more.
    pub fn end(&self) {
        self.ended.set(true);
        self.moved();
    }

    /// Takes the next part.
    pub fn take(&self) -> Part {
        let Some(part) = self.parts.borrow_mut().pop_front() else {
            return if self.ended.get() {
                Part::End
            } else {
                Part::Nothing
            };
        };
        self.moved();
        match part {
            Waiting::Memory(bytes) => {
                self.release(bytes.len());
                Part::Memory(bytes)
            }
            Waiting::Spooled(file) => {
                let length = file.len();
                self.disk.set(self.disk.get() - length);
                Part::File {
                    file: file.file,
                    offset: 0,
                    length,
                }
            }
            Waiting::File {
                file,
                offset,
                length,
            } => Part::File {
                file,
                offset,
                length,
            },
        }
    }

    /// Grows whenever something was pushed or taken.
    pub fn moves(&self) -> u64 {
        self.moves.get()
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.release(self.memory.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn what_goes_in_comes_out_in_order_through_memory_and_disk() {
        run(async {
            let spool = Spool::default();
            let mut expected = Vec::new();
            for round in 0..40_u8 {
                let mut piece = vec![round; 50_000];
                expected.extend_from_slice(&piece);
                spool.push(&mut piece).await.unwrap();
                assert!(piece.is_empty());
            }
            spool.end();
            let mut got = Vec::new();
            loop {
                match spool.take() {
                    Part::Memory(bytes) => {
                        assert!(bytes.len() <= MEMORY);
                        got.extend_from_slice(&bytes);
                    }
                    Part::File {
                        file,
                        offset,
                        length,
                    } => {
                        let mut bytes = vec![0; length as usize];
                        file.read_exact_at(&mut bytes, offset).unwrap();
                        got.extend_from_slice(&bytes);
                    }
                    Part::Nothing => panic!("ended, yet nothing to take"),
                    Part::End => break,
                }
            }
            assert!(got == expected);
        });
    }

    #[test]
    fn responses_that_nobody_takes_leave_files_and_memory_for_others() {
        run(async {
            let most = MOST_FILES.with(|most| *most);
            let mut stalled = Vec::new();
            // The first of them have their part of memory, as many as may a file, the rest wait.
            for _ in 0..most + 200 {
                let spool = Spool::default();
                while !spool.is_full() && spool.disk.get() == 0 {
                    spool.push(&mut vec![7; 64 * 1024]).await.unwrap();
                }
                stalled.push(spool);
            }
            let pieces = 200 * 64 * 1024;
            assert!(HELD.get() <= MEMORY_OF_ALL + pieces, "{} bytes", HELD.get());
            assert!(FILES.get() <= most + 1, "{} files", FILES.get());
            let full = stalled.iter().filter(|spool| spool.is_full()).count();
            assert!(full >= 199, "{full} of them wait");
            // One that is taken from goes on.
            let last = stalled.last().unwrap();
            while !matches!(last.take(), Part::Nothing) {}
            assert!(!last.is_full());
            stalled.clear();
            assert_eq!((HELD.get(), FILES.get()), (0, 0));
        });
    }

    #[test]
    fn a_body_is_kept_in_memory_only_up_to_the_given_size() {
        run(async {
            let mut small = Collector::default();
            small.push(b"abc").await.unwrap();
            assert!(matches!(small.finish(3).await.unwrap(), Collected::Memory(m) if m == b"abc"));
            let mut large = Collector::default();
            for _ in 0..10 {
                large.push(&[7; 100_000]).await.unwrap();
            }
            match large.finish(64_000).await.unwrap() {
                Collected::File(file) => assert_eq!(file.len(), 1_000_000),
                Collected::Memory(_) => panic!("a megabyte in memory"),
            }
        });
    }
}
