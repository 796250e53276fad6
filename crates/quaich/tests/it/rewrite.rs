//! `rewrite`, `redirect`, `canonical_host`, `slash`: what servers are asked for, where clients are sent.

use quaich_testkit::{
    Origin, OriginRequest, Quaich, RawClient, Response, TempSite, requires_python,
};

mod nginx;

/// An origin that says what it was asked for.
pub(crate) fn echo() -> Origin {
    Origin::answering(|request: &OriginRequest| {
        let target = request.target();
        let length = target.len();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{target}").into_bytes()
    })
}

fn ask(client: &mut RawClient, host: &str, target: &str) -> Response {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.response()
}

#[test]
fn servers_are_asked_for_the_new_path_and_query() {
    let origin = echo();
    let toml = format!(
        r#"
[[site.main.route]]
path = ["/old/*", "~^/item/", "/page", "*.php", "/keep"]
rewrite = [
    {{ path = "/old/*", to = "/new/{{1}}" }},
    {{ path = "~^/item/(?P<id>[^/]+)/(.*)$", to = "/show/{{2}}?id={{id}}" }},
    {{ path = "/page", to = "/p?a=1{{query}}" }},
    {{ path = "*.php", to = "{{path}}.py?" }},
]
proxy = "{}"
[[site.main.route]]
proxy = "{0}"
"#,
        origin.url()
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    for (asked, seen) in [
        ("/old/a", "/new/a"),
        ("/old", "/new/"),
        ("/old/a?x=1&y", "/new/a?x=1&y"),
        ("/old/a%20b%3Fc%23d%25", "/new/a%20b%3Fc%23d%25"),
        ("/old/%C3%A4", "/new/%C3%A4"),
        ("/old/a//b/./c", "/new/a/b/c"),
        // Captures are of the decoded path: an encoded slash is a slash in them, as it is in nginx.
        ("/old/a%2Fb", "/new/a/b"),
        ("/item/7/edit?x=1", "/show/edit?id=7"),
        ("/item/a%26b%3Dc/", "/show/?id=a%26b%3Dc"),
        ("/page", "/p?a=1"),
        ("/page?b=2", "/p?a=1&b=2"),
        ("/x.php?a=1", "/x.php.py"),
        ("/keep?x", "/keep?x"),
        ("/none?x", "/none?x"),
    ] {
        let answer = quaich.get(asked);
        answer.expect_status(200);
        assert_eq!(answer.text(), seen, "{asked}");
    }
    assert_eq!(quaich.status()["front"]["counters"]["rewrites"], 12);
}

#[test]
fn the_route_is_chosen_again_and_not_without_end() {
    let quaich = Quaich::serve(
        TempSite::new(),
        r#"
[[site.main.route]]
path = "/a"
rewrite = { path = "/a", to = "/b", then = "route" }
status = 404
[[site.main.route]]
path = "/b"
respond = { body = "b" }
[[site.main.route]]
path = "~^/ping"
rewrite = { path = "~^(.*)$", to = "/pong", then = "route" }
status = 404
[[site.main.route]]
path = "/pong"
rewrite = { path = "/pong", to = "/ping", then = "route" }
status = 404
[[site.main.route]]
path = "/same"
rewrite = { path = "/same", to = "/same", then = "route" }
respond = { body = "same" }
[[site.main.route]]
path = "/grow*"
rewrite = { path = "~^/(.*)$", to = "/{1}/{1}/{1}/{1}", then = "route" }
status = 404
[[site.main.route]]
path = "/bad/*"
rewrite = { path = "/bad/*", to = "/{header.x-to}" }
status = 404
"#,
    );
    quaich.get("/a").expect_status(200).expect_body("b");
    quaich.get("/same").expect_status(200).expect_body("same");
    quaich.get("/ping").expect_status(500);
    let long = format!("/grow{}", "x".repeat(3000));
    quaich.get(&long).expect_status(500);
    let log = quaich.log().wait_for("a rewrite has made a path");
    assert!(log.contains("quaich.toml:"), "{log}");
    let answer = quaich.request("GET", "/bad/x", "X-To: ../../etc\r\n", b"");
    answer.expect_status(500);
    let answer = quaich.request("GET", "/bad/x", "X-To: %2e%2e/x\r\n", b"");
    answer.expect_status(404);
}

#[test]
fn files_and_variables_follow_the_new_path() {
    let site = TempSite::new();
    site.write("www/new.txt", "new");
    let quaich = Quaich::serve(
        site,
        "[[site.main.route]]\nrewrite = { path = \"/old.txt\", to = \"/new.txt\" }\n\
         files = { root = \"www\" }\n",
    );
    quaich.get("/old.txt").expect_status(200).expect_body("new");
    quaich.get("/other.txt").expect_status(404);
}

#[test]
fn a_site_rewrites_for_all_routes_but_those_that_say_no() {
    let origin = echo();
    let url = origin.url();
    let toml = format!(
        "[site.main]\nrewrite = {{ path = \"/v1/*\", to = \"/{{1}}\" }}\n\
         [[site.main.route]]\npath = \"/v1/raw/*\"\nrewrite = \"off\"\nproxy = \"{url}\"\n\
         [[site.main.route]]\nproxy = \"{url}\"\n"
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    quaich.get("/v1/a").expect_body("/a");
    quaich.get("/v1/raw/a").expect_body("/v1/raw/a");
}

#[test]
fn redirects_lead_nowhere_else_than_they_say() {
    let quaich = Quaich::serve(
        TempSite::new(),
        r#"
[[site.main.route]]
path = "/moved/*"
rewrite = { path = "/moved/*", to = "/{1}" }
redirect = { to = "https://new.test{path}{query}", code = 301 }
[[site.main.route]]
path = "/to/*"
rewrite = { path = "/to/*", to = "{path}" }
redirect = { to = "{1}" }
[[site.main.route]]
path = "/host/*"
rewrite = { path = "/host/*", to = "{path}" }
redirect = { to = "https://new.test{1}" }
[[site.main.route]]
path = "/login"
redirect = { to = "/sign-in?next={path}{query}", code = 302 }
[[site.main.route]]
redirect = { to = "{path}/x" }
"#,
    );
    for (target, location) in [
        ("/moved/a%20b?x=1", "https://new.test/a%20b?x=1"),
        ("/moved", "https://new.test/"),
        ("/to/http:%2F%2Fevil.test", "http%3A//evil.test"),
        ("/to/evil.test%0d%0aX:%20y", ""),
        ("/to/a%2F%2Fevil.test", "a//evil.test"),
        ("/to/x%5Cy", ""),
        ("/host/.evil.test", "https://new.test/.evil.test"),
        ("/host/@evil.test/", "https://new.test/@evil.test/"),
        ("/login?a=1&b", "/sign-in?next=/login%3Fa%3D1%26b"),
        (
            "/login?next=//evil.test",
            "/sign-in?next=/login%3Fnext%3D//evil.test",
        ),
        ("//evil.test/", "/evil.test//x"),
        ("//evil.test", "/evil.test/x"),
        ("/%09/evil.test", ""),
    ] {
        let answer = quaich.get(target);
        let got = answer.header("location").unwrap_or_default();
        assert_eq!(got, location, "{target}");
        if location.is_empty() {
            answer.expect_status(400);
        }
    }
    assert_eq!(quaich.get("/x").status, 308);
}

#[test]
fn one_host_is_the_right_one_and_the_rest_of_the_url_stays() {
    let quaich = Quaich::serve(
        TempSite::new(),
        r#"
[site.main]
hosts = ["*"]
canonical_host = "www.example.test"
[[site.main.route]]
path = "/health"
canonical_host = "off"
respond = { body = "well" }
[[site.main.route]]
respond = { body = "page" }
"#,
    );
    let mut client = quaich.raw();
    for (host, target, location) in [
        (
            "example.test",
            "/a%20b?x=1",
            "http://www.example.test/a%20b?x=1",
        ),
        ("example.test:8080", "/", "http://www.example.test:8080/"),
        ("example.test:80", "/?", "http://www.example.test/?"),
        ("evil.test", "//other.test/..", "http://www.example.test/"),
        ("127.0.0.1", "/", "http://www.example.test/"),
    ] {
        let answer = ask(&mut client, host, target);
        answer
            .expect_status(301)
            .expect_header("location", location);
    }
    ask(&mut client, "WWW.example.test", "/").expect_body("page");
    ask(&mut client, "www.example.test.:81", "/").expect_body("page");
    ask(&mut client, "10.0.0.1", "/health").expect_body("well");
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nab");
    client.response().expect_status(308);
    assert_eq!(
        quaich.status()["front"]["counters"]["canonical_redirects"],
        6
    );
}

#[test]
fn slashes_at_the_end_are_added_or_removed() {
    let quaich = Quaich::serve(
        TempSite::new(),
        r#"
[site.main]
slash = "add"
[[site.main.route]]
path = "/api/*"
slash = "remove"
respond = { body = "api" }
[[site.main.route]]
respond = { body = "page" }
"#,
    );
    for (target, location) in [
        ("/a?x=1", "/a/?x=1"),
        ("/a/b", "/a/b/"),
        ("/a%20b", "/a%20b/"),
        ("//evil.test", ""),
        ("//evil", "/evil/"),
        ("/api/x/?y", "/api/x?y"),
        ("/api/", "/api"),
    ] {
        let answer = quaich.get(target);
        let got = answer.header("location").unwrap_or_default();
        assert_eq!(got, location, "{target}");
        assert_eq!(answer.status, if location.is_empty() { 200 } else { 301 });
    }
    quaich.get("/a/").expect_body("page");
    quaich.get("/a.css").expect_body("page");
    quaich.get("/api/x").expect_body("api");
    quaich.request("OPTIONS", "/a", "", b"").expect_status(200);
}

#[test]
fn the_root_of_a_mounted_app_keeps_its_slash() {
    if !requires_python(&["flask"]) {
        return;
    }
    let site = TempSite::new();
    site.write(
        "app.py",
        "from flask import Flask\napp = Flask(__name__)\n\
         app.add_url_rule('/', view_func=lambda: 'home', endpoint='home')\n\
         app.add_url_rule('/x', view_func=lambda: 'x', endpoint='x')\n",
    );
    let quaich = Quaich::serve(
        site,
        "[app.flask]\nmodule = \"app:app\"\n[site.main]\nslash = \"remove\"\n\
         [[site.main.route]]\nprefix = \"/app\"\napp = \"flask\"\n\
         [[site.main.route]]\nrespond = { body = \"page\" }\n",
    );
    quaich.get("/app/").expect_status(200).expect_body("home");
    let bare = quaich.get("/app");
    if bare.status != 200 {
        let to = bare.header("location").unwrap_or_default();
        assert!(to.ends_with("/app/"), "{to}");
    }
    let below = quaich.get("/app/x/");
    below.expect_status(301).expect_header("location", "/app/x");
    let beside = quaich.get("/apps/");
    beside.expect_status(301).expect_header("location", "/apps");
}

#[test]
fn quaich_route_says_what_is_rewritten() {
    let site = TempSite::new();
    site.write(
        "quaich.toml",
        "[site.main]\ncanonical_host = \"www.a.test\"\n[[site.main.route]]\n\
         rewrite = { path = \"/old/*\", to = \"/new/{1}\", then = \"route\" }\nstatus = 204\n",
    );
    let told = quaich_testkit::QuaichCommand::beside(
        &site,
        ["route", "http://www.a.test/old/x", "-c", "quaich.toml"],
    )
    .finish();
    assert!(
        told.stdout
            .contains("path /old/* becomes /new/{1}, then the route is chosen again"),
        "{}",
        told.stdout
    );
}
