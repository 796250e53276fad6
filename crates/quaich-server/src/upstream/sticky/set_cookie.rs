//! `Set-Cookie` of an answer: ours made, the app's of that name taken out or marked. Pure; called by
//! `sticky`.

use quaich_config::model::StickyCookie;
use quaich_proto::headers::{HeaderId, Headers, InvalidField};

use super::cookie::MARK;

/// The value of the field that gives a client the cookie.
pub(super) fn value(settings: &StickyCookie, server: &str, https: bool) -> String {
    let mut text = format!("{}={server}; path={}", settings.name, settings.path);
    if let Some(domain) = &settings.domain {
        text.push_str("; domain=");
        text.push_str(domain);
    }
    if let Some(ttl) = settings.ttl {
        text.push_str(&format!("; Max-Age={}", ttl.as_secs()));
    }
    if settings.http_only {
        text.push_str("; HttpOnly");
    }
    if settings.secure.unwrap_or(https) {
        text.push_str("; Secure");
    }
    if let Some(same_site) = &settings.same_site {
        text.push_str("; SameSite=");
        text.push_str(same_site);
    }
    text
}

/// Takes out what sets the cookie `name`.
pub(super) fn remove(headers: &mut Headers, name: &[u8]) {
    if headers.contains(HeaderId::SetCookie) {
        headers.retain(|id, _, value| id != HeaderId::SetCookie || !is_named(value, name));
    }
}

/// Puts `server` and the mark before the value of each cookie `name` that is set.
pub(super) fn mark(headers: &mut Headers, name: &[u8], server: &str) -> Result<(), InvalidField> {
    let ours = headers.get_all(HeaderId::SetCookie);
    let ours: Vec<Vec<u8>> = ours
        .filter(|value| is_named(value, name))
        .map(<[u8]>::to_vec)
        .collect();
    if ours.is_empty() {
        return Ok(());
    }
    remove(headers, name);
    for value in ours {
        let Some(equal) = memchr::memchr(b'=', &value) else {
            continue;
        };
        let rest = value.get(equal + 1..).unwrap_or_default();
        let marked = [
            name,
            b"=",
            server.as_bytes(),
            &[MARK],
            rest.trim_ascii_start(),
        ]
        .concat();
        headers.push(b"Set-Cookie", &marked)?;
    }
    Ok(())
}

fn is_named(value: &[u8], name: &[u8]) -> bool {
    let end = value.iter().position(|byte| matches!(byte, b'=' | b';'));
    let (found, rest) = value.split_at(end.unwrap_or(value.len()));
    rest.first() == Some(&b'=') && found.trim_ascii() == name
}

/// Whether a cache between here and the client might keep the answer, and the cookie with it:
/// HAProxy's `nocache` asks the same.
pub fn is_cacheable(status: u16, headers: &Headers) -> bool {
    const BY_DEFAULT: [u16; 11] = [200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501];
    let mut cacheable = BY_DEFAULT.contains(&status);
    let pragma = headers.by_name(b"pragma").unwrap_or_default();
    if pragma.eq_ignore_ascii_case(b"no-cache") {
        return false;
    }
    let (mut fresh, mut refused) = (false, false);
    let all = headers.get_all(HeaderId::CacheControl);
    for word in all.flat_map(|value| value.split(|byte| *byte == b',')) {
        let word = word.trim_ascii().to_ascii_lowercase();
        match word.as_slice() {
            b"public" => cacheable = true,
            b"private" | b"no-cache" | b"no-store" | b"max-age=0" | b"s-maxage=0" => {
                refused = true;
            }
            word => fresh |= word.starts_with(b"max-age") || word.starts_with(b"s-maxage"),
        }
    }
    let dated = [&b"expires"[..], b"etag", b"last-modified"];
    // How long it may be kept holds whatever the status is (RFC 9111 section 3).
    !refused && (fresh || cacheable && dated.iter().any(|name| headers.by_name(name).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> StickyCookie {
        StickyCookie {
            name: "S".into(),
            ttl: None,
            secure: None,
            http_only: false,
            same_site: None,
            path: "/".into(),
            domain: None,
            plain: true,
        }
    }

    #[test]
    fn the_field_has_the_attributes_that_are_asked_for() {
        assert_eq!(value(&settings(), "one", false), "S=one; path=/");
        assert_eq!(value(&settings(), "one", true), "S=one; path=/; Secure");
        let all = StickyCookie {
            ttl: Some(std::time::Duration::from_secs(3600)),
            secure: Some(true),
            http_only: true,
            same_site: Some("Lax".into()),
            path: "/shop".into(),
            domain: Some("a.test".into()),
            ..settings()
        };
        assert_eq!(
            value(&all, "one", false),
            "S=one; path=/shop; domain=a.test; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"
        );
    }

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes()).unwrap();
        }
        headers
    }

    #[test]
    fn only_the_cookie_of_that_name_is_taken_out_or_marked() {
        let fields = [
            ("Set-Cookie", "S=app; Path=/"),
            ("X", "S=1"),
            ("Set-Cookie", "T=1; S=2"),
            ("Set-Cookie", "SS=1"),
        ];
        let mut without = headers(&fields);
        remove(&mut without, b"S");
        let values: Vec<_> = without.iter().map(|(_, _, value)| value).collect();
        assert_eq!(values, [&b"S=1"[..], b"T=1; S=2", b"SS=1"]);
        let mut marked = headers(&fields);
        mark(&mut marked, b"S", "one").unwrap();
        let last = marked.get_all(HeaderId::SetCookie).last();
        assert_eq!(last, Some(&b"S=one~app; Path=/"[..]));
        assert_eq!(marked.len(), 4);
    }

    #[test]
    fn an_answer_is_cacheable_with_freshness_or_a_validator() {
        for (status, fields, expected) in [
            (200, &[][..], false),
            (200, &[("Cache-Control", "max-age=60")], true),
            (200, &[("ETag", "\"a\"")], true),
            (200, &[("Last-Modified", "x")], true),
            (200, &[("Expires", "x")], true),
            (302, &[("ETag", "\"a\"")], false),
            (302, &[("Cache-Control", "max-age=60")], true),
            (302, &[("ETag", "\"a\""), ("Cache-Control", "public")], true),
            (
                200,
                &[("ETag", "\"a\""), ("Cache-Control", "No-Store")],
                false,
            ),
            (200, &[("Cache-Control", "private, max-age=60")], false),
            (200, &[("ETag", "\"a\""), ("Pragma", "no-cache")], false),
        ] {
            assert_eq!(
                is_cacheable(status, &headers(fields)),
                expected,
                "{fields:?}"
            );
        }
    }
}
