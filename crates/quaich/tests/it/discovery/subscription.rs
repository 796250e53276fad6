//! Announcements that a test makes itself: good ones, forged ones, copies, wrong ones.

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quaich_proto::subscription::{Command as Say, PacketBuilder};
use quaich_testkit::{Origin, Quaich, QuaichCommand, Signal, TempSite, eventually};

use super::dnsmasq::free_port;
use super::{answer, answered_by, named};

/// quaich that listens for announcements, and a socket to make them from.
pub(super) struct Rig {
    pub(super) quaich: Quaich,
    socket: UdpSocket,
    pub(super) port: u16,
}

impl Rig {
    /// With these keys of `[subscribe]`, and what `discover` says.
    pub(super) fn start(site: TempSite, subscribe: &str, discover: &str) -> Self {
        let port = free_port();
        let quaich = Quaich::serve(
            site,
            &format!(
                "threads = 2\n[subscribe]\nlisten = [\"127.0.0.1:{port}\"]\n{subscribe}\n\
                 [upstream.app]\nretries = 0\nkeepalive = 0\nretry_after = \"1h\"\ndiscover = {{ subscribe = {discover} }}\n\
                 [site.main]\nupstream = \"app\"\n[log.access]\noutput = \"off\"\n"
            ),
        );
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let patience = Some(Duration::from_secs(20));
        socket.set_read_timeout(patience).expect("a time");
        Self {
            quaich,
            socket,
            port,
        }
    }

    pub(super) fn send(&self, packet: &[u8]) {
        let to = ("127.0.0.1", self.port);
        self.socket.send_to(packet, to).expect("it listens");
    }

    fn say(&self, say: Say, key: &str, origin: &Origin, more: &[(&str, &str)]) {
        self.send(&packet(say, key, origin, more).finish());
    }

    /// Waits until so many announcements were refused.
    pub(super) fn refused(&self, count: u64) {
        eventually("refused announcements", || {
            (self.counter("subscriptions_refused") >= count).then_some(())
        });
        assert_eq!(self.counter("subscriptions_refused"), count);
    }

    pub(super) fn counter(&self, name: &str) -> u64 {
        let status = self.status();
        status["front"]["counters"][name].as_u64().unwrap_or(0)
    }

    pub(super) fn status(&self) -> serde_json::Value {
        let args = ["status", "--json", "--socket", "quaich.sock"];
        let finished = QuaichCommand::beside(self.quaich.site(), args).finish();
        serde_json::from_str(&finished.stdout).expect("JSON")
    }
}

fn packet(say: Say, key: &str, origin: &Origin, more: &[(&str, &str)]) -> PacketBuilder {
    let mut packet = PacketBuilder::new(say);
    packet.pair("key", key.as_bytes());
    packet.pair("address", origin.addr().to_string().as_bytes());
    packet.pair("proto", b"http");
    for (key, value) in more {
        packet.pair(key, value.as_bytes());
    }
    packet
}

#[test]
fn instances_join_and_leave_and_each_key_is_a_site() {
    let rig = Rig::start(TempSite::new(), "", "true");
    let (one, two) = (named("127.0.0.1:0", "one"), named("127.0.0.1:0", "two"));
    let other = named("127.0.0.1:0", "other");
    answered_by(&rig.quaich, "a.example", &[""]);
    rig.say(Say::Subscribe, "a.example", &one, &[]);
    answered_by(&rig.quaich, "a.example", &["one"]);
    rig.say(Say::Subscribe, "A.example", &two, &[]);
    rig.say(Say::Subscribe, "b.example:8000", &other, &[]);
    answered_by(&rig.quaich, "a.example", &["one", "two"]);
    answered_by(&rig.quaich, "b.example:8000", &["other"]);
    // The host alone is enough for a key without a port, and not the other way round.
    answered_by(&rig.quaich, "a.EXAMPLE:8984", &["one", "two"]);
    assert_eq!(answer(&rig.quaich, "b.example"), "");
    rig.say(Say::Unsubscribe, "a.example", &one, &[]);
    answered_by(&rig.quaich, "a.example", &["two"]);
    let status = rig.status();
    let keys = &status["front"]["subscriptions"];
    assert_eq!(keys[0]["key"], "a.example", "{status:#}");
    assert_eq!(keys[0]["nodes"][0]["address"], two.addr().to_string());
    rig.say(Say::Unsubscribe, "a.example", &two, &[]);
    answered_by(&rig.quaich, "a.example", &[""]);
    answered_by(&rig.quaich, "b.example:8000", &["other"]);
}

