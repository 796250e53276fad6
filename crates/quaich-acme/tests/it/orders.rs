//! Orders at pebble, which refuses every fifth good nonce.

use std::fs;
use std::path::{Path, PathBuf};

use quaich_acme::store::{self, Stored};
use quaich_acme::{Event, Job};
use quaich_config::model::{AcmeChallenge, AcmeEab};
use quaich_testkit::{Pebble, PebbleOptions, TempSite, requires_pebble};

use crate::agent::{Agent, Events, Front, job};

/// Pebble, what answers its challenges, and a state directory.
struct World {
    state: TempSite,
    front: Front,
    pebble: Pebble,
}

impl World {
    fn new() -> Option<Self> {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut PebbleOptions)) -> Option<Self> {
        if !requires_pebble() {
            return None;
        }
        let front = Front::start();
        let mut options = PebbleOptions {
            http_port: front.http_port,
            tls_port: front.tls_port,
            ..PebbleOptions::default()
        };
        change(&mut options);
        let pebble = Pebble::start(&options);
        Some(Self {
            state: TempSite::new(),
            front,
            pebble,
        })
    }

    fn job(&self, names: &[&[&str]]) -> Job {
        let (directory, ca) = (self.pebble.directory(), self.pebble.ca_file());
        job(self.state.path(), directory, &ca, names)
    }

    fn run(&self, job: &Job) -> Events {
        Agent::start(job).finish(&self.front)
    }

    fn only_certificate(&self) -> Stored {
        let contents = store::load(self.state.path());
        assert_eq!(contents.unusable, [""; 0]);
        let [only] = <[Stored; 1]>::try_from(contents.certificates).unwrap();
        only
    }

    fn file(&self, relative: &str) -> PathBuf {
        let directory = store::directory_name(self.pebble.directory());
        self.state.join("acme").join(directory).join(relative)
    }

    /// Has the certificate be due: as if its time had come.
    fn make_due(&self, name: &str) {
        let path = self.file(&format!("certs/{name}.json"));
        edit_json(&path, |plan| plan["renew_at"] = 1.into());
    }
}

fn edit_json(path: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let mut value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    edit(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

fn use_challenge(job: &mut Job, challenge: AcmeChallenge) {
    job.acme.as_mut().unwrap().challenge = challenge;
}

#[test]
fn http_01_gives_a_certificate_for_several_names() {
    let Some(world) = World::new() else { return };
    let mut job = world.job(&[&["shop.example", "www.shop.example"]]);
    use_challenge(&mut job, AcmeChallenge::Http01);
    let events = world.run(&job);
    assert_eq!(events.issued(), ["shop.example"], "{events:?}");
    let stored = world.only_certificate();
    assert!(stored.is_for(&job.names[0]), "{stored:?}");
    assert!(stored.issuer.starts_with("Pebble"), "{}", stored.issuer);
    assert!(events.next().is_some());
    assert!(world.front.shows_nothing());
    // Nothing is due: nothing is asked.
    let again = world.run(&job);
    assert_eq!(again.issued(), [""; 0], "{again:?}");
    assert!(again.failed().is_empty(), "{again:?}");
    assert_eq!(world.only_certificate().chain_pem, stored.chain_pem);
}

#[test]
fn tls_alpn_01_gives_a_certificate() {
    let Some(world) = World::new() else { return };
    let mut job = world.job(&[&["shop.example"], &["blog.example", "b.example"]]);
    use_challenge(&mut job, AcmeChallenge::TlsAlpn01);
    let events = world.run(&job);
    assert_eq!(
        events.issued(),
        ["shop.example", "blog.example"],
        "{events:?}"
    );
    let shown = events.0.iter().any(|event| {
        matches!(event, Event::Challenges { challenges, .. } if challenges.iter().any(|c| {
            matches!(c, quaich_acme::Challenge::TlsAlpn01 { .. })
        }))
    });
    assert!(shown, "{events:?}");
}

#[test]
fn renewal_gives_a_new_key_and_a_failed_one_keeps_the_old_certificate() {
    let Some(world) = World::new() else { return };
    let job = world.job(&[&["shop.example"]]);
    world.run(&job);
    let first = world.only_certificate();
    assert!(first.renew_at < first.not_after);
    assert!(first.renew_at > first.not_before + (first.not_after - first.not_before) / 2);

    world.make_due("shop.example");
    world.pebble.lose_name("shop.example");
    let failed = world.run(&job);
    assert_eq!(failed.failed().len(), 1, "{failed:?}");
    assert_eq!(world.only_certificate().key_pem, first.key_pem);

    world.pebble.find_name("shop.example");
    let mut forced = job.clone();
    forced.force = vec!["shop.example".to_string()];
    let events = world.run(&forced);
    assert_eq!(events.issued(), ["shop.example"], "{events:?}");
    let second = world.only_certificate();
    assert_ne!(second.key_pem, first.key_pem);
    assert!(store::load(world.state.path()).failures.is_empty());
}

#[test]
fn what_is_due_is_renewed_without_being_asked() {
    let Some(world) = World::new() else { return };
    let job = world.job(&[&["shop.example"], &["blog.example"]]);
    assert_eq!(world.run(&job).issued().len(), 2);
    world.make_due("blog.example");
    let events = world.run(&job);
    assert_eq!(events.issued(), ["blog.example"], "{events:?}");
    assert!(events.has_logged("renewing the certificate"), "{events:?}");
}

#[test]
fn a_name_that_leads_nowhere_is_named_and_waited_for() {
    let Some(world) = World::new() else { return };
    let mut job = world.job(&[&["good.example"], &["shop.example", "lost.example"]]);
    use_challenge(&mut job, AcmeChallenge::Http01);
    world.pebble.lose_name("lost.example");
    let events = world.run(&job);
    assert_eq!(events.issued(), ["good.example"], "{events:?}");
    let failed = events.failed();
    let [(reason, retry_at)] = failed[..] else {
        panic!("{events:?}")
    };
    assert!(
        reason.contains("lost.example: the authority says: "),
        "{reason}"
    );
    assert!(reason.contains("A or AAAA record"), "{reason}");
    assert!(
        !reason.contains("shop.example: the authority says"),
        "{reason}"
    );
    let listed = store::load(world.state.path()).failures;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].count, listed[0].retry_at), (1, retry_at));
    assert_eq!(listed[0].reason, reason);

    // Before that time nothing is asked, and the supervisor is told when it is.
    let patient = world.run(&job);
    assert!(patient.failed().is_empty(), "{patient:?}");
    assert!(!patient.has_logged("ordering"), "{patient:?}");
    assert_eq!(patient.next(), Some(retry_at));

    // Other names are another order.
    let changed = world.job(&[&["shop.example"]]);
    assert_eq!(world.run(&changed).issued(), ["shop.example"]);
}

