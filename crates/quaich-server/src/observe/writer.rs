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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::io::Write as _;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn pipe() -> (std::io::PipeReader, OwnedFd) {
        let (reader, writer) = std::io::pipe().expect("pipe");
        (reader, writer.into())
    }

    fn read_all(mut reader: impl Read) -> String {
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("UTF-8");
        text
    }

    #[test]
    fn a_rotation_loses_no_line_and_doubles_none() {
        const LINES: u64 = 100_000;
        let files: Vec<_> = (0..5)
            .map(|_| tempfile().expect("temporary file"))
            .collect();
        let handle = |at: usize| OwnedFd::from(files[at].try_clone().expect("descriptor"));
        let writer = Writer::start("test", handle(0)).expect("thread");
        let mut buffer = Vec::new();
        for line in 0..LINES {
            writeln!(buffer, "{line}").expect("memory");
            if line % 100 == 99 {
                writer.send(&mut buffer, 100);
            }
            if line % 25_000 == 12_549 {
                writer.reopen(handle(1 + (line / 25_000) as usize));
            }
        }
        assert!(writer.flush(PATIENCE));
        let texts: Vec<String> = files.into_iter().map(rewound).collect();
        let lines = texts.iter().flat_map(|text| text.lines());
        assert!(
            lines.eq((0..LINES).map(|line| line.to_string())),
            "all lines, in order, once"
        );
        assert!(
            texts.iter().all(|text| !text.is_empty()),
            "every file got some"
        );
        assert_eq!((writer.dropped(), writer.failed()), (0, 0));
    }

    fn tempfile() -> io::Result<std::fs::File> {
        rustix::fs::memfd_create("log", rustix::fs::MemfdFlags::CLOEXEC)
            .map(std::fs::File::from)
            .map_err(io::Error::from)
    }

    fn rewound(mut file: std::fs::File) -> String {
        use std::io::Seek;
        file.rewind().expect("rewind");
        read_all(file)
    }

    #[test]
    fn a_stuck_file_costs_lines_and_never_time() {
        let (reader, file) = pipe();
        let writer = Writer::start("test", file).expect("thread");
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let sent = 3 * (QUEUE_BYTES / (64 * line.len())) as u64;
        for _ in 0..sent {
            writer.send(&mut line.repeat(64), 64);
        }
        let dropped = writer.dropped();
        assert!(dropped > 0 && dropped < sent * 64);
        let reading = std::thread::spawn(|| read_all(reader));
        assert!(writer.flush(PATIENCE), "goes on once the reader reads");
        drop(writer);
        let text = reading.join().expect("no panic");
        assert_eq!(text.lines().count() as u64, sent * 64 - dropped);
        assert!(
            text.lines().all(|line| line.len() == 1023),
            "lines are whole"
        );
    }

    #[test]
    fn flush_gives_up_when_the_file_is_stuck() {
        let (_reader, file) = pipe();
        let writer = Writer::start("test", file).expect("thread");
        writer.send(&mut vec![b'x'; QUEUE_BYTES], 1);
        assert!(!writer.flush(Duration::from_millis(1)));
    }

    #[test]
    fn a_closed_pipe_is_counted_and_a_new_file_mends_it() {
        let (reader, file) = pipe();
        drop(reader);
        let writer = Writer::start("test", file).expect("thread");
        writer.send(&mut b"one\ntwo\n".to_vec(), 2);
        assert!(writer.flush(PATIENCE));
        assert_eq!(writer.failed(), 2);
        let (reader, file) = pipe();
        writer.reopen(file);
        writer.send(&mut b"three\n".to_vec(), 1);
        drop(writer);
        assert_eq!(read_all(reader), "three\n");
    }

    #[test]
    fn dropping_the_writer_writes_what_is_queued() {
        let (reader, file) = pipe();
        let writer = Writer::start("test", file).expect("thread");
        for _ in 0..100 {
            writer.send(&mut b"line\n".to_vec(), 1);
        }
        drop(writer);
        assert_eq!(read_all(reader), "line\n".repeat(100));
    }

    #[test]
    fn a_descriptor_that_does_not_block_is_waited_for() {
        let (reader, file) = pipe();
        rustix::io::ioctl_fionbio(&file, true).expect("non-blocking");
        let writer = Writer::start("test", file).expect("thread");
        let text = "0123456789\n".repeat(100_000);
        writer.send(&mut text.clone().into_bytes(), 100_000);
        drop(writer);
        assert_eq!(read_all(reader), text);
    }

    #[test]
    fn a_line_broken_by_an_error_does_not_swallow_the_next() {
        let (reader, file) = pipe();
        let mut appender = Appender { file, torn: true };
        appender.append(b"next\n").expect("written");
        drop(appender);
        assert_eq!(read_all(reader), "\nnext\n");
    }
}
