//! Static files: what is found, what is never found, conditions, ranges, the file before the app.

use std::fs;
use std::os::unix::fs::symlink;

use quaich_testkit::{Quaich, Response, TempSite};

use crate::apps;

/// A folder `root` with a bit of everything, and a secret beside it.
fn tree() -> TempSite {
    let site = TempSite::new();
    site.write("root/index.html", "<h1>home</h1>");
    site.write("root/style.css", "body {}");
    site.write("root/a b.txt", "space");
    site.write("root/sub/index.html", "<h1>sub</h1>");
    site.write("root/empty/none.txt", "");
    site.write("root/.env", "SECRET=1");
    site.write("root/.git/config", "SECRET=2");
    site.write("root/digits.txt", "0123456789");
    site.write("secret.txt", "SECRET=3");
    symlink("../secret.txt", site.join("root/escape")).expect("a link can be made");
    symlink("style.css", site.join("root/inside.css")).expect("a link can be made");
    site
}

fn serve(site: TempSite, more: &str) -> Quaich {
    Quaich::serve(
        site,
        &format!("[[site.main.route]]\nfiles = {{ root = \"root\"{more} }}\n"),
    )
}

fn with(quaich: &Quaich, target: &str, fields: &str) -> Response {
    quaich.request("GET", target, fields, b"")
}

#[test]
fn serves_files_with_their_type_length_and_validators() {
    let quaich = serve(tree(), "");
    let css = quaich.get("/style.css");
    css.expect_status(200)
        .expect_body("body {}")
        .expect_header("content-length", "7");
    css.expect_header("accept-ranges", "bytes");
    assert!(
        css.header("content-type")
            .is_some_and(|t| t.starts_with("text/css"))
    );
    assert!(css.header("etag").is_some() && css.header("last-modified").is_some());
    quaich.get("/a%20b.txt").expect_body("space");
    quaich
        .get("/empty/none.txt")
        .expect_status(200)
        .expect_body("");
    quaich.get("/nothing").expect_status(404);
}

#[test]
fn a_folder_is_its_index_behind_a_slash() {
    let quaich = serve(tree(), "");
    quaich.get("/").expect_body("<h1>home</h1>");
    quaich.get("/sub/").expect_body("<h1>sub</h1>");
    let moved = quaich.get("/sub?q=1");
    assert!([301, 307, 308].contains(&moved.status), "{}", moved.status);
    assert!(
        moved
            .header("location")
            .is_some_and(|to| to.ends_with("/sub/?q=1"))
    );
    let no_index = quaich.get("/empty/").status;
    assert!(
        [403, 404].contains(&no_index),
        "no listing unless asked for: {no_index}"
    );
    quaich.get("/style.css/").expect_status(404);
}

