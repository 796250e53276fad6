//! Stickiness against groups made from configuration text: who is known, and what is edited.

use std::path::Path;

use quaich_config::Surroundings;

use super::*;
use crate::link::UpstreamMaterial;
use crate::upstream::server::Mode;

/// An upstream of these keys.
pub(super) fn group(keys: &str) -> Group {
    let text = format!("[upstream.up]\n{keys}\n[site.main]\nupstream = \"up\"\n");
    let loaded = quaich_config::parse("t", &text, Path::new("/"), &Surroundings::default());
    let shown = quaich_config::render(&loaded, false, 80);
    let config = loaded.config.expect(&shown);
    Group::new(&config.upstreams[0], &UpstreamMaterial::default(), 1)
}

const SERVERS: &str = "[[upstream.up.server]]\nurl = \"a:80\"\nid = \"one\"\n\
    [[upstream.up.server]]\nurl = \"b:80\"\nid = \"two.x\"\n";

fn sticky(keys: &str) -> (Group, Sticky) {
    let group = group(&format!("sticky = {keys}\n{SERVERS}"));
    let sticky = Sticky::new(group.settings(), b"secret").expect("it is on");
    (group, sticky)
}

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    headers
}

fn known((group, sticky): &(Group, Sticky), cookie: &str) -> Option<String> {
    let headers = headers(&[("Cookie", cookie)]);
    let server = sticky.known(group, &headers, None)?;
    Some(server.name().to_owned())
}

#[test]
fn the_first_cookie_that_names_a_server_counts() {
    let plain = sticky("{ cookie = \"S\", plain = true }");
    assert_eq!(known(&plain, "a=1; S=one; b").as_deref(), Some("one"));
    assert_eq!(known(&plain, "S=two.x; S=one").as_deref(), Some("two.x"));
    assert_eq!(known(&plain, "S=three; S=one").as_deref(), Some("one"));
    assert_eq!(known(&plain, "s=one; S=; S"), None);
}

#[test]
fn a_signed_value_is_known_again_and_says_nothing_of_the_server() {
    let signed = sticky("{ cookie = \"S\" }");
    let (group, sticky) = &signed;
    let one = group.servers()[0].clone();
    let mut response = ResponseHead::new();
    response.status = 200;
    let edited = sticky.answer(group, &mut response, (None, &one), true);
    let field = edited.expect("it is valid").expect("a cookie");
    let value = field.split(['=', ';']).nth(1).unwrap();
    assert_eq!(field, format!("S={value}; path=/; HttpOnly; Secure"));
    assert_eq!(value.len(), 22);
    assert_eq!(
        known(&signed, &format!("S={value}")).as_deref(),
        Some("one")
    );
    for forged in ["one", "a:80", &value[1..], "AAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(known(&signed, &format!("S={forged}")), None);
    }
    let other = Sticky::new(group.settings(), b"other").expect("it is on");
    let fields = headers(&[("Cookie", &format!("S={value}"))]);
    assert!(other.known(group, &fields, None).is_none());
}

#[test]
fn a_client_of_that_server_gets_no_cookie_and_the_apps_is_taken_out() {
    let (group, sticky) = sticky("{ cookie = \"S\", plain = true, http_only = false }");
    let servers = group.servers();
    let answer = |known, fields: &[(&str, &str)]| {
        let mut response = ResponseHead::new();
        response.status = 200;
        response.headers = headers(fields);
        let edited = sticky.answer(&group, &mut response, (known, &servers[0]), false);
        let cookie = edited.expect("the fields are valid");
        let fields = response.headers.iter();
        let fields = fields.map(|(_, _, value)| String::from_utf8_lossy(value).into_owned());
        fields.chain(cookie).collect::<Vec<_>>()
    };
    let app = ("Set-Cookie", "S=app");
    assert_eq!(answer(Some(&servers[0]), &[app]), Vec::<String>::new());
    assert_eq!(answer(Some(&servers[1]), &[app]), ["S=one; path=/"]);
    let tagged = answer(None, &[("ETag", "x")]);
    assert_eq!(tagged, ["x", "S=one; path=/"]);
}

#[test]
fn a_route_behind_a_dot_or_a_mark_names_the_server() {
    let route = sticky("{ app_cookie = \"J\" }");
    assert_eq!(known(&route, "J=abc.one").as_deref(), Some("one"));
    assert_eq!(known(&route, "J=ab.c.two.x").as_deref(), Some("two.x"));
    assert_eq!(known(&route, "J=one; J=abc.three"), None);
    assert_eq!(route.1.cookie_for_server(b"J=abc.one"), None);
    let mark = sticky("{ app_cookie = \"J\", prefix = true }");
    assert_eq!(known(&mark, "J=one~abc").as_deref(), Some("one"));
    assert_eq!(known(&mark, "J=one"), None);
    let edited = mark.1.cookie_for_server(b"J=one~abc");
    assert_eq!(edited.as_deref(), Some(&b"J=abc"[..]));
}

#[test]
fn equal_values_and_addresses_stay_until_their_server_is_lost() {
    for (keys, fields, address) in [
        ("{ header = \"X-User\" }", &[("x-user", "ada")][..], None),
        ("{ client_ip = true }", &[], "192.0.2.7".parse().ok()),
    ] {
        let (group, sticky) = sticky(keys);
        let fields = headers(fields);
        let find = || sticky.known(&group, &fields, address);
        let first = find().expect("all are up");
        assert!(Arc::ptr_eq(&find().expect("as before"), &first));
        first.set_mode(Mode::Maint);
        assert!(!Arc::ptr_eq(&find().expect("the other"), &first));
        first.set_mode(Mode::Drain);
        assert!(!Arc::ptr_eq(&find().expect("the other"), &first));
    }
    let (group, strict) = sticky("{ header = \"X-User\", fallback = \"fail\" }");
    assert!(strict.known(&group, &headers(&[]), None).is_none());
    let fields = headers(&[("X-User", "ada")]);
    let find = || strict.known(&group, &fields, None).expect("one");
    let first = find();
    first.set_mode(Mode::Maint);
    assert!(Arc::ptr_eq(&find(), &first));
}

#[test]
fn servers_that_come_and_go_are_known_and_forgotten() {
    let plain = sticky("{ cookie = \"S\", plain = true }");
    let mut settings: Vec<_> = plain.0.settings().servers.clone();
    assert_eq!(known(&plain, "S=one").as_deref(), Some("one"));
    settings[0].id = "new".into();
    plain.0.replace(&settings);
    assert_eq!(known(&plain, "S=one"), None);
    assert_eq!(known(&plain, "S=new").as_deref(), Some("new"));
    settings[0].id = "no cookie; for me".into();
    plain.0.replace(&settings);
    assert_eq!(known(&plain, "S=no cookie"), None);
    assert_eq!(known(&plain, "S=two.x").as_deref(), Some("two.x"));
}
