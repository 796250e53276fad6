//! `health` and `passive` of an upstream, and whether its servers can be checked so.

use crate::diagnostic::Diagnostic;
use crate::lower::Lower;
use crate::lower::fields::{Fields, Word};
use crate::lower::pattern::regex_reason;
use crate::model::{CheckKind, Health, Passive, Upstream, UpstreamAddr, UpstreamProtocol};
use crate::source::Span;

/// Keys that say how a page is asked for.
const OF_HTTP: [&str; 6] = ["path", "expect", "body", "host", "method", "version"];

/// Checks, if there are any.
pub(super) fn health(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<Health> {
    let fields = fields.bool_or_table(cx, "health")?;
    let named = fields.word(cx, "type");
    let kind = match named.as_str() {
        "" if OF_HTTP.iter().any(|key| fields.has(key)) => "http",
        "" => "tcp",
        named => named,
    };
    let http = http(cx, &fields);
    if kind != "http" {
        for key in OF_HTTP.into_iter().filter(|key| fields.has(key)) {
            let message =
                format!("`{key}` is not used: a check of type \"{kind}\" asks for no page");
            let diagnostic = Diagnostic::error("unused-key", fields.place(key), message);
            cx.report(diagnostic.help("type = \"http\""));
        }
    }
    let health = Health {
        kind: match kind {
            "http" => http,
            "ping" => CheckKind::Ping,
            "agent" => CheckKind::Agent,
            _ => CheckKind::Connect,
        },
        every: fields.time(cx, "every"),
        timeout: fields.time(cx, "timeout"),
        fall: count(cx, &fields, "fall"),
        rise: count(cx, &fields, "rise"),
        port: fields
            .count(cx, "port")
            .and_then(|port| u16::try_from(port).ok()),
        initially_up: fields.word(cx, "initial") == "up",
    };
    if health.kind == CheckKind::Agent && health.port.is_none() {
        let message = "a check of type \"agent\" needs the `port` at which the agent listens";
        let diagnostic = Diagnostic::error("missing-key", fields.place("type"), message);
        fields.missing(cx, diagnostic.help("port = 9777"));
    }
    Some(health)
}

fn count(cx: &mut Lower<'_>, fields: &Fields<'_>, key: &str) -> u32 {
    u32::try_from(fields.usize(cx, key)).unwrap_or(u32::MAX)
}

fn http(cx: &mut Lower<'_>, fields: &Fields<'_>) -> CheckKind {
    let path = fields.text(cx, "path");
    let path = path.and_then(|word| checked(cx, "path", word, wrong_path));
    let host = fields.text(cx, "host");
    let method = fields.text_or_default(cx, "method");
    let expect = fields.text_or_default(cx, "expect");
    let body = fields.text(cx, "body");
    CheckKind::Http {
        method: checked(cx, "method", method, wrong_method).unwrap_or_else(|| "GET".into()),
        path: path.unwrap_or_else(|| "/".into()),
        host: host.and_then(|word| checked(cx, "host", word, wrong_host)),
        http10: fields.word(cx, "version") == "1.0",
        expect: statuses(cx, &expect),
        body: body.and_then(|word| checked(cx, "body", word, wrong_body)),
    }
}

fn checked(
    cx: &mut Lower<'_>,
    key: &str,
    word: Word,
    wrong: fn(&str) -> Option<String>,
) -> Option<String> {
    match wrong(&word.0) {
        Some(reason) => {
            cx.bad_word(key, &word, reason);
            None
        }
        None => Some(word.0),
    }
}

fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn wrong_path(text: &str) -> Option<String> {
    if !text.starts_with('/') {
        return Some("a path begins with `/`".into());
    }
    (!is_visible(text) || text.contains('#'))
        .then(|| "a path holds no blanks, no `#` and only ASCII; write them as %20, %23 ...".into())
}

fn wrong_host(text: &str) -> Option<String> {
    let fits = is_visible(text) && !text.contains(['/', '@']);
    (!fits).then(|| "expected a host name such as \"shop.example.org\"".into())
}

fn wrong_method(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    match (fits, text) {
        (true, "CONNECT") => Some("no page is asked for by CONNECT".into()),
        (true, _) => None,
        (false, _) => Some("expected a method such as \"GET\" or \"HEAD\"".into()),
    }
}

fn wrong_body(text: &str) -> Option<String> {
    let regex = text.strip_prefix('~')?;
    let error = regex::bytes::Regex::new(regex).err()?;
    Some(regex_reason(&error))
}

/// `200-204,3xx,401` as ranges.
fn statuses(cx: &mut Lower<'_>, word: &Word) -> Vec<(u16, u16)> {
    let parts = word.0.split(',').map(str::trim);
    let ranges: Option<Vec<_>> = parts.map(range).collect();
    ranges.unwrap_or_else(|| {
        let reason = "expected codes from 100 to 599, classes and ranges: \"200-204,3xx,401\"";
        cx.bad_word("expect", word, reason);
        Vec::new()
    })
}

fn range(text: &str) -> Option<(u16, u16)> {
    let code = |text: &str| {
        let code = text.parse().ok().filter(|code| (100..600).contains(code));
        code.filter(|_| text.len() == 3)
    };
    if let Some(class) = text.strip_suffix("xx") {
        let first = code(&format!("{class}00"))?;
        return Some((first, first + 99));
    }
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (code(first.trim())?, code(last.trim())?),
        None => (code(text)?, code(text)?),
    };
    (first <= last).then_some((first, last))
}

