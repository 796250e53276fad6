//! `cors = { ... }`: which other origins may read answers.

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::lower::Lower;
use crate::lower::conditions::is_token;
use crate::lower::fields::{Fields, Word};
use crate::lower::pattern::regex_reason;
use crate::lower::site::Names;
use crate::model::{Cors, CorsPolicy, HostPattern, OriginPattern, OriginPort};

/// Of a site, or of a route of a site with `site`.
pub(super) fn lower(
    cx: &mut Lower<'_>,
    _names: &mut Names<'_>,
    (fields, site): (&Fields<'_>, Option<&Cors>),
) -> Cors {
    if !fields.has("cors") {
        fields.entry(cx, "cors");
        return site.cloned().unwrap_or_default();
    }
    if !fields.flag_is_set("cors") {
        fields.entry(cx, "cors");
        return Cors::default();
    }
    let table = fields.table(cx, "cors");
    let policy = CorsPolicy {
        origins: origins(cx, &table),
        methods: names(cx, &table, "methods").unwrap_or_else(|| {
            let default = ["GET", "HEAD", "POST"];
            default.map(str::to_owned).to_vec()
        }),
        headers: names(cx, &table, "headers").unwrap_or_default(),
        expose: names(cx, &table, "expose").unwrap_or_default(),
        credentials: table.flag(cx, "credentials"),
        max_age: table.time(cx, "max_age"),
    };
    if policy.credentials {
        check_credentials(cx, &table, &policy);
    }
    Cors {
        policy: Some(policy),
    }
}

/// With credentials `*` would let every site of the world act for the user (Fetch standard 3.3.5).
fn check_credentials(cx: &mut Lower<'_>, table: &Fields<'_>, policy: &CorsPolicy) {
    let any = |names: &[String]| names.iter().any(|name| name == "*");
    let (key, message) = if policy.origins.contains(&OriginPattern::Any) {
        let message = "`credentials` are not for every origin: any site could act for the user";
        ("origins", message)
    } else if any(&policy.expose) {
        let message = "with `credentials`, browsers do not take `expose = \"*\"` for a wildcard";
        ("expose", message)
    } else {
        return;
    };
    let diagnostic = Diagnostic::error("bad-value", table.place(key), message);
    cx.report(diagnostic.help("name them, or remove `credentials`"));
}

fn origins(cx: &mut Lower<'_>, table: &Fields<'_>) -> Vec<OriginPattern> {
    let Some(words) = table.texts(cx, "origins") else {
        if !table.has("origins") && table.table.is_some() {
            let diagnostic =
                Diagnostic::error("missing-key", table.span, "`cors` has no `origins`");
            let help = "cors = { origins = [\"https://app.example.org\"] }";
            table.missing(cx, diagnostic.help(help));
        }
        return Vec::new();
    };
    if words.is_empty() {
        let message = "`origins` is an empty list: nobody could read anything";
        let diagnostic = Diagnostic::error("bad-value", table.place("origins"), message);
        cx.report(diagnostic.help("cors = \"off\""));
    }
    let read = |word: &Word| match origin(&word.0) {
        Ok(origin) => Some(origin),
        Err(reason) => {
            cx.bad_word("origins", word, reason);
            None
        }
    };
    words.iter().filter_map(read).collect()
}

/// Reads one origin.
fn origin(text: &str) -> Result<OriginPattern, String> {
    match text {
        "*" => return Ok(OriginPattern::Any),
        "null" => return Ok(OriginPattern::Null),
        _ => {}
    }
    if let Some(regex) = text.strip_prefix('~') {
        let compiled = regex::bytes::Regex::new(regex);
        return match compiled {
            Ok(_) => Ok(OriginPattern::Regex(regex.to_owned())),
            Err(error) => Err(regex_reason(&error)),
        };
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(format!("an origin has a scheme: write \"https://{text}\""));
    };
    if let Some((host, _)) = rest.split_once(['/', '?', '#']) {
        return Err(format!(
            "an origin has no path: write \"{scheme}://{host}\""
        ));
    }
    let scheme = scheme.to_ascii_lowercase();
    let fits = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.chars().all(fits) {
        return Err("expected a scheme such as \"https\"".into());
    }
    let (host, port) = split_port(rest)?;
    let host = addr::host(host)?;
    if host == HostPattern::Any {
        return Err(format!(
            "name a host, \"{scheme}://*.example.org\"; \"*\" alone is every origin"
        ));
    }
    let port = match port {
        OriginPort::Number(port) if Some(port) == default_port(&scheme) => OriginPort::Default,
        port => port,
    };
    Ok(OriginPattern::Plain { scheme, host, port })
}

/// The port that browsers leave out.
fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

fn split_port(text: &str) -> Result<(&str, OriginPort), String> {
    let end_of_host = text.find(']').map_or(0, |at| at + 1);
    let Some(colon) = text[end_of_host..].find(':') else {
        return Ok((text, OriginPort::Default));
    };
    let (host, port) = text.split_at(end_of_host + colon);
    match &port[1..] {
        "*" => Ok((host, OriginPort::Any)),
        digits => match digits.parse() {
            Ok(0) | Err(_) => Err("expected a port from 1 to 65535, or `*`".into()),
            Ok(number) => Ok((host, OriginPort::Number(number))),
        },
    }
}

/// Names of methods or fields. Absent: `None`.
fn names(cx: &mut Lower<'_>, table: &Fields<'_>, key: &str) -> Option<Vec<String>> {
    let words = table.texts(cx, key)?;
    for word in &words {
        if !is_token(&word.0) {
            cx.bad_word(key, word, "expected a name, or \"*\" for any");
        } else if word.0 == "*" && words.len() > 1 {
            cx.bad_word(key, word, "`*` is all of them: it stands alone");
        } else if key == "methods" && word.0.chars().any(|c| c.is_ascii_lowercase()) {
            let upper = word.0.to_uppercase();
            let reason = format!("methods are case-sensitive: write \"{upper}\"");
            cx.bad_word(key, word, reason);
        }
    }
    Some(words.into_iter().map(|word| word.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_reads_back_as_it_is_shown() {
        for (text, shown) in [
            ("*", "*"),
            ("null", "null"),
            ("~https://[a-z]+[.]test", "~https://[a-z]+[.]test"),
            ("HTTPS://App.Example.org:443", "https://app.example.org"),
            ("http://localhost:*", "http://localhost:*"),
            ("http://*.test:8080", "http://*.test:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("tauri://localhost", "tauri://localhost"),
        ] {
            let origin = origin(text).expect(text);
            assert_eq!(origin.show(), shown);
            assert_eq!(super::origin(shown), Ok(origin));
        }
        for text in [
            "",
            "example.org",
            "https://",
            "https://*",
            "https://a.test/",
            "https://a.test:0",
            "https://a.test:x",
            "https://u@a.test",
            "~(",
            "1://a.test",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }
}
