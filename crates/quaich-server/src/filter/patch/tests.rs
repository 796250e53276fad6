//! What rules hold for.

use quaich_proto::h1::{Limits, parse_request};

use super::*;
use crate::exchange::Exchange;

fn exchange(target: &str, fields: &str) -> Exchange {
    let mut exchange = Exchange::default();
    let head = format!("POST {target} HTTP/1.1\r\nHost: Shop.test:80\r\n{fields}\r\n");
    let limits = Limits {
        max_uri: 1000,
        max_field: 1000,
        max_header: 4000,
        max_headers: 20,
    };
    parse_request(head.as_bytes(), &limits, &mut exchange.request).expect("valid");
    exchange.client.addr = Some([192, 0, 2, 7].into());
    exchange
}

fn patch() -> Patch {
    Patch {
        status: 403,
        body_limit: 10,
        ..Patch::default()
    }
}

fn holds(patch: &Patch, exchange: &Exchange) -> bool {
    let rule = Rule::new(patch).expect("a rule");
    rule.head_holds(exchange, &views::Views::new(&exchange.request))
}

#[test]
fn a_path_cannot_be_dodged_by_encoding() {
    let rule = Patch {
        path: vec!["/admin/*".to_owned()],
        ..patch()
    };
    for target in [
        "/admin/x",
        "//admin///x",
        "/%61dmin/x",
        "/a/../admin/x",
        "/./admin/x",
        "/admin%2Fx",
        "/admin/x?y=1",
        "/admin",
        "http://shop.test/admin/x",
    ] {
        assert!(holds(&rule, &exchange(target, "")), "{target}");
    }
    for target in ["/admins", "/Admin/x", "/x/admin/x"] {
        assert!(!holds(&rule, &exchange(target, "")), "{target}");
    }
}

#[test]
fn a_path_is_resolved_again_after_each_further_decoding() {
    let rule = |path: &str| Patch {
        path: vec![path.to_owned()],
        ..patch()
    };
    let admin = rule("/admin/*");
    for target in [
        "/x/%252e%252e/admin/y",
        "/x/%25252e./admin/y",
        "/x%252f..%252fadmin/y",
        "/x/%252e%252e%252f%252e/admin/y",
        "/x/%252e%252e%253bv=1/admin/y",
        "/x/%252e%252e%255cadmin/y",
        "/%252e%252e/admin/y",
    ] {
        assert!(holds(&admin, &exchange(target, "")), "{target}");
    }
    assert!(!holds(&admin, &exchange("/x/%252e%252e.admin/y", "")));
    // Who looks for the attempt itself finds it as well.
    let attempt = rule("~/\\.\\./");
    assert!(holds(&attempt, &exchange("/x/%252e%252e/admin", "")));
}

#[test]
fn a_query_is_read_with_and_without_semicolons_between_its_parameters() {
    let rule = |name: &str, pattern: &str| Patch {
        query: vec![(name.to_owned(), pattern.to_owned())],
        ..patch()
    };
    let union = rule("q", "~(?i)union.+select");
    for target in [
        "/?q=1;union+all+select+x",
        "/?a=b&q=1;union;select",
        "/?a=b;q=union+select",
        "/?q=1%3bunion%2ball%2bselect",
    ] {
        assert!(holds(&union, &exchange(target, "")), "{target}");
    }
    assert!(!holds(&union, &exchange("/?q=union&b=select", "")));
    // As an app reads it that leaves the plus sign alone.
    assert!(holds(&rule("q", "1+1"), &exchange("/?q=1+1", "")));
    // A name may be decoded as often as a value.
    for target in ["/?%71=v", "/?%2571=v", "/?%252571=v", "/?a;%2571=v"] {
        assert!(holds(&rule("q", "v"), &exchange(target, "")), "{target}");
    }
    assert!(holds(&rule("a b", "v"), &exchange("/?a+b=v", "")));
}

