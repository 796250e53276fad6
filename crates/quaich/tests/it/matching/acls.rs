//! `[acl.NAME]` and `when`, asked by real clients.

use quaich_testkit::{Quaich, RawClient, Response, TempSite};

/// One site: what `acl` lets in gets `yes`, all others `no`.
fn guarded(server: &str, acl: &str) -> Quaich {
    let toml = format!(
        "{server}\n{acl}\n[[site.main.route]]\nwhen = \"x\"\n\
         respond = {{ status = 200, body = \"yes\" }}\n\
         [[site.main.route]]\nrespond = {{ status = 200, body = \"no\" }}\n"
    );
    Quaich::serve(TempSite::new(), &toml)
}

fn ask(client: &mut RawClient, head: &str) -> Response {
    client.send(format!("{head}\r\n\r\n"));
    client.response()
}

#[test]
fn a_route_is_for_those_that_its_acl_lets_in() {
    let quaich = guarded(
        "",
        "[acl.x]\nhost = \"*.Shop.example\"\npath = [\"/admin/*\", \"~\\\\.php$\"]\n\
         header = { X-Team = \"~^(red|blue)$\" }\ncookie = { beta = \"1\" }\nquery = { v = \"2*\" }\n\
         method = [\"GET\", \"HEAD\"]\ntls = false\n",
    );
    let mut client = quaich.raw();
    let good = [
        "GET",
        "/admin/x?v=2.1",
        "www.SHOP.example",
        "X-team: red",
        "a=b; beta=1",
    ];
    let mut with = |changed: usize, to: &str| {
        let mut parts = good;
        if let Some(part) = parts.get_mut(changed) {
            *part = to;
        }
        let [method, target, host, field, cookie] = parts;
        let head =
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{field}\r\nCookie: {cookie}");
        ask(&mut client, &head).text()
    };
    assert_eq!(with(9, ""), "yes");
    for (changed, to, expected) in [
        (0, "DELETE", "no"),
        (1, "/x/../admin/x?v=2", "yes"),
        (1, "/a.php?v=2", "yes"),
        (1, "/Admin/x?v=2", "no"),
        (1, "/admin/x?v=1", "no"),
        (1, "/admin/x", "no"),
        (2, "shop.example", "no"),
        (2, "www.shop.example.", "yes"),
        (2, "www.shop.example:8080", "yes"),
        (3, "X-Team: green", "no"),
        (3, "X-Other: red", "no"),
        (4, "beta=11", "no"),
        (4, "Beta=1", "no"),
    ] {
        assert_eq!(with(changed, to), expected, "{to}");
    }
}

#[test]
fn a_client_is_who_trusted_proxies_say_and_nobody_else() {
    let acl = "[acl.x]\nclient_ip = [\"10.0.0.0/8\", \"2001:db8::/32\"]\n";
    let trusting = guarded("trust = [\"127.0.0.1\"]", acl);
    let mut client = trusting.raw();
    for (addr, expected) in [
        ("10.1.2.3", "yes"),
        ("::ffff:10.1.2.3", "yes"),
        ("2001:db8::7", "yes"),
        ("192.0.2.1", "no"),
        ("10.1.2.3, 192.0.2.1", "no"),
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {addr}");
        assert_eq!(ask(&mut client, &head).text(), expected, "{addr}");
    }
    let strict = guarded("", acl);
    let head = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.1.2.3";
    assert_eq!(ask(&mut strict.raw(), head).text(), "no");
}

#[test]
fn a_client_of_a_unix_socket_is_in_no_network() {
    let site = TempSite::new();
    let toml = "[admin]\nlisten = \"unix:quaich.sock\"\n\
        [server]\nlisten = [\"127.0.0.1:0\", \"unix:web.sock\"]\n\
        [acl.x]\nclient_ip = [\"0.0.0.0/0\", \"::/0\"]\n[acl.y]\nnot = \"x\"\n\
        [[site.main.route]]\nwhen = \"x\"\nrespond = { status = 200, body = \"addr\" }\n\
        [[site.main.route]]\nwhen = [\"x\", \"y\"]\nrespond = { status = 200, body = \"none\" }\n";
    let quaich = Quaich::serve_exactly(site, toml);
    quaich.get("/").expect_body("addr");
    let mut client = RawClient::connect_unix(&quaich.site().join("web.sock"));
    client.get("/").expect_body("none");
}

#[test]
fn acls_of_acls_and_of_time() {
    let quaich = guarded(
        "",
        "[acl.local]\nclient_ip = \"127.0.0.1\"\n[acl.bot]\nheader = { User-Agent = \"*bot*\" }\n\
         [acl.open]\nafter = \"2020-01-01T00:00:00Z\"\ntime = [\"mon-sun 00:00-24:00\"]\n\
         [acl.over]\nbefore = \"2020-01-01T00:00:00Z\"\n\
         [acl.x]\nany = [\"over\", \"open\"]\nnot = [\"bot\", \"over\"]\npath = \"/a\"\n",
    );
    let mut client = quaich.raw();
    client.get("/a").expect_body("yes");
    client.get("/b").expect_body("no");
    let bot = "GET /a HTTP/1.1\r\nHost: a\r\nUser-Agent: megabot/1";
    ask(&mut client, bot).expect_body("no");
}

#[test]
fn the_command_says_which_condition_failed() {
    let site = TempSite::new();
    let toml = "[acl.office]\nclient_ip = \"10.0.0.0/8\"\n[acl.work]\ntime = \"mon-fri 08:00-18:00\"\n\
        [acl.both]\nany = [\"office\", \"work\"]\nnot = \"plain\"\n[acl.plain]\ntls = false\n\
        [[site.main.route]]\npath = \"/admin/*\"\nwhen = \"office\"\nstatus = 418\n\
        [[site.main.route]]\npath = \"/both\"\nwhen = [\"both\", \"work\"]\nstatus = 418\n\
        [[site.main.route]]\nstatus = 404\n";
    let quaich = Quaich::serve(site, toml);
    let said = |args: &[&str]| {
        let out = quaich.cli([&["route"], args].concat());
        out.stdout
    };
    let away = said(&["/admin/", "--client", "192.0.2.1"]);
    assert!(
        away.contains("when = `office`: client_ip does not match"),
        "{away}"
    );
    assert!(away.contains("status 404"), "{away}");
    let unsaid = said(&["/admin/"]);
    assert!(unsaid.contains("no client is given"), "{unsaid}");
    let there = said(&["/admin/", "--client", "10.9.9.9"]);
    assert!(there.contains("status 418"), "{there}");
    // 2026-11-20 is a Friday.
    let friday = said(&["/both", "--tls", "--at", "2026-11-20T08:00:00Z"]);
    assert!(friday.contains("status 418"), "{friday}");
    let sunday = said(&["https://a/both", "--plain", "--at", "2026-11-22T08:00:00Z"]);
    for words in ["`both`: acl `plain` holds", "`work`: time does not match"] {
        assert!(sunday.contains(words), "{sunday}");
    }
}
