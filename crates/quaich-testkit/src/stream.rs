//! What the raw client speaks over: TCP, a unix socket, TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;

use crate::tls::TlsStream;

/// A connection of a client.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream>),
}

impl Stream {
    pub(crate) fn as_read(&mut self) -> &mut dyn Read {
        match self {
            Self::Tcp(s) => s,
            Self::Unix(s) => s,
            Self::Tls(s) => s,
        }
    }

    pub(crate) fn as_write(&mut self) -> &mut dyn Write {
        match self {
            Self::Tcp(s) => s,
            Self::Unix(s) => s,
            Self::Tls(s) => s,
        }
    }

    #[track_caller]
    pub(crate) fn local_addr(&self) -> SocketAddr {
        let addr = match self {
            Self::Tcp(s) => s.local_addr(),
            Self::Tls(s) => s.sock.local_addr(),
            Self::Unix(_) => panic!("a unix socket has no such address"),
        };
        addr.expect("a connected socket has an address")
    }
}
