//! Binds the sockets of `[subscribe]`, and opens its folder of keys.
//!
//! Like listeners, they stay open in the supervisor: what is announced while a front is replaced
//! waits in the socket.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr as IpSocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

use quaich_config::addr::show_listen;
use quaich_config::model::{ListenAddr, Subscribe};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::sockets::{is_abstract, remove_stale};
use crate::exit::{Code, Failure};

/// What `[subscribe]` needs of the machine.
#[derive(Debug)]
pub(crate) struct Doors {
    /// In the order of `listen`.
    pub(super) sockets: Vec<OwnedFd>,
    /// The folder of public keys.
    pub(super) keys: Option<OwnedFd>,
    /// Removed at the end.
    files: Vec<PathBuf>,
}

impl Drop for Doors {
    fn drop(&mut self) {
        for file in &self.files {
            // Somebody may have removed it before us.
            let _ = fs::remove_file(file);
        }
    }
}

impl Doors {
    /// Opens all, or none.
    pub(crate) fn open(settings: &Subscribe) -> Result<Self, Failure> {
        let keys = settings.key_dir.as_deref().map(open_keys).transpose()?;
        let mut doors = Self {
            sockets: Vec::new(),
            keys,
            files: Vec::new(),
        };
        for addr in &settings.listen {
            let shown = show_listen(addr);
            let bound = match addr {
                ListenAddr::Tcp(addr) => bind_udp(*addr),
                ListenAddr::Unix(path) => bind_unix(path),
                ListenAddr::Fd(_) | ListenAddr::Systemd(_) => {
                    Err(io::ErrorKind::Unsupported.into())
                }
            };
            let socket = bound.map_err(|error| {
                let message = format!("cannot bind {shown} for announcements: {error}");
                let failure = Failure::new(Code::Bind, message);
                match error.kind() {
                    io::ErrorKind::NotFound => failure.cure("make the folder of the socket first"),
                    io::ErrorKind::AddrInUse => failure.cure("stop the program that listens there"),
                    _ => failure,
                }
            })?;
            doors.sockets.push(socket);
            if let ListenAddr::Unix(path) = addr
                && !is_abstract(path)
            {
                doors.files.push(path.clone());
            }
        }
        Ok(doors)
    }
}

/// Instances may run as any user of the group.
const MODE: u32 = 0o660;

fn bind_udp(addr: IpSocketAddr) -> io::Result<OwnedFd> {
    match UdpSocket::bind(addr) {
        // A machine without IPv6: all addresses then means all of IPv4.
        Err(error)
            if addr.ip() == IpAddr::from([0u16; 8])
                && error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) =>
        {
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, addr.port())).map(OwnedFd::from)
        }
        bound => bound.map(OwnedFd::from),
    }
}

fn bind_unix(path: &Path) -> io::Result<OwnedFd> {
    if is_abstract(path) {
        let name = path.as_os_str().as_encoded_bytes();
        let addr = SocketAddr::from_abstract_name(name.get(1..).unwrap_or_default())?;
        return Ok(UnixDatagram::bind_addr(&addr)?.into());
    }
    remove_stale(path, |path| UnixDatagram::unbound()?.connect(path))?;
    let socket = UnixDatagram::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    Ok(socket.into())
}

/// The folder of public keys.
pub(super) fn open_keys(path: &Path) -> Result<OwnedFd, Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).map_err(|error| {
        let shown = path.display();
        let message = format!("the folder {shown} cannot be opened: {error}");
        Failure::new(Code::Config, message).cure("it is the `key_dir` of [subscribe]")
    })
}
