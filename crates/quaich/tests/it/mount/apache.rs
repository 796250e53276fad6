//! What a real Apache makes of the same fields with `ProxyPassReverse`, `ProxyPassReverseCookiePath` and
//! `ProxyPassReverseCookieDomain`, and where quaich differs on purpose.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use quaich_testkit::{Origin, Peer, Quaich, RawClient, TempSite, eventually};

use crate::tls_clients::requires_program;

/// What Apache says.
enum Apache {
    /// The same as quaich.
    Same,
    /// What the app says.
    Leaves,
    /// Something else.
    Says(&'static str),
}
use Apache::{Leaves, Same, Says};

/// Field, what the app says, what clients of quaich get, what those of Apache get. `O` in a URL is the
/// address of the app; `""` = quaich leaves it, too. The public URL is `http://app.test:8080/tools/app`.
const TABLE: &[(&str, &str, &str, Apache)] = &[
    // Apache looks at nothing but URLs that begin with that of the app.
    ("Location", "/x", "/tools/app/x", Leaves),
    ("Location", "/", "/tools/app/", Leaves),
    ("Location", "/x?y=/z#f", "/tools/app/x?y=/z#f", Leaves),
    ("Location", "/tools/app/x", "", Same),
    ("Location", "/tools/app", "", Same),
    ("Location", "/tools/apps", "/tools/app/tools/apps", Leaves),
    ("Location", "/tools", "/tools/app/tools", Leaves),
    ("Location", "x", "", Same),
    ("Location", "../x", "", Same),
    ("Location", "", "", Same),
    ("Location", "?q", "", Same),
    ("Location", "#f", "", Same),
    ("Location", "//O/x", "//app.test:8080/tools/app/x", Leaves),
    ("Location", "//other.test/x", "", Same),
    (
        "Location",
        "http://O/x",
        "http://app.test:8080/tools/app/x",
        Same,
    ),
    (
        "Location",
        "http://O/",
        "http://app.test:8080/tools/app/",
        Same,
    ),
    (
        "Location",
        "http://O",
        "http://app.test:8080/tools/app/",
        Leaves,
    ),
    (
        "Location",
        "http://O?q",
        "http://app.test:8080/tools/app/?q",
        Leaves,
    ),
    (
        "Location",
        "http://O/a%20b",
        "http://app.test:8080/tools/app/a%20b",
        Same,
    ),
    (
        "Location",
        "HTTP://O/x",
        "http://app.test:8080/tools/app/x",
        Same,
    ),
    // The app knows its prefix, though not its host: Apache doubles it.
    (
        "Location",
        "http://O/tools/app/x",
        "http://app.test:8080/tools/app/x",
        Says("http://app.test:8080/tools/app/tools/app/x"),
    ),
    (
        "Location",
        "http://localhost:P/x",
        "http://app.test:8080/tools/app/x",
        Leaves,
    ),
    ("Location", "http://127.0.0.1/x", "", Same),
    ("Location", "http://127.0.0.1:1/x", "", Same),
    // The app believes that clients speak TLS with it.
    (
        "Location",
        "https://O/x",
        "http://app.test:8080/tools/app/x",
        Leaves,
    ),
    (
        "Location",
        "http://app.test:8080/x",
        "http://app.test:8080/tools/app/x",
        Leaves,
    ),
    ("Location", "http://app.test:8080/tools/app/x", "", Same),
    (
        "Location",
        "http://APP.test:8080/x",
        "http://APP.test:8080/tools/app/x",
        Leaves,
    ),
    (
        "Location",
        "https://app.test:8080/x",
        "https://app.test:8080/tools/app/x",
        Leaves,
    ),
    ("Location", "http://app.test/x", "", Same),
    ("Location", "http://other.test/x", "", Same),
    ("Location", "mailto:a@b", "", Same),
    ("Location", "http://O@evil.test/", "", Same),
    ("Location", "http://O.evil.test/", "", Same),
    ("Location", "/a b", "/tools/app/a b", Leaves),
    ("Location", "javascript:x", "", Same),
    ("Location", "/x\ty", "/tools/app/x\ty", Leaves),
    ("Content-Location", "/x", "/tools/app/x", Leaves),
    (
        "Content-Location",
        "http://O/x",
        "http://app.test:8080/tools/app/x",
        Same,
    ),
    ("Content-Location", "http://other.test/", "", Same),
    (
        "URI",
        "http://O/x",
        "http://app.test:8080/tools/app/x",
        Same,
    ),
    // Apache does not know these.
    ("Refresh", "5; url=/x", "5; url=/tools/app/x", Leaves),
    (
        "Refresh",
        "5; url=http://O/x",
        "5; url=http://app.test:8080/tools/app/x",
        Leaves,
    ),
    ("Link", "</x>; rel=next", "</tools/app/x>; rel=next", Leaves),
    (
        "Link",
        "<http://O/x>; rel=next",
        "<http://app.test:8080/tools/app/x>; rel=next",
        Leaves,
    ),
    // Apache keeps the slash, and such a cookie does not hold for `/tools/app`.
    (
        "Set-Cookie",
        "a=1; Path=/; HttpOnly",
        "a=1; Path=/tools/app; HttpOnly",
        Says("a=1; Path=/tools/app/; HttpOnly"),
    ),
    // Apache loses what is behind the path that it replaces.
    (
        "Set-Cookie",
        "a=1; Path=/sub",
        "a=1; Path=/tools/app/sub",
        Says("a=1; Path=/tools/app/"),
    ),
    (
        "Set-Cookie",
        "a=1; path=/sub; Secure",
        "a=1; path=/tools/app/sub; Secure",
        Says("a=1; path=/tools/app/; Secure"),
    ),
    (
        "Set-Cookie",
        "a=1; Path=/tools/app/x",
        "",
        Says("a=1; Path=/tools/app/"),
    ),
    (
        "Set-Cookie",
        "a=1; PATH=/",
        "a=1; PATH=/tools/app",
        Says("a=1; PATH=/tools/app/"),
    ),
    ("Set-Cookie", "a=1", "", Same),
    ("Set-Cookie", "a=1; HttpOnly", "", Same),
    (
        "Set-Cookie",
        "a=1;Path=/",
        "a=1;Path=/tools/app",
        Says("a=1;Path=/tools/app/"),
    ),
    ("Set-Cookie", "a=1; Path=/tools/app/", "", Same),
    ("Set-Cookie", "a=1; Path=", "", Same),
    ("Set-Cookie", "a=1; Path=x", "", Same),
    ("Set-Cookie", "a=1; Path=\"/\"", "", Same),
    // Browsers refuse such a cookie with another path.
    (
        "Set-Cookie",
        "__Host-a=1; Path=/; Secure",
        "",
        Says("__Host-a=1; Path=/tools/app/; Secure"),
    ),
    // Without a domain the cookie belongs to the host that was asked, and to no other.
    (
        "Set-Cookie",
        "a=1; Domain=127.0.0.1; Path=/",
        "a=1; Path=/tools/app",
        Says("a=1; Domain=app.test; Path=/tools/app/"),
    ),
    (
        "Set-Cookie",
        "a=1; Path=/; Domain=127.0.0.1",
        "a=1; Path=/tools/app",
        Says("a=1; Path=/tools/app/; Domain=app.test"),
    ),
    ("Set-Cookie", "a=1; Domain=.127.0.0.1", "a=1", Leaves),
    ("Set-Cookie", "a=1; Domain=other.test", "", Same),
    ("Set-Cookie", "a=1; Domain=app.test", "", Same),
    (
        "Set-Cookie",
        "a=1; Path=/; Expires=Thu, 01 Jan 2037 00:00:00 GMT; SameSite=Lax",
        "a=1; Path=/tools/app; Expires=Thu, 01 Jan 2037 00:00:00 GMT; SameSite=Lax",
        Says("a=1; Path=/tools/app/; Expires=Thu, 01 Jan 2037 00:00:00 GMT; SameSite=Lax"),
    ),
    (
        "Set-Cookie",
        "a=\"x; Path=/\"",
        "a=\"x; Path=/tools/app/\"",
        Says("a=\"x; Path=/tools/app/"),
    ),
    ("Set-Cookie", "Path=/", "", Says("Path=/tools/app/")),
];

/// The text with the address of the app.
fn at(text: &str, app: SocketAddr) -> String {
    text.replace("//O", &format!("//{app}"))
        .replace(":P/", &format!(":{}/", app.port()))
}

fn origin() -> Origin {
    Origin::start(|talk| {
        while let Some(request) = talk.request() {
            let number = request.target().trim_start_matches('/');
            let Ok(number) = number.parse::<usize>() else {
                return;
            };
            let (field, value, ..) = TABLE[number];
            // The app knows its own address from nobody but its first client.
            let app: SocketAddr = request
                .header("x-app")
                .and_then(|addr| addr.parse().ok())
                .expect("the test says where the app is");
            let status = if field == "Location" {
                "302 Found"
            } else {
                "200 OK"
            };
            talk.write(format!(
                "HTTP/1.1 {status}\r\n{field}: {}\r\nContent-Length: 0\r\n\r\n",
                at(value, app)
            ));
        }
    })
}

/// Apache before `app`, at an address of its own.
fn apache(site: &TempSite, app: SocketAddr) -> (Peer, SocketAddr) {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    // Each process has an address of its own, so that nobody else takes the port meanwhile.
    let pid = std::process::id().to_be_bytes();
    let addr: SocketAddr = (
        [127, 90 | pid[1] & 3, pid[2], pid[3].clamp(1, 254)],
        free.local_addr().expect("it is bound").port(),
    )
        .into();
    let folder = site.path().display();
    let modules = ["mpm_event", "authz_core", "proxy", "proxy_http"]
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .concat();
    let config = site.write(
        "apache.conf",
        format!(
            "ServerRoot {folder}\nPidFile {folder}/pid\nServerName x.test\nListen {addr}\n\
             ErrorLog {folder}/error.log\nMutex posixsem\n{modules}\
             ProxyPass /tools/app/ http://{app}/\n\
             ProxyPassReverse /tools/app/ http://{app}/\n\
             ProxyPassReverseCookiePath / /tools/app/\n\
             ProxyPassReverseCookieDomain 127.0.0.1 app.test\n"
        ),
    );
    let mut command = Command::new("/usr/sbin/apache2");
    command.arg("-f").arg(config).arg("-DFOREGROUND");
    let peer = Peer::start(&mut command);
    eventually("Apache", || TcpStream::connect(addr).ok());
    (peer, addr)
}

/// The value that a client gets, for each line of the table.
fn values(client: &mut RawClient, app: SocketAddr) -> Vec<String> {
    let value = |(number, (field, ..)): (usize, &(&str, &str, &str, Apache))| {
        client.send(format!(
            "GET /tools/app/{number} HTTP/1.1\r\nHost: app.test:8080\r\nX-App: {app}\r\n\r\n"
        ));
        let answer = client.response();
        answer.header(field).unwrap_or("(none)").to_owned()
    };
    TABLE.iter().enumerate().map(value).collect()
}

#[test]
fn fields_come_back_as_from_apache_but_for_what_it_misses() {
    let origin = origin();
    let app = origin.addr();
    let toml = format!("[[site.main.route]]\nprefix = \"/tools/app\"\nproxy = \"http://{app}\"\n");
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let ours = values(&mut quaich.raw(), app);
    for ((field, value, expected, _), got) in TABLE.iter().zip(&ours) {
        let expected = if expected.is_empty() { value } else { expected };
        assert_eq!(*got, at(expected, app), "{field}: {value}");
    }
    if !requires_program("/usr/sbin/apache2", "apache2") {
        return;
    }
    let site = TempSite::new();
    let (_apache, addr) = apache(&site, app);
    let theirs = values(&mut RawClient::connect(addr), app);
    for (((field, value, _, apache), ours), theirs) in TABLE.iter().zip(&ours).zip(&theirs) {
        let expected = match apache {
            Same => ours.clone(),
            Leaves => at(value, app),
            Says(text) => at(text, app),
        };
        assert_eq!(*theirs, expected, "Apache, {field}: {value}");
        assert!(
            matches!(apache, Same) || theirs != ours,
            "{field}: {value} is the same"
        );
    }
}
