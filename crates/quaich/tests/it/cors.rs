//! CORS: preflights answered by quaich, and what a real browser makes of it.

use std::process::Command;

use quaich_testkit::{Origin, Quaich, Response, TempSite};

use crate::headers::counter;
use crate::tls_clients::requires_program;

/// An app that has an idea of CORS itself, a wrong one.
fn origin() -> Origin {
    Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\naccess-control-allow-methods: PUT\r\n\
          Set-Cookie: sid=7\r\nX-Total: 7\r\nVary: Cookie\r\nContent-Length: 2\r\n\r\nok"
            .to_vec()
    })
}

fn ask(quaich: &Quaich, method: &str, path: &str, fields: &str) -> Response {
    quaich.request(method, path, fields, b"")
}

#[test]
fn preflights_get_no_further_than_quaich() {
    let origin = origin();
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!(
            "[site.main]\nproxy = \"{}\"\ncors = {{ origins = [\"https://*.shop.test\"], methods = \
             [\"GET\", \"PUT\"], headers = [\"X-Token\"], expose = [\"X-Total\"], credentials = true, \
             max_age = \"1h\" }}\n",
            origin.url()
        ),
    );
    let fields = "Origin: https://app.shop.test\r\nAccess-Control-Request-Method: PUT\r\n\
                  Access-Control-Request-Headers: x-token\r\n";
    let leave = ask(&quaich, "OPTIONS", "/item", fields);
    leave.expect_status(204).expect_body("");
    leave.expect_header("access-control-allow-origin", "https://app.shop.test");
    leave.expect_header("access-control-allow-credentials", "true");
    leave.expect_header("access-control-allow-methods", "GET, PUT");
    leave.expect_header("access-control-allow-headers", "X-Token");
    leave.expect_header("access-control-max-age", "3600");
    let varies = leave.headers("vary").join(", ");
    for name in [
        "Origin",
        "Access-Control-Request-Method",
        "Access-Control-Request-Headers",
    ] {
        assert!(varies.split(", ").any(|word| word == name), "{varies}");
    }
    let other = "Origin: https://shop.test.evil.test\r\nAccess-Control-Request-Method: PUT\r\n";
    let refused = ask(&quaich, "OPTIONS", "/item", other);
    refused.expect_status(204);
    for name in [
        "access-control-allow-origin",
        "access-control-allow-methods",
    ] {
        assert_eq!(refused.header(name), None);
    }
    assert_eq!(origin.requests().len(), 0);
    // Without the method that it is asked for, it is an app's own.
    ask(
        &quaich,
        "OPTIONS",
        "/item",
        "Origin: https://app.shop.test\r\n",
    )
    .expect_body("ok");
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(counter(&quaich, "cors_preflights"), 2);
    assert_eq!(counter(&quaich, "cors_refused"), 1);
}

#[test]
fn answers_say_who_may_read_them_once() {
    let origin = origin();
    let url = origin.url();
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!(
            "[site.main]\nproxy = \"{url}\"\ncors = {{ origins = [\"https://app.shop.test\", \
             \"null\"], expose = [\"X-Total\"] }}\n\
             [[site.main.route]]\npath = \"/open\"\nproxy = \"{url}\"\ncors = {{ origins = [\"*\"] }}\n\
             [[site.main.route]]\npath = \"/none\"\nstatus = 404\n\
             [[site.main.route]]\npath = \"/own\"\nproxy = \"{url}\"\ncors = \"off\"\n"
        ),
    );
    let from = |name: &str| format!("Origin: {name}\r\n");
    let mine = ask(&quaich, "GET", "/", &from("https://app.shop.test"));
    assert_eq!(
        mine.headers("access-control-allow-origin"),
        ["https://app.shop.test"]
    );
    assert_eq!(mine.headers("access-control-expose-headers"), ["X-Total"]);
    assert_eq!(mine.header("access-control-allow-methods"), None);
    assert_eq!(mine.headers("vary").join(", "), "Cookie, Origin");
    for origin in ["https://app.shop.test:8443", "http://app.shop.test"] {
        let other = ask(&quaich, "GET", "/", &from(origin));
        assert_eq!(
            other.header("access-control-allow-origin"),
            None,
            "{origin}"
        );
        assert_eq!(other.headers("vary").join(", "), "Cookie, Origin");
    }
    let same = ask(&quaich, "GET", "/", "");
    assert_eq!(same.header("access-control-allow-origin"), None);
    let file = ask(&quaich, "GET", "/", &from("null"));
    assert_eq!(file.headers("access-control-allow-origin"), ["null"]);
    let open = ask(&quaich, "GET", "/open", &from("https://any.test"));
    assert_eq!(open.headers("access-control-allow-origin"), ["*"]);
    assert_eq!(open.headers("vary"), ["Cookie"]);
    let page = ask(&quaich, "GET", "/none", &from("https://app.shop.test"));
    page.expect_status(404);
    assert_eq!(
        page.headers("access-control-allow-origin"),
        ["https://app.shop.test"]
    );
    let own = ask(&quaich, "GET", "/own", &from("https://any.test"));
    assert_eq!(own.headers("access-control-allow-methods"), ["PUT"]);
}

