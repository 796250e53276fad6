//! The access log: a handle shared by all front threads, and a logger for each.
//!
//! A front thread formats a line into its own buffer and hands full buffers to the [`Writer`]. The
//! event loop calls [`AccessLogger::flush_if_due`] from its sweep, so that no line stays longer
//! than about 100 ms. Nothing here waits for the file.

use std::cell::RefCell;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use quaich_config::model;

use super::access_format::{Format, TemplateError};
pub use super::record::{Record, Timings};
use super::timestamp::Timestamp;
use super::writer::Writer;

/// A buffer of at least this many bytes is handed over at once.
const FULL: usize = 64 * 1024;

/// Longest time that a line waits in a buffer while the sweep runs, milliseconds.
const LINGER: u64 = 100;

/// Why there is no access log.
#[derive(Debug)]
pub enum Error {
    /// The template of `[log.access] format` is wrong.
    Template(TemplateError),
    /// No thread could be started.
    Thread(io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Template(error) => write!(f, "access log format: {error}"),
            Self::Thread(error) => write!(f, "cannot start the access log's thread: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// An open access log. Clones share the file.
#[derive(Clone, Debug)]
pub struct AccessLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    format: Format,
    writer: Writer,
}

impl AccessLog {
    /// Starts the writer thread of `file`, which is opened for appending. `settings.output` is
    /// not looked at: who has no access log makes none.
    pub fn new(settings: &model::AccessLog, file: OwnedFd) -> Result<Self, Error> {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = file.is_terminal() && !plain;
        let format = Format::new(&settings.format, colour).map_err(Error::Template)?;
        let writer = Writer::start("access log", file).map_err(Error::Thread)?;
        Ok(Self {
            shared: Arc::new(Shared { format, writer }),
        })
    }

    /// A logger for one front thread.
    pub fn logger(&self) -> AccessLogger {
        let lines = Lines {
            buffer: Vec::new(),
            count: 0,
            time: Timestamp::default(),
            sent: 0,
        };
        AccessLogger {
            shared: Arc::clone(&self.shared),
            lines: RefCell::new(lines),
        }
    }

    /// After a rotation: lines handed over so far go to the old file, all others to `file`. None
    /// is lost and none is written twice.
    pub fn reopen(&self, file: OwnedFd) {
        self.shared.writer.reopen(file);
    }

    /// Waits, at most `patience`, until all lines that were flushed are in the file. For the end
    /// of the process, after every logger was flushed or dropped. False = some are not.
    pub fn finish(&self, patience: Duration) -> bool {
        self.shared.writer.flush(patience)
    }

    /// Lines that no file got since the start: dropped because it was stuck, or writing failed.
    pub fn lost(&self) -> u64 {
        self.shared.writer.dropped() + self.shared.writer.failed()
    }
}

/// The access log of one front thread. Dropping it flushes.
#[derive(Debug)]
pub struct AccessLogger {
    shared: Arc<Shared>,
    lines: RefCell<Lines>,
}

#[derive(Debug)]
struct Lines {
    buffer: Vec<u8>,
    count: u64,
    time: Timestamp,
    /// When the last hand-over was, by the clock of `flush_if_due`.
    sent: u64,
}

impl AccessLogger {
    /// Appends the line of one request. Allocates nothing once its buffers are warm, and makes a
    /// system call at most once per 64 KiB of lines.
    pub fn log(&self, record: &Record<'_>) {
        let lines = &mut *self.lines.borrow_mut();
        self.shared
            .format
            .append(&mut lines.buffer, record, &mut lines.time);
        lines.count += 1;
        if lines.buffer.len() >= FULL {
            self.hand_over(lines);
        }
    }

    /// To be called at least every 100 ms while the thread is awake, and before it sleeps longer.
    /// `now` is in milliseconds of any clock that only goes forward.
    pub fn flush_if_due(&self, now: u64) {
        let lines = &mut *self.lines.borrow_mut();
        if lines.count > 0 && now.saturating_sub(lines.sent) >= LINGER {
            lines.sent = now;
            self.hand_over(lines);
        }
    }

    /// Hands over what there is, e.g. when the process drains.
    pub fn flush(&self) {
        let lines = &mut *self.lines.borrow_mut();
        if lines.count > 0 {
            self.hand_over(lines);
        }
    }

    fn hand_over(&self, lines: &mut Lines) {
        self.shared.writer.send(&mut lines.buffer, lines.count);
        lines.count = 0;
    }
}

impl Drop for AccessLogger {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quaich_proto::headers::Headers;
    use std::io::{PipeReader, Read};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn template(text: &str) -> model::AccessLog {
        let format = model::AccessFormat::Template(text.to_owned());
        model::AccessLog {
            output: model::LogOutput::Stdout,
            format,
        }
    }

    fn open(settings: &model::AccessLog) -> (AccessLog, PipeReader) {
        let (reader, writer) = io::pipe().expect("pipe");
        (
            AccessLog::new(settings, writer.into()).expect("valid settings"),
            reader,
        )
    }

    fn read_all(mut reader: PipeReader) -> String {
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("UTF-8");
        text
    }

    fn request(number: u64, headers: &Headers) -> Record<'_> {
        Record {
            client: None,
            remote_user: None,
            unix_millis: 0,
            method: b"GET",
            target: b"/",
            protocol: "HTTP/1.1",
            scheme: "http",
            status: 200,
            body_bytes: 0,
            sent_bytes: 0,
            received_bytes: 0,
            host: b"",
            headers,
            timings: Timings::default(),
            request_id: b"",
            site: "",
            route: "",
            app: "",
            upstream: "",
            server: "",
            outcome: "",
            connection: number,
            connection_request: 1,
            retries: 0,
        }
    }

    #[test]
    fn lines_of_all_threads_arrive_whole_and_once() {
        let (log, reader) = open(&template("{connection} {client} {target}"));
        let reading = std::thread::spawn(|| read_all(reader));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let logger = log.logger();
                scope.spawn(move || {
                    let headers = Headers::new();
                    for number in 0..25_000 {
                        logger.log(&request(thread * 25_000 + number, &headers));
                    }
                });
            }
        });
        assert!(log.finish(PATIENCE));
        assert_eq!(log.lost(), 0);
        drop(log);
        let text = reading.join().expect("no panic");
        let mut numbers: Vec<u64> = text
            .lines()
            .map(|line| {
                let number = line.strip_suffix(" unix /").expect("whole");
                number.parse().expect("number")
            })
            .collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..100_000));
    }

    #[test]
    fn a_line_waits_for_the_sweep_but_not_long() {
        let (log, mut reader) = open(&template("{connection}"));
        let logger = log.logger();
        let headers = Headers::new();
        let mut read = |logger: &AccessLogger, now| {
            logger.flush_if_due(now);
            assert!(log.finish(PATIENCE));
            let waiting = rustix::io::ioctl_fionread(&reader).expect("pipe");
            let mut text = vec![0; usize::try_from(waiting).expect("small")];
            reader.read_exact(&mut text).expect("read");
            String::from_utf8(text).expect("ASCII")
        };
        logger.log(&request(1, &headers));
        assert_eq!(read(&logger, 5_000), "1\n", "after idle time at once");
        logger.log(&request(2, &headers));
        assert_eq!(read(&logger, 5_099), "");
        assert_eq!(read(&logger, 5_100), "2\n");
        logger.log(&request(3, &headers));
        logger.flush();
        assert_eq!(read(&logger, 5_101), "3\n");
    }

    #[test]
    fn after_a_rotation_lines_go_to_the_new_file() {
        let (log, old) = open(&template("{connection}"));
        let logger = log.logger();
        let headers = Headers::new();
        logger.log(&request(1, &headers));
        logger.flush();
        let (new, writer) = io::pipe().expect("pipe");
        log.reopen(writer.into());
        assert_eq!(read_all(old), "1\n", "the old file is closed");
        logger.log(&request(2, &headers));
        drop(logger);
        drop(log);
        assert_eq!(read_all(new), "2\n");
    }

    #[test]
    fn a_wrong_template_is_an_error() {
        let (_, writer) = io::pipe().expect("pipe");
        let error = AccessLog::new(&template("{nonsense}"), writer.into()).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "access log format: no placeholder is called `nonsense`"
        );
    }
}
