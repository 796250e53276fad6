//! throw-away
use std::os::fd::{AsFd, OwnedFd, FromRawFd, IntoRawFd};
use quaich_config as qc;
use quaich_server::link::*;
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let _ = text;
    let loaded = qc::load(std::path::Path::new(&path), &qc::Disk, &qc::Surroundings { current_dir: std::env::current_dir().unwrap(), ..Default::default() });
    let config = loaded.config.unwrap_or_else(|| { for d in &loaded.diagnostics { eprintln!("{d:?}"); } std::process::exit(1) });
    let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut fds: Vec<OwnedFd> = vec![];
    let mut listeners = vec![];
    for l in &config.server.listeners {
        let qc::model::ListenAddr::Tcp(addr) = &l.addr else { panic!() };
        let s = std::net::TcpListener::bind(addr).unwrap();
        rustix::net::listen(&s, 2048).unwrap();
        rustix::net::sockopt::set_tcp_nodelay(&s, true).unwrap();
        s.set_nonblocking(true).unwrap();
        fds.push(s.into());
        listeners.push(vec![fds.len() - 1]);
    }
    let mut roots = vec![];
    for s in &config.sites { for r in &s.routes { if let Some(f) = &r.files {
        let d = rustix::fs::open(&f.root, rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap();
        fds.push(d); roots.push(fds.len() - 1);
    }}}
    let setup = Setup { config, listeners, roots, access_log: None, log: None, apps: vec![] };
    let link = Link::new(a.into());
    let b: OwnedFd = b.into();
    let h = std::thread::spawn(move || { quaich_server::front::main(b); });
    let borrowed: Vec<_> = fds.iter().map(|f| f.as_fd()).collect();
    link.send(&ToFront::Start(Box::new(setup)), &borrowed).unwrap();
    let _ = h.join();
}
