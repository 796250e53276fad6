//! What acls look at, and what patterns catch.

use quaich_config::calendar::instant;

use super::*;
use crate::forwarded::Client;

fn holds(acl: &str, lines: &str) -> bool {
    holds_for(acl, lines, "192.0.2.7:80")
}

/// Whether the acl `x` of that text holds for a client there, `""` = at a unix socket.
fn holds_for(acl: &str, lines: &str, client: &str) -> bool {
    let table = table(&format!("{acl}\n[[site.main.route]]\nstatus = 404\n"));
    let mut exchange = exchange(lines);
    exchange.client = Client::new(client.parse().ok(), false);
    table.holds(0, &exchange)
}

fn with(key: &str, lines: &str) -> bool {
    holds(&format!("[acl.x]\n{key}"), lines)
}

#[test]
fn each_key_looks_at_its_part_of_a_request() {
    let request = "POST /a/b.php?q=1&r=x%20y HTTP/1.1\r\nHost: Shop.Example:80\r\n\
                   X-Tag: one\r\nX-Tag: two\r\nCookie: a=1; B=2\r\nCookie: a=3";
    for (key, expected) in [
        ("host = \"SHOP.example\"", true),
        ("host = \"*.example\"", true),
        ("host = [\"a\", \"shop.*\"]", true),
        ("host = \"~^SHOP\"", true),
        ("host = \"example\"", false),
        ("path = \"*.php\"", true),
        ("path = [\"/x\", \"/a/*\"]", true),
        ("path = \"/A/*\"", false),
        ("path = \"~(?i)^/A/\"", true),
        ("method = [\"PUT\", \"POST\"]", true),
        ("method = \"GET\"", false),
        ("header = { x-TAG = \"two\" }", true),
        ("header = { X-Tag = \"TWO\" }", false),
        ("header = { X-Tag = \"~^t\" }", true),
        ("header = { X-Tag = \"*\", X-Other = \"*\" }", false),
        ("cookie = { a = \"3\" }", true),
        ("cookie = { a = \"1\", B = \"~^[0-9]$\" }", true),
        ("cookie = { b = \"2\" }", false),
        ("query = { r = \"x y\" }", true),
        ("query = { q = \"~^1$\", r = \"*\" }", true),
        ("query = { Q = \"1\" }", false),
        ("tls = false", true),
        ("tls = true", false),
        ("client_ip = [\"10.0.0.0/8\", \"192.0.2.0/24\"]", true),
        ("client_ip = \"::ffff:192.0.2.0/120\"", true),
        ("client_ip = \"2001:db8::/32\"", false),
        ("method = \"POST\"\npath = \"/x\"", false),
    ] {
        assert_eq!(with(key, request), expected, "{key}");
    }
}

#[test]
fn a_client_counts_by_its_canonical_address_and_a_unix_socket_has_none() {
    let get = "GET / HTTP/1.1\r\nHost: a";
    let all = "[acl.x]\nclient_ip = [\"0.0.0.0/0\", \"::/0\"]";
    assert!(holds_for(all, get, "[::ffff:192.0.2.7]:1"));
    assert!(holds_for(all, get, "[2001:db8::1]:1"));
    assert!(!holds_for(all, get, ""));
    let v4 = "[acl.x]\nclient_ip = \"192.0.2.7\"";
    assert!(holds_for(v4, get, "[::ffff:192.0.2.7]:1"));
    assert!(!holds_for(v4, get, "[2001:db8::1]:1"));
}

#[test]
fn acls_stand_on_others() {
    let get = "GET /a HTTP/1.1\r\nHost: a";
    let others = "[acl.yes]\npath = \"/a\"\n[acl.no]\npath = \"/b\"\n";
    for (key, expected) in [
        ("not = \"no\"", true),
        ("not = \"yes\"", false),
        ("not = [\"no\", \"yes\"]", false),
        ("any = [\"no\", \"yes\"]", true),
        ("any = \"no\"", false),
        ("any = \"yes\"\nnot = \"no\"\nmethod = \"GET\"", true),
        ("any = \"yes\"\nmethod = \"PUT\"", false),
    ] {
        let acl = format!("[acl.x]\n{key}\n{others}");
        assert_eq!(holds(&acl, get), expected, "{key}");
    }
    let table = table("[[site.main.route]]\nstatus = 404\n");
    assert!(!table.holds(0, &exchange(get)), "there is none");
}

#[test]
fn time_is_that_of_the_thread_unless_another_is_asked_about() {
    let table = table(
        "[acl.work]\ntime = \"mon-fri 08:00-18:00 +01:00\"\n\
         [acl.sale]\nafter = \"2026-11-27T00:00:00Z\"\nbefore = \"2026-11-30T00:00:00Z\"\n\
         [acl.past]\nbefore = \"2020-01-01T00:00:00Z\"\n\
         [[site.main.route]]\nstatus = 404\n",
    );
    let exchange = exchange("GET / HTTP/1.1\r\nHost: a");
    let failed = |acl, at| {
        let at = Some(instant(at).expect("an instant"));
        let facts = Facts {
            at,
            ..Facts::of(&exchange)
        };
        table.acls.failed(acl, &facts)
    };
    assert_eq!(failed(0, "2026-11-20T07:00:00Z"), None);
    assert_eq!(failed(0, "2026-11-20T17:00:00Z"), Some("time"));
    assert_eq!(failed(1, "2026-11-26T23:59:59Z"), Some("after"));
    assert_eq!(failed(1, "2026-11-29T23:59:59Z"), None);
    assert_eq!(failed(1, "2026-11-30T00:00:00Z"), Some("before"));
    assert!(!table.holds(2, &exchange), "it is later than 2020");
}

/// What `{name}` and `{1}` are after the choice.
fn caught(toml: &str, target: &str) -> (Option<String>, Option<String>) {
    let table = table(toml);
    let mut exchange = exchange(&format!("GET {target} HTTP/1.1\r\nHost: a"));
    let site = table.site(0, b"a").expect("a site");
    table.choose(site, &mut exchange).expect("a route");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let captures = &exchange.captures;
    (captures.by_name("id").map(text), captures.get(1).map(text))
}

#[test]
fn the_expression_that_let_a_request_in_fills_captures() {
    let some = |text: &str| Some(text.to_owned());
    let own = "[[site.main.route]]\npath = [\"/x\", \"~^/u/(?P<id>[^/]+)(/.*)?$\"]\nstatus = 404\n";
    assert_eq!(caught(own, "/u/%C3%A4"), (some("ä"), some("ä")));
    assert_eq!(caught(own, "/x"), (None, None));
    let of_acl = "[acl.u]\npath = \"~^/u/(?P<id>.+)\"\n[acl.never]\nmethod = \"PUT\"\n\
                  [[site.main.route]]\nwhen = [\"never\", \"u\"]\nstatus = 404\n";
    assert_eq!(caught(of_acl, "/u/7"), (some("7"), some("7")));
    let both = "[acl.u]\npath = \"~^/(u)/\"\n\
                [[site.main.route]]\nwhen = \"u\"\npath = \"~^/u/(.+)\"\nstatus = 404\n";
    assert_eq!(caught(both, "/u/7"), (None, some("7")));
    let whole = "[[site.main.route]]\npath = \"~[0-9]+\"\nstatus = 404\n";
    let table = table(whole);
    let mut exchange = exchange("GET /a/12/3 HTTP/1.1\r\nHost: a");
    let site = table.site(0, b"a").expect("a site");
    table.choose(site, &mut exchange).expect("a route");
    assert_eq!(exchange.captures.get(0), Some(&b"12"[..]));
}
