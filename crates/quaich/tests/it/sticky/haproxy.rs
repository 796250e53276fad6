//! The same messages through quaich and through HAProxy with `cookie ... insert indirect nocache`
//! and `cookie ... prefix`: the fields that concern cookies and caches are equal byte for byte.

use std::os::unix::net::UnixStream;
use std::process::Command;

use quaich_testkit::{Origin, Peer, Quaich, RawClient, TempSite, eventually};

/// `Cookie` fields of requests, each with the fields of the answer to it. `@` is the server that
/// answers, as far as that is known before.
const INSERT: &[(&[&str], &str)] = &[
    (&[], "200"),
    (&["S=one"], "200"),
    (&["a=1; S=one; b=2"], "200"),
    (&["S=one; b=2"], "200"),
    (&["a=1; S=one"], "200"),
    (&["a=1;S=two;b=2"], "200"),
    (&["a=1 ;  S=two ;  b=2"], "200"),
    (&["a=1; S=three; b=2"], "200"),
    (&["S="], "200"),
    (&["S"], "200"),
    (&["s=one; SS=one; xS=one"], "200"),
    (&["S=one;"], "200"),
    (&["S=one; S=two; c=3"], "200"),
    (&["S=two; S=none"], "200"),
    (&["S=none; S=two"], "200"),
    (&["S=two", "S=one"], "200"),
    (&["a=1", "S=one", "b=2"], "200"),
    (&["a=\"x; S=one\"; b=2"], "200"),
    (&["a=1, S=one, b=2"], "200"),
    (&["a=1; S=one; b; =3; c=4=5"], "200"),
    (&[], "200\r\nCache-Control: max-age=60"),
    (&["S=one"], "200\r\nCache-Control: max-age=60"),
    (&[], "200\r\nETag: \"a\""),
    (&[], "200\r\nLast-Modified: Mon, 06 Jul 2026 10:00:00 GMT"),
    (&[], "200\r\nExpires: Mon, 06 Jul 2036 10:00:00 GMT"),
    (&[], "200\r\nETag: \"a\"\r\nCache-Control: no-store"),
    (
        &[],
        "200\r\nETag: \"a\"\r\nCache-Control: no-cache, max-age=5",
    ),
    (&[], "200\r\nETag: \"a\"\r\nPragma: no-cache"),
    (&[], "200\r\nCache-Control: s-maxage=5"),
    (&[], "200\r\nCache-Control: public, max-age=5"),
    (&[], "302\r\nETag: \"a\"\r\nLocation: /x"),
    (&[], "302\r\nETag: \"a\"\r\nCache-Control: public"),
    (&[], "404\r\nETag: \"a\""),
    (&[], "500\r\nETag: \"a\""),
    (&[], "200\r\nSet-Cookie: a=1"),
    (&[], "200\r\nSet-Cookie: S=app; Path=/"),
    (
        &["S=one"],
        "200\r\nSet-Cookie: S=app; Path=/\r\nSet-Cookie: b=2",
    ),
    (&["S=one"], "200\r\nSet-Cookie: Sx=app\r\nSet-Cookie: x=S=1"),
];

const PREFIX: &[(&[&str], &str)] = &[
    (&[], "200"),
    (&[], "200\r\nSet-Cookie: S=abc; Path=/"),
    (&["S=one~abc"], "200"),
    (&["a=1; S=two~abc; b=2"], "200\r\nSet-Cookie: S=new"),
    (&["S=one~a~b"], "200"),
    (&["S=two~"], "200"),
    (&["S=two~a; S=one~b"], "200"),
    (&["s=one~abc"], "200\r\nSet-Cookie: s=x"),
    (&["S=one~abc"], "200\r\nSet-Cookie: T=1; S=2"),
];

/// Answers with what the target says, and its name.
fn origin(name: &'static str) -> Origin {
    Origin::answering(move |request| {
        let number = request.target().trim_start_matches(['/', 'i', 'p']);
        let number: usize = number.parse().expect("a number");
        let cases = if request.target().starts_with("/p") {
            PREFIX
        } else {
            INSERT
        };
        let answer = cases[number].1;
        format!("HTTP/1.1 {answer}\r\nContent-Length: 3\r\n\r\n{name}")
            .replacen("\r\n", " X\r\n", 1)
            .into_bytes()
    })
}

