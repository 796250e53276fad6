//! Status, header fields and bytes of an answer.

use std::time::Duration;

use super::*;

/// 1994-11-06 08:49:37 UTC and a half.
const MODIFIED: Duration = Duration::from_millis(784_111_777_500);
const LAST_MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn digits() -> Tree {
    let tree = Tree::new();
    let path = tree.write("digits.txt", "0123456789");
    set_modified(&path, MODIFIED);
    tree
}

fn set_modified(path: &Path, since_1970: Duration) {
    let file = fs::File::options().write(true).open(path).expect("a file");
    file.set_modified(UNIX_EPOCH + since_1970)
        .expect("its time");
}

#[test]
fn a_plain_answer_describes_the_file() {
    let tree = digits();
    let handler = tree.handler(|_| {});
    let got = answer(get("/digits.txt").of(&handler));
    assert_eq!((got.status(), body(&got)), (200, b"0123456789".to_vec()));
    let expected = [
        ("Last-Modified", Some(LAST_MODIFIED)),
        ("Content-Type", Some("text/plain; charset=utf-8")),
        ("Content-Length", Some("10")),
        ("Accept-Ranges", Some("bytes")),
        ("Content-Encoding", None),
        ("Vary", None),
        ("Cache-Control", None),
        ("Expires", None),
    ];
    for (name, value) in expected {
        assert_eq!(field(&got, name).as_deref(), value, "{name}");
    }
    let nanoseconds = MODIFIED.as_nanos();
    assert_eq!(field(&got, "ETag"), Some(format!("\"{nanoseconds:x}-a\"")));
    let head = answer(get("/digits.txt").method(Method::Head).of(&handler));
    assert_eq!((head.status(), head.head()), (200, got.head()));
    assert!(head.piece(0).is_none() && head.body_len() == 0);
    assert_eq!(head.content_length(), Some(10));
}

#[test]
fn an_empty_file_has_no_pieces() {
    let tree = Tree::new();
    tree.write("empty", "");
    let got = answer(get("/empty").of(&tree.handler(|_| {})));
    assert_eq!((got.status(), got.body_len()), (200, 0));
    assert_eq!(field(&got, "Content-Length").as_deref(), Some("0"));
    assert!(got.piece(0).is_none());
}

#[test]
fn large_files_are_sent_from_their_descriptor_and_small_ones_from_memory() {
    let tree = Tree::new();
    tree.write("small", vec![b's'; 64 * 1024]);
    tree.write("large", vec![b'l'; 64 * 1024 + 1]);
    let handler = tree.handler(|_| {});
    let small = answer(get("/small").of(&handler));
    assert!(matches!(small.piece(0), Some(Piece::Memory(bytes)) if bytes.len() == 65_536));
    let large = answer(get("/large").of(&handler));
    assert!(matches!(
        large.piece(0),
        Some(Piece::File {
            offset: 0,
            len: 65_537,
            ..
        })
    ));
    assert_eq!(body(&large), vec![b'l'; 65_537]);
}

#[test]
fn expires_sets_both_fields_on_200_206_and_304() {
    let tree = digits();
    let handler = tree.handler(|files| files.expires = Some(Duration::from_secs(3600)));
    let now = later();
    let at = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now + 3600));
    let since: &[_] = &[("If-Modified-Since", LAST_MODIFIED)];
    for (fields, status) in [
        (&[][..], 200),
        (&[("Range", "bytes=0-1")], 206),
        (since, 304),
    ] {
        let got = answer(get("/digits.txt").fields(fields).at(now).of(&handler));
        assert_eq!(got.status(), status);
        assert_eq!(
            field(&got, "Cache-Control").as_deref(),
            Some("max-age=3600")
        );
        assert_eq!(field(&got, "Expires").as_deref(), Some(at.as_str()));
        assert!(field(&got, "ETag").is_some());
    }
}

