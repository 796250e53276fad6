//! What the keys of TLS make of listeners, sites and certificates.

use std::path::{Path, PathBuf};

use quaich_config::model::*;
use quaich_config::{Environment, Overrides, Surroundings, parse, render};

fn load_with(text: &str, around: &Surroundings) -> Config {
    let loaded = parse("quaich.toml", text, Path::new("/srv"), around);
    let shown = render(&loaded, false, 100);
    loaded.config.unwrap_or_else(|| panic!("{shown}\n{text}"))
}

fn load(text: &str) -> Config {
    load_with(text, &Surroundings::default())
}

/// A site with these hosts on ports 80 and 443, and more text.
fn standard(hosts: &str, more: &str) -> Config {
    load(&format!(
        "[server]\nlisten = [\":80\", \":443\"]\n\
         [site.main]\nhosts = {hosts}\nroot = \"public\"\n{more}"
    ))
}

#[test]
fn port_443_speaks_tls_unless_told_otherwise() {
    let tls = |server: &str| -> Vec<bool> {
        let config = load(&format!(
            "{server}\n[tls]\nlocal_ca = true\n[site.main]\nroot = \"public\"\n"
        ));
        config.server.listeners.iter().map(|l| l.tls).collect()
    };
    let listen = "listen = [\":80\", \"192.0.2.1:443\", \"unix:a.sock\"]";
    assert_eq!(tls(&format!("[server]\n{listen}")), [false, true, false]);
    let all = format!("[server]\n{listen}\ntls = true\n");
    let own = "[[server.listener]]\naddr = \":90\"\ntls = \"off\"\n";
    assert_eq!(tls(&format!("{all}{own}")), [true, true, true, false]);
    let one = "[[server.listener]]\naddr = \":443\"\ntls = false\n\
               [[server.listener]]\naddr = \":444\"\ntls = true\n\
               [[server.listener]]\naddr = \":445\"\ntls = \"auto\"\n";
    assert_eq!(tls(one), [false, true, false]);
}

#[test]
fn both_versions_of_http_are_spoken_unless_told_otherwise() {
    let config = load(
        "[server]\nlisten = [\":80\"]\n\
         [[server.listener]]\naddr = \":81\"\nprotocols = [\"h2\"]\n\
         [[server.listener]]\naddr = \":82\"\nprotocols = \"h1\"\n\
         [site.main]\nroot = \"public\"\n",
    );
    let spoken = config.server.listeners.iter().map(|l| (l.h1, l.h2));
    assert!(spoken.eq([(true, true), (false, true), (true, false)]));
}

#[test]
fn flags_turn_every_listener_to_tls() {
    let mut overrides = Overrides::default();
    overrides
        .set("server.tls", "true", "--tls")
        .set("tls.local_ca", "true", "--tls");
    let around = Surroundings {
        overrides,
        ..Surroundings::default()
    };
    let config = load_with("[site.main]\nroot = \"public\"\n", &around);
    assert!(config.tls.local_ca);
    assert!(config.server.listeners.iter().all(|l| l.tls));
}

#[test]
fn acme_names_are_the_exact_hosts_that_no_file_is_for() {
    let config = load(
        "[server]\nlisten = [\":80\", \":443\"]\n\
         [tls.acme]\ndirectory = \"letsencrypt-staging\"\n\
         [tls.cert.wild]\ncert = \"a.pem\"\nkey = \"a.key\"\nhosts = [\"*.a.example\"]\n\
         [site.a]\nhosts = [\"a.example\", \"x.a.example\", \"*.a.example\", \"192.0.2.1\"]\n\
         root = \"a\"\n\
         [site.b]\nhosts = [\"b.example\", \"www.b.example\", \"localhost\"]\nroot = \"b\"\n\
         [site.plain]\nhosts = [\"plain.example\"]\nlisten = [\":80\"]\nroot = \"c\"\n\
         [site.rest]\nroot = \"d\"\n",
    );
    let acme = config.tls.acme.expect("there is ACME");
    assert_eq!(
        acme.directory,
        "https://acme-staging-v02.api.letsencrypt.org/directory"
    );
    let names: Vec<Vec<&str>> = acme
        .names
        .iter()
        .map(|names| names.iter().map(String::as_str).collect())
        .collect();
    assert_eq!(
        names,
        [vec!["a.example"], vec!["b.example", "www.b.example"]]
    );
}

#[test]
fn a_site_with_more_names_than_a_certificate_holds_gets_several() {
    let hosts: Vec<String> = (0..101).map(|n| format!("n{n}.example")).collect();
    let config = standard(&format!("{hosts:?}"), "[tls.acme]\n");
    let lengths: Vec<usize> = config
        .tls
        .acme
        .unwrap()
        .names
        .iter()
        .map(Vec::len)
        .collect();
    assert_eq!(lengths, [100, 1]);
}

#[test]
fn plain_http_is_redirected_by_itself_only_where_it_leads_somewhere() {
    let auto = |hosts: &str, more: &str| standard(hosts, more).sites[0].redirect_https;
    let file = "[tls.cert.a]\ncert = \"a.pem\"\nkey = \"a.key\"\n";
    let named = format!("{file}hosts = [\"a.example\"]\n");
    assert!(auto("[\"a.example\"]", "[tls.acme]\n"));
    assert!(auto("[\"a.example\"]", "[tls]\nlocal_ca = true\n"));
    assert!(auto("[\"a.example\"]", file));
    assert!(auto("[\"a.example\"]", &named));
    assert!(auto("[\"*\"]", file));
    assert!(!auto("[\"a.example\", \"b.example\"]", &named));
    assert!(!auto("[\"a.example\", \"192.0.2.1\"]", "[tls.acme]\n"));
    assert!(!auto(
        "[\"a.example\"]",
        &format!("redirect_https = false\n{file}")
    ));
}

