//! Where messages go: one line, made and written under the lock of `log`.
//!
//! Called by `log` only. Must not block for long and must not write a control byte that a message
//! or an app brought along.

use std::fmt::{self, Display, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use quaich_config::model;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::escape;
use super::log::{Field, Level};
use super::timestamp::Timestamp;

/// A write of at most this many bytes to a pipe that polls writable does not block (`PIPE_BUF`).
const PIECE: usize = 4096;

/// Longest wait for a reader that does not read.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// The shape of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// Coloured, time of day only.
    Terminal,
    /// Plain, with the date.
    Text,
    Json,
}

/// A destination with its style and its line buffer.
pub(super) struct Sink {
    /// `None` = standard error.
    file: Option<OwnedFd>,
    off: bool,
    stuck: bool,
    style: Style,
    time: Timestamp,
    line: Vec<u8>,
    scratch: String,
}

impl Sink {
    /// `file`, or standard error; the style follows from what that is.
    pub(super) fn new(file: Option<OwnedFd>) -> Self {
        let mut sink = Self {
            file,
            off: false,
            stuck: false,
            style: Style::Json,
            time: Timestamp::default(),
            line: Vec::new(),
            scratch: String::new(),
        };
        if rustix::termios::isatty(sink.target()) {
            let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            sink.style = if plain { Style::Text } else { Style::Terminal };
        }
        sink
    }

    /// As `[log]` says, apart from the level.
    pub(super) fn with_settings(settings: &model::Log, file: Option<OwnedFd>) -> Self {
        let mut sink = Self::new(file);
        sink.off = matches!(settings.output, model::LogOutput::Off);
        sink.style = match settings.format.as_str() {
            "json" => Style::Json,
            "text" if sink.style == Style::Json => Style::Text,
            _ => sink.style,
        };
        sink
    }

    /// Goes on in `file`, in the same style.
    pub(super) fn reopen(&mut self, file: OwnedFd) {
        self.file = Some(file);
        self.stuck = false;
    }

    fn target(&self) -> BorrowedFd<'_> {
        self.file
            .as_ref()
            .map_or(rustix::stdio::stderr(), AsFd::as_fd)
    }

    /// Writes one message. False = it is lost.
    pub(super) fn message(
        &mut self,
        level: Level,
        text: &dyn Display,
        fields: &[Field<'_>],
    ) -> bool {
        self.begin_line();
        match self.style {
            Style::Json => {
                self.raw("\"level\":\"");
                self.raw(level.name());
                self.raw("\",\"message\":");
                self.json_value(text);
                for (name, value) in fields {
                    self.raw(",\"");
                    self.raw(name);
                    self.raw("\":");
                    self.json_value(value);
                }
                self.raw("}");
            }
            Style::Terminal => {
                let (word, colour) = level.shown();
                self.raw(colour);
                self.raw(word);
                self.raw("\x1b[0m  ");
                self.text_value(text);
                self.text_fields(fields, "\x1b[2m", "\x1b[0m");
            }
            Style::Text => {
                self.raw(level.shown().0);
                self.raw("  ");
                self.text_value(text);
                self.text_fields(fields, "", "");
            }
        }
        self.end_line()
    }

    /// Writes one line of an app. False = it is lost.
    pub(super) fn app_output(&mut self, app: &str, worker: usize, line: &[u8]) -> bool {
        self.begin_line();
        if self.style == Style::Json {
            self.raw("\"level\":\"info\",\"app\":");
            self.json_value(&app);
            self.raw(",\"worker\":");
            self.raw_display(&worker);
            self.raw(",\"message\":\"");
            escape::json(&mut self.line, line);
            self.raw("\"}");
        } else {
            let (on, off) = if self.style == Style::Terminal {
                ("\x1b[36m", "\x1b[0m")
            } else {
                ("", "")
            };
            self.raw_display(&format_args!("{on}[{app}.{worker}]{off} "));
            escape::human(&mut self.line, line);
        }
        self.end_line()
    }

    fn begin_line(&mut self) {
        self.line.clear();
        let now = unix_millis();
        match self.style {
            Style::Json => {
                self.line.extend_from_slice(b"{\"time\":\"");
                self.line.extend_from_slice(self.time.rfc3339(now));
                self.line.extend_from_slice(b"\",");
            }
            Style::Text => {
                self.line.extend_from_slice(self.time.rfc3339(now));
                self.line.push(b' ');
            }
            Style::Terminal => {
                self.line.extend_from_slice(b"\x1b[2m");
                self.line.extend_from_slice(&self.time.of_day(now));
                self.line.extend_from_slice(b"\x1b[0m ");
            }
        }
    }

    fn text_fields(&mut self, fields: &[Field<'_>], on: &str, off: &str) {
        for (name, value) in fields {
            self.raw("  ");
            self.raw(on);
            self.raw(name);
            self.raw("=");
            self.raw(off);
            self.text_value(value);
        }
    }

    fn raw(&mut self, text: &str) {
        self.line.extend_from_slice(text.as_bytes());
    }

    fn raw_display(&mut self, value: &dyn Display) {
        self.render(value);
        self.line.extend_from_slice(self.scratch.as_bytes());
    }

    fn text_value(&mut self, value: &dyn Display) {
        self.render(value);
        escape::human(&mut self.line, self.scratch.as_bytes());
    }

    fn json_value(&mut self, value: &dyn Display) {
        self.render(value);
        self.line.push(b'"');
        escape::json(&mut self.line, self.scratch.as_bytes());
        self.line.push(b'"');
    }

    fn render(&mut self, value: &dyn Display) {
        self.scratch.clear();
        // Writing into a `String` fails only when the value's own Display does.
        let _: fmt::Result = write!(self.scratch, "{value}");
    }

    fn end_line(&mut self) -> bool {
        self.line.push(b'\n');
        let written = if self.off { Ok(()) } else { self.write_line() };
        self.stuck = written == Err(Errno::AGAIN);
        written.is_ok()
    }

    /// Fails with `AGAIN` when the reader does not read. A line longer than [`PIECE`] may then be
    /// cut short.
    fn write_line(&self) -> Result<(), Errno> {
        let fd = self.target();
        let mut rest = self.line.as_slice();
        while !rest.is_empty() {
            // Who was stuck at the last message is not waited for again.
            let wait = if self.stuck {
                Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                }
            } else {
                PATIENCE
            };
            let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
            match poll(&mut fds, Some(&wait)) {
                Ok(0) => return Err(Errno::AGAIN),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            let piece = rest.get(..PIECE).unwrap_or(rest);
            match rustix::io::write(fd, piece) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Milliseconds since 1970.
fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    })
}
