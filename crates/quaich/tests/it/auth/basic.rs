//! User and password.

use std::process::Command;
use std::time::Duration;

use quaich_testkit::{Origin, Quaich, TempSite, eventually};

use super::{STAFF, authorization, expect_challenge, folder};
use crate::apps::{ENVIRON, table};

/// An app for staff at `/`, for all at `/open`, and files for staff at `/files`.
fn serve(site: TempSite, server: &str, auth: &str) -> Quaich {
    site.write("app.py", ENVIRON);
    site.write("files/page.txt", "a page");
    let app = table("workers = 1\nthreads = 2");
    let config = format!(
        "{server}\n{app}\n{auth}\n[site.main]\nauth = \"staff\"\n\
         [[site.main.route]]\npath = \"/open/*\"\nauth = \"off\"\napp = \"main\"\n\
         [[site.main.route]]\nprefix = \"/files\"\nfiles = {{ root = \"files\" }}\n\
         [[site.main.route]]\napp = \"main\"\n"
    );
    Quaich::serve(site, &config)
}

#[test]
fn only_who_knows_the_password_comes_in() {
    let quaich = serve(folder(), "", STAFF);
    let right = authorization("aila", "secret");
    expect_challenge(&quaich.get("/"));
    expect_challenge(&quaich.get("/files/page.txt"));
    let environ = quaich.request("GET", "/", &right, b"");
    environ.expect_status(200);
    let environ = environ.json();
    assert_eq!(environ["REMOTE_USER"], "aila");
    assert_eq!(environ["AUTH_TYPE"], "Basic");
    assert_eq!(environ["HTTP_X_REMOTE_USER"], "aila");
    assert!(environ.get("HTTP_AUTHORIZATION").is_none(), "{environ}");
    let file = quaich.request("GET", "/files/page.txt", &right, b"");
    file.expect_status(200).expect_body("a page");
    let head = quaich.request("HEAD", "/files/page.txt", &right, b"");
    head.expect_status(200);
    for wrong in [
        authorization("aila", "Secret"),
        authorization("aila", ""),
        authorization("nobody", "secret"),
        "Authorization: Basic YWlsYQ==\r\n".to_owned(),
        "Authorization: Basic !\r\n".to_owned(),
        "Authorization: Bearer abc\r\n".to_owned(),
        format!("{right}{right}"),
    ] {
        expect_challenge(&quaich.request("GET", "/", &wrong, b""));
    }
    let counted = &quaich.status()["front"]["counters"];
    assert_eq!(counted["passwords_verified"], 4, "{counted}");
    assert_eq!(counted["passwords_remembered"], 2, "{counted}");
    assert_eq!(
        (&counted["auth_granted"], &counted["auth_refused"]),
        (&3.into(), &9.into())
    );
    quaich.cli(["route", "http://test/files/x"]).expect_code(0);
}

#[test]
fn a_route_that_is_open_is_as_if_there_were_no_auth() {
    let quaich = serve(folder(), "", STAFF);
    let fields = format!(
        "{}X-Remote-User: root\r\nX_Remote_User: root\r\n",
        authorization("x", "y")
    );
    let environ = quaich.request("GET", "/open/", &fields, b"").json();
    assert_eq!(environ["HTTP_AUTHORIZATION"], "Basic eDp5");
    for name in ["REMOTE_USER", "AUTH_TYPE", "HTTP_X_REMOTE_USER"] {
        assert!(environ.get(name).is_none(), "{name}");
    }
}

#[test]
fn passwords_reach_the_app_where_it_is_told_so() {
    let auth =
        "[auth.staff]\nbasic = { users = \"users\", pass_on = true }\npass = { user = \"off\" }\n";
    let quaich = serve(folder(), "", auth);
    let right = authorization("aila", "secret");
    let environ = quaich.request("GET", "/", &right, b"").json();
    assert_eq!(
        environ["HTTP_AUTHORIZATION"],
        right["Authorization: ".len()..].trim()
    );
    assert_eq!(environ["REMOTE_USER"], "aila");
    assert!(environ.get("HTTP_X_REMOTE_USER").is_none());
}

