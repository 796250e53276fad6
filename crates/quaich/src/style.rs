//! Colour for people: only on a terminal, and never when `NO_COLOR` is set.

use std::io::IsTerminal;

/// A way to paint text, or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    sgr: Option<&'static str>,
}

impl Style {
    /// The text, between escape sequences when there is colour.
    pub(crate) fn paint(self, text: &str) -> String {
        match self.sgr {
            Some(sgr) => format!("\x1b[{sgr}m{text}\x1b[0m"),
            None => text.to_owned(),
        }
    }
}

/// The style with the SGR numbers `sgr` for standard error.
pub(crate) fn on_stderr(sgr: &'static str) -> Style {
    Style {
        sgr: colour_on(&std::io::stderr()).then_some(sgr),
    }
}

/// The style with the SGR numbers `sgr` for standard output.
pub(crate) fn on_stdout(sgr: &'static str) -> Style {
    Style {
        sgr: colour_on(&std::io::stdout()).then_some(sgr),
    }
}

/// Whether `stream` shows colours, by the conventions.
pub(crate) fn colour_on(stream: &impl IsTerminal) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !set("NO_COLOR") && !dumb
}
