//! The program under test, as a real process.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::process::{command_line, listening};
use crate::{Finished, LogLines, PATIENCE, RawClient, Response, TempSite, children, eventually};

/// The built program: `$QUAICH_TEST_BINARY`, else the one beside the test program.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn binary() -> PathBuf {
    let found = match std::env::var_os("QUAICH_TEST_BINARY") {
        Some(given) => PathBuf::from(given),
        None => {
            let test = std::env::current_exe().expect("a test program has a path");
            test.ancestors()
                .nth(2)
                .unwrap_or(Path::new("."))
                .join("quaich")
        }
    };
    assert!(
        found.exists(),
        "{} is not built: use `cargo xtask test`",
        found.display()
    );
    found
}

/// A command line of quaich, not yet started, in a folder and an environment of its own.
#[derive(Debug)]
pub struct QuaichCommand {
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    dir: PathBuf,
    inherited: Option<OwnedFd>,
    site: TempSite,
}

impl QuaichCommand {
    /// `quaich ARGS` in the folder of `site`.
    pub fn new<S: AsRef<OsStr>>(site: TempSite, args: impl IntoIterator<Item = S>) -> Self {
        let home = site.path().to_path_buf();
        let env = ["HOME", "XDG_RUNTIME_DIR"].map(|name| (name.to_string(), home.clone().into()));
        Self {
            args: args
                .into_iter()
                .map(|arg| arg.as_ref().to_os_string())
                .collect(),
            env: env.to_vec(),
            dir: home,
            inherited: None,
            site,
        }
    }

    /// `quaich ARGS` in a folder that goes on existing.
    pub fn beside<S: AsRef<OsStr>>(site: &TempSite, args: impl IntoIterator<Item = S>) -> Self {
        let mut command = Self::new(TempSite::new(), args);
        command.dir = site.path().to_path_buf();
        command.env("XDG_RUNTIME_DIR", site.path())
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.to_string(), value.as_ref().to_os_string()));
        self
    }

    /// Hands a socket over as descriptor 3, the way systemd does (`LISTEN_PID` is set).
    #[must_use]
    pub fn inherit(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.inherited = Some(socket.into());
        self
    }

    /// Starts it and waits until it says that it is ready.
    ///
    /// # Panics
    /// When it ends instead, or does not become ready; the message shows its output.
    #[must_use]
    #[track_caller]
    pub fn start(mut self) -> Quaich {
        let notify = self.site.join("notify.sock");
        let socket = UnixDatagram::bind(&notify).expect("a datagram socket can be made");
        self = self.env("NOTIFY_SOCKET", &notify);
        let mut child = self.spawn();
        let log = LogLines::default();
        log.collect(child.stdout.take().expect("stdout is a pipe"));
        log.collect(child.stderr.take().expect("stderr is a pipe"));
        let mut quaich = Quaich {
            child,
            log,
            site: self.site,
            addrs: Vec::new(),
            gone: false,
        };
        quaich.wait_until_ready(&socket);
        quaich.addrs = listening(quaich.pid());
        quaich
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        let mut child = self.spawn();
        let (stdout, stderr) = (LogLines::default(), LogLines::default());
        stdout.collect(child.stdout.take().expect("stdout is a pipe"));
        stderr.collect(child.stderr.take().expect("stderr is a pipe"));
        let status = wait_for_exit(&mut child).unwrap_or_else(|| {
            // Not left behind by a failing test.
            let _ = child.kill();
            panic!("it does not end:\n{}\n{}", stdout.text(), stderr.text());
        });
        stdout.wait_for_end();
        stderr.wait_for_end();
        Finished {
            status,
            stdout: stdout.text(),
            stderr: stderr.text(),
        }
    }

    fn spawn(&mut self) -> Child {
        let mut command = match self.inherited.take() {
            None => {
                let mut program = Command::new(binary());
                program.stdin(Stdio::null());
                program
            }
            Some(socket) => {
                // The shell moves the socket to descriptor 3 and becomes the program, so that the
                // process id is known before it starts.
                let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ exec \"$0\" \"$@\"";
                let mut shell = Command::new("sh");
                shell.args(["-c", script]).arg(binary()).stdin(socket);
                shell
            }
        };
        command.args(&self.args).current_dir(&self.dir).env_clear();
        // Only what a program needs to run: nothing of the developer's own settings leaks in.
        for kept in [
            "PATH",
            "LD_LIBRARY_PATH",
            "RUST_BACKTRACE",
            "LLVM_PROFILE_FILE",
        ] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the built program can be started")
    }
}

/// A running quaich; killed with its whole process tree when dropped.
#[derive(Debug)]
pub struct Quaich {
    child: Child,
    log: LogLines,
    site: TempSite,
    addrs: Vec<SocketAddr>,
    gone: bool,
}

impl Quaich {
    /// Serves a configuration on one free port. The text goes on where a `[server]` table has been
    /// begun: with keys of it, or with the next table.
    #[must_use]
    #[track_caller]
    pub fn serve(site: TempSite, toml: &str) -> Self {
        let head = "[admin]\nlisten = \"unix:quaich.sock\"\n[server]\nlisten = [\"127.0.0.1:0\"]\n";
        Self::serve_exactly(site, &format!("{head}{toml}"))
    }

