//! `[app.NAME]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::lower::Lower;
use crate::lower::fields::{Fields, Word};
use crate::model::{App, AppTarget};
use crate::origin::Origin;

pub(crate) fn lower(cx: &mut Lower<'_>, top: &Fields<'_>) -> Vec<App> {
    let tables = top.named(cx, "app");
    tables
        .into_iter()
        .map(|(name, fields)| app(cx, &name, &fields))
        .collect()
}

fn app(cx: &mut Lower<'_>, name: &Word, fields: &Fields<'_>) -> App {
    let dir = fields.path(cx, "dir").unwrap_or_default();
    let (python, python_origin) = python(cx, fields, &dir);
    refuse_protocol(cx, fields);
    App {
        name: name.0.clone(),
        target: target(cx, name, fields, &dir),
        factory: fields.flag(cx, "factory"),
        python,
        python_origin,
        workers: workers(cx, fields),
        threads: fields.usize(cx, "threads"),
        timeout: fields.time(cx, "timeout"),
        queue: fields.usize(cx, "queue"),
        queue_timeout: fields.time(cx, "queue_timeout"),
        graceful_timeout: fields.time(cx, "graceful_timeout"),
        boot_timeout: fields.time(cx, "boot_timeout"),
        max_requests: fields.count(cx, "max_requests").unwrap_or_default(),
        max_requests_jitter: fields.count(cx, "max_requests_jitter").unwrap_or_default(),
        env: env(cx, fields),
        user: fields.text(cx, "user").map(|word| word.0),
        group: fields.text(cx, "group").map(|word| word.0),
        dir,
    }
}

fn target(cx: &mut Lower<'_>, name: &Word, fields: &Fields<'_>, dir: &Path) -> AppTarget {
    let module = fields.text(cx, "module");
    let file = fields.text(cx, "file");
    match (module, file) {
        (Some(_), Some(_)) => {
            let message = format!("app `{}` has both `module` and `file`", name.0);
            let diagnostic = Diagnostic::error("two-targets", fields.place("file"), message);
            cx.report(
                diagnostic
                    .also(fields.place("module"), "the other")
                    .help("keep one"),
            );
        }
        (Some(word), None) => return module_target(cx, &word),
        (None, Some(word)) => return file_target(cx, &word, dir),
        (None, None) if !fields.has("module") && !fields.has("file") => {
            let message = format!("app `{}` has no `module`", name.0);
            let help = "module = \"package.wsgi:application\", or file = \"app.py\"";
            let diagnostic = Diagnostic::error("missing-key", fields.span, message);
            fields.missing(cx, diagnostic.help(help));
        }
        (None, None) => {}
    }
    AppTarget::Module {
        module: String::new(),
        callable: None,
    }
}

fn module_target(cx: &mut Lower<'_>, word: &Word) -> AppTarget {
    let (module, callable) = split_callable(cx, "module", word);
    if module.ends_with(".py") || module.contains('/') {
        cx.bad_word("module", word, "this is a file: write `file = ...`");
    } else if !is_dotted_name(&module) {
        cx.bad_word("module", word, "expected \"package.module:callable\"");
    }
    AppTarget::Module { module, callable }
}

fn file_target(cx: &mut Lower<'_>, word: &Word, dir: &Path) -> AppTarget {
    let (file, callable) = split_callable(cx, "file", word);
    let extension = Path::new(&file).extension();
    if extension.is_none_or(|extension| extension != "py") {
        cx.bad_word(
            "file",
            word,
            "expected a .py file, perhaps with a callable: \"app.py:app\"",
        );
    }
    AppTarget::File {
        path: dir.join(file).components().collect(),
        callable,
    }
}

fn split_callable(cx: &mut Lower<'_>, key: &str, word: &Word) -> (String, Option<String>) {
    let Some((target, callable)) = word.0.rsplit_once(':') else {
        return (word.0.clone(), None);
    };
    if callable.ends_with("()") {
        cx.bad_word(key, word, "write `factory = true` in place of `()`");
    } else if !is_dotted_name(callable) {
        cx.bad_word(key, word, "expected a Python name behind the colon");
    }
    (target.to_owned(), Some(callable.to_owned()))
}

/// Dotted Python identifiers; letters of other scripts are left for Python to judge.
fn is_dotted_name(text: &str) -> bool {
    let name = |part: &str| {
        let first = part.chars().next();
        first.is_some_and(|c| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    text.split('.').all(name)
}

/// The interpreter and how it was found; empty when the file says nothing.
fn python(cx: &mut Lower<'_>, fields: &Fields<'_>, dir: &Path) -> (PathBuf, String) {
    let venv = fields.text(cx, "venv");
    let python = fields.text(cx, "python");
    let key = format!("{}.python", fields.path);
    match (&python, &venv) {
        (Some(_), _) => {}
        (None, Some((_, span))) => {
            let origin = cx.origin(*span);
            cx.note(key, origin);
        }
        // Whoever finds the interpreter says how.
        (None, None) => {
            cx.origins.remove(&key);
        }
    }
    match (python, venv) {
        // A bare name is looked for on PATH, like in a shell.
        (Some((python, _)), _) if !python.contains('/') => (python.into(), "`python`".into()),
        (Some((python, _)), _) => (dir.join(python), "`python`".into()),
        (None, Some((venv, _))) => (dir.join(venv).join("bin/python"), "`venv`".into()),
        (None, None) => (PathBuf::new(), String::new()),
    }
}

fn refuse_protocol(cx: &mut Lower<'_>, fields: &Fields<'_>) {
    let word = fields.text_or_default(cx, "protocol");
    match word.0.as_str() {
        "auto" | "wsgi" => {}
        "asgi" | "fastcgi" | "scgi" | "uwsgi" | "http" => {
            let message = format!("protocol `{}` is not in this version of quaich", word.0);
            let help = "protocol = \"wsgi\"";
            cx.report(Diagnostic::error("not-yet", word.1, message).help(help));
        }
        _ => cx.bad_word("protocol", &word, "expected \"auto\" or \"wsgi\""),
    }
}

fn workers(cx: &mut Lower<'_>, fields: &Fields<'_>) -> usize {
    if let Some(workers) = fields.count(cx, "workers") {
        return usize::try_from(workers).unwrap_or(usize::MAX);
    }
    let cores = cx.env.cores.max(1);
    let Some(wanted) = cx.env.web_concurrency else {
        return cores;
    };
    let most = cores.saturating_mul(2).saturating_add(1);
    let origin = if wanted > most {
        format!("$WEB_CONCURRENCY, at most 2 x {cores} cores + 1")
    } else {
        "$WEB_CONCURRENCY".into()
    };
    cx.note(format!("{}.workers", fields.path), Origin::Given(origin));
    wanted.clamp(1, most)
}

fn env(cx: &mut Lower<'_>, fields: &Fields<'_>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for (name, value) in fields.pairs(cx, "env") {
        if name.0.is_empty() || name.0.contains(['=', '\0']) {
            cx.bad_word("env", &name, "a variable's name holds no `=` and no NUL");
        } else if value.0.contains('\0') {
            cx.bad_word(&name.0, &value, "a variable's value holds no NUL");
        }
        env.insert(name.0, value.0);
    }
    env
}
