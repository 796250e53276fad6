//! The inventory over real files: what is read, kept, ordered and said.

use std::path::Path;

use quaich_config::Surroundings;
use quaich_testkit::{Ca, TempSite};

use super::*;

const SITE: &str = "[[site.main.route]]\nrespond = { status = 200, body = \"\" }\n";

fn config(site: &TempSite, tables: &str) -> Config {
    let text = format!("[server]\nlisten = [\":443\", \":80\"]\n{tables}\n{SITE}");
    let loaded = quaich_config::parse("t.toml", &text, site.path(), &Surroundings::default());
    let shown = quaich_config::render(&loaded, false, 80);
    loaded.config.unwrap_or_else(|| panic!("{shown}"))
}

fn cert(name: &str) -> String {
    format!("[tls.cert.{name}]\ncert = \"{name}.crt\"\nkey = \"{name}.key\"\n")
}

fn lines(failures: &[Failure]) -> Vec<String> {
    failures.iter().map(Failure::line).collect()
}

#[test]
fn material_has_a_place_for_every_policy_and_upstream() {
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    ca.server(&["a.example", "*.b.example", "127.0.0.1"])
        .write(&site, "a");
    site.write("clients.pem", ca.pem());
    let tables = cert("a")
        + "[tls.client]\nmode = \"request\"\nca = \"clients.pem\"\n\
           [upstream.plain]\nservers = [\"127.0.0.1:1\"]\n\
           [upstream.own]\nservers = [\"https://127.0.0.1:2\"]\ntls = { ca = \"clients.pem\" }\n\
           [site.other]\nhosts = [\"a.example\"]\nupstream = \"own\"\n\
           tls_client = { mode = \"off\" }\n";
    let config = config(&site, &tables);
    let (inventory, failures) = Inventory::read(&config);
    assert_eq!(lines(&failures), [""; 0]);
    let material = inventory.material(date::now());
    let hosts = shown(&material.identities[0].hosts);
    assert_eq!(hosts, ["a.example", "*.b.example", "127.0.0.1"]);
    let clients: Vec<_> = material
        .clients
        .iter()
        .map(|trust| trust.ca.as_str())
        .collect();
    assert_eq!(clients, [ca.pem().as_str(), ""]);
    let upstreams: Vec<_> = material
        .upstreams
        .iter()
        .map(|one| one.ca.as_str())
        .collect();
    assert_eq!(upstreams, ["", ca.pem().as_str()]);
}

#[test]
fn a_file_that_changes_is_read_and_one_that_does_not_is_not() {
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    ca.server(&["a.example"]).write(&site, "a");
    let config = config(&site, &cert("a"));
    let (mut inventory, _) = Inventory::read(&config);
    let now = date::now();
    // It was new a moment ago: once more, to see that it has settled.
    assert!(inventory.look(now, false).is_empty());
    let next = ca.server(&["a.example"]);
    // The certificate first: a pair that does not fit for a moment is nothing to speak of.
    site.write("a.crt", &next.chain);
    assert!(inventory.look(now, false).is_empty());
    site.write("a.key", &next.key);
    let changes = inventory.look(now, false);
    assert!(matches!(&changes[..], [Change::Certificate(name, _)] if name == "a"));
    assert_eq!(inventory.material(now).identities[0].chain, next.chain);
    // One that stays so is, once.
    site.write("a.key", "nothing");
    let said: Vec<usize> = (0..4).map(|_| inventory.look(now, false).len()).collect();
    assert_eq!(said, [0, 1, 0, 0]);
    assert_eq!(inventory.material(now).identities[0].chain, next.chain);
    site.write("a.key", "nothing at all");
    let said: Vec<usize> = (0..3).map(|_| inventory.look(now, false).len()).collect();
    assert_eq!(said, [0, 1, 0]);
}

