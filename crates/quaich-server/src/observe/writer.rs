//! The thread that writes a log file, and the bounded queue before it.
//!
//! Front threads hand over whole buffers and never wait: when the file (or the pipe behind it) is
//! stuck, the queue fills and further lines are dropped and counted. One lock is taken per buffer,
//! that is per some hundred lines.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// Bytes that may wait for the file; lines beyond are dropped.
pub const QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// Written buffers that are kept for reuse.
const SPARES: usize = 16;

/// Handle of a writer thread. Dropping it lets the thread write what is queued and end.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    queue: Mutex<Queue>,
    /// Told when there is something to write or to end.
    work: Condvar,
    /// Told when everything queued is written.
    idle: Condvar,
    dropped: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    bytes: usize,
    spares: Vec<Vec<u8>>,
    writing: bool,
    closed: bool,
}

#[derive(Debug)]
enum Job {
    Write { lines: Vec<u8>, count: u64 },
    Reopen(OwnedFd),
}

impl Writer {
    /// Starts a thread, called `name`, that appends to `file`. Fails when no thread can be made.
    pub fn start(name: &str, file: OwnedFd) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            queue: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        });
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || theirs.run(file))?;
        Ok(Self { shared })
    }

    /// Queues the `count` whole lines in `lines`, which is empty afterwards, with capacity kept
    /// or lent anew. Never waits for the file: when too much waits already, the lines are dropped.
    pub fn send(&self, lines: &mut Vec<u8>, count: u64) {
        let mut queue = self.shared.lock();
        if queue.closed || queue.bytes + lines.len() > QUEUE_BYTES {
            drop(queue);
            lines.clear();
            self.shared.dropped.fetch_add(count, Ordering::Relaxed);
            return;
        }
        let spare = queue.spares.pop().unwrap_or_default();
        let lines = std::mem::replace(lines, spare);
        queue.bytes += lines.len();
        queue.jobs.push_back(Job::Write { lines, count });
        drop(queue);
        self.shared.work.notify_one();
    }

    /// Everything sent before this goes to the old file, everything sent after it to `file`.
    pub fn reopen(&self, file: OwnedFd) {
        self.shared.lock().jobs.push_back(Job::Reopen(file));
        self.shared.work.notify_one();
    }

    /// Lines dropped because the file was stuck or the writer closed, since the start.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Lines lost because writing failed (disk full, pipe closed), since the start.
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Waits, at most `patience`, until everything sent so far is written. False = it is not.
    pub fn flush(&self, patience: Duration) -> bool {
        let queue = self.shared.lock();
        let busy = |queue: &mut Queue| queue.writing || !queue.jobs.is_empty();
        let waited = self.shared.idle.wait_timeout_while(queue, patience, busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_one();
    }
}

impl Shared {
    /// A poisoned lock is used on: the queue is whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, file: OwnedFd) {
        let mut file = Appender { file, torn: false };
        while let Some(job) = self.next_job() {
            match job {
                Job::Reopen(new) => {
                    file = Appender {
                        file: new,
                        torn: false,
                    }
                }
                Job::Write { mut lines, count } => {
                    if let Err(error) = file.append(&lines) {
                        self.failed.fetch_add(count, Ordering::Relaxed);
                        super::log::warn_limited!(
                            "lines of the {} are lost: {error}", self.name; lines = count
                        );
                    }
                    lines.clear();
                    self.give_back(lines);
                }
            }
        }
    }

    /// The oldest job; waits for one. `None` = closed and nothing left.
    fn next_job(&self) -> Option<Job> {
        let mut queue = self.lock();
        queue.writing = false;
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                if let Job::Write { lines, .. } = &job {
                    queue.bytes = queue.bytes.saturating_sub(lines.len());
                }
                queue.writing = true;
                return Some(job);
            }
            self.idle.notify_all();
            if queue.closed {
                return None;
            }
            queue = self
                .work
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut queue = self.lock();
        if queue.spares.len() < SPARES {
            queue.spares.push(buffer);
        }
    }
}

/// A file that lines are appended to.
struct Appender {
    file: OwnedFd,
    /// The last write stopped within a line.
    torn: bool,
}

impl Appender {
    fn append(&mut self, lines: &[u8]) -> Result<(), Errno> {
        if self.torn {
            // Else the first line of this buffer would be glued to the broken one.
            self.write(b"\n")?;
            self.torn = false;
        }
        let mut rest = lines;
        while !rest.is_empty() {
            match self.write(rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) => {
                    let written = lines.len() - rest.len();
                    self.torn = written > 0 && lines.get(written - 1) != Some(&b'\n');
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// One `write(2)` of at least one byte, also where the descriptor does not block: standard
    /// output is shared with processes that may have made it so.
    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        loop {
            match rustix::io::write(self.file.as_fd(), bytes) {
                Ok(0) => return Err(Errno::IO),
                Ok(count) => return Ok(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let mut fds = [PollFd::new(&self.file, PollFlags::OUT)];
                    match poll(&mut fds, None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}