#[test]
fn a_key_may_name_a_folder_of_a_host() {
    let rig = Rig::start(TempSite::new(), "", "true");
    let (one, shop) = (named("127.0.0.1:0", "one"), named("127.0.0.1:0", "shop"));
    rig.say(Say::Subscribe, "a.example", &one, &[]);
    rig.say(Say::Subscribe, "a.example/shop", &shop, &[]);
    answered_by(&rig.quaich, "a.example", &["one"]);
    let mut client = rig.quaich.raw();
    eventually("the folder has its own instance", || {
        client.send("GET /shop/x HTTP/1.1\r\nHost: a.example\r\n\r\n");
        (client.response().text() == "shop").then_some(())
    });
    client.send("GET /shopping HTTP/1.1\r\nHost: a.example\r\n\r\n");
    client.response().expect_body("one");
}

#[test]
fn another_front_hears_the_next_announcement() {
    let rig = Rig::start(TempSite::new(), "", "true");
    let one = named("127.0.0.1:0", "one");
    rig.say(Say::Subscribe, "a.example", &one, &[]);
    answered_by(&rig.quaich, "a.example", &["one"]);
    let front = rig.quaich.front();
    Quaich::signal_process(front, Signal::KILL);
    eventually("another front", || {
        (rig.quaich.front() != front).then_some(())
    });
    // The supervisor kept the socket: what is sent now waits in it.
    rig.say(Say::Subscribe, "a.example", &one, &[]);
    answered_by(&rig.quaich, "a.example", &["one"]);
}

#[test]
fn an_upstream_of_one_key_takes_no_other() {
    let rig = Rig::start(TempSite::new(), "", "\"a.example\"");
    let (one, two) = (named("127.0.0.1:0", "one"), named("127.0.0.1:0", "two"));
    rig.say(Say::Subscribe, "b.example", &two, &[]);
    rig.say(Say::Subscribe, "a.example", &one, &[]);
    answered_by(&rig.quaich, "whatever.example", &["one"]);
}

#[test]
fn a_silent_instance_is_gone() {
    let rig = Rig::start(TempSite::new(), "tolerance = \"300ms\"", "true");
    let one = named("127.0.0.1:0", "one");
    rig.say(Say::Subscribe, "a.example", &one, &[]);
    rig.quaich.log().wait_for("an instance has joined");
    rig.quaich.log().wait_for("an instance has fallen silent");
    answered_by(&rig.quaich, "a.example", &[""]);
    rig.say(Say::Subscribe, "a.example", &one, &[]);
    rig.quaich.log().wait_for_count(2, "an instance has joined");
}

#[test]
fn one_that_cannot_be_reached_is_out_until_it_announces_itself() {
    let rig = Rig::start(TempSite::new(), "", "true");
    let (one, two) = (named("127.0.0.1:0", "one"), named("127.0.0.1:0", "two"));
    let addr = one.addr().to_string();
    let join = packet(Say::Subscribe, "a.example", &one, &[]).finish();
    rig.send(&join);
    rig.say(Say::Subscribe, "a.example", &two, &[]);
    answered_by(&rig.quaich, "a.example", &["one", "two"]);
    drop(one);
    // One request finds out, the next ones are not let in.
    answered_by(&rig.quaich, "a.example", &["two"]);
    let _one = named(&addr, "again");
    assert_eq!(answer(&rig.quaich, "a.example"), "two");
    rig.send(&join);
    answered_by(&rig.quaich, "a.example", &["again", "two"]);
}

#[test]
fn one_that_keeps_changing_is_logged_once_a_second() {
    let rig = Rig::start(TempSite::new(), "", "true");
    let one = named("127.0.0.1:0", "one");
    rig.say(Say::Subscribe, "a.example", &one, &[]);
    answered_by(&rig.quaich, "a.example", &["one"]);
    let began = Instant::now();
    for n in 0..30 {
        let weight = (n % 7 + 2).to_string();
        rig.say(Say::Subscribe, "a.example", &one, &[("weight", &weight)]);
        eventually("an announcement", || {
            (rig.counter("subscriptions") >= n + 2).then_some(())
        });
    }
    let log = rig.quaich.log().text();
    let lines = log
        .lines()
        .filter(|line| line.contains("otherwise"))
        .count();
    let most = 2 + began.elapsed().as_secs() as usize;
    assert!((1..=most).contains(&lines), "{lines} lines, at most {most}");
}

#[test]
fn a_new_instance_is_acknowledged() {
    let rig = Rig::start(TempSite::new(), "", "true");
    let one = named("127.0.0.1:0", "one");
    let here = rig.socket.local_addr().expect("bound").to_string();
    rig.say(Say::Subscribe, "a.example", &one, &[("notify", &here)]);
    let mut text = [0; 200];
    let length = rig.socket.recv(&mut text).expect("an acknowledgement");
    let expected = format!("[subscription ack] a.example => new node: {}", one.addr());
    assert_eq!(String::from_utf8_lossy(&text[..length]), expected);
}

