//! Servers that are found while quaich runs: a real dnsmasq that changes its mind, real uWSGI
//! instances that come and go.

mod dns;
mod dnsmasq;
mod subscription;
mod uwsgi;

use std::collections::BTreeSet;

use quaich_testkit::{Origin, Quaich, eventually};

/// A server that says its name.
fn named(addr: &str, name: &'static str) -> Origin {
    Origin::start_at(addr, move |conversation| {
        while conversation.request().is_some() {
            let length = name.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
            if !conversation.write(answer) {
                break;
            }
        }
    })
}

/// Waits until requests are answered by these, and by nobody else. `""` = 503 `no_server`.
fn answered_by(quaich: &Quaich, host: &str, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
    let mut seen = BTreeSet::new();
    let what = format!("requests for {host} are answered by {expected:?}");
    eventually(&what, || {
        seen = (0..4 * expected.len())
            .map(|_| answer(quaich, host))
            .collect();
        (seen == expected).then_some(())
    });
}

/// Who answers.
fn answer(quaich: &Quaich, host: &str) -> String {
    let mut client = quaich.raw();
    client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let response = client.response();
    match response.status {
        200 => response.text(),
        503 => String::new(),
        other => format!("status {other}"),
    }
}