#[test]
fn an_expired_certificate_takes_the_place_of_no_other() {
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    let good = ca.server(&["a.example"]);
    good.write(&site, "a");
    let config = config(&site, &cert("a"));
    let (mut inventory, _) = Inventory::read(&config);
    let now = date::now();
    ca.expired(&["a.example"]).write(&site, "a");
    let changes = inventory.look(now, true);
    let [Change::Bad(failure)] = &changes[..] else {
        panic!("{} changes", changes.len());
    };
    assert!(
        failure.line().ends_with("a.crt expired on 2002-01-01"),
        "{}",
        failure.line()
    );
    assert_eq!(inventory.material(now).identities[0].chain, good.chain);
    assert!(inventory.entries(&config, now)[0].problem.is_some());
}

#[test]
fn names_that_files_cover_are_not_ordered() {
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    ca.server(&["*.example.org"]).write(&site, "wild");
    let tables = cert("wild")
        + "[tls.acme]\nemail = \"me@example.org\"\n\
           [site.main]\nhosts = [\"example.org\", \"www.example.org\", \"a.b.example.org\"]\n";
    let config = config(&site, &tables);
    let (inventory, failures) = Inventory::read(&config);
    assert_eq!(lines(&failures), [""; 0]);
    assert_eq!(
        inventory.orders(&config),
        [["example.org", "a.b.example.org"]]
    );
    assert_eq!(
        inventory.waiting(&config),
        ["example.org", "a.b.example.org"]
    );
    let job = inventory.job(&config, Vec::new()).unwrap();
    assert!(job.http_01 && job.tls_alpn_01);
    let entries = inventory.entries(&config, date::now());
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["wild", "acme:example.org"]);
    assert_eq!(entries[1].problem.as_deref(), Some("not issued yet"));
}

#[test]
fn an_end_that_is_near_is_told_in_steps() {
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    ca.server(&["a.example"]).write(&site, "a");
    let config = config(&site, &cert("a"));
    let (inventory, _) = Inventory::read(&config);
    let end = inventory.sources[0].checked().unwrap().facts.not_after;
    let step = |before: i64| {
        let found = inventory.ending(end - before);
        found.into_iter().next().map(|(_, step, text)| (step, text))
    };
    assert_eq!(step(15 * date::DAY), None);
    let (step_14, text) = step(13 * date::DAY).unwrap();
    assert_eq!(step_14, 14);
    let day = date::day(end);
    let told = format!("a.crt expires on {day}, in 13 days");
    assert!(text.ends_with(&told), "{text}");
    assert_eq!(step(2 * date::DAY).unwrap().0, 3);
    let (over, text) = step(-1).unwrap();
    assert_eq!(over, 0);
    let told = format!("a.crt expired on {day}; clients refuse it");
    assert!(text.ends_with(&told), "{text}");
}

