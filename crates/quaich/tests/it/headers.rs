//! `request_headers`, `response_headers` and `security`: fields that are set, added, removed.

use quaich_testkit::{Origin, Quaich, TempSite, requires_python};

use crate::apps;

/// The counter `name` of `quaich status`.
pub(crate) fn counter(quaich: &Quaich, name: &str) -> u64 {
    let status = quaich.cli(["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("JSON");
    let value = &status["front"]["counters"][name];
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{name} of {status}"))
}

#[test]
fn upstreams_get_the_edits_of_the_site_and_then_those_of_the_route() {
    let origin = Origin::ok();
    let url = origin.url();
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!(
            "[site.main]\nproxy = \"{url}\"\n\
             request_headers = {{ remove = [\"Cookie\", \"X-Secret-*\"], set = {{ \"X-Real-IP\" = \
             \"{{client_ip}}\", X-Who = \"site\", Host = \"inner.test\" }} }}\n\
             [[site.main.route]]\npath = \"/a\"\nproxy = \"{url}\"\n\
             request_headers = {{ set = {{ X-Who = \"route {{method}}\" }}, append = {{ Via = \"1.1 \
             b\" }}, add = {{ X-Tag = \"2\" }} }}\n\
             [[site.main.route]]\npath = \"/b\"\nproxy = \"{url}\"\nrequest_headers = \"off\"\n"
        ),
    );
    let fields = "Cookie: a=b\r\nX-Secret-Key: 1\r\nX-Real-IP: 203.0.113.9\r\nVia: 1.0 a\r\n\
                  X-Tag: 1\r\n";
    quaich.request("GET", "/", fields, b"").expect_status(200);
    let of_site = origin.wait_for_requests(1);
    assert_eq!(of_site.header("cookie"), None);
    assert_eq!(of_site.header("x-secret-key"), None);
    assert_eq!(of_site.headers("x-real-ip"), ["127.0.0.1"]);
    assert_eq!(of_site.headers("x-who"), ["site"]);
    assert_eq!(of_site.headers("host"), ["inner.test"]);
    assert_eq!(of_site.headers("x-forwarded-host"), ["test"]);
    assert_eq!(of_site.headers("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(of_site.headers("via"), ["1.0 a"]);

    quaich.request("GET", "/a", fields, b"").expect_status(200);
    let of_both = origin.wait_for_requests(2);
    assert_eq!(of_both.headers("x-who"), ["route GET"]);
    assert_eq!(of_both.headers("via"), ["1.0 a, 1.1 b"]);
    assert_eq!(of_both.headers("x-tag"), ["1", "2"]);
    assert_eq!(of_both.headers("cookie"), Vec::<&str>::new());

    quaich.request("GET", "/b", fields, b"").expect_status(200);
    let of_none = origin.wait_for_requests(3);
    assert_eq!(of_none.header("cookie"), Some("a=b"));
    assert_eq!(of_none.header("x-who"), None);
    assert_eq!(of_none.header("host"), Some("test"));
    // The client is not believed, with edits or without.
    assert_eq!(of_none.header("x-real-ip"), None);
}

#[test]
fn apps_get_them_as_variables() {
    if !requires_python(&[]) {
        return;
    }
    let site = TempSite::new();
    site.write("app.py", apps::ENVIRON);
    let toml = apps::config("workers = 1", "");
    let edits = "request_headers = { remove = [\"User-Agent\"], set = { X-Remote-User = \"{cookie.who}\", \
                 Content-Type = \"text/x-test\" } }\n";
    let quaich = Quaich::serve(site, &format!("{toml}{edits}"));
    let fields =
        "Cookie: who=aila\r\nUser-Agent: test\r\nX-Remote-User: root\r\nContent-Type: a/b\r\n";
    let environ = quaich.request("POST", "/", fields, b"{}").json();
    assert_eq!(environ["HTTP_X_REMOTE_USER"], "aila");
    assert_eq!(environ["HTTP_USER_AGENT"], serde_json::Value::Null);
    assert_eq!(environ["CONTENT_TYPE"], "text/x-test");
    assert_eq!(environ["CONTENT_LENGTH"], "2");
}

#[test]
fn a_host_that_is_none_is_left_out_and_counted() {
    let origin = Origin::ok();
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!(
            "[site.main]\nproxy = \"{}\"\nrequest_headers = {{ set = {{ Host = \"{{header.x-to}}\" \
             }} }}\n",
            origin.url()
        ),
    );
    let mut client = quaich.raw();
    for (told, host) in [
        ("in.test:81", "in.test:81"),
        ("a/b", "test"),
        ("a b", "test"),
    ] {
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: test\r\nX-To: {told}\r\n\r\n"
        ));
        client.response().expect_status(200);
        let request = origin.requests().pop().expect("a request");
        assert_eq!(request.headers("host"), [host], "{told}");
    }
    assert_eq!(counter(&quaich, "fields_refused"), 2);
}

