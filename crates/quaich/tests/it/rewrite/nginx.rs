//! The same rewrites, redirects and `try_files` in a real nginx: what becomes of each URL.

use quaich_testkit::{Origin, OriginRequest, Quaich, RawClient, Response, TempSite};

use crate::peers;

/// Where both send what they pass on.
fn origin() -> Origin {
    Origin::answering(|request: &OriginRequest| {
        let told = format!("-> {}", request.target());
        let length = told.len();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{told}").into_bytes()
    })
}

fn nginx_rules(origin: &str) -> String {
    let pass = format!("proxy_pass {origin};");
    format!(
        "absolute_redirect off; root www;\n\
         location /old/ {{ rewrite ^/old/(.*)$ /new/$1 break; {pass} }}\n\
         location /item/ {{ rewrite ^/item/([0-9]+)/(.*)$ /show/$2?id=$1 break; {pass} }}\n\
         location = /drop {{ rewrite ^ /t? break; {pass} }}\n\
         location /last/ {{ rewrite ^/last/(.*)$ /target/$1 last; return 404; }}\n\
         location /target/ {{ {pass} }}\n\
         location /r301/ {{ rewrite ^/r301/(.*)$ /there/$1 permanent; }}\n\
         location /r302/ {{ rewrite ^/r302/(.*)$ http://new.test/$1 redirect; }}\n\
         location = /ret {{ return 308 https://new.test$request_uri; }}\n\
         location /loop {{ rewrite ^/loop(.*)$ /loop$1x last; }}\n\
         location /files/ {{ try_files $uri $uri/index.html @app; }}\n\
         location @app {{ {pass} }}\n\
         location = /two {{ rewrite ^/two$ /one; rewrite ^/one$ /zero break; {pass} }}\n\
         location / {{ return 404; }}\n"
    )
}

fn quaich_rules(origin: &str) -> String {
    const RULES: &str = r#"
[[site.main.route]]
path = "/old/*"
rewrite = { path = "~^/old/(.*)$", to = "/new/{1}" }
proxy = "ORIGIN"
[[site.main.route]]
path = "/item/*"
rewrite = { path = "~^/item/([0-9]+)/(.*)$", to = "/show/{2}?id={1}{query}" }
proxy = "ORIGIN"
[[site.main.route]]
path = "/drop"
rewrite = { path = "*", to = "/t?" }
proxy = "ORIGIN"
[[site.main.route]]
path = "/last/*"
rewrite = { path = "/last/*", to = "/target/{1}", then = "route" }
status = 404
[[site.main.route]]
path = "/target/*"
proxy = "ORIGIN"
[[site.main.route]]
path = "/r301/*"
rewrite = { path = "/r301/*", to = "/there/{1}" }
redirect = { to = "{path}{query}", code = 301 }
[[site.main.route]]
path = "/r302/*"
rewrite = { path = "/r302/*", to = "/{1}" }
redirect = { to = "http://new.test{path}{query}", code = 302 }
[[site.main.route]]
path = "/ret"
redirect = { to = "https://new.test{path}{query}" }
[[site.main.route]]
path = "/loop*"
rewrite = { path = "~^/loop(.*)$", to = "/loop{1}x", then = "route" }
status = 404
[[site.main.route]]
path = "/files/*"
files = { root = "www", try = ["{path}", "{path}/index.html"] }
proxy = "ORIGIN"
[[site.main.route]]
path = "/two"
rewrite = { path = "/two", to = "/zero" }
proxy = "ORIGIN"
"#;
    RULES.replace("ORIGIN", origin)
}

