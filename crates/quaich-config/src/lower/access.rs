//! `[log]`, `[log.access]` and `[admin]`.

use std::path::PathBuf;

use crate::diagnostic::Diagnostic;
use crate::lower::Lower;
use crate::lower::fields::{Fields, Word};
use crate::model::{AccessFormat, AccessLog, Admin, Log, LogOutput};
use crate::nearest::nearest;

pub(crate) fn log(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Log {
    Log {
        level: fields.word(cx, "level"),
        output: output(cx, fields),
        format: fields.word(cx, "format"),
    }
}

pub(crate) fn access_log(cx: &mut Lower<'_>, fields: &Fields<'_>) -> AccessLog {
    let output = output(cx, fields);
    AccessLog {
        format: access_format(cx, fields, &output),
        output,
    }
}

fn output(cx: &mut Lower<'_>, fields: &Fields<'_>) -> LogOutput {
    let Some(word) = fields.text_or_off(cx, "output") else {
        return LogOutput::Off;
    };
    match word.0.as_str() {
        "stdout" => LogOutput::Stdout,
        "stderr" => LogOutput::Stderr,
        other => match other.strip_prefix("file:") {
            Some(path) if !path.is_empty() => LogOutput::File(cx.absolute(path, word.1)),
            _ => {
                refuse_output(cx, &word);
                LogOutput::Off
            }
        },
    }
}

fn refuse_output(cx: &mut Lower<'_>, word: &Word) {
    if word.0.starts_with("syslog:") {
        let message = "logging to syslog is not in this version of quaich";
        let help = "output = \"stdout\", \"stderr\" or \"file:PATH\"";
        cx.report(Diagnostic::error("not-yet", word.1, message).help(help));
    } else {
        let reason = "expected \"stdout\", \"stderr\", \"file:PATH\" or \"off\"";
        cx.bad_word("output", word, reason);
    }
}

fn access_format(cx: &mut Lower<'_>, fields: &Fields<'_>, output: &LogOutput) -> AccessFormat {
    let word = fields.text_or_default(cx, "format");
    match word.0.as_str() {
        "auto" if *output == LogOutput::Stdout && cx.env.stdout_is_terminal => AccessFormat::Pretty,
        "auto" | "json" => AccessFormat::Json,
        "common" => AccessFormat::Common,
        "combined" => AccessFormat::Combined,
        "pretty" => AccessFormat::Pretty,
        "ecs" | "logfmt" => {
            let message = format!("format `{}` is not in this version of quaich", word.0);
            let help = "format = \"json\"";
            cx.report(Diagnostic::error("not-yet", word.1, message).help(help));
            AccessFormat::Json
        }
        template => {
            if let Some(reason) = template_mistake(template) {
                cx.bad_word("format", &word, reason);
            }
            AccessFormat::Template(word.0)
        }
    }
}

/// Every `{` needs a name and a `}`; names are judged by the log that fills them in.
fn template_mistake(template: &str) -> Option<String> {
    let known = ["auto", "common", "combined", "json", "pretty"];
    if !template.contains('{') {
        return Some(match nearest(template, known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!(
                "expected {} or a template with {{placeholders}}",
                known.join(", ")
            ),
        });
    }
    if template
        .chars()
        .any(|c| c == '\n' || c == '\r' || c == '\0')
    {
        return Some("a line of the log holds no line break and no NUL".into());
    }
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let Some((name, behind)) = rest[at..].strip_prefix('{').and_then(|r| r.split_once('}'))
        else {
            return Some("`{` and `}` must stand in pairs".into());
        };
        if name.is_empty() || name.contains('{') {
            return Some("`{` and `}` must stand in pairs around a name".into());
        }
        rest = behind;
    }
    None
}

pub(crate) fn admin(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Admin {
    let Some(word) = fields.text_or_off(cx, "listen") else {
        return Admin { socket: None };
    };
    let Some(path) = word.0.strip_prefix("unix:") else {
        if word.0.contains(':') {
            let message = "an admin listener on TCP is not in this version of quaich";
            let help = "listen = \"unix:quaich.sock\"";
            cx.report(Diagnostic::error("not-yet", word.1, message).help(help));
        } else {
            cx.bad_word("listen", &word, "expected \"unix:PATH\" or \"off\"");
        }
        return Admin { socket: None };
    };
    if path.is_empty() || path.starts_with('@') || path.contains('\0') {
        cx.bad_word(
            "listen",
            &word,
            "expected the path of a socket file: \"unix:PATH\"",
        );
    }
    let socket: PathBuf = cx.absolute(path, word.1);
    if fields.has("listen") && socket.as_os_str().len() > 107 {
        cx.bad_word(
            "listen",
            &word,
            "the absolute path of a socket has at most 107 bytes",
        );
    }
    Admin {
        socket: Some(socket),
    }
}
