//! Files and fixed answers.

use quaich_testkit::{Answer, Request, TempSite};

use super::{Row, Stage, row, run};

/// The files that the rows ask for.
pub(super) fn fill(folder: &TempSite) {
    folder.write("www/index.html", "<h1>home</h1>");
    folder.write("www/digits.txt", "0123456789");
    folder.write("www/empty.txt", "");
    folder.write("www/sub/index.html", "<h1>sub</h1>");
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    folder.write("www/large.bin", &bytes);
    folder.write("www/70k.bin", &bytes[..70_000]);
}

fn digits() -> Request {
    Request::get("/digits.txt")
}

fn whole(answer: &Answer, size: usize) {
    answer.expect_status(200);
    assert!(answer.complete, "cut");
    assert_eq!(answer.body.len(), size);
    let right = (0_u32..)
        .zip(&answer.body)
        .all(|(n, byte)| *byte == (n % 251) as u8);
    assert!(right, "other bytes");
}

const FILES: &[Row] = &[
    row(
        "an index",
        || Request::get("/"),
        |a| {
            a.expect_body("<h1>home</h1>")
                .expect_header("content-length", "13");
        },
    ),
    row("a small file", digits, |a| {
        a.expect_body("0123456789")
            .expect_header("accept-ranges", "bytes");
    }),
    row(
        "an empty file",
        || Request::get("/empty.txt"),
        |a| {
            a.expect_status(200)
                .expect_body("")
                .expect_header("content-length", "0");
        },
    ),
    row(
        "70,000 bytes",
        || Request::get("/70k.bin"),
        |a| whole(a, 70_000),
    ),
    row(
        "1 MB",
        || Request::get("/large.bin"),
        |a| whole(a, 1_000_000),
    ),
    row(
        "HEAD",
        || Request::new("HEAD", "/large.bin"),
        |a| {
            a.expect_status(200)
                .expect_header("content-length", "1000000")
                .expect_body("");
        },
    ),
    row(
        "a range",
        || digits().field("range", "bytes=2-4"),
        |a| {
            a.expect_status(206)
                .expect_body("234")
                .expect_header("content-range", "bytes 2-4/10");
        },
    ),
    row(
        "a range of the end",
        || Request::get("/large.bin").field("range", "bytes=-3"),
        |a| {
            a.expect_status(206).expect_header("content-length", "3");
        },
    ),
    row(
        "a range that is none",
        || digits().field("range", "bytes=20-"),
        |a| {
            a.expect_status(416)
                .expect_header("content-range", "bytes */10");
        },
    ),
    row(
        "not modified",
        || digits().field("if-modified-since", "Tue, 01 Jan 2999 00:00:00 GMT"),
        |a| {
            a.expect_status(304).expect_body("");
        },
    ),
    row(
        "any entity",
        || digits().field("if-none-match", "*"),
        |a| {
            a.expect_status(304).expect_body("");
        },
    ),
    row(
        "a folder without its slash",
        || Request::get("/sub?q"),
        |a| {
            assert!([301, 302, 307, 308].contains(&a.status), "{}", a.status);
            assert!(
                a.header("location").is_some_and(|l| l.ends_with("/sub/?q")),
                "{:?}",
                a.fields
            );
        },
    ),
    row(
        "nothing",
        || Request::get("/nothing"),
        |a| {
            a.expect_status(404);
        },
    ),
    row(
        "a POST",
        || Request::post("/digits.txt", "x"),
        |a| {
            a.expect_status(405);
        },
    ),
    row(
        "above the root",
        || Request::get("/%2e%2e/app.py"),
        |a| {
            assert!([400, 404].contains(&a.status), "{}", a.status);
        },
    ),
];

#[test]
fn files_are_the_same_over_every_transport() {
    let stage = Stage::with_app();
    run(&stage, &["files.test"], FILES);
}

const FIXED: &[Row] = &[
    row(
        "GET",
        || Request::get("/"),
        |a| {
            a.expect_status(203).expect_body("fixed");
        },
    ),
    row(
        "HEAD",
        || Request::new("HEAD", "/"),
        |a| {
            a.expect_status(203)
                .expect_body("")
                .expect_header("content-length", "5");
        },
    ),
    row(
        "POST",
        || Request::post("/", vec![b'x'; 100_000]),
        |a| {
            a.expect_status(203).expect_body("fixed");
        },
    ),
    row(
        "POST of unknown length",
        || Request::post_unsized("/", "x"),
        |a| {
            a.expect_status(203).expect_body("fixed");
        },
    ),
];

#[test]
fn fixed_answers_are_the_same_over_every_transport() {
    run(&Stage::with_app(), &["respond.test"], FIXED);
}
