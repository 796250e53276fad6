//! The process tree: signals, draining, deaths, the control socket.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use quaich_testkit::{
    Gate, Quaich, QuaichCommand, RawClient, Signal, TempSite, children, eventually, process_exists,
};

use crate::apps::{self, GATED};

/// The gated app with one request in it.
fn busy(server: &str) -> (Quaich, Gate, RawClient) {
    let site = TempSite::new();
    let gate = Gate::new(&site);
    site.write("app.py", GATED);
    let quaich = Quaich::serve(site, &apps::config("workers = 2\nthreads = 1", server));
    let mut client = quaich.raw();
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    quaich.log().wait_for("waiting at the gate");
    (quaich, gate, client)
}

/// Every process of the tree, the supervisor first.
fn tree(quaich: &Quaich) -> Vec<u32> {
    let mut pids = vec![quaich.pid()];
    pids.extend(children(quaich.pid()));
    pids
}

fn all_gone(pids: &[u32]) {
    eventually("the end of every process", || {
        pids.iter().all(|pid| !process_exists(*pid)).then_some(())
    });
}

#[test]
fn term_lets_running_requests_finish_and_takes_no_new_ones() {
    let (mut quaich, gate, mut client) = busy("shutdown_timeout = \"20s\"");
    let addr = quaich.addr();
    let pids = tree(&quaich);
    quaich.signal(Signal::TERM);
    eventually("a closed listener", || {
        std::net::TcpStream::connect(addr).is_err().then_some(())
    });
    gate.open();
    client
        .response()
        .expect_status(200)
        .expect_header("connection", "close");
    assert_eq!(quaich.wait().code(), Some(0));
    all_gone(&pids);
}

#[test]
fn term_ends_idle_connections_at_once() {
    let mut quaich = apps::serve(GATED);
    let mut idle = quaich.raw();
    idle.get("/").expect_status(200);
    let begun = Instant::now();
    quaich.signal(Signal::TERM);
    idle.expect_closed();
    assert_eq!(quaich.wait().code(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn shutdown_timeout_is_the_longest_drain() {
    let (mut quaich, _gate, mut client) = busy("shutdown_timeout = \"500ms\"");
    let pids = tree(&quaich);
    let begun = Instant::now();
    quaich.signal(Signal::TERM);
    quaich.wait();
    let took = begun.elapsed();
    assert!(
        took > Duration::from_millis(400) && took < Duration::from_secs(5),
        "{took:?}"
    );
    client.rest();
    all_gone(&pids);
}

#[test]
fn int_does_not_wait_for_requests() {
    for signal in [Signal::INT, Signal::QUIT] {
        let (mut quaich, _gate, mut client) = busy("shutdown_timeout = \"20s\"");
        let pids = tree(&quaich);
        let begun = Instant::now();
        quaich.signal(signal);
        quaich.wait();
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{signal:?}: {:?}",
            begun.elapsed()
        );
        client.rest();
        all_gone(&pids);
    }
}

#[test]
fn a_second_signal_forces_the_end() {
    let (mut quaich, _gate, mut client) = busy("shutdown_timeout = \"20s\"");
    let addr = quaich.addr();
    let begun = Instant::now();
    quaich.signal(Signal::TERM);
    eventually("a closed listener", || {
        std::net::TcpStream::connect(addr).is_err().then_some(())
    });
    let pid = quaich.pid();
    // One that comes at once is taken for an echo of the first.
    eventually("the end", || {
        Quaich::signal_process(pid, Signal::TERM);
        (!process_exists(pid)).then_some(())
    });
    quaich.wait();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    client.rest();
}

#[test]
fn a_killed_supervisor_leaves_no_orphan() {
    let (mut quaich, _gate, mut client) = busy("");
    let pids = tree(&quaich);
    assert!(
        pids.len() >= 4,
        "supervisor, front and two workers: {pids:?}"
    );
    quaich.signal(Signal::KILL);
    quaich.wait();
    all_gone(&pids);
    client.rest();
}

#[test]
fn a_killed_front_is_back_and_no_connection_is_refused() {
    let quaich = apps::serve_with(GATED, "workers = 2\nthreads = 1");
    let (front, workers) = (quaich.front(), quaich.workers());
    for round in 0..5 {
        Quaich::signal_process(quaich.front(), Signal::KILL);
        // The listener never closes: a connection waits in its backlog until the new front takes it.
        quaich.get("/").expect_status(200);
        assert!(round > 0 || quaich.front() != front);
    }
    assert_eq!(quaich.workers(), workers, "the workers stayed");
}

#[test]
fn killed_workers_cost_only_the_requests_in_them() {
    let quaich = apps::serve_with(GATED, "workers = 2\nthreads = 1");
    let addr = quaich.addr();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                let (mut served, mut failed) = (0_u32, 0_u32);
                let mut client = RawClient::connect(addr);
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    match client.get("/").status {
                        200 => served += 1,
                        502 => failed += 1,
                        other => panic!("status {other}"),
                    }
                    // A connection ends in order after 10,000 requests; clients come anew before.
                    if (served + failed).is_multiple_of(1000) {
                        client = RawClient::connect(addr);
                    }
                }
                (served, failed)
            })
        })
        .collect();
    let kills = 20;
    for _ in 0..kills {
        let victim = eventually("two workers", || {
            let workers = quaich.workers();
            (workers.len() == 2).then(|| workers[0])
        });
        Quaich::signal_process(victim, Signal::KILL);
        eventually("its end", || (!process_exists(victim)).then_some(()));
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let counts: Vec<(u32, u32)> = clients
        .into_iter()
        .map(|c| c.join().expect("a client saw 200 and 502 only"))
        .collect();
    let served: u32 = counts.iter().map(|c| c.0).sum();
    let failed: u32 = counts.iter().map(|c| c.1).sum();
    assert!(
        failed <= kills,
        "{failed} failures of {kills} kills, one request in each"
    );
    assert!(served > 100, "{served}");
}