#[test]
fn head_says_what_get_would_send() {
    let quaich = serve(tree(), "");
    let mut client = quaich.raw();
    client.send("HEAD /digits.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    client
        .response_to("HEAD")
        .expect_status(200)
        .expect_header("content-length", "10");
    client.get("/digits.txt").expect_body("0123456789");
}

#[test]
fn other_methods_are_told_which_are_allowed() {
    let quaich = serve(tree(), "");
    let refused = quaich.request("POST", "/style.css", "", b"x");
    refused.expect_status(405);
    assert!(
        refused
            .header("allow")
            .is_some_and(|methods| methods.contains("GET"))
    );
}

#[test]
fn nothing_outside_the_root_is_ever_served() {
    let quaich = serve(tree(), "");
    for target in [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/sub%2f..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "/escape",
        "/root../secret.txt",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/%00",
        "//etc/passwd",
    ] {
        let response = quaich.get(target);
        assert!(
            [400, 403, 404].contains(&response.status),
            "{target}: {}",
            response.status
        );
        assert!(!response.text().contains("SECRET") && !response.text().contains("root:"));
    }
}

#[test]
fn symlinks_are_followed_inside_the_root_unless_told_otherwise() {
    serve(tree(), "").get("/inside.css").expect_body("body {}");
    serve(tree(), ", symlinks = \"off\"")
        .get("/inside.css")
        .expect_status(404);
    serve(tree(), ", symlinks = \"follow\"")
        .get("/escape")
        .expect_body("SECRET=3");
}

#[test]
fn hidden_names_are_served_when_asked_for() {
    serve(tree(), ", hidden = true")
        .get("/.env")
        .expect_body("SECRET=1");
}

#[test]
fn only_regular_files_are_opened() {
    let site = tree();
    let fifo = site.join("root/pipe");
    let made = std::process::Command::new("mkfifo").arg(fifo).status();
    assert!(made.expect("mkfifo is there").success());
    serve(site, "").get("/pipe").expect_status(404);
}

#[test]
fn conditions_are_weighed_as_rfc_9110_says() {
    let quaich = serve(tree(), "");
    let first = quaich.get("/digits.txt");
    let etag = first.header("etag").expect("an ETag");
    let date = first.header("last-modified").expect("a date");
    let old = "Mon, 01 Jan 2001 00:00:00 GMT";
    for (fields, expected) in [
        (format!("If-None-Match: {etag}\r\n"), 304),
        (format!("If-None-Match: \"x\", W/{etag}\r\n"), 304),
        ("If-None-Match: *\r\n".to_string(), 304),
        ("If-None-Match: \"x\"\r\n".to_string(), 200),
        (format!("If-Modified-Since: {date}\r\n"), 304),
        (format!("If-Modified-Since: {old}\r\n"), 200),
        (
            format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n"),
            200,
        ),
        (format!("If-Match: {etag}\r\n"), 200),
        ("If-Match: \"x\"\r\n".to_string(), 412),
        (format!("If-Unmodified-Since: {old}\r\n"), 412),
        ("If-Modified-Since: not a date\r\n".to_string(), 200),
    ] {
        let response = with(&quaich, "/digits.txt", &fields);
        assert_eq!(response.status, expected, "{fields}");
        if expected == 304 {
            assert_eq!(response.header("etag"), Some(etag), "{fields}");
        }
    }
}

#[test]
fn ranges_are_cut_exactly() {
    let quaich = serve(tree(), "");
    for (range, part, content_range) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=4-", "456789", "bytes 4-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
    ] {
        let response = with(&quaich, "/digits.txt", &format!("Range: {range}\r\n"));
        response
            .expect_status(206)
            .expect_body(part)
            .expect_header("content-range", content_range);
    }
    for whole in ["bytes=4-2", "items=0-3", "bytes=a-b"] {
        let response = with(&quaich, "/digits.txt", &format!("Range: {whole}\r\n"));
        response.expect_status(200).expect_body("0123456789");
    }
    let beyond = with(&quaich, "/digits.txt", "Range: bytes=10-\r\n");
    beyond
        .expect_status(416)
        .expect_header("content-range", "bytes */10");
}

#[test]
fn several_ranges_come_as_parts() {
    let quaich = serve(tree(), "");
    let response = with(&quaich, "/digits.txt", "Range: bytes=0-1,8-9\r\n");
    response.expect_status(206);
    let kind = response.header("content-type").expect("a type");
    assert!(
        kind.starts_with("multipart/byteranges; boundary="),
        "{kind}"
    );
    let body = response.text();
    let boundary = kind
        .split("boundary=")
        .nth(1)
        .expect("a boundary")
        .trim_matches('"');
    assert_eq!(body.matches(&format!("--{boundary}")).count(), 3, "{body}");
    assert!(
        body.contains("bytes 0-1/10\r\n") && body.contains("\r\n\r\n01\r\n"),
        "{body}"
    );
    assert!(
        body.contains("bytes 8-9/10\r\n") && body.contains("\r\n\r\n89\r\n"),
        "{body}"
    );
}

#[test]
fn a_flood_of_ranges_is_answered_with_the_whole_file() {
    let quaich = serve(tree(), "");
    let ranges = vec!["0-"; 1000].join(",");
    let response = with(
        &quaich,
        "/digits.txt",
        &format!("Range: bytes={ranges}\r\n"),
    );
    assert!([200, 206].contains(&response.status));
    assert!(response.body.len() <= 10 * 16, "{}", response.body.len());
}

#[test]
fn if_range_asks_for_a_part_only_of_the_same_file() {
    let quaich = serve(tree(), "");
    let etag = quaich
        .get("/digits.txt")
        .header("etag")
        .expect("an ETag")
        .to_string();
    let part = format!("Range: bytes=0-3\r\nIf-Range: {etag}\r\n");
    with(&quaich, "/digits.txt", &part)
        .expect_status(206)
        .expect_body("0123");
    let other = "Range: bytes=0-3\r\nIf-Range: \"other\"\r\n";
    with(&quaich, "/digits.txt", other)
        .expect_status(200)
        .expect_body("0123456789");
}

