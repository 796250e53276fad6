//! Which site and which route a request gets.

use quaich_testkit::{Quaich, TempSite};

/// A site per line: name, hosts; each answers with its name.
fn sites(lines: &[(&str, &str)]) -> Quaich {
    let site = |(name, hosts): &(&str, &str)| {
        format!(
            "[site.{name}]\nhosts = [{hosts}]\n[[site.{name}.route]]\n\
             respond = {{ status = 200, body = \"{name}\" }}\n"
        )
    };
    Quaich::serve(TempSite::new(), &lines.iter().map(site).collect::<String>())
}

/// Routes of one site in file order; each answers with its number.
fn routes(conditions: &[&str]) -> Quaich {
    let mut toml = String::new();
    for (number, condition) in conditions.iter().enumerate() {
        toml.push_str(&format!(
            "[[site.main.route]]\n{condition}\nrespond = {{ status = 200, body = \"{number}\" }}\n"
        ));
    }
    Quaich::serve(TempSite::new(), &toml)
}

fn for_host(quaich: &Quaich, host: &str) -> quaich_testkit::Response {
    let mut client = quaich.raw();
    client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.response()
}

#[test]
fn a_host_finds_its_site() {
    let quaich = sites(&[
        ("exact", "\"shop.test\""),
        ("wild", "\"*.shop.test\""),
        ("deeper", "\"*.eu.shop.test\""),
        ("literal", "\"[::1]\", \"192.0.2.1\""),
        ("rest", "\"*\""),
    ]);
    for (host, site) in [
        ("shop.test", "exact"),
        ("SHOP.Test", "exact"),
        ("shop.test:8080", "exact"),
        ("shop.test.", "exact"),
        ("www.shop.test", "wild"),
        ("a.b.shop.test", "wild"),
        ("www.eu.shop.test", "deeper"),
        ("[::1]", "literal"),
        ("[::1]:8000", "literal"),
        ("192.0.2.1:80", "literal"),
        ("eshop.test", "rest"),
        ("localhost", "rest"),
    ] {
        for_host(&quaich, host).expect_body(site);
    }
}

#[test]
fn a_host_that_no_site_has_is_refused() {
    let quaich = sites(&[("only", "\"shop.test\"")]);
    for_host(&quaich, "shop.test").expect_body("only");
    let status = for_host(&quaich, "other.test").status;
    assert!([404, 421].contains(&status), "{status}");
}

#[test]
fn the_first_route_that_matches_wins() {
    let quaich = routes(&["path = \"/a/*\"", "path = \"/a/b\"", ""]);
    quaich.get("/a/b").expect_body("0");
    quaich.get("/a/").expect_body("0");
    quaich.get("/ab").expect_body("2");
}

#[test]
fn paths_match_exactly_by_prefix_by_glob_and_by_expression() {
    let quaich = routes(&[
        "path = \"/login\"",
        "path = \"/static/*\"",
        "path = [\"*.php\", \"/cgi-?in\"]",
        "path = \"~^/v[0-9]+/\"",
    ]);
    for (target, route) in [
        ("/login", "0"),
        ("/static/a/b.css", "1"),
        ("/a/b.php", "2"),
        ("/cgi-bin", "2"),
        ("/v12/users", "3"),
    ] {
        quaich.get(target).expect_body(route);
    }
    for nowhere in [
        "/login/", "/loginx", "/statics", "/cgi-in", "/v/users", "/x/v1/",
    ] {
        assert_eq!(quaich.get(nowhere).status, 404, "{nowhere}");
    }
}

#[test]
fn rules_see_the_normal_form_of_a_path() {
    let quaich = routes(&["path = \"/deny/*\"", ""]);
    for disguised in [
        "/deny/x",
        "/x/../deny/x",
        "/x/%2e%2e/deny/x",
        "/%64eny/x",
        "//deny/x",
        "/./deny//x",
    ] {
        quaich.get(disguised).expect_body("0");
    }
    quaich.get("/x/%252e%252e/deny/x").expect_body("1");
    quaich.get("/x?/../deny/x").expect_body("1");
}

#[test]
fn methods_fields_and_parameters_must_all_hold() {
    let quaich = routes(&[
        "method = [\"POST\", \"PUT\"]",
        "header = { x-kind = \"cup*\" }",
        "query = { lang = \"en\" }",
        "method = \"GET\"\nheader = { accept = \"*json*\" }\nquery = { v = \"2\" }",
        "",
    ]);
    quaich.request("POST", "/", "", b"x").expect_body("0");
    quaich
        .request("GET", "/", "X-Kind: cups\r\n", b"")
        .expect_body("1");
    quaich
        .request("GET", "/?a=b&lang=en", "", b"")
        .expect_body("2");
    quaich
        .request("GET", "/?v=2", "Accept: application/json\r\n", b"")
        .expect_body("3");
    quaich
        .request("GET", "/?v=3", "Accept: application/json\r\n", b"")
        .expect_body("4");
    quaich
        .request("GET", "/?lang=english", "X-Kind: mug\r\n", b"")
        .expect_body("4");
}

#[test]
fn redirects_carry_path_and_query() {
    let quaich = routes_text(
        "[[site.main.route]]\npath = \"/old/*\"\n\
         redirect = { to = \"https://new.test{path}{query}\", code = 301 }\n\
         [[site.main.route]]\npath = \"/plain\"\nredirect = { to = \"/elsewhere\" }\n",
    );
    let moved = quaich.get("/old/x%20y?a=1");
    moved
        .expect_status(301)
        .expect_header("location", "https://new.test/old/x%20y?a=1");
    quaich
        .get("/plain")
        .expect_status(308)
        .expect_header("location", "/elsewhere");
    let injected = quaich.get("/old/%0d%0aX-Evil:1");
    injected.expect_status(400);
}

#[test]
fn a_status_is_answered_with_its_page() {
    let quaich = routes_text(
        "[[site.main.route]]\npath = \"/gone\"\nstatus = 410\n\
         [[site.main.route]]\npath = \"/empty\"\nstatus = 204\n\
         [[site.main.route]]\npath = \"/type\"\n\
         respond = { status = 201, body = \"{}\", type = \"application/json\" }\n",
    );
    quaich.get("/gone").expect_status(410);
    quaich.get("/empty").expect_status(204).expect_body("");
    let typed = quaich.get("/type");
    typed
        .expect_status(201)
        .expect_body("{}")
        .expect_header("content-type", "application/json");
}

fn routes_text(toml: &str) -> Quaich {
    Quaich::serve(TempSite::new(), toml)
}

#[test]
fn a_site_may_be_on_one_listener_only() {
    let site = TempSite::new();
    let toml = "[[server.listener]]\nname = \"public\"\naddr = \"127.0.0.1:0\"\n\
                [[server.listener]]\nname = \"inner\"\naddr = \"unix:inner.sock\"\n\
                [site.inner]\nlisten = [\"inner\"]\n[[site.inner.route]]\n\
                respond = { status = 200, body = \"inner\" }\n\
                [site.public]\nlisten = [\"public\"]\n[[site.public.route]]\n\
                respond = { status = 200, body = \"public\" }\n";
    let quaich = Quaich::serve_exactly(site, toml);
    quaich.get("/").expect_body("public");
    let mut inner = quaich_testkit::RawClient::connect_unix(&quaich.site().join("inner.sock"));
    inner.get("/").expect_body("inner");
}