#[test]
fn status_tells_what_runs() {
    let quaich = apps::serve_with(GATED, "workers = 2\nthreads = 1");
    quaich.get("/").expect_status(200);
    let status = quaich.status();
    let text = status.to_string();
    assert_eq!(status["pid"], quaich.pid(), "{text}");
    assert!(
        text.contains(&quaich.addr().port().to_string()),
        "the listener: {text}"
    );
    for worker in quaich.workers() {
        assert!(
            text.contains(&worker.to_string()),
            "worker {worker}: {text}"
        );
    }
    let shown = quaich.cli(["status"]);
    shown.expect_code(0);
    assert!(shown.stdout.contains("main"), "{}", shown.stdout);
}

#[test]
fn stop_waits_until_all_is_gone() {
    let mut quaich = apps::serve_with(GATED, "workers = 1\nthreads = 1");
    let pids = tree(&quaich);
    quaich.cli(["stop"]).expect_code(0);
    assert!(
        pids.iter().all(|pid| !process_exists(*pid)),
        "stop returned before the end"
    );
    assert_eq!(quaich.wait().code(), Some(0));
    quaich.cli(["status"]).expect_code(5);
}

#[test]
fn the_control_socket_is_for_its_owner_only() {
    let quaich = apps::serve(GATED);
    let socket = quaich.site().join("quaich.sock");
    let mode = std::fs::metadata(&socket)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_control_socket_survives_nonsense() {
    let quaich = apps::serve(GATED);
    let socket = quaich.site().join("quaich.sock");
    for nonsense in [
        &b"not json\n"[..],
        b"{}\n",
        b"\0\0\0\n",
        &[b'x'; 100_000],
        b"",
    ] {
        let mut client = RawClient::connect_unix(&socket);
        client.send(nonsense).half_close();
        client.rest();
    }
    quaich.status();
}

#[test]
fn sockets_and_pid_file_are_removed_at_the_end() {
    let site = TempSite::new();
    let toml = "[admin]\nlisten = \"unix:quaich.sock\"\n[server]\nlisten = [\"unix:web.sock\"]\n\
                pid_file = \"quaich.pid\"\n[[site.main.route]]\nstatus = 204\n";
    let mut quaich = Quaich::serve_exactly(site, toml);
    let web = quaich.site().join("web.sock");
    RawClient::connect_unix(&web).get("/").expect_status(204);
    assert_eq!(
        quaich.site().read("quaich.pid").trim(),
        quaich.pid().to_string()
    );
    quaich.signal(Signal::TERM);
    quaich.wait();
    for file in ["web.sock", "quaich.sock", "quaich.pid"] {
        assert!(!quaich.site().join(file).exists(), "{file} is left behind");
    }
}

#[test]
fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
    let site = TempSite::new();
    drop(std::os::unix::net::UnixListener::bind(site.join("web.sock")).expect("it can be made"));
    let toml = "[server]\nlisten = [\"unix:web.sock\"]\n[[site.main.route]]\nstatus = 204\n";
    let quaich = Quaich::serve_exactly(site, toml);
    RawClient::connect_unix(&quaich.site().join("web.sock"))
        .get("/")
        .expect_status(204);
    quaich.cli(["serve", "-c", "quaich.toml"]).expect_code(3);
    RawClient::connect_unix(&quaich.site().join("web.sock"))
        .get("/")
        .expect_status(204);
}

