//! Who it is, for servers of every protocol, through every door.

use quaich_testkit::{Origin, Quaich, TempSite};

use super::{STAFF, authorization, expect_challenge, folder};
use crate::apps::{ENVIRON, table};

#[test]
fn servers_of_variables_are_told_who_was_checked() {
    let site = folder();
    let socket = site.join("scgi.sock");
    let origin = Origin::start_unix(&socket, |conversation| {
        let variables = conversation.read();
        let seen = String::from_utf8_lossy(&variables).replace('\0', "|");
        let body = seen.split(":,").next().unwrap_or_default().to_owned();
        conversation.write(format!(
            "Status: 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    });
    let config = format!(
        "{STAFF}[upstream.old]\nservers = [\"scgi+unix:{}\"]\nparams = \"nginx\"\n[site.main]\n\
         [[site.main.route]]\npath = \"/open\"\nupstream = \"old\"\n\
         [[site.main.route]]\nauth = \"staff\"\nupstream = \"old\"\n",
        socket.display()
    );
    let quaich = Quaich::serve(site, &config);
    let right = authorization("aila", "secret");
    let seen = quaich.request("GET", "/", &right, b"").text();
    assert!(
        seen.contains("|REMOTE_USER|aila|") && seen.contains("|AUTH_TYPE|Basic|"),
        "{seen}"
    );
    assert!(!seen.contains("HTTP_AUTHORIZATION"), "{seen}");
    // As nginx does it where nobody has checked the password.
    let seen = quaich
        .request("GET", "/open", &authorization("bo", "x"), b"")
        .text();
    assert!(
        seen.contains("|REMOTE_USER|bo|") && !seen.contains("AUTH_TYPE"),
        "{seen}"
    );
    assert!(seen.contains("HTTP_AUTHORIZATION"), "{seen}");
    drop(origin);
}

#[test]
fn any_of_several_ways_lets_in() {
    let verifier = Origin::answering(|request| match request.header("cookie") {
        Some("session=1") => {
            b"HTTP/1.1 200 OK\r\nX-User: cora\r\nContent-Length: 0\r\n\r\n".to_vec()
        }
        _ => b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec(),
    });
    let origin = Origin::ok();
    let config = format!(
        "{STAFF}[auth.sso]\nforward = {{ url = \"{}/verify\", user_from = \"X-User\" }}\n\
         [site.main]\nauth = [\"sso\", \"staff\"]\nproxy = \"{}\"\n",
        verifier.url(),
        origin.url()
    );
    let quaich = Quaich::serve(folder(), &config);
    expect_challenge(&quaich.get("/"));
    quaich
        .request("GET", "/", "Cookie: session=1\r\n", b"")
        .expect_status(200);
    assert_eq!(
        origin.wait_for_requests(1).header("x-remote-user"),
        Some("cora")
    );
    quaich
        .request("GET", "/", &authorization("aila", "secret"), b"")
        .expect_status(200);
    assert_eq!(
        origin.wait_for_requests(2).header("x-remote-user"),
        Some("aila")
    );
}

#[test]
fn the_log_and_the_words_of_a_route_name_them() {
    let origin = Origin::ok();
    let config = format!(
        "[log.access]\noutput = \"stdout\"\nformat = \"common\"\n{STAFF}[site.main]\nauth = \"staff\"\nproxy = \"{}\"\n",
        origin.url()
    );
    let quaich = Quaich::serve(folder(), &config);
    quaich
        .request("GET", "/", &authorization("aila", "secret"), b"")
        .expect_status(200);
    let line = quaich.log().wait_for("GET / HTTP/1.1");
    assert!(line.contains(" aila ["), "{line}");
    let told = quaich.cli(["route", "http://test/", "-c", "quaich.toml"]);
    assert!(
        told.stdout.contains("auth staff (basic)"),
        "{}",
        told.stdout
    );
}

#[test]
fn who_comes_in_without_a_name_is_nobody_to_apps_and_servers_alike() {
    let verifier = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nX-User: cora\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    let site = TempSite::new();
    site.write("app.py", ENVIRON);
    let url = verifier.url();
    let config = format!(
        "{}[auth.nameless]\nforward = {{ url = \"{url}/verify\" }}\n\
         [auth.named]\nforward = {{ url = \"{url}/verify\", user_from = \"X-User\" }}\n\
         [site.main]\nauth = \"nameless\"\n\
         [[site.main.route]]\npath = \"/named\"\nauth = \"named\"\napp = \"main\"\n\
         [[site.main.route]]\napp = \"main\"\n",
        table("workers = 1\nthreads = 1")
    );
    let quaich = Quaich::serve(site, &config);
    let environ = quaich.get("/").json();
    for name in ["REMOTE_USER", "AUTH_TYPE"] {
        assert!(environ.get(name).is_none(), "{environ}");
    }
    let environ = quaich.get("/named").json();
    assert_eq!(environ["REMOTE_USER"], "cora");
    assert_eq!(environ["AUTH_TYPE"], "Forward");
}