#[test]
fn another_file_counts_without_a_restart() {
    let quaich = serve(folder(), "", STAFF);
    let old = authorization("aila", "secret");
    quaich.request("GET", "/", &old, b"").expect_status(200);
    // `bo` with the password `other`.
    quaich
        .site()
        .write("users", "bo:$apr1$quaich$PQMMI2VZ1vgHtoVWEXDJp.\n");
    eventually("that the old user is nobody any more", || {
        (quaich.request("GET", "/", &old, b"").status == 401).then_some(())
    });
    quaich
        .request("GET", "/", &authorization("bo", "other"), b"")
        .expect_status(200);
}

#[test]
fn htpasswd_writes_what_is_read() {
    if Command::new("htpasswd").arg("-h").output().is_err() {
        eprintln!("skipped: htpasswd is not installed (apt-get install apache2-utils)");
        return;
    }
    let site = TempSite::new();
    let file = site.join("users");
    for (flags, user) in [
        ("-cbB", "bcrypt"),
        ("-bm", "apr1"),
        ("-b2", "sha256"),
        ("-b5", "sha512"),
    ] {
        let mut htpasswd = Command::new("htpasswd");
        let made = htpasswd
            .arg(flags)
            .arg(&file)
            .args([user, "pass word"])
            .output();
        assert!(made.unwrap().status.success(), "{flags}");
    }
    let quaich = serve(site, "", STAFF);
    for user in ["bcrypt", "apr1", "sha256", "sha512"] {
        let environ = quaich.request("GET", "/", &authorization(user, "pass word"), b"");
        environ.expect_status(200);
        assert_eq!(environ.json()["REMOTE_USER"], user);
        expect_challenge(&quaich.request("GET", "/", &authorization(user, "password"), b""));
    }
}

#[test]
fn a_guesser_is_stopped_and_disturbs_nobody() {
    let site = folder();
    // bcrypt with cost 13, of nobody's password: each guess takes a while.
    let slow = "bo:$2y$13$WWMCIPoF5B/FFt/Fj9sMR.wHVQXN9KYraJjAabd62cyzoRS7HGp..\n";
    let users = site.read("users");
    site.write("users", format!("{users}{slow}"));
    let quaich = serve(site, "threads = 1", STAFF);
    let mut known = quaich.raw();
    let right = format!(
        "GET /files/page.txt HTTP/1.1\r\nHost: test\r\n{}\r\n",
        authorization("aila", "secret")
    );
    known.send(&right).response().expect_status(200);
    let mut guesser = quaich.raw();
    let guess = |number: u32| {
        let field = authorization("bo", &format!("guess {number}"));
        format!("GET /files/page.txt HTTP/1.1\r\nHost: test\r\n{field}\r\n")
    };
    guesser.send(guess(0));
    // On the same thread: one that needs no password, and one whose password is known.
    quaich.get("/open/").expect_status(200);
    known.send(&right).response().expect_status(200);
    assert!(
        !guesser.answered_within(Duration::from_millis(1)),
        "the guess should still be verified: it proves nothing otherwise"
    );
    guesser.response().expect_status(401);
    for number in 1..10 {
        guesser.send(guess(number)).response().expect_status(401);
    }
    for number in 10..1000 {
        let stopped = guesser.send(guess(number)).response();
        stopped.expect_status(429);
        let wait: u64 = stopped.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
    }
    known.send(&right).response().expect_status(200);
    quaich.get("/open/").expect_status(200);
    assert_eq!(
        quaich.status()["front"]["counters"]["passwords_verified"],
        11
    );
}

#[test]
fn a_long_password_or_user_is_refused_before_it_costs_anything() {
    let quaich = serve(folder(), "", STAFF);
    let long = authorization("aila", &"x".repeat(5000));
    expect_challenge(&quaich.request("GET", "/files/page.txt", &long, b""));
    let long = authorization(&"x".repeat(257), "secret");
    expect_challenge(&quaich.request("GET", "/files/page.txt", &long, b""));
    let counted = &quaich.status()["front"]["counters"];
    assert_eq!(counted["passwords_verified"], 0, "{counted}");
    // They are guesses like others.
    for _ in 2..10 {
        expect_challenge(&quaich.request("GET", "/files/page.txt", &long, b""));
    }
    quaich
        .request("GET", "/files/page.txt", &long, b"")
        .expect_status(429);
    let counted = &quaich.status()["front"]["counters"];
    assert_eq!(counted["passwords_verified"], 0, "{counted}");
}