#[test]
fn ipv6_and_several_listeners_are_served() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let toml =
        "[server]\nlisten = [\"127.0.0.1:0\", \"[::1]:0\"]\n[[site.main.route]]\nstatus = 204\n";
    let quaich = Quaich::serve_exactly(TempSite::new(), toml);
    assert_eq!(quaich.addrs().len(), 2, "{:?}", quaich.addrs());
    for addr in quaich.addrs() {
        RawClient::connect(*addr).get("/").expect_status(204);
    }
}

#[test]
fn an_app_that_cannot_start_again_is_retried_with_patience() {
    let quaich = apps::serve_with(GATED, "workers = 1\nthreads = 1");
    quaich
        .site()
        .write("app.py", "raise RuntimeError('broken by a deploy')\n");
    Quaich::signal_process(quaich.workers()[0], Signal::KILL);
    quaich.log().wait_for("broken by a deploy");
    quaich.site().write("app.py", GATED);
    eventually("the mended app", || {
        (quaich.get("/").status == 200).then_some(())
    });
}

#[test]
fn workers_killed_while_they_load_are_replaced_without_growing_patience() {
    const SLOW_TO_LOAD: &str = r#"
import pathlib, time

while pathlib.Path("hold").exists():
    time.sleep(0.01)

def application(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
"#;
    let quaich = apps::serve_with(SLOW_TO_LOAD, "workers = 1\nthreads = 1");
    quaich.get("/").expect_status(200);
    quaich.site().write("hold", "");
    let mut victim = quaich.workers()[0];
    for _ in 0..7 {
        Quaich::signal_process(victim, Signal::KILL);
        victim = eventually("a successor", || {
            let other = |pid: &u32| *pid != victim;
            quaich.workers().into_iter().find(other)
        });
    }
    std::fs::remove_file(quaich.site().join("hold")).expect("the file is there");
    // Patience that doubles with every kill would be 6.4 s by now, longer than the queue's.
    quaich.get("/").expect_status(200);
}

#[test]
fn hup_changes_nothing() {
    let quaich = apps::serve(GATED);
    let before = (quaich.front(), quaich.workers());
    quaich.signal(Signal::HUP);
    quaich.log().wait_for("reload");
    quaich.get("/").expect_status(200);
    assert_eq!((quaich.front(), quaich.workers()), before);
}

#[test]
fn an_inherited_socket_is_served() {
    let site = TempSite::new();
    site.write(
        "quaich.toml",
        "[server]\nlisten = [\"fd:3\"]\n[[site.main.route]]\nstatus = 204\n",
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener.local_addr().expect("it is bound");
    let quaich = QuaichCommand::new(site, ["serve", "-c", "quaich.toml"])
        .inherit(listener)
        .start();
    RawClient::connect(addr).get("/").expect_status(204);
    drop(quaich);
}

#[test]
fn a_socket_of_systemd_is_served_by_its_name() {
    let site = TempSite::new();
    let toml = "[server]\nlisten = [\"systemd:web\"]\n[[site.main.route]]\nstatus = 204\n";
    site.write("quaich.toml", toml);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener.local_addr().expect("it is bound");
    let quaich = QuaichCommand::new(site, ["serve", "-c", "quaich.toml"])
        .inherit(listener)
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", "web")
        .start();
    RawClient::connect(addr).get("/").expect_status(204);
    drop(quaich);
}
