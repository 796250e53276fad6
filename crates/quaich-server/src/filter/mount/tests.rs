//! What becomes of the fields of mounted apps.

use super::place::Place;
use super::{Mount, Own, cookie};

fn mount(always: bool) -> Mount {
    Mount {
        prefix: b"/tools/app".to_vec(),
        always,
        own: Own {
            servers: vec![("127.0.0.1".into(), 8000), ("app.internal".into(), 80)],
            is_local: true,
        },
    }
}

fn place<'p>(mount: &'p Mount, (https, authority): (bool, &'p str), outer: &'p str) -> Place<'p> {
    Place::at(
        mount,
        (https, authority.as_bytes()),
        outer.as_bytes(),
        "http://found.test:81",
    )
}

fn shown(changed: Option<Vec<u8>>, before: &str) -> String {
    changed.map_or_else(
        || before.to_owned(),
        |text| String::from_utf8(text).expect("text"),
    )
}

#[test]
fn urls_of_the_app_become_those_of_the_client() {
    let mount = mount(false);
    let place = place(&mount, (false, "example.org:8080"), "");
    for (url, expected) in [
        ("/x", "/tools/app/x"),
        ("/", "/tools/app/"),
        ("/x?y=/z#f", "/tools/app/x?y=/z#f"),
        ("/tools/app", "/tools/app"),
        ("/tools/app/", "/tools/app/"),
        ("/tools/app?x", "/tools/app?x"),
        ("/tools/app#x", "/tools/app#x"),
        ("/tools/apps", "/tools/app/tools/apps"),
        ("/tools", "/tools/app/tools"),
        ("/\\x", "/tools/app/\\x"),
        ("x", "x"),
        ("../x", "../x"),
        ("", ""),
        ("?x", "?x"),
        ("#x", "#x"),
        ("mailto:a@b", "mailto:a@b"),
        // Its own addresses.
        (
            "http://127.0.0.1:8000/x",
            "http://example.org:8080/tools/app/x",
        ),
        (
            "HTTP://LOCALHOST:8000/x",
            "http://example.org:8080/tools/app/x",
        ),
        ("http://[::1]:8000", "http://example.org:8080/tools/app/"),
        (
            "http://127.0.0.1:8000?q",
            "http://example.org:8080/tools/app/?q",
        ),
        (
            "http://app.internal/x",
            "http://example.org:8080/tools/app/x",
        ),
        (
            "http://app.internal:80/tools/app/x",
            "http://example.org:8080/tools/app/x",
        ),
        ("//app.internal/x", "//example.org:8080/tools/app/x"),
        (
            "http://found.test:81/x",
            "http://example.org:8080/tools/app/x",
        ),
        ("http://127.0.0.1:8001/x", "http://127.0.0.1:8001/x"),
        ("https://app.internal/x", "https://app.internal/x"),
        // That of the client.
        (
            "http://example.org:8080/x",
            "http://example.org:8080/tools/app/x",
        ),
        (
            "http://Example.ORG:8080/x",
            "http://Example.ORG:8080/tools/app/x",
        ),
        (
            "http://example.org:8080",
            "http://example.org:8080/tools/app/",
        ),
        (
            "http://example.org:8080/tools/app/x",
            "http://example.org:8080/tools/app/x",
        ),
        ("//example.org:8080/x", "//example.org:8080/tools/app/x"),
        // Those of others.
        ("http://example.org/x", "http://example.org/x"),
        ("http://other.test/x", "http://other.test/x"),
        (
            "http://example.org:8080@other.test/x",
            "http://example.org:8080@other.test/x",
        ),
        (
            "http://example.org:8080.other.test/",
            "http://example.org:8080.other.test/",
        ),
        ("http:///x", "http:///x"),
        ("http://", "http://"),
    ] {
        assert_eq!(shown(place.url(url.as_bytes()), url), expected, "{url}");
    }
}

#[test]
fn an_app_behind_tls_that_says_http_is_not_believed() {
    let mount = mount(false);
    let secure = place(&mount, (true, "example.org"), "");
    for (url, expected) in [
        ("http://example.org/x", "https://example.org/tools/app/x"),
        (
            "http://example.org/tools/app/x",
            "https://example.org/tools/app/x",
        ),
        ("https://example.org/x", "https://example.org/tools/app/x"),
        (
            "https://example.org:443/x",
            "https://example.org:443/tools/app/x",
        ),
        (
            "https://example.org/tools/app/x",
            "https://example.org/tools/app/x",
        ),
        ("http://127.0.0.1:8000/x", "https://example.org/tools/app/x"),
        ("http://example.org:8080/x", "http://example.org:8080/x"),
    ] {
        assert_eq!(shown(secure.url(url.as_bytes()), url), expected, "{url}");
    }
    let plain = place(&mount, (false, "example.org"), "");
    let up = "https://example.org/login";
    assert_eq!(
        shown(plain.url(up.as_bytes()), up),
        "https://example.org/tools/app/login"
    );
}

#[test]
fn an_outer_mount_point_comes_first() {
    let mount = mount(false);
    let place = place(&mount, (false, "example.org"), "/outer");
    for (url, expected) in [
        ("/x", "/outer/tools/app/x"),
        ("/outer/tools/app/x", "/outer/tools/app/x"),
        ("/tools/app/x", "/outer/tools/app/x"),
    ] {
        assert_eq!(shown(place.url(url.as_bytes()), url), expected, "{url}");
    }
}

