//! Content codings of answers: what is compressed and what is not, with real decoders.

mod clients;
mod decode;
mod fairness;
mod live;
mod nginx;

use quaich_testkit::{Origin, Quaich, Request, Response, TempSite, Transport};

use crate::apps;
use decode::whole;

const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

/// Text of about `size` bytes.
fn text(size: usize) -> String {
    let words = (0..).map(|n: usize| format!("word{} ", n * 7919 % 311));
    let mut text = String::new();
    words
        .take_while(|word| {
            text.push_str(word);
            text.len() < size
        })
        .for_each(drop);
    text
}

fn accepting(quaich: &Quaich, target: &str, accepts: &str) -> Response {
    quaich.request(
        "GET",
        target,
        &format!("Accept-Encoding: {accepts}\r\n"),
        b"",
    )
}

/// An origin that answers with the text that the target names by its size, as the query says.
fn origin() -> Origin {
    Origin::answering(|request| {
        let (path, query) = request
            .target()
            .split_once('?')
            .unwrap_or((request.target(), ""));
        let body = text(path.trim_start_matches('/').parse().unwrap_or(0));
        let fields = query.replace('_', " ").replace(';', "\r\n");
        let fields = if fields.is_empty() {
            "X-Nothing: 1"
        } else {
            &*fields
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{fields}\r\n");
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    })
}

#[test]
fn answers_of_every_kind_are_compressed_with_every_coding() {
    let origin = origin();
    let site = TempSite::new();
    let page = text(5000);
    site.write("root/page.html", &page);
    site.write("root/large.txt", text(700_000));
    site.write(
        "app.py",
        "def application(environ, start_response):\n    \
             start_response('200 OK', [('Content-Type', 'text/html'), ('ETag', '\"a\"')])\n    \
             return [open('root' + environ['QUERY_STRING'], 'rb').read()]\n",
    );
    let toml = format!(
        "{}[[site.main.route]]\nprefix = \"/app\"\napp = \"main\"\n\
         [[site.main.route]]\nprefix = \"/files\"\nfiles = {{ root = \"root\" }}\n\
         [[site.main.route]]\npath = \"/respond\"\n\
         respond = {{ body = \"{page}\", type = \"text/plain\" }}\n\
         [[site.main.route]]\nproxy = \"{}\"\n",
        apps::table("workers = 1\nthreads = 1"),
        origin.url(),
    );
    let quaich = Quaich::serve(site, &toml);
    for (target, expected) in [
        ("/app?/page.html", text(5000)),
        ("/app?/large.txt", text(700_000)),
        ("/files/page.html", text(5000)),
        ("/files/large.txt", text(700_000)),
        ("/respond", text(5000)),
        ("/5000", text(5000)),
        ("/700000", text(700_000)),
        ("/3000000", text(3_000_000)),
    ] {
        for coding in CODINGS {
            for transport in [Transport::Http1, Transport::Http2] {
                let mut caller = transport.connect(quaich.addr(), "test");
                let request = Request::get(target).field("accept-encoding", coding);
                let answer = caller.call(&request);
                let shown = format!("{target} {coding} {transport:?}");
                assert_eq!(answer.status, 200, "{shown}: {}", quaich.log().text());
                assert_eq!(answer.header("content-encoding"), Some(coding), "{shown}");
                assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{shown}");
                assert_eq!(answer.header("accept-ranges"), None, "{shown}");
                assert!(answer.complete, "{shown}");
                assert!(answer.body.len() * 3 < expected.len(), "{shown}");
                assert!(whole(coding, &answer.body) == expected, "{shown}");
                if let Some(tag) = answer.header("etag") {
                    assert!(tag.starts_with("W/\""), "{shown}: {tag}");
                }
            }
        }
        let plain = quaich.get(target);
        plain.expect_header("vary", "Accept-Encoding");
        assert!(plain.text() == expected && plain.header("content-encoding").is_none());
    }
    let counters = quaich.status()["front"]["counters"].clone();
    let counted = |name: &str| counters[name].as_u64().unwrap_or(0);
    assert_eq!(counted("compressed"), 48, "{counters}");
    assert!(counted("compressed_to_bytes") * 3 < counted("compressed_from_bytes"));
}

#[test]
fn a_body_that_is_whole_keeps_a_length_and_head_gets_the_fields_of_get() {
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!(
            "[[site.main.route]]\nrespond = {{ body = \"{}\", type = \"text/plain\" }}\n",
            text(3000)
        ),
    );
    let get = accepting(&quaich, "/", "gzip");
    assert_eq!(
        get.header("content-length"),
        Some(&*get.body.len().to_string())
    );
    let mut client = quaich.raw();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    let head = client.response_to("HEAD");
    for name in ["content-encoding", "vary", "content-type"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    assert_eq!(head.header("content-length"), None);
    client.send("GET / HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    let old = client.response();
    assert_eq!(whole("gzip", &old.body), text(3000));
}

#[test]
fn what_must_stay_as_it_is_stays_so() {
    let origin = origin();
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!("[site.main]\nproxy = \"{}\"\n", origin.url()),
    );
    for (target, fields) in [
        ("/1000", "Accept-Encoding: gzip\r\n"),
        ("/5000", "Accept-Encoding: gzip;q=0\r\n"),
        ("/5000", "Accept-Encoding: deflate\r\n"),
        ("/5000", "Accept-Encoding: gzip\r\nRange: bytes=0-9\r\n"),
        ("/5000?Content-Encoding:_x", "Accept-Encoding: gzip\r\n"),
        (
            "/5000?Cache-Control:_no-transform",
            "Accept-Encoding: gzip\r\n",
        ),
    ] {
        let answer = quaich.request("GET", target, fields, b"");
        let size: usize = target[1..5].parse().expect("a size");
        assert!(answer.text() == text(size), "{target} {fields}");
        assert_eq!(
            answer.header("content-length"),
            Some(&*text(size).len().to_string())
        );
    }
}

#[test]
fn a_client_that_knows_the_compressed_file_is_told_that_it_has_it() {
    let site = TempSite::new();
    site.write("root/a.txt", text(5000));
    let quaich = Quaich::serve(site, "[site.main]\nroot = \"root\"\n");
    let first = accepting(&quaich, "/a.txt", "gzip");
    let tag = first.header("etag").expect("a tag").to_owned();
    assert!(tag.starts_with("W/"), "{tag}");
    let again = format!("Accept-Encoding: gzip\r\nIf-None-Match: {tag}\r\n");
    let again = quaich.request("GET", "/a.txt", &again, b"");
    again.expect_status(304).expect_header("etag", &tag);
    again.expect_header("vary", "Accept-Encoding");
    // A weak tag cannot promise that parts fit together.
    let part = format!("Range: bytes=0-3\r\nIf-Range: {tag}\r\n");
    let part = quaich.request("GET", "/a.txt", &part, b"");
    part.expect_status(200).expect_body(&text(5000));
    let strong = tag.trim_start_matches("W/");
    let part = format!("Accept-Encoding: gzip\r\nRange: bytes=0-3\r\nIf-Range: {strong}\r\n");
    let part = quaich.request("GET", "/a.txt", &part, b"");
    part.expect_status(206).expect_body(&text(5000)[..4]);
}

#[test]
fn what_lies_compressed_beside_a_file_is_never_compressed_again() {
    let site = TempSite::new();
    site.write("root/a.txt", text(5000));
    site.write("root/a.txt.gz", "what somebody has put there");
    let quaich = Quaich::serve(site, "[site.main]\nroot = \"root\"\n");
    let ready = accepting(&quaich, "/a.txt", "gzip, zstd");
    ready.expect_header("content-encoding", "gzip");
    ready.expect_body("what somebody has put there");
    let other = accepting(&quaich, "/a.txt", "zstd");
    other.expect_header("content-encoding", "zstd");
    assert_eq!(whole("zstd", &other.body), text(5000));
}

#[test]
fn routes_have_what_their_site_has_unless_they_say_otherwise() {
    let origin = origin();
    let url = origin.url();
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!(
            "[site.main]\ncompress = [\"gzip\"]\ncompress_min = \"2KiB\"\nproxy = \"{url}\"\n\
             [[site.main.route]]\nhost = \"off.test\"\ncompress = \"off\"\nproxy = \"{url}\"\n\
             [[site.main.route]]\nhost = \"more.test\"\nproxy = \"{url}\"\n\
             compress = {{ codings = [\"br\", \"gzip\"], min = \"10B\", cookies = false }}\n",
        ),
    );
    for (host, target, expected) in [
        ("a", "/3000", Some("gzip")),
        ("a", "/1500", None),
        ("off.test", "/3000", None),
        ("more.test", "/20", Some("br")),
        ("more.test", "/3000?Set-Cookie:_a=1", None),
        ("a", "/3000?Set-Cookie:_a=1", Some("gzip")),
    ] {
        let mut client = quaich.raw();
        client.send(format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: br, gzip, zstd\r\n\r\n"
        ));
        let answer = client.response();
        assert_eq!(
            answer.header("content-encoding"),
            expected,
            "{host} {target}"
        );
    }
    let told = quaich.cli(["route", "http://more.test/", "-c", "quaich.toml"]);
    assert!(
        told.stdout.contains("compress: br, gzip of 10B and more"),
        "{}",
        told.stdout
    );
}

#[test]
fn an_answer_that_breaks_off_never_looks_complete() {
    let body = text(400_000);
    let cut = [
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2000000\r\n\r\n{body}"
        ),
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n\
             {:x}\r\n{body}\r\n",
            body.len()
        ),
    ];
    for answer in cut {
        let origin = Origin::scripted(answer.into_bytes(), quaich_testkit::End::Fin);
        let quaich = Quaich::serve(
            TempSite::new(),
            &format!("[site.main]\nproxy = \"{}\"\n", origin.url()),
        );
        for coding in CODINGS {
            let mut caller = Transport::Http1.connect(quaich.addr(), "test");
            let answer = caller.call(&Request::get("/").field("accept-encoding", coding));
            assert!(!answer.complete || answer.status == 502, "{coding}");
        }
    }
}