#[test]
fn precompressed_siblings_go_to_clients_that_take_them() {
    let site = tree();
    site.write("root/style.css.gz", "gzipped");
    site.write("root/style.css.br", "brotli");
    let quaich = serve(site, "");
    let plain = quaich.get("/style.css");
    plain
        .expect_body("body {}")
        .expect_header("vary", "Accept-Encoding");
    for (accepted, encoding, body) in [
        ("gzip", "gzip", "gzipped"),
        ("gzip;q=0.5, br", "br", "brotli"),
        ("br;q=0, gzip", "gzip", "gzipped"),
    ] {
        let fields = format!("Accept-Encoding: {accepted}\r\n");
        let response = with(&quaich, "/style.css", &fields);
        response
            .expect_body(body)
            .expect_header("content-encoding", encoding);
        assert_ne!(
            response.header("etag"),
            plain.header("etag"),
            "another representation"
        );
        assert!(
            response
                .header("content-type")
                .is_some_and(|t| t.starts_with("text/css"))
        );
    }
    let refused = with(
        &quaich,
        "/style.css",
        "Accept-Encoding: gzip;q=0, br;q=0\r\n",
    );
    refused.expect_body("body {}");
}

#[test]
fn expires_says_how_long_a_copy_is_good() {
    let quaich = serve(tree(), ", expires = \"1h\"");
    let response = quaich.get("/style.css");
    let control = response.header("cache-control").expect("Cache-Control");
    assert!(control.contains("max-age=3600"), "{control}");
}

#[test]
fn try_names_are_tried_in_order() {
    let site = tree();
    site.write("root/about.html", "about");
    let quaich = serve(site, ", try = [\"{path}\", \"{path}.html\"]");
    quaich.get("/about").expect_body("about");
    quaich.get("/style.css").expect_body("body {}");
    quaich.get("/neither").expect_status(404);
}

#[test]
fn a_listing_shows_names_and_escapes_them() {
    let site = tree();
    site.write("root/empty/<b>&.txt", "odd");
    let quaich = serve(site, ", list = true");
    let page = quaich.get("/empty/");
    page.expect_status(200);
    assert!(page.text().contains("none.txt") && page.text().contains("&lt;b&gt;&amp;.txt"));
    assert!(!page.text().contains("<b>&"));
    assert!(
        !quaich.get("/sub/").text().contains("none.txt"),
        "the index wins"
    );
}

#[test]
fn large_files_arrive_unchanged_and_in_parts() {
    let site = tree();
    let content: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 247) as u8).collect();
    site.write("root/large.bin", &content);
    let quaich = serve(site, "");
    let mut client = quaich.raw();
    for _ in 0..2 {
        let response = client.get("/large.bin");
        assert!(response.complete && response.body == content);
    }
    let part = with(&quaich, "/large.bin", "Range: bytes=1000000-3999999\r\n");
    assert!(part.complete && part.body == content[1_000_000..4_000_000]);
}

#[test]
fn a_changed_file_is_seen() {
    let quaich = serve(tree(), "");
    let before = quaich.get("/digits.txt");
    quaich
        .site()
        .write("root/digits.txt", "changed, and longer");
    let after = quaich_testkit::eventually("the new content", || {
        let response = quaich.get("/digits.txt");
        (response.text() == "changed, and longer").then_some(response)
    });
    assert_ne!(before.header("etag"), after.header("etag"));
    fs::remove_file(quaich.site().join("root/digits.txt")).expect("it can be removed");
    quaich_testkit::eventually("its end", || {
        (quaich.get("/digits.txt").status == 404).then_some(())
    });
}

#[test]
fn a_file_if_there_is_one_else_the_app() {
    let site = tree();
    site.write("app.py", apps::ENVIRON);
    let app = apps::table("workers = 1\nthreads = 1");
    let route = "[[site.main.route]]\nfiles = { root = \"root\" }\napp = \"main\"\n";
    let quaich = Quaich::serve(site, &format!("{app}{route}"));
    quaich.get("/style.css").expect_body("body {}");
    assert_eq!(
        quaich.get("/from/the/app").json()["PATH_INFO"],
        "/from/the/app"
    );
    assert_eq!(
        quaich.request("POST", "/submit", "", b"x").json()["REQUEST_METHOD"],
        "POST"
    );
    assert_eq!(
        quaich.get("/.env").json()["PATH_INFO"],
        "/.env",
        "hidden is not found"
    );
}

#[test]
fn the_prefix_of_a_route_is_taken_off() {
    let quaich = Quaich::serve(
        tree(),
        "[[site.main.route]]\nprefix = \"/static\"\nfiles = { root = \"root\" }\n",
    );
    quaich.get("/static/style.css").expect_body("body {}");
    for outside in ["/style.css", "/static../secret.txt", "/staticstyle.css"] {
        quaich.get(outside).expect_status(404);
    }
}
