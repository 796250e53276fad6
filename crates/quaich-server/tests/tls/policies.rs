//! Certificates of clients: who is asked, who is believed, and that rules of one site never hold
//! for another.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use quaich_config::Config;
use quaich_config::model::{ClientAuth, ClientAuthMode};
use quaich_server::link::{ClientTrust, Material};
use rustls::AlertDescription;
use rustls::crypto::aws_lc_rs;

use crate::certificates::{Authority, Leaf, material};
use crate::client::{Client, field, get, read_answer};
use crate::front::Front;
use crate::handshakes::alert;

const SITES: &str = r#"
[site.open]
hosts = ["open.test"]
[[site.open.route]]
respond = { status = 200, body = "open" }

[site.secret]
hosts = ["secret.test"]
[[site.secret.route]]
respond = { status = 200, body = "secret" }

[site.also_secret]
hosts = ["also.test"]
[[site.also_secret.route]]
respond = { status = 200, body = "also" }

[site.asking]
hosts = ["asking.test"]
[[site.asking.route]]
respond = { status = 200, body = "asking" }
"#;

struct World {
    servers: Authority,
    clients: Authority,
    leaf: Leaf,
}

impl World {
    fn new() -> Self {
        let servers = Authority::new();
        let leaf = servers.server(&["open.test", "secret.test", "also.test", "asking.test"]);
        Self {
            clients: Authority::new(),
            leaf,
            servers,
        }
    }

    fn material(&self, crl: String) -> Material {
        let trust = ClientTrust {
            ca: self.clients.pem(),
            crl,
        };
        let hosts = ["open.test", "secret.test", "also.test", "asking.test"];
        let mut material = material(vec![self.leaf.identity("all", &hosts)]);
        material
            .clients
            .extend([trust.clone(), trust.clone(), trust]);
        material
    }

    fn front(&self) -> Front {
        Front::start_with(SITES, self.material(String::new()), rules)
    }

    /// A front with one site for each of its addresses with TLS.
    fn nameless(&self, first: Option<ClientAuthMode>, second: Option<ClientAuthMode>) -> Front {
        let hosts = ["127.0.0.1", "127.0.0.2"];
        let sites = hosts.map(|host| {
            format!(
                "[site.at_{}]\nhosts = [\"{host}\"]\n\
                 [[site.at_{0}.route]]\nrespond = {{ status = 200, body = \"here\" }}\n",
                host.replace('.', "_")
            )
        });
        let leaf = self.servers.server(&hosts);
        let material = Material {
            identities: vec![leaf.identity("addresses", &hosts)],
            ..self.material(String::new())
        };
        Front::start_with(&sites.concat(), material, |config| {
            config.sites[0].tls_client = first.map(rule);
            config.sites[1].tls_client = second.map(rule);
        })
    }

    /// A client with a certificate.
    fn known(&self) -> Client {
        Client::with_certificate(&self.servers, &self.clients.client("alice", 7))
    }

    /// A client without.
    fn unknown(&self) -> Client {
        Client::new(&self.servers)
    }
}

fn rule(mode: ClientAuthMode) -> ClientAuth {
    ClientAuth {
        mode,
        ca: Some("/ca.pem".into()),
        crl: None,
    }
}

fn rules(config: &mut Config) {
    config.sites[1].tls_client = Some(rule(ClientAuthMode::Require));
    config.sites[2].tls_client = Some(rule(ClientAuthMode::Require));
    config.sites[3].tls_client = Some(rule(ClientAuthMode::Request));
}

#[test]
fn a_certificate_is_required_where_it_is_and_nowhere_else() {
    let world = World::new();
    let front = world.front();
    let (known, unknown) = (world.known(), world.unknown());
    for name in ["open.test", "secret.test", "also.test", "asking.test"] {
        assert_eq!(
            known.get(front.tls, name, "/").unwrap().0.status,
            200,
            "{name}"
        );
    }
    for name in ["open.test", "asking.test"] {
        assert_eq!(
            unknown.get(front.tls, name, "/").unwrap().0.status,
            200,
            "{name}"
        );
    }
    let error = unknown.get(front.tls, "secret.test", "/").unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::CertificateRequired));
}

