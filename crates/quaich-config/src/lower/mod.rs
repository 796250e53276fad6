//! Document → Config: defaults filled in, names resolved, every mistake reported.
//!
//! One file per table. Called by `load` once per configuration; never stops at a mistake.

mod access;
mod acme;
mod action;
mod app;
mod conditions;
mod fields;
mod files;
mod filters;
mod https;
mod listeners;
mod pattern;
mod route;
mod server;
mod shadow;
mod site;
mod subscribe;
pub(crate) mod template;
mod tls;
mod unknown;
mod upstream;
mod variables;

use std::path::PathBuf;

pub(crate) use pattern::{glob, show_path, show_value};

use crate::diagnostic::Diagnostic;
use crate::document::{Data, Table, Value};
use crate::keys;
use crate::lower::fields::{Fields, Word};
use crate::model::Config;
use crate::origin::{Environment, Origin, Origins};
use crate::source::{Source, Span};

/// What lowering knows while it runs, and what it has found.
pub(crate) struct Lower<'a> {
    pub(crate) sources: &'a [Source],
    pub(crate) env: &'a Environment,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) origins: Origins,
}

/// Lowers the whole document. The result is usable only if nothing was reported as an error.
pub(crate) fn lower(cx: &mut Lower<'_>, root: &Table) -> Config {
    let top = Fields::open(cx, &keys::TOP, Some(root), (String::new(), Span::default()));
    let server = top.table(cx, "server");
    let (mut server, places) = server::lower(cx, &server);
    let tls_fields = top.table(cx, "tls");
    let mut tls = tls::lower(cx, &tls_fields);
    let apps = app::lower(cx, &top);
    let mut upstreams = upstream::lower(cx, &top);
    listeners::connect(cx, &mut server.listeners, &places, &upstreams);
    let places: Vec<Span> = places.iter().map(|place| place.span).collect();
    let log = top.table(cx, "log");
    let access = log.table(cx, "access");
    let access_log = access::access_log(cx, &access);
    let log = access::log(cx, &log);
    let admin = top.table(cx, "admin");
    let admin = access::admin(cx, &admin);
    let subscribe = subscribe::lower(cx, &top);
    let acls = filters::acl::tables(cx, &top);
    let limits = filters::limit::tables(cx, &top, &acls);
    let auths = filters::auth::tables(cx, &top, &mut upstreams);
    let mut names = site::Names {
        acls: &acls,
        limits: &limits,
        auths: &auths,
        apps: &apps,
        upstreams: &mut upstreams,
        server: &server,
        tls: &mut tls,
    };
    let sites = site::lower(cx, &top, &mut names);
    https::check(cx, &tls_fields, (&tls, &server), &places);
    tls.client = tls::settled(tls.client);
    Config {
        server,
        tls,
        apps,
        upstreams,
        sites,
        log,
        access_log,
        admin,
        subscribe,
        acls,
        limits,
        auths,
    }
}

impl Lower<'_> {
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub(crate) fn note(&mut self, path: String, origin: Origin) {
        self.origins.insert(path, origin);
    }

    pub(crate) fn origin(&self, span: Span) -> Origin {
        let Some(source) = self.sources.get(span.source) else {
            return Origin::Default;
        };
        if source.is_file {
            Origin::File {
                name: source.name.clone(),
                line: source.position(span.start).0,
            }
        } else {
            Origin::Given(source.name.clone())
        }
    }

    /// `file:line` of a span.
    pub(crate) fn place(&self, span: Span) -> String {
        self.sources
            .get(span.source)
            .map_or_else(String::new, |source| source.place(span.start))
    }

    /// `path` seen from the directory of the source that `span` stands in.
    pub(crate) fn absolute(&self, path: &str, span: Span) -> PathBuf {
        let joined = self.directory(span).join(path);
        // `a/./b` and a trailing dot would show up in messages and compare unequal.
        joined.components().collect()
    }

    pub(crate) fn directory(&self, span: Span) -> PathBuf {
        self.sources
            .get(span.source)
            .map_or_else(PathBuf::new, |source| source.dir.clone())
    }

    pub(crate) fn text(&mut self, name: &str, value: &Value) -> Option<Word> {
        if let Data::Text(text) = &value.data {
            return Some((text.clone(), value.span));
        }
        self.wrong_type(name, value, "a text");
        None
    }

    pub(crate) fn wrong_type(&mut self, name: &str, value: &Value, expected: &str) {
        let message = format!("`{name}` takes {expected}, not {}", found(value));
        let diagnostic = Diagnostic::error("wrong-type", value.span, message);
        let quoted = match &value.data {
            Data::Text(text) if expected == "a whole number" => text.parse::<i64>().ok(),
            _ => None,
        };
        self.report(match quoted {
            Some(number) => diagnostic.label(format!("write {number} without quotes")),
            None => diagnostic,
        });
    }

    /// A value where a table must stand, with the table that may be meant.
    pub(crate) fn no_table(&mut self, name: &str, value: &Value, header: &str) {
        let message = format!("`{name}` takes a table: {header}, not {}", found(value));
        let diagnostic = Diagnostic::error("wrong-type", value.span, message);
        let (key, inner) = match (name, &value.data) {
            ("response_headers" | "request_headers", _) => (Some("set"), "{ X-Name = \"text\" }"),
            ("cors", Data::Text(_) | Data::Array(_)) => (Some("origins"), ""),
            ("redirect", Data::Text(_)) => (Some("to"), ""),
            ("respond", Data::Text(_)) => (Some("body"), ""),
            ("forward", Data::Text(_)) => (Some("url"), ""),
            _ => (None, ""),
        };
        let written = match (inner, &value.data) {
            ("", Data::Text(text)) => format!("{text:?}"),
            ("", _) => "[\"https://app.example.org\"]".to_owned(),
            _ => inner.to_owned(),
        };
        let help = key.map(|key| format!("{name} = {{ {key} = {written} }}"));
        self.report(diagnostic.maybe_help(help));
    }

    pub(crate) fn bad_value(&mut self, name: &str, value: &Value, reason: String) {
        let message = format!("`{name}` cannot be {}", found(value));
        self.report(Diagnostic::error("bad-value", value.span, message).label(reason));
    }

    /// The same for a word of a list.
    pub(crate) fn bad_word(&mut self, name: &str, word: &Word, reason: impl Into<String>) {
        let message = format!("`{name}` cannot be \"{}\"", word.0.escape_debug());
        self.report(Diagnostic::error("bad-value", word.1, message).label(reason));
    }

    pub(crate) fn no_unit(&mut self, name: &str, value: &Value, reason: String) {
        let message = format!("`{name} = {}` has no unit", found(value));
        self.report(Diagnostic::error("missing-unit", value.span, message).label(reason));
    }

    /// Names appear in messages, metrics and TOML headers: `[a-z0-9_-]+`.
    pub(crate) fn check_name(&mut self, name: &str, span: Span) {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(fits) {
            let message = format!("\"{}\" cannot be a name", name.escape_debug());
            let reason = "names are lower-case letters, digits, `_` and `-`";
            self.report(Diagnostic::error("bad-value", span, message).label(reason));
        }
    }
}

fn found(value: &Value) -> String {
    match &value.data {
        Data::Text(text) => format!("\"{}\"", text.escape_debug()),
        Data::Integer(number) if *number == i128::MAX => "this large number".into(),
        Data::Integer(number) => number.to_string(),
        Data::Bool(flag) => flag.to_string(),
        _ => value.kind().to_owned(),
    }
}
