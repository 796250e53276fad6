//! `variables` of a route: what apps are told by name. Called by `route`.

use crate::diagnostic::Diagnostic;
use crate::lower::fields::{Fields, Word};
use crate::lower::upstream::takes_variables;
use crate::lower::{Lower, template};
use crate::model::{Action, Upstream};

pub(super) fn lower(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Vec<(String, String)> {
    let pairs = fields.pairs(cx, "variables");
    for (name, text) in &pairs {
        if let Some(reason) = bad_name(&name.0) {
            cx.bad_word("variables", name, reason);
        }
        check_text(cx, text);
    }
    let text = |(name, text): (Word, Word)| (name.0, text.0);
    pairs.into_iter().map(text).collect()
}

/// Why a variable cannot have this name.
fn bad_name(name: &str) -> Option<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if matches!(name, "CONTENT_LENGTH" | "SCGI") {
        return Some("this one belongs to the protocol: quaich sets it".into());
    }
    (!begins_well || !name.bytes().all(fits))
        .then(|| "expected a name of letters, digits and `_` such as \"APP_MODE\"".into())
}

fn check_text(cx: &mut Lower<'_>, text: &Word) {
    if text.0.contains(['\0', '\r', '\n']) {
        cx.bad_word("variables", text, "a variable holds no NUL and no line end");
    } else {
        template::check(cx, "variables", text, &[]);
    }
}

/// Whether somebody gets them.
pub(super) fn check(
    cx: &mut Lower<'_>,
    fields: &Fields<'_>,
    action: &Action,
    upstreams: &[Upstream],
) {
    let message = match action {
        Action::App(_) => return,
        Action::Upstream(index) => match upstreams.get(*index) {
            // Of one without servers, something else was said already.
            Some(known) if known.servers.is_empty() && known.discover.is_none() => return,
            Some(known) if !takes_variables(known) => format!(
                "`variables` are not used: the servers of `{}` speak HTTP, not uwsgi, FastCGI or SCGI",
                known.name
            ),
            _ => return,
        },
        _ => "`variables` are not used: this route has neither `app` nor `upstream`".to_owned(),
    };
    if fields.has("variables") {
        let place = fields.place("variables");
        cx.report(Diagnostic::warning("unused-key", place, message));
    }
}