/// What is learnt from requests, if anything.
pub(super) fn passive(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<Passive> {
    let fields = fields.bool_or_table(cx, "passive")?;
    let share = fields.text_or_default(cx, "max_ejected");
    Some(Passive {
        errors: count(cx, &fields, "errors"),
        within: fields.time(cx, "within"),
        eject: fields.time(cx, "eject"),
        max_ejected: percent(cx, &share),
    })
}

fn percent(cx: &mut Lower<'_>, word: &Word) -> u8 {
    let number = word.0.strip_suffix('%').and_then(|n| n.parse().ok());
    number.filter(|n| *n <= 100).unwrap_or_else(|| {
        cx.bad_word(
            "max_ejected",
            word,
            "expected a share from \"0%\" to \"100%\"",
        );
        0
    })
}

/// Whether the servers can be checked so. `places` are theirs.
pub(super) fn check(cx: &mut Lower<'_>, upstream: &Upstream, fields: &Fields<'_>, places: &[Span]) {
    let Some(health) = &upstream.health else {
        return;
    };
    let here = fields.place("health");
    for (server, place) in upstream.servers.iter().zip(places) {
        let shown = &server.id;
        if health.port.is_some() && matches!(server.addr, UpstreamAddr::Unix(_)) {
            let message = format!("`{shown}` is a unix socket: it has no other `port`");
            let diagnostic = Diagnostic::error("bad-value", *place, message);
            cx.report(diagnostic.also(here, "the checks are set here"));
        }
        let speaks_http = matches!(
            server.protocol,
            UpstreamProtocol::Http | UpstreamProtocol::H2c | UpstreamProtocol::Tcp
        );
        if matches!(health.kind, CheckKind::Http { .. }) && !speaks_http {
            let message = format!("`{shown}` cannot be asked for a page by checks in this version");
            let diagnostic = Diagnostic::error("not-yet", *place, message)
                .help("type = \"tcp\" connects, type = \"ping\" pings a uwsgi or FastCGI server");
            cx.report(diagnostic.also(here, "the checks are set here"));
        }
        let pings = matches!(
            server.protocol,
            UpstreamProtocol::Uwsgi | UpstreamProtocol::FastCgi
        );
        if health.kind == CheckKind::Ping && !pings {
            let message = format!("`{shown}` cannot be pinged: only uwsgi and FastCGI have a ping");
            let diagnostic = Diagnostic::error("bad-value", *place, message)
                .help("health = { path = \"/healthz\" } asks for a page, health = true connects");
            cx.report(diagnostic.also(here, "the checks are set here"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_codes_classes_and_ranges() {
        assert_eq!(range("2xx"), Some((200, 299)));
        assert_eq!(range("401"), Some((401, 401)));
        assert_eq!(range("200-204"), Some((200, 204)));
        for wrong in ["", "2x", "99", "600", "0200", "204-200", "xx", "20x", "-"] {
            assert_eq!(range(wrong), None, "{wrong}");
        }
    }
}