#[test]
fn a_certificate_of_a_stranger_ends_the_handshake_also_where_none_is_needed() {
    let world = World::new();
    let front = world.front();
    let stranger = Authority::new().client("mallory", 1);
    let client = Client::with_certificate(&world.servers, &stranger);
    assert_eq!(
        client.get(front.tls, "open.test", "/").unwrap().0.status,
        200
    );
    for name in ["secret.test", "asking.test"] {
        let error = client.get(front.tls, name, "/").unwrap_err();
        assert!(alert(&error).is_some(), "{name}: {error}");
    }
}

#[test]
fn a_revoked_certificate_is_refused_from_the_moment_the_list_is_there() {
    let world = World::new();
    let mut front = world.front();
    let client = world.known();
    assert_eq!(
        client.get(front.tls, "secret.test", "/").unwrap().0.status,
        200
    );
    front.replace(world.material(world.clients.revoke(&[7])));
    // Not even by resuming what was begun before.
    let error = client.get(front.tls, "secret.test", "/").unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::CertificateRevoked));
    let other = Client::with_certificate(&world.servers, &world.clients.client("bob", 8));
    assert_eq!(
        other.get(front.tls, "secret.test", "/").unwrap().0.status,
        200
    );
}

#[test]
fn a_request_for_a_site_with_other_rules_is_misdirected() {
    let world = World::new();
    let front = world.front();
    let ask = |client: &Client, name: &str, host: &str| {
        let mut stream = client.connect(front.tls, name).unwrap();
        get(&mut stream, host, "/").unwrap().status
    };
    let (known, unknown) = (world.known(), world.unknown());
    assert_eq!(ask(&unknown, "open.test", "secret.test"), 421);
    assert_eq!(ask(&known, "open.test", "secret.test"), 421);
    assert_eq!(ask(&known, "secret.test", "open.test"), 421);
    // The same rules and one certificate for both.
    assert_eq!(ask(&known, "secret.test", "also.test"), 200);
    let mut nameless = unknown
        .without_sni()
        .connect(front.tls, "open.test")
        .unwrap();
    assert_eq!(get(&mut nameless, "open.test", "/").unwrap().status, 200);
    assert_eq!(get(&mut nameless, "secret.test", "/").unwrap().status, 421);
}

#[test]
fn a_request_for_a_site_that_the_certificate_does_not_cover_is_misdirected() {
    let authority = Authority::new();
    let [one, two] = [&["open.test"], &["also.test"]].map(|names| authority.server(names));
    let identities = vec![
        one.identity("one", &["open.test"]),
        two.identity("two", &["also.test"]),
    ];
    let front = Front::start(SITES, material(identities));
    let mut stream = Client::new(&authority)
        .connect(front.tls, "open.test")
        .unwrap();
    assert_eq!(get(&mut stream, "open.test", "/").unwrap().status, 200);
    assert_eq!(get(&mut stream, "also.test", "/").unwrap().status, 421);
    assert_eq!(get(&mut stream, "open.test", "/").unwrap().status, 200);
}

#[test]
fn servers_are_told_who_it_is_and_nobody_can_pretend() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = format!(
        "[site.main]\nhosts = [\"secret.test\", \"asking.test\"]\nproxy = \"http://{}\"\n",
        listener.local_addr().unwrap()
    );
    let material = Material {
        clients: vec![ClientTrust {
            ca: world.clients.pem(),
            crl: String::new(),
        }],
        ..world.material(String::new())
    };
    let front = Front::start_with(&site, material, |config| {
        config.tls.client.mode = ClientAuthMode::Request;
        config.server.trust.push(quaich_config::model::Network {
            addr: [127, 0, 0, 1].into(),
            prefix: 8,
        });
    });
    let told = |client: &Client| {
        let mut stream = client.connect(front.tls, "asking.test").unwrap();
        stream
            .write_all(
                b"GET / HTTP/1.1\r\nHost: asking.test\r\nX-SSL-Client-S-DN: CN=root\r\n\
                  Client-Cert: :AAAA:\r\nX-SSL-Client-Verify: SUCCESS\r\n\r\n",
            )
            .unwrap();
        let (mut origin, _) = listener.accept().unwrap();
        let mut piece = [0; 8192];
        let count = origin.read(&mut piece).unwrap();
        origin
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
        drop(origin);
        assert_eq!(read_answer(&mut stream).unwrap().status, 200);
        String::from_utf8_lossy(&piece[..count]).into_owned()
    };
    let head = told(&world.unknown());
    assert_eq!(field(&head, "x-ssl-client-verify"), Some("NONE"), "{head}");
    assert_eq!(field(&head, "x-ssl-client-s-dn"), None, "{head}");
    assert_eq!(field(&head, "client-cert"), None, "{head}");
    let head = told(&world.known());
    assert_eq!(
        field(&head, "x-ssl-client-verify"),
        Some("SUCCESS"),
        "{head}"
    );
    assert_eq!(
        field(&head, "x-ssl-client-s-dn"),
        Some("CN=alice"),
        "{head}"
    );
    assert_eq!(
        field(&head, "x-ssl-client-i-dn"),
        Some("O=Quaich\\, Tests,CN=Test Authority")
    );
    assert_eq!(field(&head, "x-ssl-client-serial"), Some("07"), "{head}");
    assert!(
        field(&head, "client-cert").is_some_and(|value| value.starts_with(":MII")),
        "{head}"
    );
    assert_eq!(
        head.to_lowercase().matches("client-cert:").count(),
        1,
        "{head}"
    );
    assert_eq!(field(&head, "x-forwarded-proto"), Some("https"), "{head}");
}