/// A URL, what nginx does with it, and what quaich does otherwise.
const TABLE: &[(&str, &str, Option<&str>)] = &[
    ("/old/a", "200 -> /new/a", None),
    ("/old/", "200 -> /new/", None),
    ("/old", "301 /old/", Some("200 -> /old")),
    ("/old/a?x=1", "200 -> /new/a?x=1", None),
    ("/old/a?", "200 -> /new/a", Some("200 -> /new/a?")),
    ("/old/a/b/c", "200 -> /new/a/b/c", None),
    ("/old/a%20b", "200 -> /new/a%20b", None),
    ("/old/a%2Fb", "200 -> /new/a/b", None),
    ("/old/a%3Fb", "200 -> /new/a%3Fb", None),
    ("/old/a%23b", "200 -> /new/a%23b", None),
    ("/old/a%25b", "200 -> /new/a%25b", None),
    ("/old/%C3%A4", "200 -> /new/%C3%A4", None),
    ("/old/a+b", "200 -> /new/a+b", None),
    ("/old/a;b", "200 -> /new/a;b", None),
    ("/old/a&b=c", "200 -> /new/a&b=c", None),
    ("/old//a", "200 -> /new/a", None),
    ("/old/./a", "200 -> /new/a", None),
    ("/old/x/../a", "200 -> /new/a", None),
    ("/old/%61", "200 -> /new/a", None),
    ("/old/a%2541", "200 -> /new/a%2541", None),
    ("/old/a:b@c", "200 -> /new/a:b@c", None),
    ("/old/a'b", "200 -> /new/a'b", None),
    ("/old/a(b)", "200 -> /new/a(b)", None),
    ("/old/a!*", "200 -> /new/a!*", None),
    ("/old/a~b", "200 -> /new/a~b", None),
    ("/old/a%7Cb", "200 -> /new/a%7Cb", None),
    ("/item/7/edit", "200 -> /show/edit?id=7", None),
    ("/item/7/edit?x=1", "200 -> /show/edit?id=7&x=1", None),
    ("/item/7/", "200 -> /show/?id=7", None),
    ("/item/x/edit", "200 -> /item/x/edit", None),
    ("/item/7/a%26b", "200 -> /show/a&b?id=7", None),
    ("/item/12/a%20b", "200 -> /show/a%20b?id=12", None),
    ("/drop", "200 -> /t", None),
    ("/drop?a=1", "200 -> /t", None),
    ("/drop?", "200 -> /t", None),
    ("/last/a", "200 -> /target/a", None),
    ("/last/a?x=1", "200 -> /target/a?x=1", None),
    ("/last/a%20b", "200 -> /target/a%20b", None),
    ("/last/", "200 -> /target/", None),
    ("/target/a", "200 -> /target/a", None),
    ("/r301/a", "301 /there/a", None),
    ("/r301/a?x=1", "301 /there/a?x=1", None),
    ("/r301/a%20b", "301 /there/a%20b", None),
    ("/r301/a%2Fb", "301 /there/a/b", None),
    ("/r301/", "301 /there/", None),
    ("/r301//evil.test", "301 /there/evil.test", None),
    ("/r302/a", "302 http://new.test/a", None),
    ("/r302/a?x=1", "302 http://new.test/a?x=1", None),
    ("/r302/", "302 http://new.test/", None),
    ("/r302//evil.test", "302 http://new.test/evil.test", None),
    ("/ret", "308 https://new.test/ret", None),
    ("/ret?x=1", "308 https://new.test/ret?x=1", None),
    ("/loop", "500", None),
    ("/files/a.txt", "200 file", None),
    ("/files/a.txt?x=1", "200 file", None),
    ("/files/a%20b.txt", "200 sp", None),
    ("/files/dir", "200 index", None),
    ("/files/dir/", "200 index", None),
    ("/files/none", "200 -> /files/none", None),
    ("/files/none?x=1", "200 -> /files/none?x=1", None),
    ("/files/%2e%2e/files/a.txt", "200 file", None),
    (
        "/files/../ret",
        "308 https://new.test/files/../ret",
        Some("308 https://new.test/ret"),
    ),
    ("/two", "200 -> /zero", None),
    ("/two?x=1", "200 -> /zero?x=1", None),
    ("/none", "404", None),
    ("/old/a%00", "400", None),
    ("/old/%zz", "400", None),
    ("/../x", "400", None),
];

fn told(answer: &Response) -> String {
    match answer.header("location") {
        Some(location) => format!("{} {location}", answer.status),
        None if answer.status == 200 => format!("200 {}", answer.text()),
        None => answer.status.to_string(),
    }
}

fn ask(client: &mut RawClient, target: &str) -> Response {
    client.send(format!(
        "GET {target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    ));
    client.response()
}

fn files(site: &TempSite) {
    site.write("www/files/a.txt", "file");
    site.write("www/files/a b.txt", "sp");
    site.write("www/files/dir/index.html", "index");
}

#[test]
fn urls_go_where_nginx_sends_them() {
    let origin = origin();
    let site = TempSite::new();
    files(&site);
    let quaich = Quaich::serve(site, &quaich_rules(&origin.url()));
    for (url, nginx, ours) in TABLE {
        let answer = ask(&mut quaich.raw(), url);
        assert_eq!(told(&answer), ours.unwrap_or(nginx), "{url}");
    }
    let site = TempSite::new();
    files(&site);
    let Some(_nginx) = peers::nginx(&site, &nginx_rules(&origin.url())) else {
        return;
    };
    for (url, nginx, _) in TABLE {
        let answer = ask(&mut RawClient::connect_unix(&site.join("nginx.sock")), url);
        assert_eq!(told(&answer), *nginx, "nginx, {url}");
    }
}
