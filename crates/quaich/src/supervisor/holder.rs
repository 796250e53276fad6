//! Finds the program that listens on an address, as far as `/proc` shows it to us.
//!
//! Only for the message that an address is taken; knows nothing when it may not look.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// `nginx, process 123`
pub(super) fn of(addr: SocketAddr) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inodes: Vec<String> = tables
        .iter()
        .filter_map(|table| listening_inode(Path::new(table), addr.port()))
        .collect();
    let links: Vec<String> = inodes
        .iter()
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let mut processes = fs::read_dir("/proc").ok()?.flatten();
    processes.find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut fds = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        fds.find(|fd| {
            let target = fs::read_link(fd.path()).unwrap_or_default();
            links.iter().any(|link| target.as_os_str() == link.as_str())
        })?;
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        Some(format!("{}, process {pid}", name.trim()))
    })
}

/// The inode of a socket that listens on `port`, from a table of the kernel.
fn listening_inode(table: &Path, port: u16) -> Option<String> {
    let text = fs::read_to_string(table).ok()?;
    let end = format!(":{port:04X}");
    text.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&end) && *fields.get(3)? == "0A";
        listens.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_this_process_is_found_with_its_process_id() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let who = of(listener.local_addr().unwrap()).unwrap();
        assert!(
            who.ends_with(&format!(", process {}", std::process::id())),
            "{who}"
        );
    }
}
