//! What is refused, is refused in the same way.

use quaich_testkit::{Request, Transport};

use super::{Row, Stage, row, run};

const REFUSED: &[Row] = &[
    row(
        "a target that is too long",
        || Request::get(&format!("/{}", "a".repeat(9000))),
        |a| {
            a.expect_status(414);
        },
    ),
    row(
        "a path that is none",
        || Request::get("/%zz"),
        |a| {
            a.expect_status(400);
        },
    ),
    row(
        "too many fields",
        || (0..200).fold(Request::get("/"), |r, n| r.field(&format!("x-{n}"), "y")),
        |a| {
            a.expect_status(431);
        },
    ),
    row(
        "fields that are too large",
        || {
            (0..6).fold(Request::get("/"), |r, n| {
                r.field(&format!("x-{n}"), "y".repeat(7000))
            })
        },
        |a| {
            a.expect_status(431);
        },
    ),
];

#[test]
fn limits_are_the_same_over_every_transport() {
    run(
        &Stage::with_app(),
        &["app.test", "up.test", "respond.test"],
        REFUSED,
    );
}

#[test]
fn a_body_that_is_too_large_is_refused_however_it_is_framed() {
    let stage = Stage::with_app();
    for transport in Transport::ALL {
        for host in ["app.test", "up.test", "h2.test"] {
            // Announced: nothing of it has to come.
            let mut caller = stage.connect(transport, host);
            caller.begin(&Request::post_later("/reflect", Some(1 << 30)).host(host));
            assert_eq!(caller.answer().status, 413, "{transport:?} {host}");
        }
    }
}

#[test]
fn a_host_that_no_site_has_is_refused() {
    let stage = Stage::with_app();
    for transport in Transport::ALL {
        let request = Request::get("/").host("nobody.test");
        let status = stage
            .connect(transport, "nobody.test")
            .call(&request)
            .status;
        assert!([404, 421].contains(&status), "{transport:?}: {status}");
    }
}
