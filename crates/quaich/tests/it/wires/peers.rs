//! Real servers of uwsgi, FastCGI and SCGI, each with the module `app` of a folder.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use quaich_testkit::{Peer, TempSite, eventually, python, requires_python};

/// A running server, and the URL that quaich finds it under.
pub(crate) struct Server {
    pub(crate) peer: Peer,
    pub(crate) url: String,
}

/// Waits until somebody listens on the socket `name` of the folder.
fn listening(folder: &TempSite, scheme: &str, name: &str, peer: Peer) -> Server {
    let socket = folder.join(name);
    eventually(name, || UnixStream::connect(&socket).ok());
    Server {
        peer,
        url: format!("{scheme}+unix:{}", socket.display()),
    }
}

fn is_there(program: &str) -> bool {
    let is_there = Path::new(program).exists();
    if !is_there {
        let prepared = std::env::var_os("QUAICH_TEST_PYTHON").is_some();
        assert!(!prepared, "{program} is not installed");
        eprintln!("skipped: {program} is not installed");
    }
    is_there
}

/// uWSGI with these arguments beside its socket and the app.
pub(crate) fn uwsgi(folder: &TempSite, more: &[&str]) -> Option<Server> {
    let name = "uwsgi.sock";
    let peer = start_uwsgi(folder, &folder.join(name).display().to_string(), more)?;
    Some(listening(folder, "uwsgi", name, peer))
}

/// The same on a TCP port of its own.
pub(crate) fn uwsgi_tcp(folder: &TempSite) -> Option<Server> {
    let peer = start_uwsgi(folder, "127.0.0.1:0", &[])?;
    let line = peer.log().wait_for("bound to TCP address 127.0.0.1:");
    peer.log().wait_for("spawned uWSGI");
    let port = line
        .split("127.0.0.1:")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let url = format!("uwsgi://127.0.0.1:{}", port.expect("a port in the log"));
    Some(Server { peer, url })
}

fn start_uwsgi(folder: &TempSite, socket: &str, more: &[&str]) -> Option<Peer> {
    if !is_there("/usr/bin/uwsgi-core") {
        return None;
    }
    let mut command = Command::new("/usr/bin/uwsgi-core");
    command
        .args(["--plugin", "python3", "--uwsgi-socket", socket])
        .args(["--wsgi-file", "app.py", "--need-app", "--threads", "4"])
        .args(["--buffer-size", "65535"])
        .args(more)
        .current_dir(folder.path());
    Some(Peer::start(&mut command))
}

/// gunicorn that speaks uwsgi.
pub(crate) fn gunicorn(folder: &TempSite) -> Option<Server> {
    if !requires_python(&["gunicorn"]) {
        return None;
    }
    let name = "gunicorn.sock";
    let bind = format!("unix:{}", folder.join(name).display());
    let mut command = Command::new(python());
    command
        .args([
            "-m",
            "gunicorn",
            "--protocol",
            "uwsgi",
            "-w",
            "1",
            "--threads",
            "4",
        ])
        .args(["-b", &bind, "app:application"])
        .current_dir(folder.path());
    Some(listening(folder, "uwsgi", name, Peer::start(&mut command)))
}

const FLUP_FASTCGI: &str = "
import sys
sys.path.insert(0, '')
from app import application
from flup.server.fcgi import WSGIServer
WSGIServer(application, bindAddress=sys.argv[1]).run()
";

const FLUP_SCGI: &str = "
import socket, sys
sys.path.insert(0, '')
from app import application
from flup.server.scgi import WSGIServer

class Server(WSGIServer):
    def _setupSocket(self):
        listener = socket.create_server(('127.0.0.1', 0), backlog=100)
        print('port', listener.getsockname()[1], flush=True)
        return listener

Server(application, scriptName=None, bindAddress=('127.0.0.1', 0)).run()
";

/// flup as a FastCGI server.
pub(crate) fn flup_fastcgi(folder: &TempSite) -> Option<Server> {
    if !requires_python(&["flup"]) {
        return None;
    }
    let name = "flup.sock";
    let mut command = Command::new(python());
    command
        .args(["-c", FLUP_FASTCGI])
        .arg(folder.join(name))
        .current_dir(folder.path());
    Some(listening(
        folder,
        "fastcgi",
        name,
        Peer::start(&mut command),
    ))
}

/// flup as an SCGI server.
pub(crate) fn flup_scgi(folder: &TempSite) -> Option<Server> {
    if !requires_python(&["flup"]) {
        return None;
    }
    let mut command = Command::new(python());
    command.args(["-c", FLUP_SCGI]).current_dir(folder.path());
    let peer = Peer::start(&mut command);
    let port = peer.log().wait_for("port ").replace("port ", "");
    let url = format!("scgi://127.0.0.1:{port}");
    Some(Server { peer, url })
}

/// php-fpm with one worker; scripts are named by `SCRIPT_FILENAME`.
pub(crate) fn php_fpm(folder: &TempSite) -> Option<Server> {
    let program = "/usr/sbin/php-fpm8.2";
    if !is_there(program) {
        return None;
    }
    let name = "php.sock";
    let config = format!(
        "[global]\nerror_log = /dev/stderr\ndaemonize = no\n[www]\nlisten = {}\npm = static\n\
         pm.max_children = 1\nping.path = /ping\n",
        folder.join(name).display()
    );
    let config = folder.write("fpm.conf", config);
    let mut command = Command::new(program);
    // Without the php.ini of the system, and as root if the tests run so.
    command
        .args(["-R", "-n", "-y"])
        .arg(config)
        .current_dir(folder.path());
    Some(listening(
        folder,
        "fastcgi",
        name,
        Peer::start(&mut command),
    ))
}
