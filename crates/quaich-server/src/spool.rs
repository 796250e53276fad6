//! Bodies that wait: in memory first, then in an unlinked file.
//!
//! Request bodies wait until they are whole, responses until a slow client takes them. The file is
//! written on a thread for blocking work and sent with `sendfile`; it has no name, so that nothing
//! is left behind whatever happens.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

/// Bytes of a response that are kept in memory for a slow client.
const MEMORY: usize = 256 * 1024;

/// Bytes of a response that are kept on disk for it. Beyond, its source has to wait.
const DISK: u64 = 1024 * 1024 * 1024;

/// Bytes gathered before they are written to a file.
const BATCH: usize = 256 * 1024;

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
        Ok(Self { file: Arc::new(fd.into()), written: 0 })
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
        let bytes = tokio::task::spawn_blocking(write).await.map_err(io::Error::other)??;
        self.written += count;
        Ok(bytes)
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
    memory: RefCell<Vec<u8>>,
    file: RefCell<Option<Waiting>>,
    ended: Cell<bool>,
    moves: Cell<u64>,
}

#[derive(Debug)]
struct Waiting {
    file: SpoolFile,
    taken: u64,
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

impl Part {
    /// The descriptor of a file part.
    pub fn borrow(file: &Arc<File>) -> BorrowedFd<'_> {
        file.as_fd()
    }
}

impl Spool {
    /// Whether no more can be taken in now.
    pub fn is_full(&self) -> bool {
        self.file.borrow().as_ref().is_some_and(|w| w.file.len() - w.taken >= DISK)
    }

    /// Adds bytes; `bytes` is empty afterwards.
    pub async fn push(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.moves.set(self.moves.get() + 1);
        let on_disk = self.file.borrow().is_some();
        if !on_disk && self.memory.borrow().len() + bytes.len() <= MEMORY {
            self.memory.borrow_mut().append(bytes);
            return Ok(());
        }
        // What is on disk comes after what is in memory, so both can be taken meanwhile.
        let waiting = self.file.borrow_mut().take();
        let mut waiting = match waiting {
            Some(waiting) => waiting,
            None => Waiting { file: SpoolFile::create().await?, taken: 0 },
        };
        *bytes = waiting.file.append(std::mem::take(bytes)).await?;
        *self.file.borrow_mut() = Some(waiting);
        self.moves.set(self.moves.get() + 1);
        Ok(())
    }

    /// Nothing will be added any more.
    pub fn end(&self) {
        self.ended.set(true);
        self.moves.set(self.moves.get() + 1);
    }

    /// Takes the next part. `reuse` becomes the memory for later bytes.
    pub fn take(&self, reuse: Vec<u8>) -> Part {
        let mut memory = self.memory.borrow_mut();
        if !memory.is_empty() {
            self.moves.set(self.moves.get() + 1);
            return Part::Memory(std::mem::replace(&mut *memory, reuse));
        }
        let mut slot = self.file.borrow_mut();
        if let Some(waiting) = &mut *slot {
            let (offset, length) = (waiting.taken, waiting.file.len() - waiting.taken);
            let file = waiting.file.file.clone();
            // Taken whole: from here on, memory is free again and comes after it.
            *slot = None;
            self.moves.set(self.moves.get() + 1);
            return Part::File { file, offset, length };
        }
        if self.ended.get() { Part::End } else { Part::Nothing }
    }

    /// Grows whenever something was pushed or taken.
    pub fn moves(&self) -> u64 {
        self.moves.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
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
                match spool.take(Vec::new()) {
                    Part::Memory(bytes) => {
                        assert!(bytes.len() <= MEMORY);
                        got.extend_from_slice(&bytes);
                    }
                    Part::File { file, offset, length } => {
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
