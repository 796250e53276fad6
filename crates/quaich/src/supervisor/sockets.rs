//! Binds every listener before anything else starts, and says clearly why one cannot be bound.
//!
//! The supervisor keeps the sockets open for its whole life, so that no death of a front loses a
//! connection that waits in a backlog.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use quaich_config::model::{ListenAddr, Listener, OtherProtocol, Server};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, getsockname, listen, socket_with,
    sockopt,
};

use super::holder;
use crate::exit::{Code, Failure};
use crate::inherited;

/// One address that is listened on.
#[derive(Debug)]
pub(crate) struct Bound {
    /// One for each front thread, or one for all.
    pub(crate) sockets: Vec<OwnedFd>,
    /// For people: a URL where there is one.
    pub(crate) shown: String,
    /// The listener's name in the configuration.
    pub(crate) name: String,
    /// Removed at the end.
    file: Option<PathBuf>,
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // Somebody may have removed it before us.
            let _ = fs::remove_file(file);
        }
    }
}

/// Binds all, or none.
pub(crate) fn bind_all(server: &Server) -> Result<Vec<Bound>, Failure> {
    server
        .listeners
        .iter()
        .map(|listener| bind_one(listener, server))
        .collect()
}

fn bind_one(listener: &Listener, server: &Server) -> Result<Bound, Failure> {
    let name = listener.name.clone();
    match &listener.addr {
        ListenAddr::Tcp(addr) => {
            let (sockets, local) = tcp(*addr, server).map_err(|error| explain(*addr, &error))?;
            Ok(Bound {
                sockets,
                shown: url(local, listener),
                name,
                file: None,
            })
        }
        ListenAddr::Unix(path) => unix(path, listener.mode, server, name),
        ListenAddr::Fd(number) => {
            let socket = inherited::take(*number).map_err(|error| error.to_string());
            adopt(socket, format!("fd:{number}"), listener)
        }
        ListenAddr::Systemd(unit) => adopt(
            inherited::from_systemd(unit),
            format!("systemd:{unit}"),
            listener,
        ),
    }
}

fn tcp(addr: SocketAddr, server: &Server) -> io::Result<(Vec<OwnedFd>, SocketAddr)> {
    let count = if server.reuse_port {
        server.threads.max(1)
    } else {
        1
    };
    match tcp_sockets(addr, count, server.backlog) {
        // A machine without IPv6: all addresses then means all of IPv4.
        Err(error)
            if addr.ip() == IpAddr::from([0u16; 8])
                && error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) =>
        {
            let addr = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
            tcp_sockets(addr, count, server.backlog)
        }
        result => result,
    }
}

fn tcp_sockets(
    addr: SocketAddr,
    count: usize,
    backlog: u32,
) -> io::Result<(Vec<OwnedFd>, SocketAddr)> {
    let first = tcp_socket(addr)?;
    bind(&first, &addr)?;
    let local = SocketAddr::try_from(getsockname(&first)?)?;
    let mut sockets = vec![first];
    if count > 1 {
        // The first bind was made without SO_REUSEPORT and is undone: it would have shown another
        // server on this port, which one with the option does not when it runs as the same user.
        sockets.clear();
        for _ in 0..count {
            let socket = tcp_socket(local)?;
            sockopt::set_socket_reuseport(&socket, true)?;
            bind(&socket, &local)?;
            sockets.push(socket);
        }
    }
    for socket in &sockets {
        listen(socket, i32::try_from(backlog).unwrap_or(i32::MAX))?;
    }
    Ok((sockets, local))
}

fn tcp_socket(addr: SocketAddr) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let socket = stream(family)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    // Accepted connections take this over.
    sockopt::set_tcp_nodelay(&socket, true)?;
    // A tunnel has no deadline: without this, one whose client has vanished would stay for ever.
    sockopt::set_socket_keepalive(&socket, true)?;
    if addr.ip().is_loopback() {
        // There is no network whose congestion could be controlled, and a system-wide choice that
        // paces what is sent (BBR) costs about 1 µs a message in timers. Any kernel has Reno.
        let _ = sockopt::set_tcp_congestion(&socket, "reno");
    }
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !addr.ip().is_unspecified())?;
    }
    Ok(socket)
}

fn stream(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(family, SocketType::STREAM, flags, None)?)
}

