//! Processes as `/proc` shows them, and the lines that a process writes.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::PATIENCE;

/// A process that has ended, and all that it said.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// The exit code; -1 when a signal ended it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Fails the test unless it ended with this code.
    ///
    /// # Panics
    /// When it did not; the message shows all that it said.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code(), code, "\n{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless standard error holds this text.
    ///
    /// # Panics
    /// When it does not; the message shows all that it said.
    #[track_caller]
    pub fn expect_error(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "no {text:?} in\n{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

/// The lines of a process's output so far, readable while it runs.
#[derive(Clone, Debug, Default)]
pub struct LogLines {
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    /// Streams that are still open.
    open: usize,
}

impl LogLines {
    /// Collects the lines of one more stream, in a thread of its own.
    pub(crate) fn collect(&self, stream: impl Read + Send + 'static) {
        locked(&self.state.0).open += 1;
        let lines = self.clone();
        std::thread::spawn(move || {
            let (state, changed) = &*lines.state;
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                locked(state).lines.push(line);
                changed.notify_all();
            }
            locked(state).open -= 1;
            changed.notify_all();
        });
    }

    /// Everything so far.
    #[must_use]
    pub fn text(&self) -> String {
        locked(&self.state.0).lines.join("\n")
    }

    /// Waits for a line that contains `text`; returns it.
    ///
    /// # Panics
    /// When it does not come; the message shows all lines.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |lines| {
            lines.iter().find(|l| l.contains(text)).cloned()
        })
    }

    /// Waits until `count` lines contain `text`; returns them.
    ///
    /// # Panics
    /// When they do not come; the message shows all lines.
    #[track_caller]
    pub fn wait_for_count(&self, count: usize, text: &str) -> Vec<String> {
        self.wait_until(text, |lines| {
            let found: Vec<String> = lines.iter().filter(|l| l.contains(text)).cloned().collect();
            (found.len() >= count).then_some(found)
        })
    }

    /// Waits until every stream has ended.
    pub(crate) fn wait_for_end(&self) {
        let (state, changed) = &*self.state;
        let state = locked(state);
        drop(changed.wait_timeout_while(state, PATIENCE, |state| state.open > 0));
    }

    #[track_caller]
    fn wait_until<T>(&self, what: &str, find: impl Fn(&[String]) -> Option<T>) -> T {
        let (state, changed) = &*self.state;
        let deadline = Instant::now() + PATIENCE;
        let mut state = locked(state);
        loop {
            if let Some(found) = find(&state.lines) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.open == 0 {
                panic!(
                    "no line with {what:?} in the output:\n{}",
                    state.lines.join("\n")
                );
            }
            let woken = changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A test that failed while it held the lines must not hide its own message.
fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a process of this id runs; one that has ended but was not reaped does not.
#[must_use]
pub fn process_exists(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

/// Processes whose parent is `pid`, that still run.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc is there").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mine = pids.filter(|p| stat(*p).is_some_and(|(state, of)| of == pid && state != "Z"));
    mine.collect()
}

/// The memory of a process that is its own, in bytes: pages of files are not counted.
///
/// # Panics
/// When there is no such process.
#[must_use]
#[track_caller]
pub fn resident_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or_else(|| panic!("process {pid} has no memory")) * 1024
}

/// The arguments of a process, joined by spaces.
pub(crate) fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// State letter and parent.
fn stat(pid: u32) -> Option<(String, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.to_string(), fields.next()?.parse().ok()?))
}

/// TCP addresses that a process listens on, IPv4 first.
pub(crate) fn listening(pid: u32) -> Vec<SocketAddr> {
    sockets(pid, &["tcp", "tcp6"], "0A")
}

/// UDP addresses that a process is bound to and not connected, IPv4 first.
pub(crate) fn bound_udp(pid: u32) -> Vec<SocketAddr> {
    sockets(pid, &["udp", "udp6"], "07")
}

/// Local addresses of a process's sockets of these tables that are in this state.
fn sockets(pid: u32, tables: &[&str], state: &str) -> Vec<SocketAddr> {
    let links = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    let sockets: Vec<String> = links
        .filter_map(|fd| {
            let target = fs::read_link(fd.path()).ok()?;
            let name = target.to_str()?.strip_prefix("socket:[")?;
            Some(name.strip_suffix(']')?.to_string())
        })
        .collect();
    let mut found: Vec<SocketAddr> = Vec::new();
    for table in tables {
        let rows = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for row in rows.lines().skip(1) {
            let fields: Vec<&str> = row.split_whitespace().collect();
            let fits = fields.get(3) == Some(&state);
            let inode = fields.get(9).copied().unwrap_or_default();
            if let (true, true) = (fits, sockets.iter().any(|mine| mine == inode)) {
                found.extend(fields.get(1).and_then(|field| address(field)));
            }
        }
    }
    found.dedup();
    found
}

/// `0100007F:1F90` and its longer IPv6 form: 32-bit words in the machine's byte order.
fn address(field: &str) -> Option<SocketAddr> {
    let (words, port) = field.split_once(':')?;
    let bytes: Vec<u8> = (0..words.len() / 8)
        .filter_map(|at| u32::from_str_radix(words.get(at * 8..at * 8 + 8)?, 16).ok())
        .flat_map(u32::to_ne_bytes)
        .collect();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_addresses_of_the_kernels_tables() {
        assert_eq!(address("0100007F:1F90"), "127.0.0.1:8080".parse().ok());
        let v6 = "00000000000000000000000001000000:0050";
        assert_eq!(address(v6), "[::1]:80".parse().ok());
    }

    #[test]
    fn finds_the_port_that_this_process_listens_on() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let mine = socket.local_addr().expect("a bound socket has an address");
        assert!(listening(std::process::id()).contains(&mine));
    }
}
