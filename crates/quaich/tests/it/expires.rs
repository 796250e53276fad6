//! `expires`: rules by type, path, status and age, beside nginx's `expires`.

use quaich_testkit::{Origin, Quaich, RawClient, Response, TempSite};

use crate::peers;

#[test]
fn the_first_rule_that_fits_says_how_long_a_file_is_kept() {
    let site = TempSite::new();
    for name in [
        "a.css",
        "app.3f2a9c1b04de.css",
        "a.png",
        "index.html",
        "a.bin",
    ] {
        site.write(&format!("www/{name}"), "content");
    }
    let quaich = Quaich::serve(
        site,
        "[site.main]\nroot = \"www\"\nexpires = [\n\
         { path = \"*.html\", age = \"no-cache\" },\n\
         { type = [\"text/css\", \"image/*\"], age = \"30d\", cache_control = \"public\" },\n\
         { status = 404, age = \"1m\" },\n\
         { path = \"/a.bin\", age = \"off\" },\n\
         { age = \"1h\" },\n]\n",
    );
    for (path, control) in [
        ("/index.html", Some("no-cache")),
        ("/a.css", Some("max-age=2592000, public")),
        (
            "/app.3f2a9c1b04de.css",
            Some("max-age=2592000, public, immutable"),
        ),
        ("/a.png", Some("max-age=2592000, public")),
        ("/a.bin", None),
        ("/none", Some("max-age=60")),
        ("/", Some("max-age=3600")),
    ] {
        assert_eq!(quaich.get(path).header("cache-control"), control, "{path}");
    }
    // The same is said when nothing has changed.
    let etag = quaich.get("/a.css");
    let fields = format!("If-None-Match: {}\r\n", etag.header("etag").expect("one"));
    let same = quaich.request("GET", "/a.css", &fields, b"");
    same.expect_status(304);
    same.expect_header("cache-control", "max-age=2592000, public");
}

#[test]
fn a_route_has_its_own_rules_and_the_shorter_form_of_files_still_counts() {
    let origin = Origin::answering(|request| {
        let own = match request.target() {
            "/own" => "Cache-Control: private\r\n",
            _ => "",
        };
        format!("HTTP/1.1 200 OK\r\n{own}Content-Length: 2\r\n\r\nok").into_bytes()
    });
    let site = TempSite::new();
    site.write("www/a.txt", "content");
    let quaich = Quaich::serve(
        site,
        &format!(
            "[site.main]\nproxy = \"{url}\"\nexpires = \"1h\"\n\
             [[site.main.route]]\npath = \"/a.txt\"\nfiles = {{ root = \"www\", expires = \"2h\" }}\n\
             [[site.main.route]]\npath = \"/off\"\nproxy = \"{url}\"\nexpires = \"off\"\n\
             [[site.main.route]]\npath = \"/forced\"\nproxy = \"{url}\"\n\
             expires = {{ age = \"3h\", force = true, immutable = true }}\n",
            url = origin.url()
        ),
    );
    for (path, control) in [
        ("/", Some("max-age=3600")),
        ("/own", Some("private")),
        ("/a.txt", Some("max-age=7200")),
        ("/off", None),
        ("/forced", Some("max-age=10800, immutable")),
    ] {
        let answer = quaich.get(path);
        let all = answer.headers("cache-control");
        assert_eq!(all.first().copied(), control, "{path}");
        assert!(
            all.len() <= 1 && answer.headers("expires").len() <= 1,
            "{path}: {all:?}"
        );
    }
}

/// The ages as nginx and as quaich write them.
const AGES: [(&str, &str, &str); 7] = [
    ("hour", "1h", "1h"),
    ("month", "30d", "30d"),
    ("none", "0", "0s"),
    ("max", "max", "max"),
    ("epoch", "epoch", "no-cache"),
    ("modified", "modified +10d", "modified +10d"),
    ("off", "off", "off"),
];

const STATUSES: [u16; 10] = [200, 201, 204, 301, 302, 303, 307, 308, 404, 503];

/// What two answers say, taken within one second.
fn at_once(
    mut nginx: impl FnMut() -> Response,
    mut quaich: impl FnMut() -> Response,
) -> (Response, Response) {
    loop {
        let (first, second) = (nginx(), quaich());
        if first.header("date") == second.header("date") {
            return (first, second);
        }
    }
}

#[test]
fn nginx_says_the_same() {
    let origin = Origin::answering(|request| {
        let status = request.target().rsplit('/').next().unwrap_or("500");
        format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").into_bytes()
    });
    let site = TempSite::new();
    let mut server = String::new();
    let mut toml = String::from("[site.main]\nroot = \"www\"\n");
    for (name, nginx, quaich) in AGES {
        site.write(&format!("www/{name}/file.txt"), "content");
        server += &format!(
            "location /{name}/ {{ root {}/www; expires {nginx}; }}\n",
            site.path().display()
        );
        toml += &format!(
            "[[site.main.route]]\npath = \"/{name}/file.txt\"\nfiles = {{ root = \"www\" }}\nexpires = \"{quaich}\"\n"
        );
        toml += &format!(
            "[[site.main.route]]\npath = \"/{name}/*\"\nproxy = \"{}\"\nexpires = \"{quaich}\"\n",
            origin.url()
        );
        for status in STATUSES {
            let to = if (301..=308).contains(&status) {
                " /x"
            } else {
                ""
            };
            server += &format!(
                "location = /{name}/{status} {{ expires {nginx}; return {status}{to}; }}\n"
            );
        }
    }
    let folder = TempSite::new();
    let Some(_nginx) = peers::nginx(&folder, &server) else {
        return;
    };
    let socket = folder.join("nginx.sock");
    let quaich = Quaich::serve(site, &toml);
    let mut compared = 0;
    let mut compare = |path: &str, fields: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n");
        let (theirs, ours) = at_once(
            || RawClient::connect_unix(&socket).send(&request).response(),
            || quaich.raw().send(&request).response(),
        );
        assert_eq!(theirs.status, ours.status, "{path} {fields}");
        for name in ["cache-control", "expires"] {
            assert_eq!(
                theirs.headers(name),
                ours.headers(name),
                "{name} of {path} {fields}"
            );
        }
        compared += 1;
    };
    for (name, _, _) in AGES {
        let file = format!("/{name}/file.txt");
        compare(&file, "");
        compare(&file, "Range: bytes=0-1\r\n");
        compare(
            &file,
            "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
        );
        for status in STATUSES {
            compare(&format!("/{name}/{status}"), "");
        }
    }
    assert_eq!(compared, 91);
}
