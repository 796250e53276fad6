//! Binding on real addresses.

use super::*;
use quaich_config::model::Config;
use std::net::TcpListener;

fn server(listen: &str, threads: usize) -> Server {
    let text = format!(
        "[server]\nlisten = [\"{listen}\"]\nthreads = {threads}\n\
         [[site.a.route]]\nrespond = {{ status = 200, body = \"\" }}\n"
    );
    let around = quaich_config::Surroundings::default();
    let loaded = quaich_config::parse("t.toml", &text, Path::new("/"), &around);
    let shown = quaich_config::render(&loaded, false, 80);
    let config: Config = loaded.config.unwrap_or_else(|| panic!("{shown}"));
    config.server
}

fn port(bound: &Bound) -> u16 {
    bound.shown.rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
fn every_front_thread_gets_a_socket_of_its_own_on_the_same_port() {
    let bound = bind_all(&server("127.0.0.1:0", 3)).unwrap();
    assert_eq!(bound[0].sockets.len(), 3);
    let addrs = bound[0]
        .sockets
        .iter()
        .map(|socket| getsockname(socket).unwrap());
    let ports: Vec<u16> = addrs
        .map(|addr| SocketAddr::try_from(addr).unwrap().port())
        .collect();
    assert_eq!(ports, [port(&bound[0]); 3]);
}

#[test]
fn a_taken_port_is_refused_even_when_its_holder_shares_ports() {
    let first = bind_all(&server("127.0.0.1:0", 2)).unwrap();
    let failure = bind_all(&server(&format!("127.0.0.1:{}", port(&first[0])), 2)).unwrap_err();
    assert_eq!(failure.code(), Code::Bind);
    let text = failure.to_string();
    assert!(text.contains("another program listens there"), "{text}");
    assert!(text.contains("--bind 127.0.0.1:"), "{text}");
}

#[test]
fn all_addresses_means_both_families() {
    let bound = bind_all(&server(":0", 1)).unwrap();
    let local = SocketAddr::try_from(getsockname(&bound[0].sockets[0]).unwrap()).unwrap();
    let port = local.port();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert_eq!(
        bound[0].shown,
        format!("http://localhost:{port} (all addresses)")
    );
}

#[test]
fn an_unbindable_address_says_so() {
    let failure = bind_all(&server("192.0.2.1:80", 1)).unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("this machine has no such address"), "{text}");
}

#[test]
fn a_socket_file_of_a_dead_server_is_replaced_and_a_live_one_is_not() {
    let path = std::env::temp_dir().join(format!("quaich-bind-{}.sock", std::process::id()));
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listen = format!("unix:{}", path.display());
    let bound = bind_all(&server(&listen, 2)).unwrap();
    assert_eq!(bound[0].sockets.len(), 1, "a unix socket is shared");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o660
    );
    assert_eq!(
        bind_all(&server(&listen, 1)).unwrap_err().code(),
        Code::Bind
    );
    drop(bound);
    assert!(!path.exists(), "removed at the end");
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let path = std::env::temp_dir().join(format!("quaich-file-{}", std::process::id()));
    fs::write(&path, "mine").unwrap();
    assert!(bind_all(&server(&format!("unix:{}", path.display()), 1)).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    fs::remove_file(&path).unwrap();
}

#[test]
fn an_inherited_descriptor_must_listen() {
    let of = server("fd:9", 1).listeners.remove(0);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let adopted = adopt(Ok(listener.into()), "fd:9".into(), &of).unwrap();
    assert!(adopted.shown.starts_with("http://127.0.0.1:"));
    let (other, _end) = UnixStream::pair().unwrap();
    assert!(adopt(Ok(other.into()), "fd:9".into(), &of).is_err());
}
