//! HAProxy as a peer: before quaich on a free port, or behind it on a unix socket.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use quaich_testkit::{Peer, TempSite, eventually};

const DEFAULTS: &str = "defaults\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n";

/// HAProxy with this configuration behind `defaults`; a `bind` says `fd@0`. `None` when it is not
/// installed.
pub(crate) fn in_front(site: &TempSite, config: &str) -> Option<(Peer, SocketAddr)> {
    let mut command = command(site, config)?;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener
        .local_addr()
        .expect("a bound socket has an address");
    Some((Peer::start_on(listener, &mut command), addr))
}

/// HAProxy with this configuration behind `defaults`, which binds `haproxy.sock` of the folder.
pub(crate) fn behind(site: &TempSite, config: &str) -> Option<Peer> {
    let peer = Peer::start(&mut command(site, config)?);
    let socket = site.join("haproxy.sock");
    eventually("HAProxy", || {
        std::os::unix::net::UnixStream::connect(&socket).ok()
    });
    Some(peer)
}

fn command(site: &TempSite, config: &str) -> Option<Command> {
    let program = std::path::Path::new("/usr/sbin/haproxy");
    if !program.exists() {
        eprintln!("skipped: HAProxy is not installed (apt-get install haproxy)");
        return None;
    }
    let file = site.write("haproxy.cfg", format!("{DEFAULTS}{config}"));
    let mut command = Command::new(program);
    command
        .arg("-db")
        .arg("-f")
        .arg(file)
        .current_dir(site.path());
    Some(command)
}
