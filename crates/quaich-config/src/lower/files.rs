//! `files = { ... }` of a route and `root` of a site.

use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::document::Data;
use crate::lower::Lower;
use crate::lower::action::unknown_placeholder;
use crate::lower::fields::{Fields, is_off};
use crate::model::{Files, Symlinks};
use crate::units;

/// Reads `files = { ... }`; `None` when it has no usable root.
pub(crate) fn lower(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<Files> {
    let root = fields.path(cx, "root");
    if !fields.has("root") && fields.table.is_some() {
        let diagnostic = Diagnostic::error("missing-key", fields.span, "`files` has no `root`");
        fields.missing(cx, diagnostic.help("files = { root = \"public\" }"));
    }
    let names = |cx: &mut Lower<'_>, key: &str, default: &str| {
        let words = fields.texts(cx, key);
        words.map_or_else(
            || vec![default.to_owned()],
            |words| words.into_iter().map(|word| word.0).collect(),
        )
    };
    let index = names(cx, "index", "index.html");
    let try_ = names(cx, "try", "{path}");
    for name in index
        .iter()
        .filter(|name| name.is_empty() || name.contains('/'))
    {
        cx.bad_word(
            "index",
            &(name.clone(), fields.place("index")),
            "expected a file name",
        );
    }
    for name in &try_ {
        if let Some(bad) = unknown_placeholder(name, &["path"]) {
            let reason = format!("`{{{bad}}}` is not filled in here; {{path}} is");
            cx.bad_word("try", &(name.clone(), fields.place("try")), reason);
        }
    }
    let files = Files {
        root: root.unwrap_or_default(),
        index,
        try_,
        expires: expires(cx, fields),
        list: fields.flag(cx, "list"),
        precompressed: fields.flag(cx, "precompressed"),
        hidden: fields.flag(cx, "hidden"),
        symlinks: symlinks(cx, fields),
    };
    (!files.root.as_os_str().is_empty()).then_some(files)
}

/// `files` of a site's `root`: everything else by default.
pub(crate) fn plain(cx: &mut Lower<'_>, site: &Fields<'_>) -> Option<Files> {
    let root = site.path(cx, "root")?;
    Some(Files {
        root,
        index: vec!["index.html".into()],
        try_: vec!["{path}".into()],
        expires: None,
        list: false,
        precompressed: true,
        hidden: false,
        symlinks: Symlinks::Inside,
    })
}

fn expires(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<Duration> {
    let entry = fields.entry(cx, "expires")?;
    match &entry.value.data {
        _ if is_off(&entry.value) => None,
        Data::Text(text) => match units::duration(text) {
            Ok(time) => Some(time),
            Err(reason) if reason.starts_with("a bare number") => {
                cx.no_unit("expires", &entry.value, reason);
                None
            }
            Err(reason) => {
                cx.bad_value("expires", &entry.value, reason);
                None
            }
        },
        Data::Integer(number) => {
            let reason = format!("a bare number has no unit: write \"{number}s\"");
            cx.no_unit("expires", &entry.value, reason);
            None
        }
        _ => {
            cx.wrong_type("expires", &entry.value, "a text such as \"30d\"");
            None
        }
    }
}

fn symlinks(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Symlinks {
    let Some(entry) = fields.entry(cx, "symlinks") else {
        return Symlinks::Inside;
    };
    match &entry.value.data {
        _ if is_off(&entry.value) => Symlinks::Off,
        Data::Text(text) if text == "inside" => Symlinks::Inside,
        Data::Text(text) if text == "follow" => Symlinks::Follow,
        _ => {
            let reason = "expected \"inside\", \"follow\" or \"off\"".into();
            cx.bad_value("symlinks", &entry.value, reason);
            Symlinks::Inside
        }
    }
}