#[test]
fn a_state_folder_that_cannot_be_read_takes_no_certificate_away() {
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    ca.server(&["file.example"]).write(&site, "f");
    let tables = cert("f")
        + "[tls.acme]\nemail = \"me@a.example\"\ndirectory = \"https://ca.example/directory\"\n\
           [site.main]\nhosts = [\"a.example\", \"b.example\"]\n";
    let mut config = config(&site, &tables);
    config.server.state_dir = site.join("state");
    let place = "state/acme/ca.example/certs/a.example.pem";
    let first = ca.server(&["a.example", "b.example"]);
    site.write(place, first.chain.clone() + &first.key);
    let (mut inventory, failures) = Inventory::read(&config);
    assert_eq!(lines(&failures), [""; 0]);
    assert_eq!(inventory.take_stored(&config), [""; 0]);
    let served = |inventory: &Inventory| -> Vec<(String, Vec<String>)> {
        let identities = inventory.material(date::now()).identities.into_iter();
        let acme = identities.filter(|one| one.name.starts_with("acme:"));
        acme.map(|one| (one.chain, shown(&one.hosts))).collect()
    };
    let both = ["a.example".to_owned(), "b.example".to_owned()].to_vec();
    assert_eq!(served(&inventory), [(first.chain.clone(), both.clone())]);

    let (acme, away) = (site.join("state/acme"), site.join("state/away"));
    std::fs::rename(&acme, &away).unwrap();
    inventory.take_stored(&config);
    assert_eq!(served(&inventory), [(first.chain.clone(), both.clone())]);
    assert!(inventory.waiting(&config).is_empty());
    // A file where the folder was is told.
    site.write("state/acme", "");
    assert_eq!(inventory.take_stored(&config).len(), 1);
    std::fs::remove_file(&acme).unwrap();
    std::fs::rename(&away, &acme).unwrap();
    site.write(place, "garbled");
    assert_eq!(inventory.take_stored(&config).len(), 1);
    assert_eq!(served(&inventory), [(first.chain.clone(), both.clone())]);
    // One that has expired is not better; one that is good takes its place, however long it lives.
    let expired = ca.expired(&["a.example", "b.example"]);
    site.write(place, expired.chain.clone() + &expired.key);
    inventory.take_stored(&config);
    assert_eq!(served(&inventory), [(first.chain.clone(), both.clone())]);
    let next = ca.server(&["a.example", "b.example"]);
    site.write(place, next.chain.clone() + &next.key);
    inventory.take_stored(&config);
    assert_eq!(served(&inventory), [(next.chain, both)]);
}

#[test]
fn the_local_ca_names_what_nothing_else_does() {
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    ca.server(&["a.example"]).write(&site, "a");
    let tables = cert("a")
        + "[tls]\nlocal_ca = true\n[site.main]\nhosts = [\"a.example\", \"b.example\", \"*.c.example\"]\n\
           [site.rest]\nroot = \".\"\nhosts = [\"*\"]\n";
    let mut config = config(&site, &tables);
    config.server.state_dir = site.join("state");
    let (mut inventory, failures) = Inventory::read(&config);
    assert_eq!(lines(&failures), [""; 0]);
    assert!(inventory.take_local(&config).unwrap());
    // The second time they are there.
    assert!(!inventory.take_local(&config).unwrap());
    let material = inventory.material(date::now());
    let hosts: Vec<_> = material
        .identities
        .iter()
        .map(|one| shown(&one.hosts))
        .collect();
    assert_eq!(hosts[0], ["a.example"]);
    assert_eq!(hosts[1], ["b.example", "*.c.example"]);
    assert_eq!(
        hosts[2][..4],
        ["localhost", "*.localhost", "127.0.0.1", "::1"]
    );
    assert!(inventory.local_due() > Some(date::now()));
    // Another look from outside finds the same.
    let (mut other, _) = Inventory::read(&config);
    other.find_local(&config);
    assert_eq!(other.material(0).identities, material.identities);
    assert!(
        Path::new(&config.server.state_dir)
            .join("local-ca/root.pem")
            .exists()
    );
}

#[test]
fn what_is_no_authority_or_no_list_is_said() {
    let (site, ca) = (TempSite::new(), Ca::new("test"));
    ca.server(&["a.example"]).write(&site, "a");
    site.write("clients.pem", ca.pem());
    site.write("crl.pem", ca.pem());
    let tables = cert("a")
        + "[tls.client]\nmode = \"require\"\nca = \"clients.pem\"\ncrl = \"crl.pem\"\n\
           [upstream.own]\nservers = [\"https://127.0.0.1:2\"]\ntls = { ca = \"a.key\" }\n\
           [site.other]\nhosts = [\"a.example\"]\nupstream = \"own\"\n";
    let (_, failures) = Inventory::read(&config(&site, &tables));
    let lines = lines(&failures);
    assert!(
        lines[0].contains("`[tls.client]`: there is no revocation list in"),
        "{lines:?}"
    );
    assert!(lines[1].contains("upstream `own`: "), "{lines:?}");
    assert!(
        lines[1].contains("a.key: there is no certificate in it"),
        "{lines:?}"
    );
}
