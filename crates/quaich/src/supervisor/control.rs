//! The control socket: `quaich status`, `stop`, `server`, `maintenance`, `cert renew` and the like
//! ask, the supervisor answers.
//!
//! One JSON line each way. Only the supervisor's own user and root are heard; a request has 64 KiB
//! and ten seconds, and ten connections may be open at once.

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use quaich_server::link::{Mode, Order};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use super::maintenance::Wanted;
use super::sockets::unix_socket;

const MAX_LINE: u64 = 64 * 1024;
const MAX_CONNECTIONS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// A question and where its answer goes.
pub(super) type Request = (Command, oneshot::Sender<Value>);

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Status,
    /// Get certificates anew, also when they are not due: all, or the one with this name.
    Renew {
        name: Option<String>,
    },
    Stop {
        graceful: bool,
    },
    /// Whether a site is closed.
    Maintenance {
        site: String,
        wanted: Wanted,
    },
    /// What is to be of a server of an upstream.
    Server {
        name: String,
        order: Order,
    },
}

/// The listening socket; its file is removed at the end.
pub(super) struct ControlSocket {
    path: PathBuf,
    socket: OwnedFd,
}

impl ControlSocket {
    /// Binds it, for its owner only. `AddrInUse` = another quaich answers there.
    pub(super) fn bind(path: &Path) -> io::Result<ControlSocket> {
        let socket = unix_socket(path, 0o600, MAX_CONNECTIONS as u32)?;
        Ok(ControlSocket {
            path: path.to_owned(),
            socket,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Starts to serve, inside the runtime.
    pub(super) fn serve(&self, requests: mpsc::Sender<Request>) -> io::Result<()> {
        let listener = std::os::unix::net::UnixListener::from(self.socket.try_clone()?);
        let listener = UnixListener::from_std(listener)?;
        tokio::task::spawn_local(accept(listener, requests));
        Ok(())
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Somebody may have removed it before us.
        let _ = fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, requests: mpsc::Sender<Request>) {
    let open = Rc::new(Cell::new(0));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: the connection waits in the backlog.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if open.get() >= MAX_CONNECTIONS || !is_allowed(&stream) {
            continue;
        }
        open.set(open.get() + 1);
        let (open, requests) = (open.clone(), requests.clone());
        tokio::task::spawn_local(async move {
            // A client that breaks off has its reasons.
            let _ = serve(stream, requests).await;
            open.set(open.get() - 1);
        });
    }
}

fn is_allowed(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

async fn serve(stream: UnixStream, requests: mpsc::Sender<Request>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = Vec::new();
    let mut reader = BufReader::new(reader.take(MAX_LINE));
    tokio::time::timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await??;
    let answer = match parse(&line) {
        Err(why) => json!({ "error": why }),
        Ok(command) => {
            let (reply, answer) = oneshot::channel();
            let sent = requests.send((command, reply)).await;
            sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
            answer.await.map_err(|_| io::ErrorKind::BrokenPipe)?
        }
    };
    writer.write_all(format!("{answer}\n").as_bytes()).await?;
    // Whoever said `stop` keeps reading: the end of the stream is the end of the process.
    reader.read_until(b'\n', &mut line).await?;
    Ok(())
}

fn parse(line: &[u8]) -> Result<Command, String> {
    if !line.ends_with(b"\n") {
        return Err("a request is one line of at most 64 KiB".into());
    }
    let request: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    match (request["command"].as_str(), request["mode"].as_str()) {
        (Some("status"), _) => Ok(Command::Status),
        (Some("renew"), _) => Ok(Command::Renew {
            name: request["name"].as_str().map(str::to_owned),
        }),
        (Some("server"), mode) => server(&request, mode),
        (Some("maintenance"), mode) => maintenance(&request, mode),
        (Some("stop"), None | Some("graceful")) => Ok(Command::Stop { graceful: true }),
        (Some("stop"), Some("quick")) => Ok(Command::Stop { graceful: false }),
        _ => Err(
            "`command` is `status`, `renew`, `server`, `maintenance`, or `stop` with `mode` `graceful` or `quick`"
                .into(),
        ),
    }
}

fn maintenance(request: &Value, mode: Option<&str>) -> Result<Command, String> {
    let site = request["site"].as_str().map(str::to_owned);
    match (site, mode.and_then(Wanted::parse)) {
        (Some(site), Some(wanted)) => Ok(Command::Maintenance { site, wanted }),
        _ => Err("`maintenance` needs `site`, and `mode` `on`, `off` or `auto`".into()),
    }
}

fn server(request: &Value, mode: Option<&str>) -> Result<Command, String> {
    let name = request["server"].as_str().map(str::to_owned);
    let mode = match mode {
        None => None,
        Some("ready") => Some(Mode::Ready),
        Some("drain") => Some(Mode::Drain),
        Some("maint") => Some(Mode::Maint),
        Some(_) => return Err("`mode` of a server is `ready`, `drain` or `maint`".into()),
    };
    let weight = request["weight"].as_u64();
    let weight = weight.and_then(|weight| u32::try_from(weight).ok());
    match name {
        Some(name) if mode.is_some() || weight.is_some() => Ok(Command::Server {
            name,
            order: Order { mode, weight },
        }),
        _ => Err("`server` needs `server`, and `mode` or `weight`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_one_json_line() {
        assert_eq!(parse(b"{\"command\":\"status\"}\n"), Ok(Command::Status));
        assert_eq!(
            parse(b"{\"command\":\"stop\"}\n"),
            Ok(Command::Stop { graceful: true })
        );
        let quick = b"{\"command\":\"stop\",\"mode\":\"quick\"}\n";
        assert_eq!(parse(quick), Ok(Command::Stop { graceful: false }));
        let drain = b"{\"command\":\"server\",\"server\":\"a/b\",\"mode\":\"drain\"}\n";
        let order = Order {
            mode: Some(Mode::Drain),
            weight: None,
        };
        let name = "a/b".to_owned();
        assert_eq!(parse(drain), Ok(Command::Server { name, order }));
        for bad in [
            &b"{\"command\":\"server\",\"server\":\"a/b\"}\n"[..],
            &b"{\"command\":\"status\"}"[..],
            b"\n",
            b"{}\n",
            b"{\"command\":\"x\"}\n",
        ] {
            assert!(parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
