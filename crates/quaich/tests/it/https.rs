//! Plain HTTP is sent to `https`, and browsers are told to stay there.

use std::net::{IpAddr, SocketAddr};

use quaich_testkit::{
    Ca, Origin, Quaich, RawClient, Request, Response, TempSite, TlsClient, Transport,
};

const HSTS: &str = "strict-transport-security";

/// quaich behind a trusted proxy that speaks TLS in its place.
fn behind_a_proxy(site: &str) -> Quaich {
    let folder = TempSite::new();
    folder.write("public/a.txt", "a");
    let server = "trust = [\"127.0.0.1/32\"]\n";
    Quaich::serve(folder, &format!("{server}[site.main]\n{site}"))
}

fn over(quaich: &Quaich, proto: &str, target: &str) -> Response {
    quaich.request(
        "GET",
        target,
        &format!("X-Forwarded-Proto: {proto}\r\n"),
        b"",
    )
}

#[test]
fn plain_http_is_sent_to_https_with_method_path_and_query() {
    let quaich = behind_a_proxy("redirect_https = true\nroot = \"public\"\n");
    let sent = quaich.get("/x/../a%2etxt?q=1&r=%2F");
    sent.expect_status(301);
    sent.expect_header("location", "https://test/a.txt?q=1&r=%2F");
    // A form is not lost.
    let posted = quaich.request("POST", "/form", "", b"name=a");
    posted.expect_status(308);
    posted.expect_header("location", "https://test/form");
    // No route would have this path, and still it is sent.
    quaich.get("/nothing").expect_status(301);
    over(&quaich, "https", "/a.txt")
        .expect_status(200)
        .expect_body("a");
    over(&quaich, "http", "/a.txt").expect_status(301);
}

#[test]
fn nobody_is_sent_to_another_host() {
    let quaich = behind_a_proxy(
        "hosts = [\"shop.test\", \"*.shop.test\"]\nredirect_https = true\nroot = \"public\"\n",
    );
    let sent = |host: &str, target: &str| {
        let mut client = quaich.raw();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client.response()
    };
    for (host, target, location) in [
        ("Shop.Test:8080", "/a", "https://shop.test/a"),
        ("x.shop.test.", "/", "https://x.shop.test/"),
        (
            "shop.test",
            "//evil.test/a",
            "https://shop.test/evil.test/a",
        ),
        (
            "shop.test",
            "/\\evil.test",
            "https://shop.test/%5Cevil.test",
        ),
        ("shop.test", "/%0d%0aX:y", "https://shop.test/%0D%0AX:y"),
    ] {
        let answer = sent(host, target);
        match answer.status {
            // What cannot be put into a normal form is refused before.
            400 => assert_eq!(answer.header("location"), None, "{target}"),
            _ => drop(answer.expect_header("location", location)),
        }
    }
    assert_eq!(sent("evil.test", "/").header("location"), None);
    let forwarded = quaich.request("GET", "/", "X-Forwarded-Host: evil.test\r\n", b"");
    assert_ne!(forwarded.header("location"), Some("https://evil.test/"));
    let mut old = quaich.raw();
    old.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.response().header("location"), None);
}

#[test]
fn without_a_host_there_is_nowhere_to_send_a_client() {
    let quaich = behind_a_proxy("redirect_https = true\nroot = \"public\"\n");
    let mut old = quaich.raw();
    old.send("GET /a.txt HTTP/1.0\r\n\r\n");
    old.response().expect_status(400);
}

#[test]
fn hsts_is_sent_over_https_with_every_response_of_the_site() {
    let origin = Origin::ok();
    let site = format!(
        "hsts = {{ max_age = \"30d\", include_subdomains = true }}\nroot = \"public\"\n\
         [[site.main.route]]\npath = \"/proxied\"\nproxy = \"{}\"\n\
         [[site.main.route]]\npath = \"/no\"\nstatus = 403\n",
        origin.url()
    );
    let quaich = behind_a_proxy(&site);
    for (target, status) in [
        ("/a.txt", 200),
        ("/proxied", 200),
        ("/no", 403),
        ("/x", 404),
    ] {
        let answer = over(&quaich, "https", target);
        answer.expect_status(status);
        assert_eq!(
            answer.headers(HSTS),
            ["max-age=2592000; includeSubDomains"],
            "{target}"
        );
        assert_eq!(quaich.get(target).header(HSTS), None, "{target}");
    }
}