#[test]
fn other_ports_are_redirected_only_when_told() {
    let redirects = |listen: &str, more: &str| {
        let config = load(&format!(
            "[tls]\nlocal_ca = true\n[server]\nlisten = {listen}\n\
             [[server.listener]]\naddr = \":8443\"\ntls = true\n\
             [site.main]\nroot = \"public\"\n{more}"
        ));
        config.sites[0].redirect_https
    };
    let told = "redirect_https = true\n";
    assert!(!redirects("[\":8080\"]", ""));
    assert!(redirects("[\":8080\"]", told));
    // A health check on a socket shall go on.
    assert!(!redirects("[\":80\", \":443\", \"unix:a.sock\"]", ""));
    assert!(redirects("[\":80\", \":443\", \"unix:a.sock\"]", told));
}

#[test]
fn behind_a_trusted_proxy_a_site_without_tls_may_redirect() {
    let config = load(
        "[server]\nlisten = [\":8000\"]\ntrust = [\"10.0.0.0/8\"]\n\
         [site.main]\nroot = \"public\"\nredirect_https = true\nhsts = true\n",
    );
    assert!(config.sites[0].redirect_https);
    let around = Surroundings {
        environment: Environment {
            forwarded_allow_ips: Some("*".into()),
            ..Environment::default()
        },
        ..Surroundings::default()
    };
    let text = "[site.main]\nroot = \"public\"\nredirect_https = true\n";
    assert!(load_with(text, &around).sites[0].redirect_https);
}

#[test]
fn hsts_is_a_time_or_a_table() {
    let hsts = |value: &str| {
        let more = format!("hsts = {value}\n[tls]\nlocal_ca = true\n");
        standard("[\"a.example\"]", &more).sites[0].hsts.clone()
    };
    assert_eq!(hsts("\"off\""), None);
    assert_eq!(hsts("false"), None);
    assert_eq!(hsts("true").as_deref(), Some("max-age=31536000"));
    assert_eq!(hsts("\"30d\"").as_deref(), Some("max-age=2592000"));
    assert_eq!(hsts("\"0s\"").as_deref(), Some("max-age=0"));
    assert_eq!(
        hsts("{ max_age = \"730d\", include_subdomains = true, preload = true }").as_deref(),
        Some("max-age=63072000; includeSubDomains; preload")
    );
}

#[test]
fn a_site_has_its_own_rules_for_clients_only_when_they_differ() {
    let config = load(
        "[server]\nlisten = [\":443\"]\n[tls]\nlocal_ca = true\n\
         [tls.client]\nmode = \"request\"\nca = \"ca.pem\"\ncrl = \"crl.pem\"\n\
         [site.a]\nhosts = [\"a.example\"]\nroot = \"a\"\n\
         [site.b]\nhosts = [\"b.example\"]\nroot = \"b\"\ntls_client = { mode = \"request\" }\n\
         [site.c]\nhosts = [\"c.example\"]\nroot = \"c\"\ntls_client = { mode = \"require\" }\n\
         [site.d]\nhosts = [\"d.example\"]\nroot = \"d\"\ntls_client = { mode = \"off\" }\n\
         [site.e]\nhosts = [\"e.example\"]\nroot = \"e\"\n\
         tls_client = { mode = \"require\", ca = \"other.pem\" }\n",
    );
    let own: Vec<_> = config
        .sites
        .iter()
        .map(|site| site.tls_client.clone())
        .collect();
    let require = |ca: &str, crl: Option<&str>| ClientAuth {
        mode: ClientAuthMode::Require,
        ca: Some(Path::new("/srv").join(ca)),
        crl: crl.map(|crl| Path::new("/srv").join(crl)),
    };
    assert_eq!(
        own,
        [
            None,
            None,
            Some(require("ca.pem", Some("crl.pem"))),
            Some(ClientAuth::default()),
            // Revocation lists belong to their CA.
            Some(require("other.pem", None)),
        ]
    );
}

#[test]
fn upstreams_say_how_their_servers_are_spoken_to() {
    let config = load(
        "[upstream.api]\nservers = [\"https://10.0.0.1\", \"https+unix:api.sock\"]\nh2 = true\n\
         tls = { ca = \"ca.pem\", sni = \"API.internal\", cert = \"c.pem\", key = \"c.key\" }\n\
         [site.main]\nproxy = \"https://wiki.example\"\n\
         [[site.main.route]]\npath = \"/api/*\"\nupstream = \"api\"\n\
         [[site.main.route]]\npath = \"/grpc/*\"\nproxy = \"h2c://127.0.0.1:50051\"\n",
    );
    let [api, grpc, wiki] = &config.upstreams[..] else {
        panic!("three upstreams");
    };
    assert_eq!(api.h2, H2::On);
    assert_eq!(api.tls.sni.as_deref(), Some("api.internal"));
    assert_eq!(api.tls.ca, Some(PathBuf::from("/srv/ca.pem")));
    assert!(api.tls.verify && api.servers.iter().all(|server| server.tls));
    assert_eq!(wiki.h2, H2::Auto);
    assert!(wiki.servers[0].tls);
    assert_eq!(wiki.servers[0].protocol, UpstreamProtocol::Http);
    assert!(!grpc.servers[0].tls);
    assert_eq!(grpc.servers[0].protocol, UpstreamProtocol::H2c);
}
