//! How long a choice takes.

use std::hint::black_box;
use std::time::Duration;

use super::*;

/// Of this thread: others may run meanwhile.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn pattern(kind: &str, number: usize) -> PathPattern {
    match kind {
        "exact" => PathPattern::Exact(format!("/shop/item-{number}/view")),
        "prefix" => PathPattern::Prefix(format!("/tenant-{number}/app/")),
        "glob" => PathPattern::Glob(format!("/files/{number}-*/index")),
        "tail" => PathPattern::Glob(format!("*/{number}.html")),
        "regex" => PathPattern::Regex(format!("^/v[0-9]+/{number}/")),
        _ => PathPattern::Regex(format!("^/user-{number}/(?P<id>[0-9]+)$")),
    }
}

fn target(kind: &str, number: usize) -> String {
    match kind {
        "exact" => format!("/shop/item-{number}/view"),
        "prefix" => format!("/tenant-{number}/app/a/b.css"),
        "glob" => format!("/files/{number}-x/index"),
        "tail" => format!("/a/b/{number}.html"),
        "regex" => format!("/v2/{number}/x"),
        _ => format!("/user-{number}/77"),
    }
}

/// Time of a choice among the routes of one site, of which every `step`th is asked for in turn.
fn measured(patterns: &[PathPattern], targets: &[String], step: usize) -> (Duration, Duration) {
    let config = with_paths(patterns);
    let start = cpu_time();
    let table = RouteTable::compile(&config).expect("valid");
    let compiled = cpu_time() - start;
    let asked = targets.iter().enumerate().step_by(step);
    let mut asked: Vec<(usize, Exchange)> = asked
        .map(|(number, target)| {
            (
                number,
                exchange(&format!("GET {target} HTTP/1.1\r\nHost: a")),
            )
        })
        .collect();
    let rounds = 200_000 / asked.len();
    let start = cpu_time();
    for _ in 0..rounds {
        for (number, exchange) in &mut asked {
            let site = table.site(0, b"a").expect("a site");
            let route = table.choose(site, exchange).expect("a route");
            assert_eq!(black_box(route.index), *number);
        }
    }
    let asked = u32::try_from(rounds * asked.len()).expect("few");
    ((cpu_time() - start) / asked, compiled)
}

/// `cargo test --release -p quaich-server --lib choosing_among -- --ignored --nocapture`
#[test]
#[ignore = "measures time"]
fn choosing_among_ten_thousand_routes_takes_at_most_2_us() {
    const KINDS: [&str; 5] = ["exact", "prefix", "glob", "tail", "user"];
    for count in [10, 1_000, 10_000] {
        let all = (0..count)
            .map(|number| KINDS[number % KINDS.len()])
            .collect();
        let mixed = ("mixed", all);
        let one = KINDS.map(|kind| (kind, vec![kind; count]));
        for (name, kinds) in one.into_iter().chain([mixed]) {
            let numbered = || kinds.iter().enumerate();
            let patterns: Vec<_> = numbered().map(|(n, kind)| pattern(kind, n)).collect();
            let targets: Vec<_> = numbered().map(|(n, kind)| target(kind, n)).collect();
            // Ten thousand expressions do not fit into any cache: those asked for in turn are cold.
            for (how, step) in [("all in turn", 1), ("a few", (count / 10).max(1) + 1)] {
                let (each, compiled) = measured(&patterns, &targets, step);
                println!("{count} {name}, {how}: {each:?} each, compiled in {compiled:?}");
                let cold = name == "user" && step == 1;
                assert!(cold || each.as_nanos() <= 2_000, "{name}: {each:?}");
            }
        }
    }
}

/// Expressions that begin with a class have no literal to be found by.
#[test]
#[ignore = "measures time"]
fn choosing_among_expressions_without_literals_is_a_walk() {
    for count in [10, 100, 1_000] {
        let patterns: Vec<_> = (0..count).map(|n| pattern("regex", n)).collect();
        let targets: Vec<_> = (0..count).map(|n| target("regex", n)).collect();
        let (each, compiled) = measured(&patterns, &targets, 1);
        println!("{count} regex without literal: {each:?} each, compiled in {compiled:?}");
    }
}

/// Ten thousand sites with a host of their own.
#[test]
#[ignore = "measures time"]
fn choosing_among_ten_thousand_sites_takes_at_most_2_us() {
    let mut config = config("[[site.main.route]]\nstatus = 404\n");
    let site = config.sites.remove(0);
    for number in 0..10_000 {
        let name = format!("shop-{number}.example");
        config.sites.push(model::Site {
            hosts: vec![match number % 2 {
                0 => model::HostPattern::Exact(name.clone()),
                _ => model::HostPattern::Suffix(format!(".{name}")),
            }],
            ..site.clone()
        });
    }
    let table = RouteTable::compile(&config).expect("valid");
    let hosts: Vec<String> = (0..10_000)
        .map(|number| match number % 2 {
            0 => format!("shop-{number}.example"),
            _ => format!("www.shop-{number}.example"),
        })
        .collect();
    let start = cpu_time();
    const ROUNDS: u32 = 20;
    for _ in 0..ROUNDS {
        for (number, host) in hosts.iter().enumerate() {
            let site = table.site(0, host.as_bytes()).expect("a site");
            assert_eq!(black_box(site.index), number);
        }
    }
    let each = (cpu_time() - start) / (ROUNDS * 10_000);
    println!("10000 sites: {each:?} each");
    assert!(each.as_nanos() <= 2_000, "{each:?}");
}