#[test]
fn every_condition_must_hold_and_of_a_list_one() {
    let rule = Patch {
        method: vec!["PUT".to_owned(), "POST".to_owned()],
        host: vec!["*.test".to_owned()],
        header: vec![("x-a".to_owned(), "~^1$".to_owned())],
        query: vec![("q".to_owned(), "*<script*".to_owned())],
        client: vec![quaich_config::addr::network("192.0.2.0/24").expect("a network")],
        ..patch()
    };
    let fields = "X-A: 0\r\nX-A: 1\r\n";
    assert!(holds(&rule, &exchange("/?q=%253Cscript%253E", fields)));
    assert!(holds(&rule, &exchange("/?x=1&q=%3cscript", fields)));
    assert!(!holds(&rule, &exchange("/?p=%3cscript", fields)));
    assert!(!holds(&rule, &exchange("/?q=%3cscript", "X-A: 11\r\n")));
    for changed in [
        Patch {
            method: vec!["GET".to_owned()],
            ..rule.clone()
        },
        Patch {
            host: vec!["test".to_owned()],
            ..rule.clone()
        },
        Patch {
            client: vec![quaich_config::addr::network("10.0.0.0/8").expect("a network")],
            ..rule.clone()
        },
    ] {
        assert!(!holds(&changed, &exchange("/?q=%3cscript", fields)));
    }
    let any = Patch {
        header: vec![("*".to_owned(), "*${jndi:*".to_owned())],
        ..patch()
    };
    assert!(holds(&any, &exchange("/", "User-Agent: x${jndi:ldap}\r\n")));
}

#[test]
fn a_body_beyond_the_limit_is_refused_unless_the_rule_says_otherwise() {
    let strict = Patch {
        body: Some("~evil".to_owned()),
        ..patch()
    };
    let rule = Rule::new(&strict).expect("a rule");
    assert!(rule.body_holds(b"so evil", true));
    assert!(!rule.body_holds(b"all good", true));
    assert!(rule.body_holds(b"all good..", false));
    assert!(rule.body_holds(b"more than ten", true));
    let lenient = Patch {
        passes_long: true,
        ..strict
    };
    let rule = Rule::new(&lenient).expect("a rule");
    assert!(!rule.body_holds(b"all good and evil", true));
    assert!(rule.body_holds(b"evil and long", false));
}

#[test]
fn rules_that_cannot_be_meant_are_refused() {
    let why = |patch: Patch| check(&patch).err().unwrap_or_default();
    assert!(why(patch()).contains("every request"));
    let path = vec!["/a".to_owned()];
    assert!(
        why(Patch {
            path: path.clone(),
            status: 200,
            ..patch()
        })
        .contains("400 to 599")
    );
    assert!(
        why(Patch {
            path: path.clone(),
            body_limit: 2 << 20,
            ..patch()
        })
        .contains("1 MiB")
    );
    assert!(
        why(Patch {
            path: vec!["~(".to_owned()],
            ..patch()
        })
        .contains("no regular")
    );
    assert_eq!(why(Patch { path, ..patch() }), "");
}

#[test]
fn a_rule_that_stays_keeps_its_counts() {
    let board = Board::default();
    assert!(board.is_empty());
    let one = Patch {
        id: 1,
        path: vec!["/a".to_owned()],
        ..patch()
    };
    let two = Patch {
        id: 2,
        ..one.clone()
    };
    board.replace(std::slice::from_ref(&one));
    board.rules()[0].count(5);
    board.replace(&[one, two]);
    assert!(!board.is_empty());
    assert_eq!(board.counts()[0]["hits"], 1);
    assert_eq!(board.counts()[0]["last"], 5);
    assert_eq!(board.counts()[1]["hits"], 0);
    assert_eq!(board.counts()[1]["last"], Value::Null);
    board.replace(&[]);
    assert!(board.is_empty());
}

#[test]
fn a_rule_that_can_never_hold_is_refused_with_what_to_write() {
    let refused = |patch: &Patch| Rule::new(patch).err().unwrap_or_default();
    let with_path = |path: &str| Patch {
        path: vec![path.to_owned()],
        ..patch()
    };
    assert!(refused(&with_path("admin/*")).contains("--path /admin/*"));
    for path in ["/a", "*.php", "?a", "~x", "http://a/*"] {
        assert_eq!(refused(&with_path(path)), "", "{path}");
    }
    let with_method = |method: &str| Patch {
        method: vec![method.to_owned()],
        ..patch()
    };
    assert!(refused(&with_method("post")).contains("--method POST"));
    assert!(refused(&with_method("PO ST")).contains("is no method"));
    assert_eq!(refused(&with_method("PROPFIND")), "");
    let with_field = |name: &str| Patch {
        header: vec![(name.to_owned(), "*".to_owned())],
        ..patch()
    };
    assert!(refused(&with_field("X A")).contains("is no name of a header field"));
    assert_eq!(refused(&with_field("*")), "");
}
