//! The same decisions as nginx: `location` of every kind, and `try_files`, written as routes.
//!
//! nginx takes `=` first, then the longest prefix if it is `^~`, then expressions in file order, then
//! the longest prefix. Routes are tried in file order: they are written here in that order.

use quaich_testkit::{Origin, Quaich, RawClient, Response, TempSite};

use crate::peers::nginx;

const LOCATIONS: &str = r#"
location = / { return 200 root; }
location = /exact { return 200 exact; }
location ^~ /images/ { return 200 images; }
location ^~ /images/icons/ { return 200 icons; }
location ~ \.php$ { return 200 php; }
location ~* \.(png|jpg)$ { return 200 picture; }
location ~ ^/user/([0-9]+)$ { return 200 user-$1; }
location /docs/ { return 200 docs; }
location /docs/api/ { return 200 api; }
location /docs { return 200 docs-prefix; }
location /pre { return 200 pre; }
location / { return 200 rest; }
"#;

/// Conditions and the answer, in nginx's order.
const ROUTES: &[(&str, &str)] = &[
    ("path = \"/\"", "root"),
    ("path = \"/exact\"", "exact"),
    ("path = \"~^/images/icons/\"", "icons"),
    ("path = \"~^/images/\"", "images"),
    ("path = \"*.php\"", "php"),
    (r#"path = '~(?i)\.(png|jpg)$'"#, "picture"),
    ("path = \"~^/user/([0-9]+)$\"", "user"),
    ("path = \"~^/docs/api/\"", "api"),
    ("path = \"~^/docs/\"", "docs"),
    ("path = \"/docs*\"", "docs-prefix"),
    ("path = \"/pre*\"", "pre"),
    ("", "rest"),
];

const TARGETS: &[&str] = &[
    "/",
    "/?x",
    "/exact",
    "/exact/",
    "/exact?a=b",
    "/exactly",
    "/EXACT",
    "/%65xact",
    "//exact",
    "/./exact",
    "/x/../exact",
    "/images",
    "/images/",
    "/images/a.png",
    "/images/a.php",
    "/images/icons/a.php",
    "/images/icons",
    "/images/icons/",
    "/Images/a.PNG",
    "/a.php",
    "/a.php/",
    "/a.php/x",
    "/a.php?x=/images/",
    "/a.PHP",
    "/docs/a.php",
    "/docs/api/x.jpg",
    "/docs/api/x",
    "/docs/api",
    "/docs/",
    "/docs",
    "/docsx",
    "/docs/api/../x",
    "/docs/%61pi/x",
    "/pre",
    "/prefix",
    "/pre/x.JPG",
    "/user/7",
    "/user/7/",
    "/user/x",
    "/user/0123456789",
    "/user/%37",
    "/%C3%A4.png",
    "/a%20b.php",
    "/a+b.php",
    "/a%3Fb.php",
    "/x/.php",
    "/x//y.php",
    "/images/../a.php",
    "/nothing/at/all",
    "/.well-known/x",
];

fn both(nginx_socket: &std::path::Path, quaich: &Quaich, target: &str) -> (Response, Response) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut theirs = RawClient::connect_unix(nginx_socket);
    let mut ours = quaich.raw();
    theirs.send(&request);
    ours.send(&request);
    (theirs.response(), ours.response())
}

#[test]
fn locations_written_as_routes_decide_alike() {
    let folder = TempSite::new();
    let Some(_nginx) = nginx(&folder, LOCATIONS) else {
        return;
    };
    let route = |(condition, body): &(&str, &str)| {
        format!(
            "[[site.main.route]]\n{condition}\nrespond = {{ status = 200, body = \"{body}\" }}\n"
        )
    };
    let quaich = Quaich::serve(
        TempSite::new(),
        &ROUTES.iter().map(route).collect::<String>(),
    );
    assert!(TARGETS.len() >= 40);
    for target in TARGETS {
        let (theirs, ours) = both(&folder.join("nginx.sock"), &quaich, target);
        let theirs = theirs.text();
        // What was caught is not part of the decision.
        let user = theirs.starts_with("user-").then_some("user");
        assert_eq!(ours.text(), user.unwrap_or(&theirs), "{target}");
    }
}

#[test]
fn try_files_finds_the_same_files() {
    let folder = TempSite::new();
    for (file, content) in [
        ("www/a.html", "a.html"),
        ("www/b/index.html", "b/index.html"),
        ("www/c", "c"),
        ("www/c.html", "c.html"),
        ("www/d.txt", "d.txt"),
    ] {
        folder.write(file, content);
    }
    let root = folder.join("www");
    let root = root.display();
    let server = format!(
        "root {root}; location / {{ try_files $uri $uri.html $uri/index.html @app; }}\n\
         location @app {{ return 200 app; }}"
    );
    let Some(_nginx) = nginx(&folder, &server) else {
        return;
    };
    let app = Origin::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\napp".to_vec());
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!(
            "[[site.main.route]]\nfiles = {{ root = \"{root}\", index = [], \
             try = [\"{{path}}\", \"{{path}}.html\", \"{{path}}/index.html\"] }}\n\
             proxy = \"{}\"\n",
            app.url()
        ),
    );
    for target in [
        "/a",
        "/a.html",
        "/b",
        "/b/index.html",
        "/c",
        "/c.html",
        "/d",
        "/d.txt",
        "/e",
        "/b/x",
        "/a.txt",
        "/%61",
        "/x/../a",
        "//a",
        "/d.txt?q",
    ] {
        let (theirs, ours) = both(&folder.join("nginx.sock"), &quaich, target);
        assert_eq!(ours.status, theirs.status, "{target}");
        assert_eq!(ours.text(), theirs.text(), "{target}");
    }
}