/// Whether a client can resume at `to` what it began at `from`; addresses, and names there.
fn transplant(client: &Client, from: (SocketAddr, &str), to: (SocketAddr, &str)) -> bool {
    client.get(from.0, from.1, "/").unwrap();
    let moved = client.resuming_as(from.1);
    moved.get(to.0, to.1, "/").is_ok_and(|(_, resumed)| resumed)
}

#[test]
fn a_session_is_resumed_on_its_own_site() {
    let world = World::new();
    let mut front = world.front();
    for client in [world.known(), old(&world)] {
        for name in ["open.test", "secret.test"] {
            assert!(!client.get(front.tls, name, "/").unwrap().1, "{name}");
            // Whichever thread takes it.
            for _ in 0..8 {
                assert!(client.get(front.tls, name, "/").unwrap().1, "{name}");
            }
        }
    }
    assert_eq!(front.count("tls_resumed"), 32);
}

#[test]
fn a_session_is_never_resumed_on_a_site_with_other_rules() {
    let world = World::new();
    let front = world.front();
    for client in [world.known(), old(&world)] {
        for (from, to) in [
            ("open.test", "secret.test"),
            ("secret.test", "open.test"),
            ("asking.test", "secret.test"),
            ("secret.test", "asking.test"),
        ] {
            let [from, to] = [from, to].map(|name| (front.tls, name));
            assert!(!transplant(&client, from, to), "{from:?} -> {to:?}");
            assert!(transplant(&client, from, from), "{from:?}");
        }
    }
}

/// Without a name there is nothing in a ticket that tells two sites apart but its key.
#[test]
fn without_names_a_session_is_resumed_under_the_same_rules_and_no_others() {
    let world = World::new();
    let modes = [
        None,
        Some(ClientAuthMode::Request),
        Some(ClientAuthMode::Require),
    ];
    for (first, second) in modes
        .iter()
        .flat_map(|&a| modes.iter().map(move |&b| (a, b)))
    {
        let front = world.nameless(first, second);
        let from = (front.tls, "127.0.0.1");
        let to = (front.second, "127.0.0.2");
        for client in [world.known(), old(&world)] {
            let resumed = transplant(&client, from, to);
            assert_eq!(resumed, first == second, "{first:?} -> {second:?}");
        }
    }
}

#[test]
fn one_without_certificate_cannot_resume_its_way_in() {
    let world = World::new();
    let front = world.front();
    let client = world.unknown();
    client.get(front.tls, "asking.test", "/").unwrap();
    let moved = client.resuming_as("asking.test");
    let error = moved.get(front.tls, "secret.test", "/").unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::CertificateRequired));
}

#[test]
fn without_tickets_nothing_is_resumed() {
    let world = World::new();
    let front = Front::start_with(SITES, world.material(String::new()), |config| {
        config.tls.session_tickets = false;
    });
    for client in [world.unknown(), old(&world)] {
        for _ in 0..3 {
            assert!(!client.get(front.tls, "open.test", "/").unwrap().1);
        }
    }
}

/// A client with a certificate that speaks TLS 1.2.
fn old(world: &World) -> Client {
    let leaf = world.clients.client("alice", 7);
    let provider = aws_lc_rs::default_provider();
    Client::with(
        &world.servers,
        Some(&leaf),
        provider,
        &[&rustls::version::TLS12],
    )
}