#[test]
fn always_means_also_what_has_the_prefix() {
    let mount = mount(true);
    let place = place(&mount, (false, "example.org"), "");
    let url = "/tools/app/x";
    assert_eq!(
        shown(place.url(url.as_bytes()), url),
        "/tools/app/tools/app/x"
    );
}

#[test]
fn refresh_and_link_hold_urls() {
    let mount = mount(false);
    let place = place(&mount, (false, "example.org"), "");
    for (value, expected) in [
        ("5; url=/x", "5; url=/tools/app/x"),
        ("0;URL='/x'", "0;URL='/tools/app/x'"),
        ("5 , Url = \"/x\" y", "5 , Url = \"/tools/app/x\" y"),
        ("1.5;/x", "1.5;/tools/app/x"),
        (
            "5; url=http://127.0.0.1:8000/",
            "5; url=http://example.org/tools/app/",
        ),
        ("5; url=x", "5; url=x"),
        ("5", "5"),
        ("5; url", "5; url"),
        ("5;", "5;"),
        ("", ""),
        ("x; url=/x", "x; url=/x"),
    ] {
        assert_eq!(
            shown(place.refresh(value.as_bytes()), value),
            expected,
            "{value}"
        );
    }
    for (value, expected) in [
        ("</x>; rel=preload", "</tools/app/x>; rel=preload"),
        (
            "</a>; rel=\"next\", <b>; rel=prev, </c>; title=\"x, </d>\\\" </e>\"",
            "</tools/app/a>; rel=\"next\", <b>; rel=prev, </tools/app/c>; title=\"x, </d>\\\" </e>\"",
        ),
        ("<http://other.test/>; rel=x", "<http://other.test/>; rel=x"),
        ("</x", "</x"),
        ("</a>, </b", "</a>, </b"),
        ("", ""),
        ("\\<", "\\<"),
    ] {
        assert_eq!(
            shown(place.link(value.as_bytes()), value),
            expected,
            "{value}"
        );
    }
}

#[test]
fn cookies_belong_to_the_mount_point() {
    let mount = mount(false);
    let place = place(&mount, (false, "www.example.org"), "");
    for (value, expected) in [
        ("a=1; Path=/", "a=1; Path=/tools/app"),
        (
            "a=1; Path=/sub; HttpOnly",
            "a=1; Path=/tools/app/sub; HttpOnly",
        ),
        ("a=1;path=/ ;  Secure ;", "a=1;path=/tools/app ;  Secure ;"),
        ("a=1; PATH = /x", "a=1; PATH = /tools/app/x"),
        ("a=1; Path=/tools/app", "a=1; Path=/tools/app"),
        ("a=1; Path=/tools/app/x", "a=1; Path=/tools/app/x"),
        ("a=1; Path=/tools/apps", "a=1; Path=/tools/app/tools/apps"),
        (
            "a=1; Path=/; Path=/x",
            "a=1; Path=/tools/app; Path=/tools/app/x",
        ),
        ("a=1", "a=1"),
        ("a=1; HttpOnly", "a=1; HttpOnly"),
        ("a=1; Path", "a=1; Path"),
        ("a=1; Path=", "a=1; Path="),
        ("a=1; Path=\"/\"", "a=1; Path=\"/\""),
        ("a=1; Path=x", "a=1; Path=x"),
        ("path=/; HttpOnly", "path=/; HttpOnly"),
        ("a=path=/", "a=path=/"),
        ("__Host-a=1; Path=/; Secure", "__Host-a=1; Path=/; Secure"),
        (
            "__Secure-a=1; Path=/; Secure",
            "__Secure-a=1; Path=/tools/app; Secure",
        ),
        ("a=1; Domain=127.0.0.1; Path=/", "a=1; Path=/tools/app"),
        ("a=1; domain=.LOCALHOST", "a=1"),
        (
            "a=1; Path=/; Domain=app.internal; Max-Age=1",
            "a=1; Path=/tools/app; Max-Age=1",
        ),
        ("a=1; Domain=found.test", "a=1"),
        ("a=1; Domain=example.org", "a=1; Domain=example.org"),
        ("a=1; Domain=www.example.org", "a=1; Domain=www.example.org"),
        ("a=1; Domain=other.test", "a=1; Domain=other.test"),
        ("a=1; Domain=", "a=1; Domain="),
        ("", ""),
        (";;", ";;"),
        (";Path=/", ";Path=/tools/app"),
    ] {
        let changed = cookie::set_cookie(&place, value.as_bytes());
        assert_eq!(shown(changed, value), expected, "{value}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_that_is_sent_makes_it_panic_and_a_second_pass_changes_nothing(
        value in "(/|//|https?://|<|>|\"|;|,|=|5|url=|path=|domain=|tools/app|127.0.0.1|:8000|example.org|\\\\|[a-z]|\\PC){0,12}",
    ) {
        let mount = mount(false);
        let place = place(&mount, (false, "example.org"), "");
        let bytes = value.as_bytes();
        type Change<'c> = &'c dyn Fn(&[u8]) -> Option<Vec<u8>>;
        let changes: [Change<'_>; 4] = [
            &|value| place.url(value),
            &|value| place.link(value),
            &|value| place.refresh(value),
            &|value| cookie::set_cookie(&place, value),
        ];
        for change in changes {
            if let Some(once) = change(bytes) {
                proptest::prop_assert_eq!(change(&once), None, "{:?}", String::from_utf8_lossy(&once));
            }
        }
    }
}