#[test]
fn nothing_that_answers_is_said_with_the_port_to_open() {
    let options = |options: &mut PebbleOptions| (options.http_port, options.tls_port) = (1, 1);
    let Some(world) = World::with(options) else {
        return;
    };
    let mut job = world.job(&[&["shop.example"]]);
    use_challenge(&mut job, AcmeChallenge::Http01);
    let events = world.run(&job);
    let (reason, _) = events.failed()[0];
    let hint = "for http-01 its port 80 must be reachable from outside";
    assert!(reason.contains(hint), "{reason}");
}

#[test]
fn a_restart_before_the_names_are_proved_goes_on_with_the_same_order() {
    let Some(world) = World::new() else { return };
    let mut job = world.job(&[&["shop.example", "www.shop.example"]]);
    use_challenge(&mut job, AcmeChallenge::Http01);
    let agent = Agent::start(&job);
    let pid = agent.pid();
    world.front.on_next_question(move || kill(pid));
    let cut = agent.finish(&world.front);
    assert_eq!(cut.next(), None, "{cut:?}");
    let order = fs::read_to_string(world.file("orders/shop.example.json")).unwrap();
    let order: serde_json::Value = serde_json::from_str(&order).unwrap();

    let events = world.run(&job);
    assert!(events.has_logged("going on with order"), "{events:?}");
    assert_eq!(events.issued(), ["shop.example"], "{events:?}");
    // The key that was made before the crash.
    assert_eq!(world.only_certificate().key_pem, order["key_pem"]);
    assert!(!world.file("orders/shop.example.json").exists());
}

#[test]
fn a_restart_after_the_order_is_ended_fetches_its_certificate() {
    let Some(world) = World::new() else { return };
    let job = world.job(&[&["shop.example"]]);
    let agent = Agent::start(&job);
    let order = world.file("orders/shop.example.json");
    let kept = world.state.join("kept.json");
    let (from, to) = (order.clone(), kept.clone());
    let keep = move || assert!(fs::copy(from, to).is_ok());
    world.front.on_next_question(keep);
    agent.finish(&world.front);
    let first = world.only_certificate();
    // As if it had been killed before the certificate was written.
    fs::copy(&kept, &order).unwrap();
    fs::remove_file(&first.file).unwrap();
    let events = world.run(&job);
    assert!(events.has_logged("going on with order"), "{events:?}");
    assert_eq!(world.only_certificate().chain_pem, first.chain_pem);
}

#[test]
fn an_order_that_the_authority_has_lost_is_placed_anew() {
    let Some(world) = World::new() else { return };
    let job = world.job(&[&["shop.example"]]);
    let agent = Agent::start(&job);
    let pid = agent.pid();
    world.front.on_next_question(move || kill(pid));
    agent.finish(&world.front);
    edit_json(&world.file("orders/shop.example.json"), |order| {
        order["url"] = format!("{}X", order["url"].as_str().unwrap()).into();
    });
    let events = world.run(&job);
    assert_eq!(events.issued(), ["shop.example"], "{events:?}");
}

