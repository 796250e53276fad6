//! Stickiness: each way to recognise a client, what becomes of one whose server is gone, and what
//! HAProxy does with the same messages.

mod haproxy;

use std::net::TcpStream;

use quaich_testkit::{Origin, Quaich, Request, Response, TempSite, Transport};

/// Answers with its name and the cookies that it was sent; sets what the query says.
fn named(name: &'static str) -> Origin {
    Origin::answering(move |request| {
        let cookies = request.headers("cookie").join(" | ");
        let body = format!("{name}: {cookies}");
        let set = request.target().split_once("?set=");
        let set = set.map_or(String::new(), |(_, value)| {
            format!("Set-Cookie: {value}\r\n")
        });
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\n{set}Content-Length: {length}\r\n\r\n{body}").into_bytes()
    })
}

/// Two servers, `one` and `two`.
fn servers(origins: [&Origin; 2]) -> String {
    let table = |(origin, name): (&Origin, &str)| {
        let url = origin.url();
        format!("[[upstream.up.server]]\nurl = \"{url}\"\nid = \"{name}\"\n")
    };
    origins.into_iter().zip(["one", "two"]).map(table).collect()
}

fn config(sticky: &str, servers: &str) -> String {
    format!(
        "state_dir = \"state\"\n[upstream.up]\nkeepalive = 0\nretries = 1\nsticky = {sticky}\n\
         {servers}[site.main]\nupstream = \"up\"\n"
    )
}

fn serve(sticky: &str, origins: [&Origin; 2]) -> Quaich {
    Quaich::serve(TempSite::new(), &config(sticky, &servers(origins)))
}

fn with_cookie(quaich: &Quaich, cookie: &str) -> Response {
    quaich.request("GET", "/", &format!("Cookie: {cookie}\r\n"), b"")
}

/// The part before `;` of the one cookie that an answer sets.
#[track_caller]
fn set(response: &Response) -> String {
    let all = response.headers("set-cookie");
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].split(';').next().unwrap_or_default().to_owned()
}

#[test]
fn a_client_stays_by_a_cookie_that_the_app_never_sees() {
    let (one, two) = (named("one"), named("two"));
    let quaich = serve("{ cookie = \"SRV\" }", [&one, &two]);
    for name in ["one", "two"] {
        let first = quaich.get("/");
        first.expect_body(&format!("{name}: "));
        let cookie = set(&first);
        let whole = format!("{cookie}; path=/; HttpOnly");
        first.expect_header("set-cookie", &whole);
        assert!(!cookie.contains(name), "{cookie}");
        for _ in 0..6 {
            let again = with_cookie(&quaich, &format!("a=1; {cookie}; b=2"));
            again.expect_body(&format!("{name}: a=1; b=2"));
            assert_eq!(again.header("set-cookie"), None);
            let alone = with_cookie(&quaich, &cookie);
            alone.expect_body(&format!("{name}: "));
        }
    }
    let status = quaich.status();
    assert_eq!(status["front"]["counters"]["sticky_hits"], 24, "{status}");
}

#[test]
fn a_value_that_nobody_signed_is_no_server() {
    let (one, two) = (named("one"), named("two"));
    let quaich = serve("{ cookie = \"SRV\" }", [&one, &two]);
    for forged in [
        "SRV=one",
        "SRV=",
        "SRV=AAAAAAAAAAAAAAAAAAAAAA",
        "SRV=\"one\"",
    ] {
        let answer = with_cookie(&quaich, forged);
        assert!(answer.text().ends_with(": "), "{}", answer.text());
        assert!(set(&answer).len() == "SRV=".len() + 22);
    }
}

#[test]
fn another_quaich_with_the_same_secret_knows_the_client() {
    let (one, two) = (named("one"), named("two"));
    let secret = TempSite::new();
    let file = secret.write("key", "0123456789abcdef0123456789abcdef\n");
    let sticky = format!(
        "{{ cookie = \"SRV\", secret_file = \"{}\" }}",
        file.display()
    );
    let quaich = serve(&sticky, [&one, &two]);
    let other = serve(&sticky, [&one, &two]);
    let stranger = serve("{ cookie = \"SRV\" }", [&one, &two]);
    quaich.get("/").expect_body("one: ");
    let second = quaich.get("/");
    second.expect_body("two: ");
    for _ in 0..3 {
        with_cookie(&other, &set(&second)).expect_body("two: ");
    }
    let at_stranger = with_cookie(&stranger, &set(&second));
    assert_ne!(set(&at_stranger), "");
    let short = secret.write("short", "too short");
    let sticky = format!(
        "{{ cookie = \"SRV\", secret_file = \"{}\" }}",
        short.display()
    );
    let site = TempSite::new();
    site.write(
        "quaich.toml",
        format!("[server]\n{}", config(&sticky, &servers([&one, &two]))),
    );
    let told = quaich_testkit::QuaichCommand::new(site, ["check", "--strict", "-c", "quaich.toml"])
        .finish();
    assert_ne!(told.code(), 0);
    assert!(
        told.stderr.contains("has 9 bytes, and 32 are needed"),
        "{}",
        told.stderr
    );
}

