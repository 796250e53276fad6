//! Texts with `{placeholders}`: whether every one of them is filled in where the text is used.

use crate::diagnostic::Diagnostic;
use crate::lower::Lower;
use crate::lower::fields::Word;

/// Placeholders that every request can fill in; `{header.NAME}` and `{cookie.NAME}` besides.
const REQUEST: [&str; 8] = [
    "host",
    "path",
    "query",
    "scheme",
    "method",
    "client_ip",
    "request_id",
    "user",
];

/// Reports the first placeholder of `word`, the value of `key`, that is not filled in. `more` are those
/// that are beside those of every request: `status`, groups of a pattern by number or name.
pub(crate) fn check(cx: &mut Lower<'_>, key: &str, word: &Word, more: &[&str]) {
    if let Some((variable, instead)) = of_nginx(&word.0, key == "to") {
        let message = format!("`{variable}` is no placeholder: it stays as it is written");
        let warning = Diagnostic::warning("nginx-variable", word.1, message);
        cx.report(warning.label(instead));
    }
    let Some(bad) = unknown(&word.0, more) else {
        return;
    };
    let known: Vec<String> = REQUEST
        .iter()
        .chain(more)
        .map(|name| format!("{{{name}}}"))
        .collect();
    let reason = format!(
        "`{{{bad}}}` is not filled in here; {} {{header.NAME}} {{cookie.NAME}} are, and `{{{{` is a brace",
        known.join(" ")
    );
    cx.bad_word(key, word, reason);
}

/// The first `$variable` of nginx in `text`, and what to write for it. Groups, `$1`, only where they
/// can be meant.
fn of_nginx(text: &str, with_groups: bool) -> Option<(&str, String)> {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let from = &rest[at..];
        let braced = from.starts_with("${");
        let name = &from[if braced { 2 } else { 1 }..];
        let end = name.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        let name = &name[..end.unwrap_or(name.len())];
        let whole = 1 + name.len() + if braced { 2 } else { 0 };
        if let Some(instead) = instead_of(name, with_groups) {
            return Some((from.get(..whole).unwrap_or(from), instead));
        }
        rest = &from[1..];
    }
    None
}

/// What to write for a variable of nginx; `None` = nginx has none of this name.
fn instead_of(name: &str, with_groups: bool) -> Option<String> {
    let placeholder = match name {
        "host" | "http_host" | "server_name" => "{host}",
        "request_uri" => "{path}{query}",
        "uri" | "document_uri" => "{path}",
        "args" | "query_string" | "is_args" => "{query}, which has its question mark",
        "scheme" => "{scheme}",
        "request_method" => "{method}",
        "remote_addr" | "binary_remote_addr" => "{client_ip}",
        "request_id" => "{request_id}",
        "remote_user" => "{user}",
        "status" => "{status}",
        "proxy_add_x_forwarded_for" => return Some("quaich writes X-Forwarded-For itself".into()),
        "server_port" | "remote_port" | "server_addr" | "server_protocol" | "request_body"
        | "content_type" | "content_length" | "request_time" | "time_local" | "connection" => {
            return Some("there is no placeholder for it".into());
        }
        _ => return instead_of_kind(name, with_groups),
    };
    Some(format!("write {placeholder}"))
}

fn instead_of_kind(name: &str, with_groups: bool) -> Option<String> {
    let field = name.strip_prefix("http_").filter(|name| !name.is_empty());
    let cookie = name.strip_prefix("cookie_").filter(|name| !name.is_empty());
    if let Some(field) = field {
        return Some(format!("write {{header.{}}}", field.replace('_', "-")));
    }
    if let Some(cookie) = cookie {
        return Some(format!("write {{cookie.{cookie}}}"));
    }
    if matches!(name.as_bytes(), [b'1'..=b'9']) && with_groups {
        return Some(format!("write {{{name}}}"));
    }
    let others = ["upstream_", "ssl_", "arg_", "sent_http_"];
    let is_other = others.iter().any(|kind| name.starts_with(kind));
    is_other.then(|| "there is no placeholder for it".into())
}

fn unknown<'t>(text: &'t str, more: &[&str]) -> Option<&'t str> {
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let from = &rest[at..];
        if from.starts_with("{{") || from.starts_with("}}") {
            rest = &from[2..];
            continue;
        }
        let Some((name, behind)) = from.strip_prefix('{').and_then(|from| from.split_once('}'))
        else {
            return Some(from);
        };
        let named = ["header.", "cookie."]
            .iter()
            .any(|kind| name.strip_prefix(kind).is_some_and(|name| !name.is_empty()));
        if !(REQUEST.contains(&name) || more.contains(&name) || named) {
            return Some(name);
        }
        rest = behind;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_nginx_are_told_from_other_dollars() {
        let instead = |text| of_nginx(text, true);
        let is = |name, instead: &str| Some((name, instead.to_owned()));
        assert_eq!(
            instead("https://$host$request_uri"),
            is("$host", "write {host}")
        );
        assert_eq!(instead("/new/$1"), is("$1", "write {1}"));
        assert_eq!(of_nginx("/new/$1", false), None);
        assert_eq!(
            instead("${http_x_real_ip}x"),
            is("${http_x_real_ip}", "write {header.x-real-ip}")
        );
        assert_eq!(instead("$cookie_Id"), is("$cookie_Id", "write {cookie.Id}"));
        assert_eq!(
            instead("$upstream_addr"),
            is("$upstream_addr", "there is no placeholder for it")
        );
        for text in ["", "$", "a$", "$price", "US$ 5", "$10", "$hosts", "$http_"] {
            assert_eq!(instead(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_can_be_filled_in_is_let_through() {
        assert_eq!(unknown("{host}{{x}}{header.a}{cookie.b}", &[]), None);
        assert_eq!(unknown("{status}", &["status"]), None);
        assert_eq!(unknown("{status}", &[]), Some("status"));
        assert_eq!(unknown("{header.}", &[]), Some("header."));
        assert_eq!(unknown("a{host", &[]), Some("{host"));
        assert_eq!(unknown("a}", &[]), Some("}"));
    }
}
