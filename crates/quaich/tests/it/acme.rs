//! Certificates from ACME, end to end: quaich, its agent, and pebble, which refuses every fifth
//! good nonce.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use quaich_testkit::{
    Pebble, PebbleOptions, Quaich, QuaichCommand, RawClient, Signal, TempSite, TlsClient, children,
    eventually, requires_pebble,
};

/// Pebble, and the socket on which it checks names.
struct World {
    pebble: Pebble,
    socket: TcpListener,
    challenge: &'static str,
}

impl World {
    fn new(challenge: &'static str) -> Option<World> {
        if !requires_pebble() {
            return None;
        }
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let pebble = Pebble::start(&PebbleOptions {
            http_port: port,
            tls_port: port,
            ..PebbleOptions::default()
        });
        Some(World {
            pebble,
            socket,
            challenge,
        })
    }

    fn serve(&self, site: TempSite) -> Quaich {
        let (checked_tls, other_tls) = match self.challenge {
            "http-01" => ("false", "true"),
            _ => ("true", "false"),
        };
        let (directory, ca) = (self.pebble.directory(), self.pebble.ca_file());
        let text = format!(
            "[admin]\nlisten = \"unix:quaich.sock\"\n\
             [[server.listener]]\naddr = \"fd:3\"\ntls = {checked_tls}\n\
             [[server.listener]]\naddr = \"127.0.0.1:0\"\ntls = {other_tls}\n\
             [tls.acme]\ndirectory = \"{directory}\"\nca_file = \"{}\"\nchallenge = \"{}\"\n\
             [site.shop]\nhosts = [\"shop.example\", \"www.shop.example\"]\n\
             redirect_https = {other_tls}\n\
             [[site.shop.route]]\nrespond = {{ status = 200, body = \"ok\" }}\n",
            ca.display(),
            self.challenge,
        );
        site.write("quaich.toml", text);
        let command = QuaichCommand::new(site, ["serve", "-c", "quaich.toml"]);
        command.inherit(self.socket.try_clone().unwrap()).start()
    }

    /// The state of one order in the state directory of `quaich`.
    fn plan(&self, quaich: &Quaich) -> PathBuf {
        stored(quaich, "certs/shop.example.json").expect("a plan")
    }

    /// quaich and its agent, which has placed an order and gets no further: the front, which is
    /// to show the answers to the authority's challenges, is stopped. Also the order's URL.
    fn serve_up_to_the_order(&self) -> (Quaich, String) {
        self.pebble.signal(Signal::STOP);
        let quaich = self.serve(TempSite::new());
        Quaich::signal_process(quaich.front(), Signal::STOP);
        self.pebble.signal(Signal::CONT);
        let order = eventually("an order", || {
            let text = fs::read(stored(&quaich, "orders/shop.example.json")?).ok()?;
            serde_json::from_slice::<serde_json::Value>(&text).ok()
        });
        let url = order["url"].as_str().expect("a URL").to_owned();
        (quaich, url)
    }
}

/// A file of the only ACME directory, if it is there.
fn stored(quaich: &Quaich, name: &str) -> Option<PathBuf> {
    let directory = fs::read_dir(quaich.site().join("state/acme")).ok()?;
    let mut files = directory.flatten().map(|entry| entry.path().join(name));
    files.find(|path| path.exists())
}

fn tls_addr(quaich: &Quaich, world: &World) -> std::net::SocketAddr {
    let checked = world.socket.local_addr().unwrap();
    match world.challenge {
        "http-01" => quaich
            .addrs()
            .iter()
            .copied()
            .find(|addr| *addr != checked)
            .unwrap(),
        _ => checked,
    }
}