#[test]
fn times_that_no_date_can_name_are_left_out_and_future_ones_are_now() {
    let tree = Tree::new();
    let path = tree.write("future", "x");
    let now = later();
    set_modified(&path, Duration::from_secs(now + 100_000));
    let handler = tree.handler(|_| {});
    let got = answer(get("/future").at(now).of(&handler));
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now));
    assert_eq!(field(&got, "Last-Modified"), Some(date));

    let old = tree.write("old", "x");
    let before = UNIX_EPOCH - Duration::from_secs(1000);
    let file = fs::File::options().write(true).open(old).expect("a file");
    file.set_modified(before).expect("its time");
    let got = answer(get("/old").at(now).of(&handler));
    assert_eq!(
        (field(&got, "Last-Modified"), body(&got)),
        (None, b"x".to_vec())
    );
}

#[test]
fn conditions_and_ranges_combine_as_rfc_9110_says() {
    let tree = digits();
    let handler = tree.handler(|_| {});
    let etag = field(&answer(get("/digits.txt").of(&handler)), "ETag").expect("an ETag");
    let etag = etag.as_str();
    let range = ("Range", "bytes=2-4");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "200 0123456789"),
        (&[("If-None-Match", etag)], "304 "),
        (
            &[
                ("If-None-Match", "\"x\""),
                ("If-Modified-Since", LAST_MODIFIED),
            ],
            "200 0123456789",
        ),
        (&[("If-Modified-Since", LAST_MODIFIED)], "304 "),
        (&[("If-Match", "\"x\"")], "412 "),
        (&[("If-Match", "\"x\""), range], "412 "),
        (&[range], "206 234"),
        (&[range, ("If-Range", etag)], "206 234"),
        (&[range, ("If-Range", "\"x\"")], "200 0123456789"),
        (&[range, ("If-Range", LAST_MODIFIED)], "206 234"),
        (&[range, ("If-None-Match", etag)], "304 "),
        (&[range, ("If-Match", etag)], "206 234"),
        (&[("Range", "bytes=-3")], "206 789"),
        (&[("Range", "bytes=8-")], "206 89"),
        (&[("Range", "bytes=0-")], "206 0123456789"),
        (&[("Range", "bytes=10-")], "416 "),
        (
            &[("Range", "bytes=10-"), ("If-Range", "\"x\"")],
            "200 0123456789",
        ),
        (&[("Range", "bytes=4-2")], "200 0123456789"),
        (&[("Range", "bytes=0-4,2-6")], "206 0123456"),
    ];
    for (fields, expected) in cases {
        let found = get("/digits.txt").fields(fields).of(&handler);
        assert_eq!(summary(&found), *expected, "{fields:?}");
        let head = answer(
            get("/digits.txt")
                .method(Method::Head)
                .fields(fields)
                .of(&handler),
        );
        assert!(head.piece(0).is_none(), "{fields:?}");
        let expected = match answer(found).status() {
            206 | 416 => 200,
            status => status,
        };
        assert_eq!(head.status(), expected, "HEAD {fields:?}");
    }
}

#[test]
fn partial_answers_say_which_part_they_are() {
    let tree = digits();
    let handler = tree.handler(|_| {});
    let part = answer(
        get("/digits.txt")
            .fields(&[("Range", "bytes=2-4")])
            .of(&handler),
    );
    assert_eq!(
        field(&part, "Content-Range").as_deref(),
        Some("bytes 2-4/10")
    );
    assert_eq!(field(&part, "Content-Length").as_deref(), Some("3"));
    assert_eq!(
        field(&part, "Content-Type").as_deref(),
        Some("text/plain; charset=utf-8")
    );
    let none = answer(
        get("/digits.txt")
            .fields(&[("Range", "bytes=99-")])
            .of(&handler),
    );
    assert_eq!(field(&none, "Content-Range").as_deref(), Some("bytes */10"));
    assert_eq!(field(&none, "Content-Length").as_deref(), Some("0"));
    let known = answer(
        get("/digits.txt")
            .fields(&[("If-None-Match", "*")])
            .of(&handler),
    );
    assert_eq!(field(&known, "Content-Length"), None);
    assert_eq!(field(&known, "Content-Type"), None);
}

