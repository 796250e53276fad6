//! dnsmasq as an authoritative name server on a port of its own.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use quaich_testkit::{Peer, Quaich, Signal, TempSite, eventually};

/// A running name server.
pub(super) struct Dnsmasq {
    site: TempSite,
    pub(super) port: u16,
    peer: Option<Peer>,
}

impl Dnsmasq {
    /// Answers from these lines of a hosts file, with this TTL, and to these other options. `None`:
    /// it is not installed.
    pub(super) fn start(hosts: &str, ttl: u32, options: &[&str]) -> Option<Self> {
        if !Path::new("/usr/sbin/dnsmasq").exists() {
            eprintln!("skipped: dnsmasq is not installed (apt-get install dnsmasq-base)");
            return None;
        }
        let mut dnsmasq = Self {
            site: TempSite::new(),
            port: free_port(),
            peer: None,
        };
        dnsmasq.site.write("hosts", hosts);
        dnsmasq.run(ttl, options);
        Some(dnsmasq)
    }

    /// Starts it again, with other options.
    pub(super) fn run(&mut self, ttl: u32, options: &[&str]) {
        self.stop();
        let mut command = Command::new("/usr/sbin/dnsmasq");
        command.args([
            "--no-daemon",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--listen-address=127.0.0.1",
            "--bind-interfaces",
            "--pid-file=",
            "--user=",
            "--log-queries",
            "--local=/internal/",
        ]);
        command.arg(format!("--port={}", self.port));
        command.arg(format!("--local-ttl={ttl}"));
        command.arg(format!(
            "--addn-hosts={}",
            self.site.join("hosts").display()
        ));
        command.args(options);
        let peer = Peer::start(&mut command);
        peer.log().wait_for("read /");
        self.peer = Some(peer);
    }

    /// Nobody answers any more.
    pub(super) fn stop(&mut self) {
        self.peer = None;
    }

    /// Answers from another hosts file.
    pub(super) fn change(&self, hosts: &str) {
        self.site.write("hosts", hosts);
        let peer = self.peer.as_ref().expect("it runs");
        Quaich::signal_process(peer.pid(), Signal::HUP);
    }

    /// Waits until it was asked `count` times in all.
    pub(super) fn was_asked(&self, count: usize) {
        let peer = self.peer.as_ref().expect("it runs");
        eventually("questions", || {
            let asked = peer.log().text().matches(" query[").count();
            (asked >= count).then_some(())
        });
    }
}

/// A port that nobody has, neither over UDP nor over TCP.
pub(super) fn free_port() -> u16 {
    // Below those that the kernel gives to connections, which may take one at any time.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 10_000) as u16;
    loop {
        let port = 12_000 + (first + NEXT.fetch_add(1, Ordering::SeqCst)) % 15_000;
        let at = ("127.0.0.1", port);
        if UdpSocket::bind(at).is_ok() && TcpListener::bind(at).is_ok() {
            return port;
        }
    }
}