#[test]
fn answers_of_every_kind_are_edited_and_none_of_the_edits_is_lost() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nX-Powered-By: PHP/8\r\nx-runtime: 0.1\r\nX-Own: 1\r\nX-Gone: 1\r\n\
          Vary: Cookie\r\nContent-Length: 2\r\n\r\nok"
            .to_vec()
    });
    let site = TempSite::new();
    site.write("www/a.css", "a {}");
    let quaich = Quaich::serve(
        site,
        &format!(
            "[site.main]\nproxy = \"{url}\"\n\
             response_headers = {{ remove = [\"X-Gone\"], set = {{ X-Site = \"{{host}} {{status}}\" \
             }}, append = {{ Vary = \"Origin\" }} }}\n\
             [[site.main.route]]\nprefix = \"/files\"\nfiles = {{ root = \"www\" }}\n\
             response_headers = {{ set = {{ X-Route = \"1\" }} }}\n\
             [[site.main.route]]\npath = \"/ok\"\nstatus = 204\n\
             response_headers = {{ set = {{ X-Route = \"1\" }}, on = \"ok\" }}\n\
             [[site.main.route]]\npath = \"/gone\"\nstatus = 410\n\
             response_headers = {{ set = {{ X-Route = \"1\" }}, on = \"ok\" }}\n\
             [[site.main.route]]\npath = \"/versions\"\nproxy = \"{url}\"\n\
             response_headers = {{ inherit = false, hide = false }}\n",
            url = origin.url()
        ),
    );
    let answer = quaich.get("/");
    answer.expect_status(200).expect_body("ok");
    assert_eq!(answer.headers("x-site"), ["test 200"]);
    assert_eq!(answer.headers("vary"), ["Cookie, Origin"]);
    assert_eq!(answer.header("x-gone"), None);
    assert_eq!(answer.header("x-own"), Some("1"));
    assert_eq!(answer.header("x-powered-by"), None);
    assert_eq!(answer.header("x-runtime"), None);

    let file = quaich.get("/files/a.css");
    file.expect_status(200).expect_body("a {}");
    assert_eq!(file.headers("x-site"), ["test 200"]);
    assert_eq!(file.headers("x-route"), ["1"]);
    let missing = quaich.get("/files/b.css");
    missing.expect_status(404);
    assert_eq!(missing.headers("x-site"), ["test 404"]);
    assert_eq!(missing.headers("x-route"), ["1"]);

    assert_eq!(quaich.get("/ok").header("x-route"), Some("1"));
    let gone = quaich.get("/gone");
    assert_eq!(
        (gone.header("x-route"), gone.header("x-site")),
        (None, Some("test 410"))
    );

    let open = quaich.get("/versions");
    assert_eq!(open.header("x-powered-by"), Some("PHP/8"));
    assert_eq!(
        (open.header("x-site"), open.header("x-gone")),
        (None, Some("1"))
    );
}

#[test]
fn head_and_not_modified_keep_their_framing_where_fields_are_edited() {
    let site = TempSite::new();
    site.write("www/a.txt", "content");
    let toml = "[site.main]\nroot = \"www\"\nresponse_headers = { add = { X-A = \"1\" } }\n";
    let quaich = Quaich::serve(site, toml);
    let mut client = quaich.raw();
    client.send("HEAD /a.txt HTTP/1.1\r\nHost: test\r\n\r\n");
    let head = client.response_to("HEAD");
    head.expect_header("content-length", "7")
        .expect_header("x-a", "1");
    let etag = head.header("etag").expect("a validator").to_owned();
    client.send(format!(
        "GET /a.txt HTTP/1.1\r\nHost: test\r\nIf-None-Match: {etag}\r\n\r\n"
    ));
    client
        .response()
        .expect_status(304)
        .expect_header("x-a", "1");
    client.send("GET /a.txt HTTP/1.1\r\nHost: test\r\nRange: bytes=1-2\r\n\r\n");
    let part = client.response();
    part.expect_status(206).expect_body("on");
    part.expect_header("content-range", "bytes 1-2/7")
        .expect_header("x-a", "1");
}

#[test]
fn the_preset_is_sent_where_the_app_says_nothing_itself() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nx-frame-options: DENY\r\nContent-Length: 2\r\n\r\nok".to_vec()
    });
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!(
            "[site.main]\nproxy = \"{url}\"\nsecurity = true\n\
             [[site.main.route]]\npath = \"/csp\"\nproxy = \"{url}\"\n\
             security = {{ csp = [\"default-src 'self'\", \"img-src *\"], frame = \"off\", opener = \
             \"same-origin\" }}\n\
             [[site.main.route]]\npath = \"/none\"\nstatus = 404\n\
             [[site.main.route]]\npath = \"/off\"\nproxy = \"{url}\"\nsecurity = \"off\"\n",
            url = origin.url()
        ),
    );
    let answer = quaich.get("/");
    assert_eq!(answer.headers("x-content-type-options"), ["nosniff"]);
    assert_eq!(answer.headers("x-frame-options"), ["DENY"]);
    assert_eq!(
        answer.headers("referrer-policy"),
        ["strict-origin-when-cross-origin"]
    );
    assert_eq!(answer.header("content-security-policy"), None);

    let strict = quaich.get("/csp");
    strict.expect_header("content-security-policy", "default-src 'self'; img-src *");
    strict.expect_header("cross-origin-opener-policy", "same-origin");
    strict.expect_header("x-content-type-options", "nosniff");
    let page = quaich.get("/none");
    page.expect_status(404)
        .expect_header("x-frame-options", "SAMEORIGIN");
    assert_eq!(quaich.get("/off").header("x-content-type-options"), None);
}

#[test]
fn quaich_route_names_them() {
    let site = TempSite::new();
    let toml = "[site.main]\nroot = \"www\"\nsecurity = true\nresponse_headers = { set = { X-A = \
                \"1\" } }\nrequest_headers = { remove = [\"Cookie\"] }\nexpires = \"1h\"\n\
                cors = { origins = [\"https://a.test\"] }\n";
    site.write("www/index.html", "home");
    let quaich = Quaich::serve(site, toml);
    let told = quaich.cli(["route", "http://test/"]).stdout;
    for words in [
        "cors: https://a.test",
        "request_headers: remove Cookie; response_headers: set X-A",
        "expires: 1h",
        "security: X-Content-Type-Options, X-Frame-Options, Referrer-Policy",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
}
