//! What one limit refuses, no other counts: whenever and on whichever route it was asked.

use quaich_testkit::{Quaich, RawClient, Response};

use crate::auth::{STAFF, authorization, folder};

const LIMITS: &str = "[limit.wide]\nrate = \"10/h\"\nkey = \"all\"\n\
                      [limit.users]\nrate = \"1/h\"\nkey = \"user\"\n\
                      [limit.slow]\nrate = \"10/h\"\nkey = \"all\"\nconcurrency = 5\n";

fn ask(client: &mut RawClient, target: &str) -> Response {
    let user = authorization("aila", "secret");
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{user}\r\n"));
    client.response()
}

#[track_caller]
fn expect_left(quaich: &Quaich, limit: &str, left: u64) {
    let page = quaich.get("/left");
    let told = page.headers("ratelimit");
    let begin = format!("\"{limit}\";r={left};");
    assert!(told.iter().any(|told| told.starts_with(&begin)), "{told:?}");
}

#[test]
fn a_limit_by_user_gives_back_what_was_counted_before_it_was_known() {
    let config = format!(
        "{LIMITS}{STAFF}[site.main]\nlimit = [\"wide\", \"slow\", \"users\"]\n\
         [[site.main.route]]\npath = \"/left\"\nrespond = {{ body = \"ok\" }}\n\
         [[site.main.route]]\nauth = \"staff\"\nrespond = {{ body = \"ok\" }}\n"
    );
    let quaich = Quaich::serve(folder(), &config);
    let mut client = quaich.raw();
    ask(&mut client, "/").expect_status(200);
    for _ in 0..5 {
        ask(&mut client, "/").expect_status(429);
    }
    expect_left(&quaich, "wide", 8);
    expect_left(&quaich, "slow", 7);
    let status = quaich.status();
    assert_eq!(status["front"]["limits"][1]["running"], 0, "{status:#}");
}

#[test]
fn a_limit_gives_back_what_the_route_before_has_counted() {
    let config = format!(
        "{LIMITS}[limit.narrow]\nrate = \"1/h\"\n[site.main]\n\
         [[site.main.route]]\npath = \"/left\"\nlimit = \"wide\"\nrespond = {{ body = \"ok\" }}\n\
         [[site.main.route]]\npath = \"/old\"\nlimit = \"wide\"\n\
         rewrite = {{ path = \"/old\", to = \"/new\", then = \"route\" }}\nstatus = 404\n\
         [[site.main.route]]\nlimit = \"narrow\"\nrespond = {{ body = \"ok\" }}\n"
    );
    let quaich = Quaich::serve(folder(), &config);
    let mut client = quaich.raw();
    client.get("/old").expect_status(200);
    for _ in 0..5 {
        client.get("/old").expect_status(429);
    }
    expect_left(&quaich, "wide", 8);
}
