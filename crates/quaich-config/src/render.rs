//! Diagnostics as text for people and as JSON for editors.
//!
//! The text reads well without colour; colour only repeats what words and carets say.

use std::fmt::Write;

use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::load::Loaded;
use crate::source::Source;

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const BLUE: &str = "\x1b[1;34m";
const BOLD: &str = "\x1b[1m";
const GREEN: &str = "\x1b[1;32m";
const RESET: &str = "\x1b[0m";

/// All diagnostics with excerpts, then one line that counts them. Empty when there is nothing.
///
/// `width` is that of the terminal: help texts are wrapped to it, excerpts are cut.
#[must_use]
pub fn render(loaded: &Loaded, colour: bool, width: usize) -> String {
    if loaded.diagnostics.is_empty() {
        return String::new();
    }
    let paint = Paint {
        colour,
        width: width.clamp(40, 200),
    };
    let mut out = String::new();
    for diagnostic in &loaded.diagnostics {
        paint.diagnostic(&mut out, diagnostic, &loaded.sources);
        out.push('\n');
    }
    let (errors, warnings) = loaded.counts();
    let name = loaded
        .sources
        .first()
        .map_or("the configuration", |source| &source.name);
    let counts = format!(
        "{}, {}",
        counted(errors, "error"),
        counted(warnings, "warning")
    );
    let _ = writeln!(out, "{counts} in {name}");
    out
}

/// Everything as one JSON object: `errors`, `warnings`, and `diagnostics` with places.
///
/// Lines and columns begin at 1, columns count characters.
#[must_use]
pub fn to_json(loaded: &Loaded) -> serde_json::Value {
    let label = |label: &Label| {
        let source = loaded.sources.get(label.span.source);
        let position = |offset| source.map_or((1, 1), |source| source.position(offset));
        let ((line, column), (end_line, end_column)) =
            (position(label.span.start), position(label.span.end));
        serde_json::json!({
            "file": source.map(|source| &source.name),
            "line": line, "column": column, "end_line": end_line, "end_column": end_column,
            "text": label.text,
        })
    };
    let diagnostics: Vec<serde_json::Value> = loaded
        .diagnostics
        .iter()
        .map(|d| {
            serde_json::json!({
                "code": d.code,
                "severity": word(d.severity),
                "message": d.message,
                "labels": d.labels.iter().map(label).collect::<Vec<_>>(),
                "help": d.help,
            })
        })
        .collect();
    let (errors, warnings) = loaded.counts();
    serde_json::json!({ "errors": errors, "warnings": warnings, "diagnostics": diagnostics })
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

struct Paint {
    colour: bool,
    width: usize,
}

impl Paint {
    fn on(&self, code: &'static str) -> &'static str {
        if self.colour { code } else { "" }
    }

    fn diagnostic(&self, out: &mut String, diagnostic: &Diagnostic, sources: &[Source]) {
        let tone = self.on(match diagnostic.severity {
            Severity::Error => RED,
            Severity::Warning => YELLOW,
        });
        let (bold, reset) = (self.on(BOLD), self.on(RESET));
        let (kind, code, message) = (
            word(diagnostic.severity),
            diagnostic.code,
            &diagnostic.message,
        );
        let _ = writeln!(out, "{tone}{kind}[{code}]{reset}{bold}: {message}{reset}");
        let gutter = gutter(diagnostic, sources);
        for (index, label) in diagnostic.labels.iter().enumerate() {
            let Some(source) = sources.get(label.span.source) else {
                continue;
            };
            self.excerpt(out, source, label, (gutter, index == 0, tone));
        }
        if let Some(help) = &diagnostic.help {
            self.help(out, help);
        }
    }

    fn excerpt(
        &self,
        out: &mut String,
        source: &Source,
        label: &Label,
        (gutter, first, tone): (usize, bool, &str),
    ) {
        let (blue, reset) = (self.on(BLUE), self.on(RESET));
        let tone = if first { tone } else { blue };
        let (line, column) = source.position(label.span.start);
        let arrow = if first { "-->" } else { ":::" };
        let pad = " ".repeat(gutter);
        let whole = label.span.end == 0;
        let place = if source.is_file && !whole {
            format!("{}:{line}:{column}", source.name)
        } else {
            source.name.clone()
        };
        let _ = writeln!(out, "{pad}{blue}{arrow}{reset} {place}");
        let (start, end) = source.line_range(label.span.start);
        let Some(text) = source.text.get(start..end) else {
            return;
        };
        if whole || (text.trim().is_empty() && label.span.start == label.span.end) {
            return;
        }
        let cut = self.cut(text, column, gutter);
        let number = if source.is_file {
            line.to_string()
        } else {
            String::new()
        };
        let _ = writeln!(out, "{pad} {blue}|{reset}");
        let _ = writeln!(out, "{blue}{number:>gutter$} |{reset} {}", cut.text);
        let end = label.span.end.min(end).max(label.span.start);
        let marked = source.text.get(label.span.start..end).unwrap_or("");
        let room = cut.text.chars().count().saturating_sub(cut.column - 1);
        let carets = marked.trim_end().chars().count().clamp(1, room.max(1));
        let sign = if first { "^" } else { "-" }.repeat(carets);
        let indent = " ".repeat(cut.column - 1);
        let gap = if label.text.is_empty() { "" } else { " " };
        let _ = writeln!(
            out,
            "{pad} {blue}|{reset} {indent}{tone}{sign}{gap}{}{reset}",
            label.text
        );
    }

    /// The part of a line that fits, with tabs and controls shown as one space each.
    fn cut(&self, text: &str, column: usize, gutter: usize) -> Cut {
        let room = self.width.saturating_sub(gutter + 3).max(20);
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let skip = if column > room / 2 && text.chars().count() > room {
            column - room / 2
        } else {
            0
        };
        let text = text.trim_end();
        Cut {
            text: text.chars().skip(skip).take(room).map(plain).collect(),
            column: column - skip,
        }
    }

    fn help(&self, out: &mut String, help: &str) {
        let (green, reset) = (self.on(GREEN), self.on(RESET));
        let mut lead = format!("{green}help{reset}: ");
        for line in help.lines() {
            for part in wrap(line, self.width - 6) {
                let _ = writeln!(out, "{lead}{part}");
                lead = " ".repeat(6);
            }
        }
    }
}

struct Cut {
    text: String,
    /// From 1, in characters of `text`.
    column: usize,
}

/// Width of the largest line number.
fn gutter(diagnostic: &Diagnostic, sources: &[Source]) -> usize {
    let line = |label: &Label| {
        let source = sources.get(label.span.source)?;
        Some(source.position(label.span.start).0.to_string().len())
    };
    diagnostic.labels.iter().filter_map(line).max().unwrap_or(1) + 1
}

/// Breaks at spaces; a word that is too long stays whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is always a line");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}