#[test]
fn an_account_that_the_authority_has_lost_is_made_anew() {
    let Some(world) = World::new() else { return };
    let job = world.job(&[&["shop.example"]]);
    world.run(&job);
    edit_json(&world.file("account.json"), |kept| {
        let id = kept["credentials"]["id"].as_str().unwrap().to_string();
        kept["credentials"]["id"] = format!("{id}000").into();
    });
    let more = world.job(&[&["shop.example"], &["blog.example"]]);
    let events = world.run(&more);
    assert!(events.has_logged("a new one is made"), "{events:?}");
    assert_eq!(events.issued(), ["blog.example"], "{events:?}");
}

#[test]
fn garbled_files_cost_an_order_and_no_more() {
    let Some(world) = World::new() else { return };
    let job = world.job(&[&["shop.example"]]);
    world.run(&job);
    for file in [
        "account.json",
        "certs/shop.example.json",
        "certs/shop.example.pem",
    ] {
        let path = world.file(file);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    }
    fs::create_dir_all(world.file("orders")).unwrap();
    fs::write(world.file("orders/shop.example.json"), "{").unwrap();
    let contents = store::load(world.state.path());
    assert_eq!(
        (contents.certificates.len(), contents.unusable.len()),
        (0, 2)
    );
    let events = world.run(&job);
    assert_eq!(events.issued(), ["shop.example"], "{events:?}");
    world.only_certificate();
}

#[test]
fn an_external_account_is_bound() {
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let options = |options: &mut PebbleOptions| {
        options.external_account = Some(("kid-1".to_string(), key.to_string()));
    };
    let Some(world) = World::with(options) else {
        return;
    };
    let mut job = world.job(&[&["shop.example"]]);
    let refused = world.run(&job);
    let (reason, _) = refused.failed()[0];
    assert!(reason.contains("set tls.acme.eab"), "{reason}");

    let key_file = world.state.write("eab.key", format!("{key}\n"));
    let kid = "kid-1".to_string();
    job.acme.as_mut().unwrap().eab = Some(AcmeEab { kid, key_file });
    job.force = vec!["shop.example".to_string()];
    assert_eq!(world.run(&job).issued(), ["shop.example"]);
}

#[test]
fn two_processes_do_not_order_twice() {
    let Some(world) = World::new() else { return };
    let job = world.job(&[&["shop.example"]]);
    let other = job.clone();
    let agent = Agent::start(&job);
    let (found, second) = std::sync::mpsc::channel();
    world.front.on_next_question(move || {
        let idle = Front::start();
        let _ = found.send(Agent::start(&other).finish(&idle));
    });
    let first = agent.finish(&world.front);
    assert_eq!(first.issued(), ["shop.example"], "{first:?}");
    let second = second.recv().unwrap();
    assert!(
        second.has_logged("another process looks after"),
        "{second:?}"
    );
    assert!(
        second.issued().is_empty() && second.next().is_some(),
        "{second:?}"
    );
}

#[test]
fn what_cannot_be_ordered_is_said_without_asking_anybody() {
    let Some(world) = World::new() else { return };
    let mut job = world.job(&[&["*.example.org"], &["no/name"]]);
    let events = world.run(&job);
    let failed = events.failed();
    assert_eq!(failed.len(), 2, "{events:?}");
    assert!(failed[0].0.contains("[tls.cert.NAME]"), "{failed:?}");
    assert!(!world.file("account.json").exists());

    job.names = vec![vec!["shop.example".to_string()]];
    job.http_01 = false;
    use_challenge(&mut job, AcmeChallenge::Http01);
    let events = world.run(&job);
    assert!(
        events.failed()[0]
            .0
            .contains("no listener speaks plain HTTP"),
        "{events:?}"
    );

    job.acme.as_mut().unwrap().profile = Some("shortlived".to_string());
    use_challenge(&mut job, AcmeChallenge::Auto);
    job.force = job.names[0].clone();
    let events = world.run(&job);
    assert!(events.failed()[0].0.contains("no profile"), "{events:?}");
}

#[test]
fn an_authority_that_cannot_be_reached_is_tried_once_a_pass() {
    let state = TempSite::new();
    let ca = state.write("ca.pem", rcgen_root());
    let front = Front::start();
    let names: &[&[&str]] = &[&["a.example"], &["b.example"]];
    let job = job(state.path(), "https://127.0.0.1:1/directory", &ca, names);
    let events = Agent::start(&job).finish(&front);
    let failed = events.failed();
    assert_eq!(failed.len(), 2, "{events:?}");
    assert!(
        failed[0].0.contains("cannot connect to 127.0.0.1:1"),
        "{failed:?}"
    );
    assert!(events.next().is_some());
}

fn rcgen_root() -> String {
    let state = TempSite::new();
    quaich_acme::local_ca::ensure(state.path())
        .unwrap()
        .root_pem()
        .to_string()
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