#[test]
fn several_ranges_are_sent_as_multipart() {
    let tree = digits();
    tree.write(
        "large.bin",
        (0..100_000_u32)
            .map(|at| at.to_le_bytes()[0])
            .collect::<Vec<_>>(),
    );
    let handler = tree.handler(|_| {});
    for (path, size, content_type) in [
        ("/digits.txt", 10, "text/plain; charset=utf-8"),
        ("/large.bin", 100_000, "application/octet-stream"),
    ] {
        let whole = body(&answer(get(path).of(&handler)));
        let ask = || {
            answer(
                get(path)
                    .fields(&[("Range", "bytes=8-9, 0-1")])
                    .of(&handler),
            )
        };
        let got = ask();
        assert_eq!(got.status(), 206);
        let outer = field(&got, "Content-Type").expect("a type");
        let boundary = outer
            .strip_prefix("multipart/byteranges; boundary=")
            .expect("multipart");
        let mut expected = Vec::new();
        for (first, last) in [(8, 9), (0, 1)] {
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: {content_type}\r\n\
                 Content-Range: bytes {first}-{last}/{size}\r\n\r\n"
            );
            expected.extend_from_slice(head.as_bytes());
            expected.extend_from_slice(&whole[first..=last]);
        }
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert_eq!(body(&got), expected);
        assert_eq!(
            field(&got, "Content-Length"),
            Some(expected.len().to_string())
        );
        assert_ne!(
            field(&ask(), "Content-Type").as_ref(),
            Some(&outer),
            "a boundary twice"
        );
    }
}

#[test]
fn a_sibling_goes_to_clients_that_accept_it() {
    let tree = digits();
    tree.write("digits.txt.br", "brotli!");
    tree.write("digits.txt.gz", "gzipped");
    tree.write("photo.jpg", "jpeg");
    tree.write("photo.jpg.gz", "never");
    tree.write("alone.gz", "alone");
    let handler = tree.handler(|_| {});
    let ask = |accept| {
        answer(
            get("/digits.txt")
                .fields(&[("Accept-Encoding", accept)])
                .of(&handler),
        )
    };
    let cases = [
        ("br, gzip", "brotli!", Some("br")),
        ("gzip", "gzipped", Some("gzip")),
        ("zstd", "0123456789", None),
    ];
    let mut tags = Vec::new();
    for (accept, content, coding) in cases {
        let got = ask(accept);
        assert_eq!(body(&got), content.as_bytes());
        assert_eq!(field(&got, "Content-Encoding").as_deref(), coding);
        assert_eq!(field(&got, "Vary").as_deref(), Some("Accept-Encoding"));
        assert_eq!(
            field(&got, "Content-Type").as_deref(),
            Some("text/plain; charset=utf-8")
        );
        tags.push(field(&got, "ETag").expect("an ETag"));
    }
    assert!(tags[0].ends_with("-br\"") && tags[1].ends_with("-gzip\""));
    let fields = [
        ("Accept-Encoding", "gzip"),
        ("Range", "bytes=0-2"),
        ("If-Range", &tags[1]),
    ];
    assert_eq!(
        summary(&get("/digits.txt").fields(&fields).of(&handler)),
        "206 gzi"
    );
    let fields = [("Accept-Encoding", "gzip"), ("If-None-Match", &tags[0])];
    assert_eq!(
        summary(&get("/digits.txt").fields(&fields).of(&handler)),
        "200 gzipped"
    );
    let accept: &[_] = &[("Accept-Encoding", "gzip")];
    assert_eq!(
        summary(&get("/photo.jpg").fields(accept).of(&handler)),
        "200 jpeg"
    );
    assert_eq!(summary(&get("/alone").fields(accept).of(&handler)), "404");
    assert_eq!(
        field(&answer(get("/alone.gz").of(&handler)), "Content-Encoding"),
        None
    );
    let off = tree.handler(|files| files.precompressed = false);
    let got = answer(get("/digits.txt").fields(accept).of(&off));
    assert_eq!(
        (field(&got, "Vary"), body(&got)),
        (None, b"0123456789".to_vec())
    );
}