#[test]
fn what_is_no_announcement_is_counted_and_changes_nothing() {
    let rig = Rig::start(TempSite::new(), "allow = [\"127.0.0.0/8\"]", "true");
    let one = named("127.0.0.1:0", "one");
    rig.say(Say::Subscribe, "a.example", &one, &[]);
    answered_by(&rig.quaich, "a.example", &["one"]);
    rig.send(b"");
    rig.send(b"\xe0\xff\xff\x00");
    rig.send(&[0xe0; 4097]);
    let mut elsewhere = PacketBuilder::new(Say::Subscribe);
    elsewhere
        .pair("key", b"a.example")
        .pair("address", b"10.0.0.1:80");
    elsewhere.pair("proto", b"http");
    rig.send(&elsewhere.finish());
    let mut nowhere = PacketBuilder::new(Say::Subscribe);
    nowhere
        .pair("key", b"a.example")
        .pair("address", b"localhost");
    nowhere.pair("proto", b"http");
    rig.send(&nowhere.finish());
    rig.refused(5);
    answered_by(&rig.quaich, "a.example", &["one"]);
}

/// A pair of keys in the folder: `NAME.key`, and `NAME.pem` in `public`.
pub(super) fn key_pair(site: &TempSite, name: &str) {
    std::fs::create_dir_all(site.join("public")).expect("a folder");
    let key = site.join(&format!("{name}.key"));
    let made = openssl(&["genrsa", "-out"], &key, &["2048"]);
    assert!(made.status.success());
    let public = site.join(&format!("public/{name}.pem"));
    let public = public.to_string_lossy().into_owned();
    let shown = openssl(&["rsa", "-in"], &key, &["-pubout", "-out", &public]);
    assert!(shown.status.success());
}

fn openssl(before: &[&str], file: &Path, after: &[&str]) -> std::process::Output {
    let mut command = Command::new("openssl");
    command.args(before).arg(file).args(after);
    command.output().expect("openssl is there")
}

fn signed(site: &TempSite, key_file: &str, mut packet: PacketBuilder, unix: u64) -> Vec<u8> {
    packet.pair("unix", unix.to_string().as_bytes());
    let mut command = Command::new("openssl");
    command
        .args(["dgst", "-sha256", "-sign"])
        .arg(site.join(key_file));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl is there");
    let mut stdin = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, packet.to_sign()).expect("it reads");
    drop(stdin);
    let signature = child.wait_with_output().expect("it ends").stdout;
    packet.pair("sign", &signature);
    packet.finish()
}

#[test]
fn forged_turned_and_copied_announcements_are_refused() {
    let site = TempSite::new();
    key_pair(&site, "a.example");
    key_pair(&site, "b.example");
    let keys = format!("key_dir = \"{}/public\"", site.path().display());
    let rig = Rig::start(TempSite::new(), &keys, "true");
    let (one, two) = (named("127.0.0.1:0", "one"), named("127.0.0.1:0", "two"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs();
    let join = |origin, unix, by| {
        let packet = packet(Say::Subscribe, "a.example", origin, &[]);
        signed(&site, by, packet, unix)
    };
    let good = join(&one, now, "a.example.key");
    rig.send(&good);
    answered_by(&rig.quaich, "a.example", &["one"]);
    // The same again, the same turned into a command to leave.
    rig.send(&good);
    let mut turned = good.clone();
    turned[3] = 1;
    rig.send(&turned);
    rig.refused(2);
    // Not signed, signed by another key, changed, of yesterday, of a key that nobody has.
    rig.say(Say::Subscribe, "a.example", &two, &[]);
    rig.send(&join(&two, now, "b.example.key"));
    let mut changed = join(&two, now, "a.example.key");
    changed[10] ^= 1;
    rig.send(&changed);
    rig.send(&join(&two, now - 86_400, "a.example.key"));
    rig.send(&signed(
        &site,
        "a.example.key",
        packet(Say::Subscribe, "../a.example", &two, &[]),
        now,
    ));
    rig.refused(7);
    assert_eq!(answer(&rig.quaich, "a.example"), "one");
    // It lives, and leaves: each time counts once, also for leaving.
    rig.send(&join(&one, now + 1, "a.example.key"));
    let leave = packet(Say::Unsubscribe, "a.example", &one, &[]);
    let leave = signed(&site, "a.example.key", leave, now + 2);
    rig.send(&leave);
    answered_by(&rig.quaich, "a.example", &[""]);
    rig.send(&join(&one, now + 3, "a.example.key"));
    answered_by(&rig.quaich, "a.example", &["one"]);
    rig.send(&leave);
    rig.refused(8);
    answered_by(&rig.quaich, "a.example", &["one"]);
}