/// HAProxy in front of both, on `i.sock` with `insert` and `p.sock` with `prefix`.
fn haproxy(site: &TempSite, origins: [&Origin; 2]) -> Option<Peer> {
    let program = std::path::Path::new("/usr/sbin/haproxy");
    if !program.exists() {
        eprintln!("skipped: HAProxy is not installed (apt-get install haproxy)");
        return None;
    }
    let here = site.path().display();
    let [one, two] = origins.map(Origin::addr);
    let listen = |name: &str, cookie: &str| {
        format!(
            "listen {name}\n  bind unix@{here}/{name}.sock\n  cookie S {cookie}\n\
             \x20 server a {one} cookie one\n  server b {two} cookie two\n"
        )
    };
    let config = format!(
        "global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n\
         \x20 timeout server 60s\n{}{}",
        listen("i", "insert indirect nocache"),
        listen("p", "prefix")
    );
    let file = site.write("haproxy.cfg", config);
    let peer = Peer::start(Command::new(program).arg("-db").arg("-f").arg(file));
    for socket in ["i.sock", "p.sock"] {
        eventually("HAProxy", || UnixStream::connect(site.join(socket)).ok());
    }
    Some(peer)
}

/// What one exchange was, in what is to be equal.
#[derive(Debug, PartialEq)]
struct Seen {
    /// `Cookie` at the server.
    cookies: Vec<String>,
    /// `Set-Cookie` and `Cache-Control` at the client, the name of the server that answered as `@`.
    answered: Vec<String>,
    /// Whether the client was known by its cookie: then also by whom.
    server: Option<String>,
}

fn exchange(client: &mut RawClient, target: &str, cookies: &[&str], origins: [&Origin; 2]) -> Seen {
    let fields: String = cookies.iter().map(|c| format!("Cookie: {c}\r\n")).collect();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    let response = client.response();
    let name = response.text();
    let origin = origins[usize::from(name == "two")];
    let requests = origin.requests();
    let request = requests.last().expect("it has answered");
    assert_eq!(request.target(), target);
    let cookies = request.headers("cookie").into_iter().map(str::to_owned);
    let mut answered = Vec::new();
    for field in ["set-cookie", "cache-control"] {
        let values = response.headers(field).into_iter();
        answered.extend(values.map(|value| value.replace(&format!("={name}"), "=@")));
    }
    let fresh = response
        .headers("set-cookie")
        .iter()
        .any(|v| v.contains(&name));
    Seen {
        cookies: cookies.collect(),
        answered,
        server: (!fresh).then_some(name),
    }
}

#[test]
fn cookies_are_handled_as_haproxy_does() {
    let (one, two) = (origin("one"), origin("two"));
    let origins = [&one, &two];
    let site = TempSite::new();
    let Some(_haproxy) = haproxy(&site, origins) else {
        return;
    };
    let modes = [
        (
            "i",
            INSERT,
            "{ cookie = \"S\", plain = true, http_only = false }",
        ),
        ("p", PREFIX, "{ app_cookie = \"S\", prefix = true }"),
    ];
    let mut different = Vec::new();
    for (mode, cases, sticky) in modes {
        let quaich: Quaich = super::serve(sticky, origins);
        let mut ours = quaich.raw();
        let mut theirs = RawClient::connect_unix(&site.join(&format!("{mode}.sock")));
        for (number, (cookies, answer)) in cases.iter().enumerate() {
            let target = format!("/{mode}{number}");
            let wanted = exchange(&mut theirs, &target, cookies, origins);
            let mut got = exchange(&mut ours, &target, cookies, origins);
            if mode == "p" && wanted.server.is_some() && !cookies.iter().any(|c| c.contains('~')) {
                // Chosen by turns.
                got.server.clone_from(&wanted.server);
            }
            if got != wanted {
                different.push(format!(
                    "{cookies:?} {answer:?}:\n  {got:?}\n  HAProxy: {wanted:?}"
                ));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
