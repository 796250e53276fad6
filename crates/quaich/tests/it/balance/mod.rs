//! Several servers behind one upstream: who gets a request, who waits, what is sent again.

mod failures;
mod queue;

use std::collections::HashMap;

use quaich_testkit::{Origin, Quaich, TempSite};

/// An upstream of these tables, passed everything from two threads.
fn serve(keys: &str, servers: &[String]) -> Quaich {
    let tables: String = servers
        .iter()
        .map(|server| format!("[[upstream.up.server]]\n{server}\n"))
        .collect();
    let text = format!(
        "threads = 2\ntrust = [\"127.0.0.1\"]\n[log.access]\noutput = \"stdout\"\nformat = \"json\"\n\
         [upstream.up]\n{keys}\n{tables}[site.main]\nupstream = \"up\"\n"
    );
    Quaich::serve(TempSite::new(), &text)
}

fn server(origin: &Origin, keys: &str) -> String {
    format!("url = \"{}\"\n{keys}", origin.url())
}

/// The counter of that name.
fn counter(quaich: &Quaich, name: &str) -> u64 {
    let status = quaich.status();
    let found = find(&status, name).and_then(serde_json::Value::as_u64);
    found.unwrap_or_else(|| panic!("no {name} in {status:#}"))
}

/// The first value of that name, wherever it stands.
fn find<'v>(value: &'v serde_json::Value, name: &str) -> Option<&'v serde_json::Value> {
    match value {
        serde_json::Value::Object(fields) => fields
            .get(name)
            .or_else(|| fields.values().find_map(|field| find(field, name))),
        serde_json::Value::Array(items) => items.iter().find_map(|item| find(item, name)),
        _ => None,
    }
}

/// Sends requests over so many connections at once, each of them so many; all are answered well.
fn load(quaich: &Quaich, clients: usize, requests: usize) {
    std::thread::scope(|scope| {
        for _ in 0..clients {
            let mut client = quaich.raw();
            scope.spawn(move || {
                for _ in 0..requests {
                    client.get("/").expect_status(200);
                }
            });
        }
    });
}

#[test]
fn servers_take_turns_by_weight_over_all_threads() {
    let origins = [Origin::ok(), Origin::ok(), Origin::ok()];
    let weights = [5, 3, 2];
    let servers: Vec<_> = origins
        .iter()
        .zip(weights)
        .map(|(origin, weight)| server(origin, &format!("weight = {weight}")))
        .collect();
    let quaich = serve("", &servers);
    load(&quaich, 4, 250);
    for (origin, weight) in origins.iter().zip(weights) {
        assert_eq!(origin.requests().len(), weight * 100);
    }
}

#[test]
fn connections_are_used_again_over_all_threads() {
    let origins: Vec<Origin> = (0..4).map(|_| Origin::ok()).collect();
    let servers: Vec<_> = origins.iter().map(|origin| server(origin, "")).collect();
    let quaich = serve("", &servers);
    // As many as were ever needed at once are kept: sooner or later there are enough.
    quaich_testkit::eventually(
        "2000 requests that need no more than 2 new connections",
        || {
            let connected = counter(&quaich, "upstream_connects");
            load(&quaich, 8, 250);
            (counter(&quaich, "upstream_connects") - connected <= 2).then_some(())
        },
    );
}

#[test]
fn connections_have_an_age() {
    let origin = Origin::ok();
    let quaich = serve("keepalive_age = \"1ms\"", &[server(&origin, "")]);
    let mut client = quaich.raw();
    client.get("/").expect_status(200);
    quaich_testkit::eventually("an old connection is replaced", || {
        client.get("/").expect_status(200);
        (origin.connections() > 1).then_some(())
    });
}

#[test]
fn equal_keys_reach_equal_servers() {
    let origins = [Origin::ok(), Origin::ok(), Origin::ok()];
    let servers: Vec<_> = origins.iter().map(|origin| server(origin, "")).collect();
    for (balance, field) in [
        ("hash:header.X-Tenant", "X-Tenant: "),
        ("hash:cookie.sid", "Cookie: a=b; sid="),
        ("hash:client_ip", "X-Forwarded-For: 10.0.0."),
    ] {
        let before: Vec<usize> = origins.iter().map(|o| o.requests().len()).collect();
        let quaich = serve(&format!("balance = \"{balance}\""), &servers);
        for _ in 0..3 {
            for key in 0..20 {
                let fields = format!("{field}{key}\r\n");
                quaich.request("GET", "/", &fields, b"").expect_status(200);
            }
        }
        let mut server_of = HashMap::new();
        let name = field.split(':').next().unwrap();
        for (origin, before) in origins.iter().zip(before) {
            for request in origin.requests().iter().skip(before) {
                let key = request.header(name).unwrap().to_owned();
                let known = *server_of.entry(key).or_insert(origin.addr());
                assert_eq!(known, origin.addr(), "{balance}");
            }
        }
        let used: std::collections::HashSet<_> = server_of.values().collect();
        assert_eq!(used.len(), 3, "{balance}");
    }
}

#[test]
fn the_least_busy_server_is_asked() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let busy = Origin::start(move |conversation| {
        conversation.request();
        let _ = tell.lock().unwrap().send(());
        // Until the client has left.
        conversation.read();
    });
    let free = Origin::ok();
    let servers = [server(&busy, ""), server(&free, "")];
    let quaich = serve("balance = \"least-conn\"", &servers);
    let mut held = quaich.raw();
    held.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    told.recv().unwrap();
    for _ in 0..10 {
        quaich.get("/").expect_status(200);
    }
    assert_eq!(free.requests().len(), 10);
}
