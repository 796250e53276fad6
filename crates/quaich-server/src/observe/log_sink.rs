//! Where messages go: one line, made and written under the lock of `log`.
//!
//! Called by `log` only. Must not block for long and must not write a control byte that a message
//! or an app brought along.

use std::fmt::{self, Display, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

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
        let now = crate::clock::unix_millis();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// A sink of `format` whose lines come out of the reader.
    fn piped(format: &str) -> (Sink, std::io::PipeReader) {
        let (reader, writer) = std::io::pipe().expect("pipe");
        let settings = model::Log {
            level: "info".to_owned(),
            output: model::LogOutput::Stderr,
            format: format.to_owned(),
        };
        (Sink::with_settings(&settings, Some(writer.into())), reader)
    }

    fn read_all(sink: Sink, mut reader: std::io::PipeReader) -> String {
        drop(sink);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("UTF-8");
        text
    }

    #[test]
    fn json_is_the_style_of_a_pipe_and_each_message_is_one_object() {
        let (mut sink, reader) = piped("auto");
        assert!(sink.message(
            Level::Warn,
            &"a \"b\"\n\x1b[2J",
            &[("pid", &7), ("path", &"ü")]
        ));
        assert!(sink.app_output("shop", 2, b"Traceback \xff\r"));
        let text = read_all(sink, reader);
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["level"], "warn");
        assert_eq!(lines[0]["message"], "a \"b\"\n\x1b[2J");
        assert_eq!(
            (&lines[0]["pid"], &lines[0]["path"]),
            (&"7".into(), &"ü".into())
        );
        assert_eq!(
            (&lines[1]["app"], &lines[1]["worker"]),
            (&"shop".into(), &2.into())
        );
        assert_eq!(lines[1]["message"], "Traceback \u{ff}\r");
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn text_has_a_date_a_level_and_no_control_byte() {
        let (mut sink, reader) = piped("text");
        sink.message(Level::Error, &"cannot\nbind", &[("addr", &"[::]:80")]);
        sink.app_output("shop", 1, b"\x1b[31mred\x07");
        let text = read_all(sink, reader);
        let lines: Vec<&str> = text.lines().map(|line| &line[24..]).collect();
        assert_eq!(
            lines,
            [
                r" ERROR  cannot\x0abind  addr=[::]:80",
                r" [shop.1] \x1b[31mred\x07"
            ]
        );
    }

    #[test]
    fn a_reader_that_does_not_read_loses_messages_but_stops_nobody() {
        let (mut sink, reader) = piped("text");
        let long = "x".repeat(1000);
        let written = (0..1000)
            .filter(|_| sink.message(Level::Info, &long, &[]))
            .count();
        assert!(written > 0 && written < 1000, "{written} of 1000");
        let text = read_all(sink, reader);
        assert_eq!(text.lines().count(), written);
        assert!(
            text.lines().all(|line| line.ends_with(&long)),
            "lines are whole"
        );
    }

    #[test]
    fn after_a_rotation_messages_go_to_the_new_file() {
        let (mut sink, reader) = piped("text");
        sink.message(Level::Info, &"old", &[]);
        let (new_reader, new_writer) = std::io::pipe().expect("pipe");
        sink.reopen(new_writer.into());
        let mut old = String::new();
        let mut reader = reader;
        reader
            .read_to_string(&mut old)
            .expect("the old file is closed");
        sink.message(Level::Info, &"new", &[]);
        assert!(old.ends_with("old\n"));
        assert!(read_all(sink, new_reader).ends_with("new\n"));
    }
}
