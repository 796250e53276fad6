//! Finds the control socket of a running quaich, and asks it something.
//!
//! Used by `status` and `stop`, and by the one-liners to choose where theirs goes.

use std::env;
use std::fs::{self, DirBuilder};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quaich_config::model::{Config, ListenAddr};
use serde_json::Value;

use super::source;
use crate::exit::{Code, Failure};

/// A supervisor that has not answered by then is stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which running quaich is meant.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The one that serves this configuration file
    #[arg(short, long, value_name = "FILE", env = "QUAICH_CONFIG")]
    config: Option<PathBuf>,
    /// The one with this control socket
    #[arg(
        long,
        value_name = "PATH",
        env = "QUAICH_SOCKET",
        conflicts_with = "config"
    )]
    socket: Option<PathBuf>,
}

/// Where a one-liner's control socket goes: named after its first address, in a directory that is
/// ours alone. `None` = there is no such place.
pub(super) fn runtime_socket(config: &Config) -> Option<PathBuf> {
    let dir = runtime_dir();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    if made.is_err() || !is_ours(&dir) {
        return None;
    }
    let name: String = match &config.server.listeners.first()?.addr {
        ListenAddr::Tcp(addr) if addr.port() == 0 => format!("pid-{}", std::process::id()),
        ListenAddr::Tcp(addr) => addr.to_string(),
        ListenAddr::Unix(path) => path.display().to_string(),
        ListenAddr::Fd(number) => format!("fd-{number}-{}", std::process::id()),
        ListenAddr::Systemd(name) => format!("systemd-{name}"),
    };
    let name = name.replace(['/', ':', '[', ']', '@'], "-");
    Some(dir.join(format!("{}.sock", name.trim_matches('-'))))
}

fn runtime_dir() -> PathBuf {
    match env::var_os("XDG_RUNTIME_DIR").filter(|dir| Path::new(dir).is_dir()) {
        Some(dir) => PathBuf::from(dir).join("quaich"),
        None => {
            let user = rustix::process::geteuid().as_raw();
            env::temp_dir().join(format!("quaich-{user}"))
        }
    }
}

/// Nobody else could have put anything there.
fn is_ours(dir: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(dir).is_ok_and(|found| {
        found.is_dir() && found.uid() == user && found.permissions().mode() & 0o077 == 0
    })
}

/// An open conversation with a supervisor.
pub(super) struct Conversation {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

impl Conversation {
    /// Connects to the quaich that is meant; exit code 5 when there is none.
    pub(super) fn open(which: &Which) -> Result<Conversation, Failure> {
        let path = which.path()?;
        let stream = UnixStream::connect(&path).map_err(|error| {
            let message = format!("no quaich answers at {}: {error}", path.display());
            Failure::new(Code::NotRunning, message)
        })?;
        Ok(Conversation {
            stream: BufReader::new(stream),
            path,
        })
    }

    /// Sends one request and returns the answer to it.
    pub(super) fn ask(&mut self, request: &Value) -> Result<Value, Failure> {
        let answer = self.exchange(request).map_err(|error| {
            let path = self.path.display();
            Failure::new(
                Code::NotRunning,
                format!("the quaich at {path} gave no answer: {error}"),
            )
        })?;
        match answer["error"].as_str() {
            Some(why) => Err(Failure::new(Code::Config, why)),
            None => Ok(answer),
        }
    }

    fn exchange(&mut self, request: &Value) -> io::Result<Value> {
        self.stream.get_ref().set_read_timeout(Some(PATIENCE))?;
        self.stream
            .get_mut()
            .write_all(format!("{request}\n").as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Waits until the other end is closed, which the kernel does when the process ends.
    pub(super) fn wait_for_end(mut self) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(None)?;
        match self.stream.read_to_end(&mut Vec::new()) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            result => result.map(drop),
        }
    }
}

impl Which {
    fn path(&self) -> Result<PathBuf, Failure> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        if let Some(file) = &self.config {
            return socket_of(file);
        }
        if Path::new("quaich.sock").exists() {
            return Ok("quaich.sock".into());
        }
        if Path::new(source::DEFAULT_FILE).exists()
            && let Ok(socket) = socket_of(Path::new(source::DEFAULT_FILE))
            && socket.exists()
        {
            return Ok(socket);
        }
        only_one(live_sockets())
    }
}

fn socket_of(file: &Path) -> Result<PathBuf, Failure> {
    let loaded = source::load(file, quaich_config::Overrides::default())?;
    if source::has_errors(&loaded) {
        source::show(&loaded);
    }
    let config = loaded
        .config
        .ok_or_else(|| Failure::new(Code::Config, ""))?;
    config.admin.socket.ok_or_else(|| {
        let message = format!("{} turns the control socket off", file.display());
        Failure::new(Code::NotRunning, message).cure("set `listen` in `[admin]`")
    })
}

/// Sockets in the runtime directory at which somebody answers.
fn live_sockets() -> Vec<PathBuf> {
    let dir = runtime_dir();
    if !is_ours(&dir) {
        return Vec::new();
    }
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut live: Vec<PathBuf> = paths
        .filter(|path| UnixStream::connect(path).is_ok())
        .collect();
    live.sort();
    live
}

fn only_one(mut live: Vec<PathBuf>) -> Result<PathBuf, Failure> {
    match live.len() {
        0 => Err(
            Failure::new(Code::NotRunning, "no running quaich was found")
                .cure("name its file or its socket: -c FILE, --socket PATH"),
        ),
        1 => Ok(live.remove(0)),
        count => {
            let message = format!("{count} quaich processes are running; name one with --socket:");
            let shown = live.iter().map(|path| path.display().to_string());
            Err(Failure::new(Code::Usage, message).details(shown))
        }
    }
}