#[test]
fn a_restart_forgets_nobody() {
    use std::os::unix::fs::PermissionsExt;
    let (one, two) = (named("one"), named("two"));
    let toml = config("{ cookie = \"SRV\" }", &servers([&one, &two]));
    let toml = toml.replace(
        "\"state\"",
        &format!("\"{}\"", TempSite::new().join("s").display()),
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    quaich.get("/");
    let cookie = set(&quaich.get("/"));
    drop(quaich);
    let quaich = Quaich::serve(TempSite::new(), &toml);
    for _ in 0..3 {
        with_cookie(&quaich, &cookie).expect_body("two: ");
    }
    let state = toml.split('"').nth(1).expect("a folder");
    let key = std::path::Path::new(state).join("sticky.key");
    let mode = std::fs::metadata(key)
        .expect("the key is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::remove_dir_all(state).expect("it can be removed");
}

#[test]
fn a_client_whose_server_is_gone_gets_another_and_a_new_cookie() {
    let (one, two) = (named("one"), named("two"));
    let quaich = serve("{ cookie = \"SRV\" }", [&one, &two]);
    let cookie = set(&quaich.get("/"));
    with_cookie(&quaich, &cookie).expect_body("one: ");
    let gone = one.addr();
    drop(one);
    // Who still gets into its backlog is not refused, but broken off.
    while TcpStream::connect(gone).is_ok() {}
    let seen = two.requests().len();
    let moved = quaich.request("POST", "/", &format!("Cookie: {cookie}\r\n"), b"once");
    moved.expect_body("two: ");
    assert_ne!(set(&moved), cookie);
    assert_eq!(two.requests().len(), seen + 1);
    with_cookie(&quaich, &set(&moved)).expect_body("two: ");
    let status = quaich.status();
    assert_eq!(
        status["front"]["counters"]["sticky_redispatches"], 1,
        "{status}"
    );
}

#[test]
fn a_kept_connection_that_has_gone_stale_moves_nobody() {
    let closing = |name: &'static str| {
        Origin::start(move |conversation| {
            let length = name.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
            if conversation.request().is_some() && conversation.write(answer) {
                // The next request gets no answer.
                conversation.request();
            }
        })
    };
    let (one, two) = (closing("one"), closing("two"));
    for fallback in ["rebalance", "fail"] {
        let sticky = format!("{{ cookie = \"SRV\", fallback = \"{fallback}\" }}");
        let toml = config(&sticky, &servers([&one, &two])).replace("keepalive = 0", "");
        let quaich = Quaich::serve(TempSite::new(), &format!("threads = 1\n{toml}"));
        let first = quaich.get("/");
        let (name, cookie) = (first.text(), set(&first));
        for _ in 0..6 {
            let again = with_cookie(&quaich, &cookie);
            again.expect_status(200).expect_body(&name);
            assert_eq!(again.header("set-cookie"), None, "{fallback}");
        }
    }
}

#[test]
fn a_client_that_may_not_move_is_refused_instead() {
    let (one, two) = (named("one"), named("two"));
    for sticky in [
        "{ cookie = \"SRV\", fallback = \"fail\" }",
        "{ header = \"X-User\", fallback = \"fail\" }",
    ] {
        let quaich = serve(sticky, [&one, &two]);
        let fields: Vec<String> = (0..20).map(|n| format!("X-User: {n}\r\n")).collect();
        let to_two = fields.iter().find_map(|field| {
            let answer = quaich.request("GET", "/", field, b"");
            let cookie = answer.header("set-cookie").unwrap_or_default().to_owned();
            (answer.text() == "two: ").then(|| format!("{field}Cookie: {cookie}\r\n"))
        });
        let to_two = to_two.expect("one of twenty belongs to it");
        let gone = Origin::ok();
        let url = gone.url();
        drop(gone);
        let toml = config(sticky, &servers([&one, &two])).replace(&two.url(), &url);
        let state = quaich.site().join("state");
        let toml = toml.replace("\"state\"", &format!("\"{}\"", state.display()));
        let strict = Quaich::serve(TempSite::new(), &toml);
        let refused = strict.request("GET", "/", &to_two, b"");
        assert!(matches!(refused.status, 502 | 503), "{}", refused.status);
        assert_eq!(refused.header("set-cookie"), None);
    }
}

#[test]
fn an_app_names_its_server_in_its_own_cookie() {
    let (one, two) = (named("one"), named("two"));
    let quaich = serve("{ app_cookie = \"JSESSIONID\" }", [&one, &two]);
    for name in ["two", "one", "two"] {
        let cookie = format!("x=1; JSESSIONID=abc.{name}");
        let answer = with_cookie(&quaich, &cookie);
        answer.expect_body(&format!("{name}: {cookie}"));
    }
    let answer = quaich.get("/?set=JSESSIONID=abc.one");
    answer.expect_header("set-cookie", "JSESSIONID=abc.one");
    let quaich = serve("{ app_cookie = \"SID\", prefix = true }", [&one, &two]);
    let answer = quaich.get("/?set=SID=abc;Path=/");
    answer.expect_header("set-cookie", "SID=one~abc;Path=/");
    for _ in 0..3 {
        with_cookie(&quaich, "SID=one~abc; b=2").expect_body("one: SID=abc; b=2");
    }
}

#[test]
fn equal_fields_and_addresses_have_equal_servers() {
    let (one, two) = (named("one"), named("two"));
    for sticky in ["{ header = \"X-User\" }", "{ client_ip = true }"] {
        let quaich = serve(sticky, [&one, &two]);
        let ask = || quaich.request("GET", "/", "X-User: ada\r\n", b"").text();
        let first = ask();
        for _ in 0..6 {
            assert_eq!(ask(), first, "{sticky}");
        }
    }
}

#[test]
fn a_client_of_http2_stays_too_however_its_cookies_are_split() {
    let (one, two) = (named("one"), named("two"));
    let quaich = serve("{ cookie = \"SRV\", plain = true }", [&one, &two]);
    let mut caller = Transport::Http2.connect(quaich.addr(), "test");
    for _ in 0..3 {
        let request = Request::get("/")
            .field("cookie", "a=1")
            .field("cookie", "SRV=two");
        let answer = caller.call(&request.field("cookie", "b=2"));
        answer.expect_body("two: a=1; b=2");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let answer = caller.call(&Request::get("/"));
    assert!(answer.header("set-cookie").is_some());
}
