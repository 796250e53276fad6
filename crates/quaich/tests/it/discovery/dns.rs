//! Names of servers, with a real dnsmasq.

use quaich_testkit::{Quaich, TempSite, eventually};

use super::dnsmasq::Dnsmasq;
use super::{answer, answered_by, named};

/// quaich with an upstream of these keys that asks `dnsmasq`.
fn serve(dnsmasq: &Dnsmasq, keys: &str) -> Quaich {
    let port = dnsmasq.port;
    Quaich::serve(
        TempSite::new(),
        &format!(
            "threads = 2\n[upstream.app]\nresolver = [\"127.0.0.1:{port}\"]\n{keys}\n\
             [site.main]\nupstream = \"app\"\n[log.access]\noutput = \"off\"\n"
        ),
    )
}

#[test]
fn a_server_is_followed_to_its_new_address_within_the_ttl() {
    let Some(dnsmasq) = Dnsmasq::start("127.0.0.1 app.internal\n", 1, &[]) else {
        return;
    };
    let one = named("127.0.0.1:0", "one");
    let port = one.addr().port();
    let two = named(&format!("127.0.0.2:{port}"), "two");
    let quaich = serve(
        &dnsmasq,
        &format!("servers = [\"http://app.internal:{port}\"]"),
    );
    assert_eq!(answer(&quaich, "a"), "one", "also the first request");
    dnsmasq.change("127.0.0.2 app.internal\n");
    answered_by(&quaich, "a", &["two"]);
    // The kept connection to the address that is gone was closed.
    one.wait_for_ends(one.connections());
    assert!(two.connections() > 0);
}

#[test]
fn the_last_addresses_stay_when_nobody_answers_and_when_there_is_no_answer() {
    let Some(mut dnsmasq) = Dnsmasq::start("127.0.0.1 app.internal\n", 0, &[]) else {
        return;
    };
    let one = named("127.0.0.1:0", "one");
    let port = one.addr().port();
    let quaich = serve(
        &dnsmasq,
        &format!("keepalive = 0\nservers = [\"http://app.internal:{port}\"]"),
    );
    answered_by(&quaich, "a", &["one"]);
    dnsmasq.change("127.0.0.1 other.internal\n");
    let warned = quaich.log().wait_for("a name cannot be looked up");
    assert!(warned.contains("app.internal"), "{warned}");
    assert_eq!(answer(&quaich, "a"), "one");
    dnsmasq.change("127.0.0.1 app.internal\n");
    quaich.log().wait_for("a name can be looked up again");
    dnsmasq.stop();
    quaich.log().wait_for_count(2, "a name cannot be looked up");
    assert_eq!(answer(&quaich, "a"), "one");
}

#[test]
fn a_name_that_is_unknown_at_the_start_is_503_until_it_is_known() {
    let Some(dnsmasq) = Dnsmasq::start("127.0.0.1 other.internal\n", 1, &[]) else {
        return;
    };
    let one = named("127.0.0.1:0", "one");
    let port = one.addr().port();
    let quaich = serve(
        &dnsmasq,
        &format!("servers = [\"http://app.internal:{port}\"]"),
    );
    quaich.get("/").expect_status(503);
    dnsmasq.change("127.0.0.1 app.internal\n");
    answered_by(&quaich, "a", &["one"]);
}

#[test]
fn every_address_of_a_name_is_a_server() {
    let hosts = "127.0.0.1 app.internal\n127.0.0.2 app.internal\n";
    let Some(mut dnsmasq) = Dnsmasq::start(hosts, 0, &[]) else {
        return;
    };
    let one = named("127.0.0.1:0", "one");
    let port = one.addr().port();
    let _two = named(&format!("127.0.0.2:{port}"), "two");
    let _three = named(&format!("127.0.0.3:{port}"), "three");
    let quaich = serve(
        &dnsmasq,
        &format!("discover = {{ dns = \"http://app.internal:{port}\" }}"),
    );
    answered_by(&quaich, "a", &["one", "two"]);
    dnsmasq.change("127.0.0.3 app.internal\n127.0.0.2 app.internal\n");
    answered_by(&quaich, "a", &["three", "two"]);
    dnsmasq.stop();
    quaich.log().wait_for("a name cannot be looked up");
    answered_by(&quaich, "a", &["three", "two"]);
    dnsmasq.run(0, &[]);
    dnsmasq.change("127.0.0.1 app.internal\n");
    answered_by(&quaich, "a", &["one"]);
}

