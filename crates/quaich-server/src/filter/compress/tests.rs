//! The decision, head in and head out.

use super::*;

fn headers(lines: &str) -> Headers {
    let mut headers = Headers::new();
    let block = lines.replace('\n', "\r\n");
    headers.append_block(block.as_bytes()).expect("valid lines");
    headers
}

fn filter(change: impl FnOnce(&mut model::Compress)) -> Compress {
    let mut settings = model::Compress::default();
    change(&mut settings);
    Compress {
        eligible: Eligible::new(&settings).expect("it is on"),
        codings: settings.codings.iter().copied().map(coding).collect(),
        levels: settings.levels,
        cookies: settings.cookies,
    }
}

fn exchange(request: &str, status: u16, response: &str) -> Exchange {
    let mut exchange = Exchange::default();
    exchange.request.headers = headers(request);
    exchange.response.status = status;
    exchange.response.headers = headers(response);
    exchange
}

fn field(exchange: &Exchange, id: HeaderId) -> Option<String> {
    let value = exchange.response.headers.get(id)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

const ALL: &str = "Accept-Encoding: gzip, deflate, br, zstd\n";
const HTML: &str = "Content-Type: text/html\n";

#[test]
fn what_has_no_body_or_is_coded_or_must_stay_is_left_alone() {
    let filter = filter(|_| ());
    for (status, response, length) in [
        (204, HTML, None),
        (205, HTML, None),
        (206, HTML, Some(5000)),
        (304, HTML, None),
        (200, "", Some(5000)),
        (200, "Content-Type: image/png\n", Some(5000)),
        (200, HTML, Some(1023)),
        (
            200,
            "Content-Type: text/html\nContent-Encoding: br\n",
            Some(5000),
        ),
        (
            200,
            "Content-Type: text/html\nContent-Encoding: identity\n",
            Some(5000),
        ),
        (
            200,
            "Content-Type: text/html\nContent-Range: bytes 0-9/10\n",
            Some(5000),
        ),
        (
            200,
            "Content-Type: text/html\nCache-Control: public, No-Transform\n",
            Some(5000),
        ),
    ] {
        let mut exchange = exchange(ALL, status, response);
        assert_eq!(
            filter.decide(&mut exchange, length),
            None,
            "{status} {response}"
        );
        assert_eq!(
            field(&exchange, HeaderId::Vary),
            None,
            "{status} {response}"
        );
    }
}

#[test]
fn all_other_answers_of_a_type_are_coded_with_what_the_client_likes_best() {
    let filter = filter(|_| ());
    for (accepts, expected) in [
        (ALL, Some(Coding::Zstd)),
        ("Accept-Encoding: gzip\n", Some(Coding::Gzip)),
        ("Accept-Encoding: gzip, br\n", Some(Coding::Brotli)),
        ("Accept-Encoding: gzip, br;q=0.9\n", Some(Coding::Gzip)),
        ("Accept-Encoding: *;q=0.1\n", Some(Coding::Zstd)),
        ("Accept-Encoding: identity\n", None),
        ("Accept-Encoding: gzip;q=0\n", None),
        ("", None),
    ] {
        for status in [200, 201, 203, 403, 404, 500, 503] {
            for length in [None, Some(1024)] {
                let mut exchange = exchange(accepts, status, HTML);
                let shape = filter.decide(&mut exchange, length);
                assert_eq!(
                    shape.map(|shape| shape.coding),
                    expected,
                    "{accepts} {status}"
                );
                // Also for those who got it as it is.
                let vary = field(&exchange, HeaderId::Vary);
                assert_eq!(vary.as_deref(), Some("Accept-Encoding"));
            }
        }
    }
}

#[test]
fn the_order_of_the_settings_decides_between_equals() {
    let filter = filter(|settings| {
        settings.codings = vec![ContentCoding::Gzip, ContentCoding::Zstd];
    });
    let mut exchange = exchange(ALL, 200, HTML);
    let shape = filter.decide(&mut exchange, None).expect("coded");
    assert_eq!(
        (shape.coding, shape.level, shape.live),
        (Coding::Gzip, 4, false)
    );
}

#[test]
fn a_request_for_a_range_gets_the_body_as_it_is_and_is_told_that_it_varies() {
    let filter = filter(|_| ());
    let request = format!("{ALL}Range: bytes=0-3\n");
    let mut exchange = exchange(&request, 200, HTML);
    assert_eq!(filter.decide(&mut exchange, None), None);
    assert!(field(&exchange, HeaderId::Vary).is_some());
}

#[test]
fn cookies_keep_an_answer_as_it_is_where_that_is_asked_for() {
    let response = "Content-Type: text/html\nSet-Cookie: a=1\n";
    for (cookies, coded) in [(true, true), (false, false)] {
        let filter = filter(|settings| settings.cookies = cookies);
        let mut exchange = exchange(ALL, 200, response);
        assert_eq!(filter.decide(&mut exchange, None).is_some(), coded);
    }
}

#[test]
fn event_streams_are_coded_with_little_memory() {
    let filter = filter(|settings| settings.levels = CompressLevels::BEST);
    let mut exchange = exchange(ALL, 200, "Content-Type: text/event-stream; charset=utf-8\n");
    let shape = filter.decide(&mut exchange, None).expect("coded");
    assert!(shape.live && shape.level == CompressLevels::FAST.zstd);
}

#[test]
fn what_asks_for_gzip_gets_it_whatever_its_type() {
    let filter = filter(|_| ());
    for (accepts, length, expected) in [
        (ALL, None, Some(Coding::Gzip)),
        ("Accept-Encoding: br\n", None, None),
        (ALL, Some(5000), None),
    ] {
        let mut exchange = exchange(accepts, 200, "Content-Type: image/png\n");
        exchange.notes.asks_gzip = true;
        let shape = filter.decide(&mut exchange, length);
        assert_eq!(
            shape.map(|shape| shape.coding),
            expected,
            "{accepts} {length:?}"
        );
    }
}

#[test]
fn vary_is_joined_to_what_is_there_and_never_doubled() {
    for (before, after) in [
        ("", "Accept-Encoding"),
        ("Vary: Cookie\n", "Cookie, Accept-Encoding"),
        (
            "Vary: Cookie\nVary: Origin\n",
            "Cookie, Origin, Accept-Encoding",
        ),
        ("Vary: accept-encoding, Cookie\n", "accept-encoding, Cookie"),
        ("Vary: *\n", "*"),
    ] {
        let mut headers = headers(before);
        vary(&mut headers);
        let all: Vec<&[u8]> = headers.get_all(HeaderId::Vary).collect();
        assert_eq!(all, [after.as_bytes()]);
    }
}

#[test]
fn the_fields_of_a_coded_answer_hold_for_its_coded_bytes() {
    let mut headers = headers(
        "ETag: \"a\"\nContent-Length: 5\nAccept-Ranges: bytes\nContent-MD5: x\nContent-Digest: y\n\
         Repr-Digest: z\n",
    );
    dress(&mut headers, Coding::Gzip);
    let all: Vec<String> = headers
        .iter()
        .map(|(_, name, value)| {
            let (name, value) = (name.to_ascii_lowercase(), value.to_vec());
            String::from_utf8([name, value].join(&b"="[..])).expect("text")
        })
        .collect();
    assert_eq!(
        all,
        ["repr-digest=z", "etag=W/\"a\"", "content-encoding=gzip"]
    );
    let mut weak = self::headers("ETag: W/\"a\"\n");
    dress(&mut weak, Coding::Brotli);
    assert_eq!(weak.get(HeaderId::Etag), Some(&b"W/\"a\""[..]));
}

#[test]
fn not_modified_names_the_tag_that_the_client_knows() {
    let filter = filter(|_| ());
    for (known, tag, expected) in [
        ("W/\"a\"", "\"a\"", "W/\"a\""),
        ("\"b\", W/\"a\"", "\"a\"", "W/\"a\""),
        ("\"a\"", "\"a\"", "\"a\""),
        ("W/\"b\"", "\"a\"", "\"a\""),
        ("W/\"a\"", "W/\"a\"", "W/\"a\""),
        ("*", "\"a\"", "\"a\""),
    ] {
        let request = format!("Accept-Encoding: gzip\nIf-None-Match: {known}\n");
        let mut exchange = exchange(&request, 304, &format!("ETag: {tag}\n"));
        filter.decide(&mut exchange, None);
        assert_eq!(
            field(&exchange, HeaderId::Etag).as_deref(),
            Some(expected),
            "{known}"
        );
    }
}

#[test]
fn rendered_lines_tell_their_type_unless_they_are_coded() {
    let lines = b"ETag: \"x\"\r\nContent-Type: text/css\r\nContent-Length: 9\r\n";
    assert_eq!(rendered_type(lines), Some(&b"text/css"[..]));
    assert_eq!(
        rendered_type(b"Content-Type: a/b\r\nContent-Encoding: br\r\n"),
        None
    );
    assert_eq!(rendered_type(b""), None);
}

#[test]
fn a_file_that_is_small_or_of_another_type_keeps_the_lines_that_are_rendered() {
    let filter = filter(|_| ());
    let html = b"Content-Type: text/html\r\n";
    for (asked, lines, length, changes) in [
        (ALL, &html[..], 5000, true),
        (ALL, html, 1023, false),
        (ALL, b"Content-Type: image/png\r\n", 5000, false),
        (ALL, b"ETag: \"x\"\r\n", 5000, false),
        ("", html, 5000, false),
    ] {
        let exchange = exchange(asked, 200, "");
        let changed = filter.changes_rendered(&exchange, lines, length);
        assert_eq!(changed, changes, "{asked} {length}");
    }
}
