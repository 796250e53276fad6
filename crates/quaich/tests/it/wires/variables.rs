//! Which variables servers get, and what apps of quaich get of them.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use quaich_testkit::{End, Origin, Quaich, TempSite};

use super::scripted::{Received, fastcgi_answer, server, url};
use crate::apps;

/// A server that tells what it received.
fn telling(scheme: &'static str) -> (Origin, Receiver<Received>) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let origin = server(scheme, move |request| {
        let _ = tell.lock().expect("no thread panics").send(request.clone());
        match scheme {
            "fastcgi" => (fastcgi_answer(b"Status: 200 OK\r\n\r\nok"), End::Fin),
            _ => (
                b"Status: 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
                End::Fin,
            ),
        }
    });
    (origin, told)
}

/// What a server of `scheme` receives of `request`, asked with `params` below the mount `/m`.
fn received(scheme: &'static str, params: &str, request: &str) -> Received {
    let (origin, told) = telling(scheme);
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!(
            "[upstream.up]\nparams = \"{params}\"\n[[upstream.up.server]]\nurl = \"{}\"\n{}\
             [[site.main.route]]\nprefix = \"/m\"\nupstream = \"up\"\n\
             variables = {{ WHO = \"{{client_ip}} {{scheme}}://{{host}}{{path}}\", HTTP_X_ONE = \"ours\" }}\n",
            url(scheme, &origin),
            if scheme == "uwsgi" {
                "modifier1 = 5\nmodifier2 = 7\n"
            } else {
                ""
            },
        ),
    );
    let mut client = quaich.raw();
    client.send(request);
    client.response().expect_status(200).expect_body("ok");
    told.recv().expect("a request")
}

const SCHEMES: [&str; 3] = ["uwsgi", "fastcgi", "scgi"];

const REQUEST: &str = "POST /m/a%20b/c?d=e%20 HTTP/1.1\r\nHost: shop.test:81\r\nContent-Type: text/x\r\n\
    Content-Length: 4\r\nCookie: a=1\r\nX-One: 1\r\nX-Two: 2\r\nCookie: b=2\r\nx-two: 3\r\n\
    Proxy: http://evil\r\nContent_Length: 99\r\nX_Two: 4\r\nScript-Name: /evil\r\n\
    X-Forwarded-For: 6.6.6.6\r\nX.Forwarded.For: 7.7.7.7\r\nX+Two: 5\r\nRemote-User: evil\r\nAuthorization: Basic YWlsYTpwdw==\r\n\
    Connection: X-Three\r\nX-Three: 3\r\n\r\nbody";

