//! Real clients and servers: curl, Python's httpx, uWSGI.

use std::process::Command;

use quaich_testkit::{Quaich, TempSite, python, requires_python};

use super::{accepting, origin, text, whole};
use crate::wires::peers;

#[test]
fn curl_reads_what_it_has_asked_for() {
    let origin = origin();
    let toml = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let url = format!("http://{}/50000", quaich.addr());
    let run = Command::new("curl")
        .args([
            "-sS",
            "--compressed",
            "-w",
            "%{stderr}%{size_download}",
            &url,
        ])
        .output();
    let Ok(done) = run else { return };
    let sent = String::from_utf8_lossy(&done.stderr);
    assert!(done.stdout == text(50_000).as_bytes(), "{sent}");
    assert!(
        sent.parse::<usize>().is_ok_and(|sent| sent < 20_000),
        "{sent}"
    );
}

#[test]
fn httpx_reads_every_coding() {
    if !requires_python(&["httpx", "brotli", "zstandard"]) {
        return;
    }
    let origin = origin();
    let toml = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let script = r#"
import sys, httpx
for coding in ("zstd", "br", "gzip"):
    for size in (2000, 300000, 2000000):
        answer = httpx.get(f"{sys.argv[1]}/{size}", headers={"Accept-Encoding": coding})
        assert answer.headers["content-encoding"] == coding, answer.headers
        assert len(answer.text) >= size and answer.text.startswith("word0 word144 "), coding
print("well")
"#;
    let url = format!("http://{}", quaich.addr());
    let run = Command::new(python()).args(["-c", script, &url]).output();
    let done = run.expect("python runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.stdout.starts_with(b"well"), "{said}");
}

/// Asks for gzip the way uWSGI's own router understands.
const ASKS: &str = r#"
def application(environ, start_response):
    fields = [("Content-Type", "image/x-chart"), ("uWSGI-Encoding", "gzip")]
    body = b"chart " * 100
    if environ["PATH_INFO"] == "/sized":
        fields.append(("Content-Length", str(len(body))))
    start_response("200 OK", fields)
    return [body]
"#;

#[test]
fn what_uwsgi_asks_to_compress_is_compressed_and_the_field_is_gone() {
    let site = TempSite::new();
    site.write("app.py", ASKS);
    let Some(server) = peers::uwsgi(&site, &[]) else {
        return;
    };
    let url = &server.url;
    let toml = format!(
        "[site.main]\nproxy = \"{url}\"\n[[site.main.route]]\nhost = \"off.test\"\ncompress = \"off\"\n\
         proxy = \"{url}\"\n"
    );
    let quaich = Quaich::serve(site, &toml);
    let plain = "chart ".repeat(100);
    let coded = accepting(&quaich, "/", "br, gzip");
    coded.expect_header("content-encoding", "gzip");
    assert_eq!(whole("gzip", &coded.body), plain);
    let mut off = quaich.raw();
    off.send("GET / HTTP/1.1\r\nHost: off.test\r\nAccept-Encoding: gzip\r\n\r\n");
    let others = [
        accepting(&quaich, "/", "br"),
        accepting(&quaich, "/sized", "gzip"),
        quaich.get("/"),
        off.response(),
    ];
    for answer in &others {
        answer.expect_status(200).expect_body(&plain);
    }
    for answer in others.iter().chain([&coded]) {
        assert_eq!(answer.header("uwsgi-encoding"), None);
    }
}