/// quaich with a plain listener on 127.0.0.1 and one with TLS, for `test` only, on 127.0.0.2.
fn with_tls(site: &str) -> Quaich {
    let folder = TempSite::new();
    let ca = Ca::new("test");
    ca.server(&["test"]).write(&folder, "a");
    folder.write("ca.crt", ca.pem());
    folder.write("public/a.txt", "a");
    let toml = "[admin]\nlisten = \"unix:quaich.sock\"\n\
                [[server.listener]]\nname = \"plain\"\naddr = \"127.0.0.1:0\"\n\
                [[server.listener]]\nname = \"tls\"\naddr = \"127.0.0.2:0\"\ntls = true\n\
                [tls.cert.a]\ncert = \"a.crt\"\nkey = \"a.key\"\n";
    Quaich::serve_exactly(
        folder,
        &format!("{toml}[site.main]\nroot = \"public\"\n{site}"),
    )
}

fn at(quaich: &Quaich, ip: [u8; 4]) -> SocketAddr {
    let found = quaich
        .addrs()
        .iter()
        .find(|addr| addr.ip() == IpAddr::from(ip));
    *found.expect("it listens there")
}

const PLAIN: [u8; 4] = [127, 0, 0, 1];
const TLS: [u8; 4] = [127, 0, 0, 2];

#[test]
fn the_redirect_leads_to_the_port_that_speaks_tls() {
    let quaich = with_tls("redirect_https = true\nhsts = \"30d\"\n");
    let port = at(&quaich, TLS).port();
    let location = format!("https://test:{port}/a.txt?b");
    for transport in Transport::ALL {
        let addr = at(&quaich, if transport.is_tls() { TLS } else { PLAIN });
        let mut caller = transport.connect(addr, "test");
        let answer = caller.call(&Request::get("/a.txt?b"));
        if transport.is_tls() {
            answer.expect_status(200).expect_body("a");
            assert_eq!(answer.headers(HSTS), ["max-age=2592000"], "{transport:?}");
            let missing = caller.call(&Request::get("/nothing"));
            missing
                .expect_status(404)
                .expect_header(HSTS, "max-age=2592000");
        } else {
            answer
                .expect_status(301)
                .expect_header("location", &location);
            assert_eq!(answer.header(HSTS), None, "{transport:?}");
        }
    }
}

#[test]
fn rules_for_clients_cannot_be_passed_by_with_another_host() {
    let quaich =
        with_tls("redirect_https = true\ntls_client = { mode = \"require\", ca = \"ca.crt\" }\n");
    let mut client = RawClient::connect(at(&quaich, PLAIN));
    for host in ["test", "no-certificate.test", "127.0.0.1"] {
        client.send(format!("GET /a.txt HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client.response().expect_status(301);
    }
}

#[test]
fn a_misdirected_request_learns_nothing_of_the_site_that_it_names() {
    let folder = TempSite::new();
    let ca = Ca::new("test");
    ca.server(&["test"]).write(&folder, "a");
    folder.write("inside.html", "inside");
    let quaich = Quaich::serve(
        folder,
        "tls = true\n[tls.cert.a]\ncert = \"a.crt\"\nkey = \"a.key\"\n\
         [site.main]\nhosts = [\"test\"]\n[[site.main.route]]\nrespond = { body = \"here\" }\n\
         [site.inside]\nhosts = [\"inside.test\"]\nhsts = \"30d\"\n\
         error_pages = { 421 = \"inside.html\" }\nresponse_headers = { set = { X-Inside = \"1\" } }\n\
         [[site.inside.route]]\nrespond = { body = \"inside\" }\n",
    );
    let mut client = RawClient::connect_tls(quaich.addr(), &TlsClient::believing(&ca));
    client.send("GET / HTTP/1.1\r\nHost: inside.test\r\n\r\n");
    let answer = client.response();
    answer.expect_status(421);
    assert!(!answer.text().contains("inside"), "{}", answer.text());
    for name in ["x-inside", HSTS] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    client.response().expect_body("here");
}

#[test]
fn route_tells_of_the_redirect() {
    let site = TempSite::new();
    site.write(
        "quaich.toml",
        "[server]\nlisten = [\":80\", \":443\"]\n[tls]\nlocal_ca = true\n\
         [site.main]\nhosts = [\"shop.test\"]\nredirect_https = true\n\
         [[site.main.route]]\nstatus = 204\n",
    );
    let told = |url: &str| {
        let command = quaich_testkit::QuaichCommand::beside(&site, ["route", url]);
        let told = command.finish();
        told.expect_code(0);
        told.stdout
    };
    let plain = told("http://shop.test/a?b");
    assert!(
        plain.contains("redirect 301 to https://shop.test/a?b"),
        "{plain}"
    );
    assert!(told("https://shop.test/a").contains("status 204"));
}
