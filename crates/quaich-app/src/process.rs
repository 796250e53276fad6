#![allow(unsafe_code)]
//! Starts one child process of the tree: its descriptors, its user, its tie to the supervisor.
//!
//! Called for workers by `worker` and for the front by the supervisor. The child must never keep a
//! descriptor beyond 0-3, never outlive the supervisor, and never get a terminal's signals.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::Pid;

use crate::identity::Identity;

/// Where a child finds its control socket.
pub const CONTROL_FD: RawFd = 3;
const FIRST_OTHER_FD: u32 = 4;

/// Starts `command` in a process group of its own, with `control` as descriptor 3 and null as
/// standard input; every other descriptor is closed at exec. The child dies when the calling
/// thread does: call this from the main thread only. The caller reaps it by its id.
pub fn spawn(
    mut command: Command,
    control: OwnedFd,
    identity: Option<&Identity>,
) -> io::Result<Pid> {
    command.stdin(Stdio::null()).process_group(0);
    if let Some(identity) = identity {
        command.uid(identity.uid).gid(identity.gid);
    }
    // Were descriptor 3 free, the pipe on which std reports a failed exec could get that number
    // and would be overwritten in the child.
    let _occupied = File::open("/dev/null")?;
    let parent = rustix::process::getpid();
    let control_fd = control.as_raw_fd();
    // SAFETY: the closure runs between fork and exec and makes system calls only.
    unsafe { command.pre_exec(move || prepare(parent, control_fd)) };
    let child = command.spawn()?;
    Ok(Pid::from_child(&child))
}

/// In the child, after the change of user: the kernel forgets a death signal at that change.
fn prepare(parent: Pid, control: RawFd) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    if rustix::process::getppid() != Some(parent) {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    // SAFETY: plain descriptor calls on numbers; `control` is open in the parent until after the
    // fork, and this process has one thread.
    unsafe {
        let done = if control == CONTROL_FD {
            libc::fcntl(control, libc::F_SETFD, 0)
        } else {
            libc::dup2(control, CONTROL_FD)
        };
        let flags = libc::CLOSE_RANGE_CLOEXEC;
        if done < 0 || libc::syscall(libc::SYS_close_range, FIRST_OTHER_FD, u32::MAX, flags) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{WaitOptions, waitpid};
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_child_has_its_control_socket_and_no_other_descriptor() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let leak = File::open("/dev/null").unwrap();
        rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
        let script = "test -e /proc/$$/fd/$0 && echo leaked >&3; echo end >&3";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, &leak.as_raw_fd().to_string()]);
        let pid = spawn(command, theirs.into(), None).unwrap();
        let mut text = String::new();
        ours.read_to_string(&mut text).unwrap();
        assert_eq!(text, "end\n");
        waitpid(Some(pid), WaitOptions::empty()).unwrap();
    }

    #[test]
    fn a_program_that_does_not_exist_is_reported_by_spawn() {
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let error = spawn(Command::new("/does/not/exist"), theirs.into(), None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
