//! A datagram socket, over UDP or of the file system.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, getsockname};
use tokio::net::{UdpSocket, UnixDatagram};

/// A bound socket.
#[derive(Debug)]
pub(super) enum Datagrams {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

/// Who sent a datagram: an address, or a program of this machine over a socket file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender(Option<SocketAddr>);

impl Sender {
    /// The address, if it came over UDP.
    pub(super) fn addr(self) -> Option<SocketAddr> {
        self.0
    }

    /// Whether it is on this machine.
    pub(super) fn is_near(self) -> bool {
        self.0
            .is_none_or(|addr| addr.ip().to_canonical().is_loopback())
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(addr) => addr.fmt(f),
            None => f.write_str("a unix socket"),
        }
    }
}

impl Datagrams {
    /// Takes over a bound socket.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        match getsockname(&fd)?.address_family() {
            AddressFamily::UNIX => UnixDatagram::from_std(fd.into()).map(Self::Unix),
            _ => UdpSocket::from_std(fd.into()).map(Self::Udp),
        }
    }

    /// Waits for a datagram. One that is longer than `buffer` is cut.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Sender)> {
        match self {
            Self::Udp(socket) => {
                let (length, from) = socket.recv_from(buffer).await?;
                Ok((length, Sender(Some(from))))
            }
            Self::Unix(socket) => Ok((socket.recv(buffer).await?, Sender(None))),
        }
    }

    /// A datagram that has come already.
    pub(super) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Sender)> {
        match self {
            Self::Udp(socket) => {
                let (length, from) = socket.try_recv_from(buffer)?;
                Ok((length, Sender(Some(from))))
            }
            Self::Unix(socket) => Ok((socket.try_recv(buffer)?, Sender(None))),
        }
    }

    /// Sends an acknowledgement, if that is possible at once. Nobody relies on it.
    pub(super) fn acknowledge(&self, to: &str, text: &[u8]) {
        match (self, to.parse::<SocketAddr>()) {
            (Self::Udp(socket), Ok(to)) => drop(socket.try_send_to(text, to)),
            (_, Ok(_)) => {}
            (_, Err(_)) => {
                if let Ok(socket) = UnixDatagram::unbound() {
                    drop(socket.try_send_to(text, to));
                }
            }
        }
    }
}
