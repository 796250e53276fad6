//! `request_headers` and `response_headers`: fields that are set, added, removed.

use crate::diagnostic::Diagnostic;
use crate::lower::conditions::is_token;
use crate::lower::fields::{Fields, Word};
use crate::lower::site::Names;
use crate::lower::{Lower, template};
use crate::model::{Answers, Edits, Headers};

/// Of a site, or of a route of a site with `site`.
pub(super) fn lower(
    cx: &mut Lower<'_>,
    _names: &mut Names<'_>,
    (fields, site): (&Fields<'_>, Option<&Headers>),
) -> Headers {
    let (request, _) = edits(cx, fields, (Side::Request, site));
    let (response, table) = edits(cx, fields, (Side::Response, site));
    let inherited = site.is_some_and(|site| site.show_versions);
    let hide = table.filter(|table| table.has("hide"));
    Headers {
        request,
        response,
        show_versions: hide.map_or(inherited, |table| !table.flag(cx, "hide")),
    }
}

/// Whose fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

impl Side {
    fn key(self) -> &'static str {
        match self {
            Self::Request => "request_headers",
            Self::Response => "response_headers",
        }
    }
}

/// All edits of one side, and the table if there is one.
fn edits<'d>(
    cx: &mut Lower<'_>,
    fields: &Fields<'d>,
    (side, site): (Side, Option<&Headers>),
) -> (Vec<Edits>, Option<Fields<'d>>) {
    let inherited = site.map_or(&[][..], |site| match side {
        Side::Request => &site.request,
        Side::Response => &site.response,
    });
    let key = side.key();
    let off = fields.has(key) && !fields.flag_is_set(key);
    if off || !fields.has(key) {
        fields.entry(cx, key);
        let all = if off { Vec::new() } else { inherited.to_vec() };
        return (all, None);
    }
    let table = fields.table(cx, key);
    if site.is_none() && table.has("inherit") {
        let message = "`inherit` is for routes: a site has nothing to inherit";
        let place = table.place("inherit");
        cx.report(Diagnostic::error("bad-value", place, message));
    }
    let mut all = Vec::new();
    if table.flag(cx, "inherit") {
        all.extend_from_slice(inherited);
    }
    let own = Edits {
        remove: removed(cx, &table, side),
        set: pairs(cx, &table, ("set", side)),
        append: pairs(cx, &table, ("append", side)),
        add: pairs(cx, &table, ("add", side)),
        on: answers(cx, &table, side),
    };
    if !own.is_empty() {
        all.push(own);
    }
    (all, Some(table))
}

fn answers(cx: &mut Lower<'_>, table: &Fields<'_>, side: Side) -> Answers {
    if side == Side::Request {
        return Answers::Any;
    }
    match table.word(cx, "on").as_str() {
        "ok" => Answers::Ok,
        "error" => Answers::Error,
        _ => Answers::Any,
    }
}

fn removed(cx: &mut Lower<'_>, table: &Fields<'_>, side: Side) -> Vec<String> {
    let words = table.texts(cx, "remove").unwrap_or_default();
    for word in &words {
        if let Some(reason) = refusal(&word.0, ("remove", side)) {
            cx.bad_word("remove", word, reason);
        }
    }
    words.into_iter().map(|word| word.0).collect()
}

fn pairs(
    cx: &mut Lower<'_>,
    table: &Fields<'_>,
    (key, side): (&'static str, Side),
) -> Vec<(String, String)> {
    let pairs = table.pairs(cx, key);
    for (name, text) in &pairs {
        match refusal(&name.0, (key, side)) {
            Some(reason) => cx.bad_word(key, name, reason),
            None => check_text(cx, (key, side), text),
        }
    }
    let text = |(name, text): (Word, Word)| (name.0, text.0);
    pairs.into_iter().map(text).collect()
}

fn check_text(cx: &mut Lower<'_>, (key, side): (&'static str, Side), text: &Word) {
    if text.0.chars().any(|c| c.is_control() && c != '\t') {
        cx.bad_word(key, text, "a field value holds no line end and no control");
    } else if text.0.trim() != text.0 {
        cx.bad_word(key, text, "a field value has no blanks around it");
    } else {
        let more: &[&str] = match side {
            Side::Request => &[],
            Side::Response => &["status"],
        };
        template::check(cx, key, text, more);
    }
}

/// Names that tell one message from the next, or end with the connection (RFC 9110 section 7.6.1).
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Why a field of this name cannot be edited so.
fn refusal(name: &str, (verb, side): (&str, Side)) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if !is_token(name) {
        return Some("expected the name of a field such as \"X-Frame-Options\"".into());
    }
    if verb != "remove" && name.contains('*') {
        return Some("`*` is for `remove`: name the field".into());
    }
    if FRAMING.contains(&lower.as_str()) {
        return Some("this one belongs to the connection: quaich writes it".into());
    }
    let reason = match side {
        Side::Request => of_request(&lower, verb)?,
        Side::Response => of_response(&lower)?,
    };
    Some(reason.into())
}

fn of_request(name: &str, verb: &str) -> Option<&'static str> {
    let certificate = [
        "x-ssl-client-",
        "ssl-client-",
        "client-cert",
        "x-client-cert",
    ];
    match name {
        "host" if verb != "set" => Some("a request has one host: use `set`"),
        "expect" => Some("quaich answers it: it is not passed on"),
        "proxy-authorization" => Some("it is for quaich alone: it is not passed on"),
        "x-request-id" => Some("quaich writes it; it believes that of proxies in `trust`"),
        "forwarded" => Some("quaich writes who asked; it believes proxies in `trust`"),
        _ if name.starts_with("x-forwarded-") => {
            Some("quaich writes who asked; it believes proxies in `trust`")
        }
        _ if certificate.iter().any(|prefix| name.starts_with(prefix)) => {
            Some("quaich writes what it knows of certificates; see `tls_client`")
        }
        _ if verb != "remove" && name.contains('_') => {
            Some("apps cannot tell `_` from `-` in a name: write `-`")
        }
        _ => None,
    }
}

fn of_response(name: &str) -> Option<&'static str> {
    match name {
        "server" => Some("that of apps is taken away already; `server_header` in [server] is ours"),
        "date" => Some("every answer has it; `date_header` in [server] turns it off"),
        _ => None,
    }
}
