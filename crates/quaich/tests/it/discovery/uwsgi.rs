//! Real instances of uWSGI that announce themselves.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use quaich_testkit::{Peer, Quaich, Signal, TempSite, eventually};

use super::subscription::{Rig, key_pair};
use super::{answer, answered_by};

/// An instance whose app says its name.
struct Instance {
    peer: Peer,
    _site: TempSite,
}

impl Instance {
    /// Announces itself as these options say, each second. `None`: it is not installed.
    fn start(name: &str, options: &[&str]) -> Option<Self> {
        if !Path::new("/usr/lib/uwsgi/plugins/python311_plugin.so").exists() {
            eprintln!("skipped: uWSGI is not installed (uwsgi-core, uwsgi-plugin-python3)");
            return None;
        }
        let site = TempSite::new();
        site.write(
            "app.py",
            format!(
                "def application(environ, start):\n    \
                 start('200 OK', [('Content-Length', '{}')])\n    return [b'{name}']\n",
                name.len()
            ),
        );
        let mut command = Command::new("/usr/bin/uwsgi-core");
        command
            .args(["--plugin", "python3", "--master", "--need-app"])
            .args(["--socket", "127.0.0.1:0", "--wsgi-file", "app.py"])
            .args(["--subscribe-freq", "1"])
            .args(options)
            .current_dir(site.path());
        let peer = Peer::start(&mut command);
        Some(Self { peer, _site: site })
    }

    fn signal(&self, signal: Signal) {
        Quaich::signal_process(self.peer.pid(), signal);
    }
}

#[test]
fn instances_of_uwsgi_join_and_leave() {
    let rig = Rig::start(TempSite::new(), "", "true");
    let port = rig.port;
    let to = |key: &str| format!("127.0.0.1:{port}:{key}");
    let Some(one) = Instance::start("one", &["--subscribe-to", &to("a.example")]) else {
        return;
    };
    let weighed = format!("server=127.0.0.1:{port},key=a.example,weight=3");
    let two = Instance::start("two", &["--subscribe2", &weighed]);
    let other = Instance::start("other", &["--subscribe-to", &to("b.example:8984")]);
    answered_by(&rig.quaich, "a.example", &["one", "two"]);
    answered_by(&rig.quaich, "a.example:8984", &["one", "two"]);
    answered_by(&rig.quaich, "b.example:8984", &["other"]);
    assert_eq!(answer(&rig.quaich, "b.example"), "");
    let status = rig.status();
    let nodes = &status["front"]["subscriptions"][0]["nodes"];
    let mut weights: Vec<_> = (0..2).map(|n| nodes[n]["weight"].to_string()).collect();
    weights.sort();
    assert_eq!(weights, ["1", "3"], "{status:#}");
    // It says good-bye.
    one.signal(Signal::INT);
    rig.quaich.log().wait_for("an instance has left");
    answered_by(&rig.quaich, "a.example", &["two"]);
    drop((two, other));
}

#[test]
fn an_instance_that_stands_still_is_gone_until_it_goes_on() {
    let rig = Rig::start(TempSite::new(), "tolerance = \"2500ms\"", "\"a.example\"");
    let to = format!("127.0.0.1:{}:a.example", rig.port);
    let Some(one) = Instance::start("one", &["--subscribe-to", &to]) else {
        return;
    };
    answered_by(&rig.quaich, "a", &["one"]);
    one.signal(Signal::STOP);
    rig.quaich.log().wait_for("an instance has fallen silent");
    answered_by(&rig.quaich, "a", &[""]);
    one.signal(Signal::CONT);
    answered_by(&rig.quaich, "a", &["one"]);
}

#[test]
fn signed_announcements_of_uwsgi_are_believed_once() {
    let site = TempSite::new();
    key_pair(&site, "a.example");
    let keys = format!("key_dir = \"{}/public\"", site.path().display());
    let rig = Rig::start(TempSite::new(), &keys, "true");
    // The test stands between the two and hears all.
    let between = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let patience = Some(Duration::from_secs(20));
    between.set_read_timeout(patience).expect("a time");
    let here = between.local_addr().expect("it is bound");
    let key = site.join("a.example.key").display().to_string();
    let to = format!("server={here},key=a.example,sign=SHA256:{key}");
    let Some(one) = Instance::start("one", &["--subscribe2", &to]) else {
        return;
    };
    let heard = || {
        let mut packet = [0; 4096];
        let length = between.recv(&mut packet).expect("an announcement");
        packet[..length].to_vec()
    };
    let first = heard();
    rig.send(&first);
    answered_by(&rig.quaich, "a.example", &["one"]);
    let mut turned = first.clone();
    turned[3] = 1;
    rig.send(&turned);
    rig.send(&first);
    rig.refused(2);
    answered_by(&rig.quaich, "a.example", &["one"]);
    // The next one is new.
    rig.send(&heard());
    eventually("a second announcement", || {
        (rig.counter("subscriptions") == 2).then_some(())
    });
    let unsigned = format!("127.0.0.1:{}:a.example", rig.port);
    let _forger = Instance::start("forger", &["--subscribe-to", &unsigned]);
    let refused = rig.quaich.log().wait_for("it is not signed");
    assert!(refused.contains("a.example"), "{refused}");
    assert_eq!(answer(&rig.quaich, "a.example"), "one");
    // Its good-bye is signed, too.
    one.signal(Signal::INT);
    eventually("a good-bye", || {
        let packet = heard();
        rig.send(&packet);
        (packet[3] == 1).then_some(())
    });
    answered_by(&rig.quaich, "a.example", &[""]);
}