fn issuer_shown(quaich: &Quaich, world: &World, name: &str) -> Option<Vec<u8>> {
    let client = TlsClient::credulous().asking(name).without_resumption();
    let mut connection = RawClient::try_tls(tls_addr(quaich, world), &client).ok()?;
    connection.send(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n"));
    connection.response().expect_body("ok");
    Some(connection.handshake().certificate?.to_vec())
}

#[test]
fn a_certificate_is_got_by_http_01_and_the_site_answers_over_http_until_then() {
    let Some(world) = World::new("http-01") else {
        return;
    };
    world.pebble.lose_name("shop.example");
    let quaich = world.serve(TempSite::new());
    quaich
        .log()
        .wait_for("no certificate yet for shop.example, www.shop.example");
    let failed = quaich.log().wait_for("no certificate for shop.example");
    assert!(failed.contains("next_attempt_in"), "{failed}");
    // No redirect to where nobody could answer.
    let plain = world.socket.local_addr().unwrap();
    let mut client = RawClient::connect(plain);
    client.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    client.response().expect_status(200).expect_body("ok");
    let status = quaich.status();
    assert_eq!(
        status["certificates"][0]["name"], "acme:shop.example",
        "{status:#}"
    );
    assert_eq!(
        status["certificates"][0]["not_after"],
        serde_json::Value::Null
    );

    world.pebble.find_name("shop.example");
    quaich.cli(["cert", "renew"]).expect_code(0);
    quaich
        .log()
        .wait_for("a certificate for shop.example, www.shop.example was issued");
    eventually("the certificate", || {
        issuer_shown(&quaich, &world, "www.shop.example")
    });
    let mut client = RawClient::connect(plain);
    client.send("GET /a?b HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    client.response().expect_status(301);
    let listed = quaich.cli(["cert", "list"]);
    assert!(
        listed.stdout.contains("acme:shop.example"),
        "{}",
        listed.stdout
    );
    assert!(listed.stdout.contains("Pebble"), "{}", listed.stdout);
}

#[test]
fn a_certificate_is_got_by_tls_alpn_01_renewed_when_due_and_kept_over_a_restart() {
    let Some(world) = World::new("tls-alpn-01") else {
        return;
    };
    let mut quaich = world.serve(TempSite::new());
    quaich
        .log()
        .wait_for("a certificate for shop.example, www.shop.example was issued");
    let first = eventually("the certificate", || {
        issuer_shown(&quaich, &world, "shop.example")
    });
    quaich.signal(Signal::TERM);
    quaich.wait();
    // It is there at once after a restart; then its time comes.
    let site = TempSite::new();
    let state = quaich.site().join("state");
    let plan = world.plan(&quaich);
    let mut text: serde_json::Value = serde_json::from_slice(&fs::read(&plan).unwrap()).unwrap();
    text["renew_at"] = 1.into();
    fs::write(&plan, text.to_string()).unwrap();
    fs::rename(state, site.join("state")).unwrap();
    let quaich = world.serve(site);
    assert!(!quaich.log().text().contains("no certificate yet"));
    quaich
        .log()
        .wait_for("a certificate for shop.example, www.shop.example was issued");
    let second = eventually("the renewed certificate", || {
        issuer_shown(&quaich, &world, "shop.example").filter(|shown| *shown != first)
    });
    assert_ne!(first, second);
}

#[test]
fn an_agent_that_is_killed_costs_nothing_and_its_order_goes_on() {
    let Some(world) = World::new("tls-alpn-01") else {
        return;
    };
    let (quaich, order) = world.serve_up_to_the_order();
    let agent = eventually("an agent", || {
        children(quaich.pid()).into_iter().find(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("__agent")
        })
    });
    Quaich::signal_process(agent, Signal::KILL);
    quaich.log().wait_for("the agent for certificates failed");
    Quaich::signal_process(quaich.front(), Signal::CONT);
    quaich
        .cli(["cert", "renew", "www.shop.example"])
        .expect_code(0);
    quaich
        .log()
        .wait_for(&format!("going on with order {order}"));
    quaich
        .log()
        .wait_for("a certificate for shop.example, www.shop.example was issued");
    eventually("the certificate", || {
        issuer_shown(&quaich, &world, "shop.example")
    });
    let refused = quaich.cli(["cert", "renew", "other.example"]);
    refused
        .expect_code(1)
        .expect_error("no certificate called `other.example` comes from ACME");
}

#[test]
fn a_restart_in_the_middle_of_an_order_goes_on_with_it() {
    let Some(world) = World::new("tls-alpn-01") else {
        return;
    };
    let (mut quaich, order) = world.serve_up_to_the_order();
    quaich.signal(Signal::KILL);
    quaich.wait();
    let site = TempSite::new();
    // The agent dies with its parent; what it has written is whole.
    fs::rename(quaich.site().join("state"), site.join("state")).unwrap();
    let quaich = world.serve(site);
    quaich
        .log()
        .wait_for(&format!("going on with order {order}"));
    quaich
        .log()
        .wait_for("a certificate for shop.example, www.shop.example was issued");
    eventually("the certificate", || {
        issuer_shown(&quaich, &world, "shop.example")
    });
}
