//! How the program ends: one table of exit codes, and the message that goes with a bad end.
//!
//! Every command returns `Result<(), Failure>`; only `main` prints and exits.

use std::fmt;
use std::process::ExitCode;

/// The exit codes, also listed in `quaich --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// The configuration, or something it names, is wrong; also what has no code of its own.
    Config = 1,
    /// The command line is wrong.
    Usage = 2,
    /// An address cannot be listened on.
    Bind = 3,
    /// An app cannot be loaded.
    App = 4,
    /// There is no running quaich to talk to.
    NotRunning = 5,
}

/// Why a command failed, for a person.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: String,
    details: Vec<String>,
    cure: Option<String>,
    /// What else is wrong.
    others: Vec<Failure>,
}

impl Failure {
    /// One sentence without full stop. An empty one prints nothing: all has been said.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure {
            code,
            message: message.into(),
            details: Vec::new(),
            cure: None,
            others: Vec::new(),
        }
    }

    /// All of them as one, shown one after the other; `None` of none. The code is the first one's.
    pub(crate) fn all(failures: Vec<Failure>) -> Option<Failure> {
        let mut failures = failures.into_iter();
        let mut first = failures.next()?;
        first.others.extend(failures);
        Some(first)
    }

    /// What to do about it.
    pub(crate) fn cure(mut self, cure: impl Into<String>) -> Failure {
        self.cure = Some(cure.into());
        self
    }

    /// Its one sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, when that can be said.
    pub(crate) fn help(&self) -> Option<&str> {
        self.cure.as_deref()
    }

    /// Message and cure as one line, for a log.
    pub(crate) fn line(&self) -> String {
        let parts = [Some(&self.message), self.cure.as_ref()];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        parts.join("; ")
    }

    /// Lines that are shown below the message as they are.
    pub(crate) fn details(mut self, lines: impl IntoIterator<Item = String>) -> Failure {
        self.details.extend(lines);
        self
    }

    /// The exit code.
    #[cfg(test)]
    pub(crate) fn code(&self) -> Code {
        self.code
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> ExitCode {
        ExitCode::from(failure.code as u8)
    }
}

impl Failure {
    /// The text for standard error, as something that is only a warning.
    pub(crate) fn as_warning(&self) -> String {
        self.text(&crate::style::on_stderr("1;33").paint("warning"))
    }

    fn text(&self, head: &str) -> String {
        if self.message.is_empty() {
            return String::new();
        }
        let mut text = format!("{head}: {}\n", self.message);
        for line in &self.details {
            // No spaces at the end of a line that only separates.
            text.push_str(format!("  {line}").trim_end());
            text.push('\n');
        }
        if let Some(cure) = &self.cure {
            let help = crate::style::on_stderr("1;36").paint("help");
            text.push_str(&format!("{help}: {cure}\n"));
        }
        for other in &self.others {
            text.push_str(&other.text(head));
        }
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&crate::style::on_stderr("1;31").paint("error")))
    }
}
