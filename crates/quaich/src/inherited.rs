#![allow(unsafe_code)]
//! Descriptors that were open when the program started: by number, from systemd, from our parent.
//!
//! Called at start only, before anything else could have opened the same number.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// A close-on-exec copy of descriptor `number`; an error when it is not open.
pub(crate) fn take(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the number is not -1, and it is borrowed for one call, which fails cleanly when
    // nothing is open there.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(rustix::io::fcntl_dupfd_cloexec(borrowed, 3)?)
}

/// The descriptor that systemd passed under `name` (`LISTEN_FDS`, `LISTEN_FDNAMES`).
pub(crate) fn from_systemd(name: &str) -> Result<OwnedFd, String> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let index = systemd_index(
        name,
        std::process::id(),
        &variable("LISTEN_PID"),
        &variable("LISTEN_FDS"),
        &variable("LISTEN_FDNAMES"),
    )?;
    take(3 + index).map_err(|error| format!("descriptor {}: {error}", 3 + index))
}

fn systemd_index(
    name: &str,
    own: u32,
    pid: &str,
    count: &str,
    names: &str,
) -> Result<RawFd, String> {
    let count: usize = count.parse().unwrap_or(0);
    if pid.parse() != Ok(own) || count == 0 {
        return Err("systemd passed no sockets; start it through its .socket unit".into());
    }
    let names: Vec<&str> = names.split(':').take(count).collect();
    let index = names.iter().position(|known| *known == name);
    let index = index.ok_or_else(|| format!("systemd passed only {}", names.join(", ")))?;
    RawFd::try_from(index).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_systemd_is_found_by_its_name() {
        assert_eq!(systemd_index("b", 7, "7", "2", "a:b"), Ok(1));
        assert_eq!(
            systemd_index("c", 7, "7", "2", "a:b:c"),
            Err("systemd passed only a, b".into())
        );
    }

    #[test]
    fn sockets_for_another_process_are_not_taken() {
        assert!(systemd_index("a", 7, "8", "1", "a").is_err());
        assert!(systemd_index("a", 7, "", "", "").is_err());
    }
}