#[test]
fn every_wire_has_the_same_variables() {
    for scheme in SCHEMES {
        let request = received(scheme, "wsgi", REQUEST);
        assert_eq!(request.body, b"body", "{scheme}");
        for (name, value) in [
            ("REQUEST_METHOD", "POST"),
            ("QUERY_STRING", "d=e%20"),
            ("CONTENT_TYPE", "text/x"),
            ("CONTENT_LENGTH", "4"),
            ("REQUEST_URI", "/m/a%20b/c?d=e%20"),
            ("SCRIPT_NAME", "/m"),
            ("PATH_INFO", "/a b/c"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("SERVER_NAME", "shop.test"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("REQUEST_SCHEME", "http"),
            ("HTTP_HOST", "shop.test:81"),
            ("HTTP_COOKIE", "a=1; b=2"),
            ("HTTP_X_TWO", "2, 3"),
            ("HTTP_X_ONE", "ours"),
            ("HTTP_SCRIPT_NAME", "/evil"),
            ("HTTP_AUTHORIZATION", "Basic YWlsYTpwdw=="),
            ("HTTP_X_FORWARDED_FOR", "127.0.0.1"),
            ("WHO", "127.0.0.1 http://shop.test/m/a b/c"),
        ] {
            assert_eq!(request.get(name), value, "{scheme} {name}");
        }
        let map = request.map();
        for gone in [
            "HTTP_PROXY",
            "HTTP_X.FORWARDED.FOR",
            "HTTP_X+TWO",
            "HTTP_CONTENT_LENGTH",
            "HTTP_CONTENT_TYPE",
            "HTTP_REMOTE_USER",
            "HTTP_X_THREE",
            "HTTP_CONNECTION",
            "REMOTE_USER",
            "HTTPS",
        ] {
            assert!(!map.contains_key(gone), "{scheme} {gone}");
        }
        let last = request.pairs.last().expect("variables");
        assert_eq!(last.0, "HTTP_X_ONE", "those of the route come last");
        match scheme {
            "uwsgi" => assert_eq!(request.marks, (5, 7)),
            "scgi" => assert_eq!(request.pairs[0], ("CONTENT_LENGTH".into(), "4".into())),
            _ => assert_eq!(map["REDIRECT_STATUS"], "200"),
        }
    }
}

#[test]
fn the_path_stands_where_nginx_and_apache_put_it() {
    const FULL: &str = "/m/a b/c";
    for (scheme, params, script_name, path_info) in [
        ("fastcgi", "nginx", Some(FULL), None),
        ("uwsgi", "nginx", None, Some(FULL)),
        ("scgi", "nginx", None, None),
        ("fastcgi", "apache", Some(FULL), None),
        ("scgi", "apache", Some(FULL), None),
        ("uwsgi", "apache", Some("/m"), Some("/a b/c")),
    ] {
        let request = received(scheme, params, REQUEST);
        let map = request.map();
        let get = |name| map.get(name).map(String::as_str);
        let what = format!("{scheme} {params}");
        assert_eq!(get("SCRIPT_NAME"), script_name, "{what}");
        assert_eq!(get("PATH_INFO"), path_info, "{what}");
        let nginx = params == "nginx";
        assert_eq!(get("DOCUMENT_URI"), nginx.then_some(FULL), "{what}");
        assert_eq!(get("REMOTE_USER"), nginx.then_some("aila"), "{what}");
    }
}

#[test]
fn a_request_without_a_body_says_so() {
    for scheme in SCHEMES {
        let request = received(scheme, "wsgi", "GET /m HTTP/1.1\r\nHost: a\r\n\r\n");
        let map = request.map();
        let length = map.get("CONTENT_LENGTH").map(String::as_str);
        assert_eq!(length, (scheme == "scgi").then_some("0"), "{scheme}");
        assert_eq!(request.get("SCRIPT_NAME"), "/m", "{scheme}");
        assert_eq!(map["PATH_INFO"], "", "{scheme}");
        assert_eq!(map["QUERY_STRING"], "", "{scheme}");
    }
}

#[test]
fn a_body_of_unknown_length_is_measured_before_it_is_sent() {
    for scheme in SCHEMES {
        for size in [5, 70_000, 400_000] {
            let body = "x".repeat(size);
            let request = format!(
                "POST /m/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                 {size:x}\r\n{body}\r\n0\r\n\r\n"
            );
            let received = received(scheme, "wsgi", &request);
            assert_eq!(received.get("CONTENT_LENGTH"), size.to_string(), "{scheme}");
            assert_eq!(received.body, body.as_bytes(), "{scheme}");
        }
    }
}

#[test]
fn an_app_of_quaich_gets_the_variables_of_its_route() {
    let site = TempSite::new();
    site.write("app.py", apps::ENVIRON);
    let toml = format!(
        "{}[[site.main.route]]\napp = \"main\"\n\
         variables = {{ MODE = \"test\", REMOTE_ADDR = \"192.0.2.1\", HTTP_X_ONE = \"{{host}}\" }}\n",
        apps::table("workers = 1")
    );
    let quaich = Quaich::serve(site, &toml);
    let environ = quaich.request("GET", "/", "X-One: client\r\n", b"").json();
    assert_eq!(environ["MODE"], "test");
    assert_eq!(environ["REMOTE_ADDR"], "192.0.2.1");
    assert_eq!(environ["HTTP_X_ONE"], "test");
}