#[test]
fn the_ports_and_priorities_of_srv_records_count() {
    let record = |port: u16, priority: u16, weight: u16| {
        format!("--srv-host=_http._tcp.app.internal,node.internal,{port},{priority},{weight}")
    };
    let (one, two) = (named("127.0.0.1:0", "one"), named("127.0.0.1:0", "two"));
    let (first, second) = (
        record(one.addr().port(), 1, 3),
        record(two.addr().port(), 1, 1),
    );
    let hosts = "127.0.0.1 node.internal\n";
    let Some(mut dnsmasq) = Dnsmasq::start(hosts, 0, &[&first, &second]) else {
        return;
    };
    let quaich = serve(
        &dnsmasq,
        "discover = { srv = \"_http._tcp.app.internal\", scheme = \"http\" }",
    );
    answered_by(&quaich, "a", &["one", "two"]);
    // A record goes, the others stay as they are.
    dnsmasq.run(0, &[&second]);
    answered_by(&quaich, "a", &["two"]);
    // No record at all: a mistake of somebody's, and no reason to end.
    dnsmasq.run(0, &[]);
    quaich.log().wait_for("a name cannot be looked up");
    assert_eq!(answer(&quaich, "a"), "two");
}

#[test]
fn a_thousand_addresses_are_a_thousand_servers() {
    let ip = |n: usize| format!("127.1.{}.{}", n / 250, n % 250 + 1);
    let hosts: String = (0..1000)
        .map(|n| format!("{} app.internal\n", ip(n)))
        .collect();
    let Some(dnsmasq) = Dnsmasq::start(&hosts, 60, &[]) else {
        return;
    };
    // One of all addresses of the network.
    let all = named("0.0.0.0:0", "all");
    let port = all.addr().port();
    let quaich = serve(
        &dnsmasq,
        &format!("discover = {{ dns = \"http://app.internal:{port}\" }}"),
    );
    let found = quaich.log().wait_for("an upstream has other servers");
    assert!(found.contains("1000"), "{found}");
    assert_eq!(answer(&quaich, "a"), "all");
}

#[test]
fn a_ttl_of_zero_is_a_question_a_second_at_most() {
    let Some(dnsmasq) = Dnsmasq::start("127.0.0.1 app.internal\n", 0, &[]) else {
        return;
    };
    let _quaich = serve(&dnsmasq, "servers = [\"http://app.internal:1\"]");
    let begun = std::time::Instant::now();
    // Two of each look-up: A and AAAA.
    dnsmasq.was_asked(6);
    assert!(begun.elapsed().as_millis() >= 1900, "{:?}", begun.elapsed());
}

#[test]
fn localhost_and_the_hosts_file_need_no_name_server() {
    let one = named("127.0.0.1:0", "one");
    let port = one.addr().port();
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!("[site.main]\nproxy = \"http://localhost:{port}\"\n"),
    );
    assert_eq!(answer(&quaich, "a"), "one");
    let own = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let own = own.trim().to_ascii_lowercase();
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let listed = |line: &str| line.split_whitespace().skip(1).any(|name| name == own);
    if own.is_empty() || !hosts.lines().any(listed) {
        return;
    }
    let all = named("0.0.0.0:0", "all");
    let port = all.addr().port();
    let quaich = Quaich::serve(
        TempSite::new(),
        &format!("[site.main]\nproxy = \"http://{own}:{port}\"\n"),
    );
    eventually("the machine's own name", || {
        (answer(&quaich, "a") == "all").then_some(())
    });
}
