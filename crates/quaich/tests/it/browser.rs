//! A browser: Chromium loads a page with a hundred images over HTTP/2.

use std::process::Command;

use quaich_testkit::{TempSite, eventually};

use crate::tls_clients::{requires_program, serve};

/// What makes Chromium load one page, print it and end, without asking anybody else anything.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--ignore-certificate-errors",
    "--host-resolver-rules=MAP test 127.0.0.2",
    "--dump-dom",
];

/// Says in the page how many of its images were loaded and have the right size.
const SCRIPT: &str = "<script>\naddEventListener('load', () => {\n\
    const right = [...document.images].filter(i => i.complete && i.naturalWidth === 2);\n\
    document.title = `loaded ${right.length}`;\n});\n</script>\n";

/// Two pixels by two, of one colour: the text of an SVG image.
fn image(n: u32) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"2\" height=\"2\">\
         <rect width=\"2\" height=\"2\" fill=\"#0000{n:02x}\"/></svg>"
    )
}

fn page() -> String {
    let images = (0..100).map(|n| format!("<img src=\"/img/{n}.svg\">\n"));
    let images: String = images.collect();
    format!("<!doctype html>\n<title>none</title>\n{SCRIPT}{images}")
}

#[test]
fn chromium_loads_a_hundred_images_over_one_connection() {
    if !requires_program("/usr/bin/chromium", "chromium") {
        return;
    }
    let site = TempSite::new();
    site.write("www/page.html", page());
    for n in 0..100 {
        site.write(&format!("www/img/{n}.svg"), image(n));
    }
    let quaich = serve(site);
    let url = format!(
        "https://test:{}/page.html",
        quaich.addr_at("127.0.0.2").port()
    );
    let profile = quaich.site().join("profile");
    let mut chromium = Command::new("/usr/bin/chromium");
    chromium
        .args(FLAGS)
        .arg(format!("--user-data-dir={}", profile.display()))
        .env("HOME", quaich.site().path())
        .arg(&url);
    let output = chromium.output().expect("chromium can be started");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(dom.contains("<title>loaded 100</title>"), "{dom}\n{errors}");
    let images = eventually("a hundred images in the access log", || {
        let lines = requests(&quaich.site().read("access.log"));
        let mut images = lines;
        images.retain(|entry| {
            entry["target"]
                .as_str()
                .is_some_and(|t| t.starts_with("/img/"))
        });
        (images.len() >= 100).then_some(images)
    });
    assert_eq!(images.len(), 100);
    for entry in &images {
        assert_eq!(entry["protocol"], "HTTP/2.0", "{entry}");
        assert_eq!(entry["status"], 200, "{entry}");
        assert_eq!(entry["scheme"], "https", "{entry}");
    }
}

/// The whole lines of an access log.
fn requests(log: &str) -> Vec<serde_json::Value> {
    let whole = &log[..log.rfind('\n').map_or(0, |end| end + 1)];
    let entry = |line: &str| serde_json::from_str(line).expect("a line of JSON");
    whole.lines().map(entry).collect()
}