/// Asks the API of another origin and writes what it may know into the title.
const SCRIPT: &str = r#"<!doctype html><title>none</title><script>
(async () => {
  const api = `http://api.shop.test:${location.port}`, out = [];
  const ask = async (path, init) => {
    try {
      const answer = await fetch(api + path, init);
      out.push(`${answer.status} ${answer.headers.get('X-Total')}`);
    } catch { out.push('refused'); }
  };
  await ask('/login', { credentials: 'include' });
  await ask('/item', { method: 'PUT', credentials: 'include', headers: { 'X-Token': '1' } });
  await ask('/item', { method: 'DELETE', credentials: 'include' });
  await ask('/item', { method: 'PUT', headers: { 'X-Other': '1' } });
  await ask('/private', { credentials: 'include' });
  await ask('/none', { credentials: 'include' });
  document.title = out.join('|');
})();
</script>"#;

#[test]
fn chromium_reads_what_it_is_granted_and_nothing_else() {
    if !requires_program("/usr/bin/chromium", "chromium") {
        return;
    }
    let origin = origin();
    let url = origin.url();
    let site = TempSite::new();
    site.write("www/page.html", SCRIPT);
    let quaich = Quaich::serve(
        site,
        &format!(
            "[site.app]\nhosts = [\"app.shop.test\"]\nroot = \"www\"\n\
             [site.api]\nhosts = [\"api.shop.test\"]\nproxy = \"{url}\"\n\
             cors = {{ origins = [\"http://app.shop.test:*\"], methods = [\"GET\", \"PUT\"], headers \
             = [\"X-Token\"], expose = [\"X-Total\"], credentials = true }}\n\
             [[site.api.route]]\npath = \"/private\"\nproxy = \"{url}\"\n\
             cors = {{ origins = [\"https://elsewhere.test\"], credentials = true }}\n\
             [[site.api.route]]\npath = \"/none\"\nstatus = 404\n"
        ),
    );
    let profile = quaich.site().join("profile");
    let mut chromium = Command::new("/usr/bin/chromium");
    chromium
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--host-resolver-rules=MAP *.test 127.0.0.1",
            // Time stands still while something is being fetched.
            "--virtual-time-budget=10000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .env("HOME", quaich.site().path())
        .arg(format!(
            "http://app.shop.test:{}/page.html",
            quaich.addr().port()
        ));
    let output = chromium.output().expect("chromium can be started");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = "<title>200 7|200 7|refused|refused|refused|404 null</title>";
    assert!(dom.contains(expected), "{dom}\n{errors}");
    let requests = origin.requests();
    let seen: Vec<(&str, &str)> = requests.iter().map(|r| (r.method(), r.target())).collect();
    // What is only to be read is asked for without leave, and then not shown to the script.
    assert_eq!(
        seen,
        [("GET", "/login"), ("PUT", "/item"), ("GET", "/private")]
    );
    let put = &requests[1];
    assert_eq!(put.header("cookie"), Some("sid=7"));
    assert_eq!(put.header("x-token"), Some("1"));
}