#[test]
fn those_from_a_known_network_need_no_password() {
    let auth = format!("{STAFF}or_from = [\"127.0.0.0/8\"]\n");
    let quaich = serve(folder(), "", &auth);
    let fields = format!("X-Remote-User: root\r\n{}", authorization("aila", "secret"));
    let environ = quaich.request("GET", "/", &fields, b"").json();
    for name in ["REMOTE_USER", "HTTP_X_REMOTE_USER", "HTTP_AUTHORIZATION"] {
        assert!(environ.get(name).is_none(), "{name}");
    }
}

#[test]
fn without_users_nobody_comes_in() {
    let site = TempSite::new();
    site.write("users", "aila:secret\n");
    let quaich = serve(site, "", STAFF);
    expect_challenge(&quaich.request("GET", "/", &authorization("aila", "secret"), b""));
    quaich.log().wait_for("a line of users is not used");
    assert!(!quaich.log().text().contains("secret"));
}

#[test]
fn curl_logs_in_over_both_versions_of_http() {
    let origin = Origin::ok();
    let config = format!(
        "{STAFF}[site.main]\nauth = \"staff\"\nproxy = \"{}\"\n",
        origin.url()
    );
    let quaich = Quaich::serve(folder(), &config);
    let url = format!("http://{}/", quaich.addr());
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let curl = |user: &str| {
            let mut curl = Command::new("curl");
            curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", version]);
            curl.args(["-H", "x-remote-user: root", "-H", "x.remote.user: root"]);
            curl.args(["-u", user, &url]);
            String::from_utf8(curl.output().expect("curl is installed").stdout).unwrap()
        };
        assert_eq!(curl("aila:secret"), "200");
        assert_eq!(curl("aila:wrong"), "401");
    }
    for request in origin.requests() {
        assert_eq!(request.headers("x-remote-user"), ["aila"]);
        // PHP would read it under the same name.
        assert_eq!(request.header("x.remote.user"), None);
        assert_eq!(request.header("authorization"), None);
    }
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_tunnel_is_for_those_who_may_come_in() {
    let origin = Origin::start(|conversation| {
        while conversation.request_head().is_some() {
            let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
            conversation.write(answer);
        }
    });
    let config = format!(
        "{STAFF}[site.main]\nauth = \"staff\"\nproxy = \"{}\"\n",
        origin.url()
    );
    let quaich = Quaich::serve(folder(), &config);
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    expect_challenge(&quaich.request("GET", "/", upgrade, b""));
    let mut client = quaich.raw();
    let right = authorization("aila", "secret");
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: test\r\n{upgrade}{right}\r\n"
    ));
    assert_eq!(client.head().status, 101);
    let request = origin.wait_for_requests(1);
    assert_eq!(request.header("x-remote-user"), Some("aila"));
    assert_eq!(request.header("authorization"), None);
}

#[test]
fn hash_password_prints_a_line_that_check_likes_and_bad_lines_are_told_by_number() {
    let hash = |flag: &str| {
        let script = format!("printf 'a word\\n' | \"$0\" hash-password cora {flag}");
        let mut shell = Command::new("sh");
        let made = shell
            .args(["-c", &script])
            .arg(quaich_testkit::binary())
            .output();
        String::from_utf8(made.expect("there is a shell").stdout).expect("a line")
    };
    let (argon2, bcrypt) = (hash(""), hash("--bcrypt").replace("cora", "dan"));
    assert!(argon2.starts_with("cora:$argon2id$") && bcrypt.starts_with("dan:$2y$12$"));
    let quaich = serve(folder(), "", STAFF);
    let site = quaich.site();
    site.write("users", format!("{argon2}{bcrypt}"));
    quaich.cli(["check"]).expect_code(0);
    site.write(
        "users",
        format!("{argon2}eve:hunter2\nfay:{{SHA}}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n"),
    );
    let told = quaich.cli(["check"]);
    told.expect_code(1);
    assert!(
        told.stderr.contains("users:2: this is no hash"),
        "{}",
        told.stderr
    );
    assert!(
        told.stderr.contains("users:3: {SHA} has no salt"),
        "{}",
        told.stderr
    );
    assert!(
        !told.stderr.contains("hunter2") && !told.stderr.contains("W6ph5"),
        "{}",
        told.stderr
    );
    let site = folder();
    site.write("users", format!("{argon2}{bcrypt}"));
    let quaich = serve(site, "", STAFF);
    for user in ["cora", "dan"] {
        let right = authorization(user, "a word");
        quaich.request("GET", "/", &right, b"").expect_status(200);
    }
}