    /// Serves a configuration as it stands.
    #[must_use]
    #[track_caller]
    pub fn serve_exactly(site: TempSite, toml: &str) -> Self {
        site.write("quaich.toml", toml);
        QuaichCommand::new(site, ["serve", "-c", "quaich.toml"]).start()
    }

    /// Starts `quaich ARGS`, which should bind port 0.
    #[must_use]
    #[track_caller]
    pub fn command<S: AsRef<OsStr>>(site: TempSite, args: impl IntoIterator<Item = S>) -> Self {
        QuaichCommand::new(site, args).start()
    }

    /// The first TCP address that it listens on.
    ///
    /// # Panics
    /// When it listens on none.
    #[must_use]
    #[track_caller]
    pub fn addr(&self) -> SocketAddr {
        let first = self.addrs.first();
        *first.unwrap_or_else(|| panic!("it listens on no TCP address:\n{}", self.log.text()))
    }

    /// Every TCP address that it listens on, IPv4 first.
    #[must_use]
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// The TCP address that it listens on at this IP address, which tells listeners apart whose port
    /// is chosen by the system.
    ///
    /// # Panics
    /// When it listens on none there.
    #[must_use]
    #[track_caller]
    pub fn addr_at(&self, ip: &str) -> SocketAddr {
        let found = self.addrs.iter().find(|addr| addr.ip().to_string() == ip);
        *found.unwrap_or_else(|| panic!("it does not listen at {ip}: {:?}", self.addrs))
    }

    /// A new raw connection.
    #[must_use]
    #[track_caller]
    pub fn raw(&self) -> RawClient {
        RawClient::connect(self.addr())
    }

    /// One GET on a connection of its own.
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.raw().get(target)
    }

    /// One request with these fields and this body on a connection of its own.
    #[track_caller]
    pub fn request(&self, method: &str, target: &str, fields: &str, body: &[u8]) -> Response {
        let mut client = self.raw();
        let mut bytes =
            format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{fields}").into_bytes();
        if !body.is_empty() {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        client.send(bytes);
        client.response_to(method)
    }

    /// The supervisor's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The front's process id, as soon as there is one.
    #[track_caller]
    pub fn front(&self) -> u32 {
        let is_front = |pid: &u32| command_line(*pid).contains("__front");
        eventually("a front process", || {
            children(self.pid()).into_iter().find(is_front)
        })
    }

    /// The process ids of the workers that run just now, oldest first.
    #[must_use]
    pub fn workers(&self) -> Vec<u32> {
        let mut found = children(self.pid());
        found.retain(|pid| command_line(*pid).contains(" -c "));
        found.sort_unstable();
        found
    }

    /// Sends a signal to the supervisor.
    pub fn signal(&self, signal: Signal) {
        send_signal(self.pid(), signal);
    }

    /// Sends a signal to any process.
    pub fn signal_process(pid: u32, signal: Signal) {
        send_signal(pid, signal);
    }

    /// Waits for the supervisor's end.
    ///
    /// # Panics
    /// When it does not end; the message shows its output.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let ended = wait_for_exit(&mut self.child);
        self.gone = ended.is_some();
        ended.unwrap_or_else(|| panic!("it does not end:\n{}", self.log.text()))
    }

    /// What it has written so far, both streams.
    #[must_use]
    pub fn log(&self) -> &LogLines {
        &self.log
    }

    /// The folder that it runs in.
    #[must_use]
    pub fn site(&self) -> &TempSite {
        &self.site
    }

    /// `quaich ARGS` in the same folder, run to its end.
    #[track_caller]
    pub fn cli<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Finished {
        let mut command = QuaichCommand::new(TempSite::new(), args);
        command.dir = self.site.path().to_path_buf();
        command.env("XDG_RUNTIME_DIR", self.site.path()).finish()
    }

    /// `quaich status --json`.
    ///
    /// # Panics
    /// When the command fails or prints no JSON.
    #[track_caller]
    pub fn status(&self) -> serde_json::Value {
        let told = self.cli(["status", "--json"]);
        told.expect_code(0);
        serde_json::from_str(&told.stdout).unwrap_or_else(|e| panic!("{e}: {}", told.stdout))
    }

    #[track_caller]
    fn wait_until_ready(&mut self, notify: &UnixDatagram) {
        let deadline = Instant::now() + PATIENCE;
        let turn = Some(Duration::from_millis(100));
        notify
            .set_read_timeout(turn)
            .expect("a read timeout can be set");
        let mut message = [0; 4096];
        loop {
            if let Ok(count) = notify.recv(&mut message) {
                let text = String::from_utf8_lossy(&message[..count]);
                if text.lines().any(|line| line == "READY=1") {
                    return;
                }
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                self.gone = true;
                self.log.wait_for_end();
                panic!(
                    "it ended before it was ready ({status}):\n{}",
                    self.log.text()
                );
            }
            assert!(
                Instant::now() < deadline,
                "it is not ready:\n{}",
                self.log.text()
            );
        }
    }
}

impl Drop for Quaich {
    fn drop(&mut self) {
        if !self.gone {
            // The whole tree goes with the supervisor: a promise that a test of its own checks.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("---- output of quaich ----\n{}\n----", self.log.text());
        }
    }
}

/// Waits for the end of a child; `None` when it does not come in time.
fn wait_for_exit(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    None
}

fn send_signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id is positive");
    // The process may have ended already, which its waiter will see.
    let _ = kill_process(pid, signal);
}
