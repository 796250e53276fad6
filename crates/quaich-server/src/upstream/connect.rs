//! Opens connections to servers.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use crate::socket::Socket;

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// Connects over TCP.
pub async fn tcp(addr: SocketAddr) -> io::Result<Socket> {
    let family = if addr.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let fd = net::socket_with(family, SocketType::STREAM, FLAGS, None)?;
    sockopt::set_tcp_nodelay(&fd, true)?;
    // A tunnel has no deadline: without this, one whose server has vanished would stay for ever.
    sockopt::set_socket_keepalive(&fd, true)?;
    if addr.ip().is_loopback() {
        unpace(&fd);
    }
    let pending = match net::connect(&fd, &addr) {
        Ok(()) => false,
        Err(rustix::io::Errno::INPROGRESS) => true,
        Err(error) => return Err(error.into()),
    };
    finish(Socket::new(fd)?, pending).await
}

/// Connects to a unix socket. A name that begins with `@` is abstract.
pub async fn unix(path: &Path) -> io::Result<Socket> {
    let fd = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
    let bytes = path.as_os_str().as_encoded_bytes();
    let addr = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddrUnix::new_abstract_name(name)?,
        None => SocketAddrUnix::new(path)?,
    };
    // A full backlog is EAGAIN here, not EINPROGRESS: the server has too much to do.
    net::connect(&fd, &addr)?;
    Socket::new(fd)
}

/// Congestion control has nothing to control where there is no network, and one that paces what it
/// sends (BBR) costs about 1 µs a message in timers. Connections over loopback go without.
fn unpace(fd: &OwnedFd) {
    // Any kernel has Reno; if it may not be chosen here, the default stays.
    let _ = sockopt::set_tcp_congestion(fd, "reno");
}

async fn finish(socket: Socket, pending: bool) -> io::Result<Socket> {
    if pending {
        poll_fn(|cx| socket.poll_writable(cx)).await?;
        match sockopt::socket_error(&socket)? {
            Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(socket)
}