fn unix(path: &Path, mode: u32, server: &Server, name: String) -> Result<Bound, Failure> {
    let shown = format!("unix:{}", path.display());
    let failed = |error: &io::Error| {
        let failure = Failure::new(Code::Bind, format!("cannot bind {shown}: {error}"));
        match error.kind() {
            io::ErrorKind::NotFound => failure.cure("make the folder of the socket first"),
            io::ErrorKind::AddrInUse => failure.cure("stop the program that listens there"),
            _ => failure,
        }
    };
    let socket = unix_socket(path, mode, server.backlog).map_err(|error| failed(&error))?;
    let file = (!is_abstract(path)).then(|| path.to_owned());
    Ok(Bound {
        sockets: vec![socket],
        shown: shown.clone(),
        name,
        file,
    })
}

/// A listening unix socket. A file that a dead server left is replaced; one of a live server, or
/// a file that is no socket, is an error. The mode is set before anybody can connect.
pub(super) fn unix_socket(path: &Path, mode: u32, backlog: u32) -> io::Result<OwnedFd> {
    let socket = stream(AddressFamily::UNIX)?;
    if is_abstract(path) {
        let name = path
            .as_os_str()
            .as_encoded_bytes()
            .get(1..)
            .unwrap_or_default();
        bind(&socket, &SocketAddrUnix::new_abstract_name(name)?)?;
    } else {
        remove_stale(path)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    listen(&socket, i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

fn is_abstract(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().first() == Some(&b'@')
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file is in its place",
        ));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) => Err(error),
    }
}

fn adopt(
    socket: Result<OwnedFd, String>,
    shown: String,
    listener: &Listener,
) -> Result<Bound, Failure> {
    let wrong = |why: String| Failure::new(Code::Bind, format!("cannot use {shown}: {why}"));
    let socket = socket.map_err(wrong)?;
    if !sockopt::socket_acceptconn(&socket).unwrap_or(false) {
        return Err(wrong("it is not a listening socket".into()));
    }
    rustix::io::ioctl_fionbio(&socket, true).map_err(|error| wrong(error.to_string()))?;
    let local = getsockname(&socket)
        .ok()
        .and_then(|addr| SocketAddr::try_from(addr).ok());
    if local.is_some() {
        // A unix socket has no such options, and a TCP socket works without.
        let _ = sockopt::set_tcp_nodelay(socket.as_fd(), true);
        let _ = sockopt::set_socket_keepalive(socket.as_fd(), true);
    }
    let shown = local.map(|local| url(local, listener)).unwrap_or(shown);
    Ok(Bound {
        sockets: vec![socket],
        shown,
        name: listener.name.clone(),
        file: None,
    })
}

/// What a browser on this machine can open, or where a web server may connect to.
fn url(addr: SocketAddr, listener: &Listener) -> String {
    let (scheme, usual) = match listener.other {
        None if listener.tls => ("https", 443),
        None => ("http", 80),
        Some(OtherProtocol::Uwsgi) => ("uwsgi", 0),
        Some(OtherProtocol::FastCgi) => ("fastcgi", 0),
        Some(OtherProtocol::Scgi) => ("scgi", 0),
        Some(OtherProtocol::Tcp { .. }) if listener.tls => ("tls", 0),
        Some(OtherProtocol::Tcp { .. }) => ("tcp", 0),
    };
    let port = match addr.port() {
        port if port == usual => String::new(),
        port => format!(":{port}"),
    };
    match addr.ip() {
        ip if ip.is_unspecified() => format!("{scheme}://localhost{port} (all addresses)"),
        IpAddr::V6(ip) => format!("{scheme}://[{ip}]{port}"),
        IpAddr::V4(ip) => format!("{scheme}://{ip}{port}"),
    }
}

fn explain(addr: SocketAddr, error: &io::Error) -> Failure {
    let cannot = |why: String| Failure::new(Code::Bind, format!("cannot bind {addr}: {why}"));
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let who = holder::of(addr)
                .map(|who| format!(" ({who})"))
                .unwrap_or_default();
            let other = SocketAddr::new(addr.ip(), addr.port().wrapping_add(1).max(1024));
            cannot(format!("another program listens there{who}"))
                .cure(format!("stop it, or take another address: --bind {other}"))
        }
        io::ErrorKind::PermissionDenied => cannot("the port needs a privilege".into()).cure(
            "ports below 1024 need root or CAP_NET_BIND_SERVICE; start as root with `user` set, \
             or take a port above 1023",
        ),
        io::ErrorKind::AddrNotAvailable => cannot("this machine has no such address".into())
            .cure("`ip addr` lists its addresses; `:PORT` means all of them"),
        _ => cannot(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
