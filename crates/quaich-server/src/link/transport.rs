//! Frames with descriptors over a unix stream socket: one blocking end, one tokio end.
//!
//! Called by `link`'s users only. A frame is `u32 length, u32 descriptors` (little endian) and
//! JSON. Descriptors ride on the frame's first bytes, at most [`FDS_PER_BYTE`] on each; they arrive
//! in order and never later than the last byte, so a count is all that ties them to their frame.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Linux takes 253 in one message (`SCM_MAX_FD`).
const FDS_PER_BYTE: usize = 250;
/// Length and descriptor count.
const HEADER: usize = 8;
/// Longest frame that is believed; a configuration of thousands of sites is a few MiB.
const MAX_FRAME: usize = 64 << 20;
/// Every byte of a header may carry descriptors.
const MAX_FDS: usize = FDS_PER_BYTE * HEADER;
const READ_CHUNK: usize = 64 << 10;

/// A received message and its descriptors; `None` when the other end is closed between frames.
pub type Received<M> = io::Result<Option<(M, Vec<OwnedFd>)>>;

/// The blocking end.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
    incoming: Incoming,
}

impl Link {
    /// `socket` is a connected, blocking unix stream socket.
    pub fn new(socket: OwnedFd) -> Link {
        Link {
            socket,
            incoming: Incoming::default(),
        }
    }

    /// Writes one message. Blocks while the other end does not read.
    pub fn send<M: Serialize>(&self, message: &M, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut frame = Outgoing::new(message, fds.len())?;
        while !frame.step(self.socket.as_fd(), fds)? {}
        Ok(())
    }

    /// Waits for the next message.
    pub fn recv<M: DeserializeOwned>(&mut self) -> Received<M> {
        loop {
            if let Some(found) = self.incoming.take()? {
                return Ok(Some(found));
            }
            if !self.incoming.step(self.socket.as_fd())? {
                return self.incoming.end();
            }
        }
    }

    /// The tokio end of the same socket, in halves; nothing that was received is lost. Must be
    /// called inside a runtime with I/O enabled.
    pub fn into_async(self) -> io::Result<(LinkReader, LinkWriter)> {
        rustix::io::ioctl_fionbio(&self.socket, true)?;
        let socket = Arc::new(UnixStream::from_std(self.socket.into())?);
        let reader = LinkReader {
            socket: socket.clone(),
            incoming: self.incoming,
        };
        Ok((reader, LinkWriter { socket }))
    }
}

/// The receiving half of a tokio end.
#[derive(Debug)]
pub struct LinkReader {
    socket: Arc<UnixStream>,
    incoming: Incoming,
}

impl LinkReader {
    /// Waits for the next message. Cancel-safe: a dropped future loses nothing.
    pub async fn recv<M: DeserializeOwned>(&mut self) -> Received<M> {
        loop {
            if let Some(found) = self.incoming.take()? {
                return Ok(Some(found));
            }
            let socket = &self.socket;
            let step = || self.incoming.step(socket.as_fd());
            if !socket.async_io(Interest::READABLE, step).await? {
                return self.incoming.end();
            }
        }
    }
}

/// The sending half of a tokio end.
#[derive(Debug)]
pub struct LinkWriter {
    socket: Arc<UnixStream>,
}

impl LinkWriter {
    /// Writes one message. Not cancel-safe: a future that is dropped half-way leaves half a frame.
    pub async fn send<M: Serialize>(
        &mut self,
        message: &M,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let mut frame = Outgoing::new(message, fds.len())?;
        let socket = &self.socket;
        while !socket
            .async_io(Interest::WRITABLE, || frame.step(socket.as_fd(), fds))
            .await?
        {}
        Ok(())
    }
}

/// One frame on its way out.
struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
    fds_sent: usize,
}

impl Outgoing {
    fn new<M: Serialize>(message: &M, fds: usize) -> io::Result<Outgoing> {
        let mut bytes = vec![0; HEADER];
        serde_json::to_writer(&mut bytes, message)?;
        let length = bytes.len() - HEADER;
        if length > MAX_FRAME || fds > MAX_FDS {
            return Err(invalid("message is too large for the link"));
        }
        bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
        bytes[4..HEADER].copy_from_slice(&(fds as u32).to_le_bytes());
        Ok(Outgoing {
            bytes,
            written: 0,
            fds_sent: 0,
        })
    }

    /// One `sendmsg`; true when the frame has left completely.
    fn step(&mut self, socket: BorrowedFd<'_>, fds: &[BorrowedFd<'_>]) -> io::Result<bool> {
        let riding = &fds[self.fds_sent..(self.fds_sent + FDS_PER_BYTE).min(fds.len())];
        let more_fds = self.fds_sent + riding.len() < fds.len();
        let end = if more_fds {
            self.written + 1
        } else {
            self.bytes.len()
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_PER_BYTE))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !riding.is_empty() && !control.push(SendAncillaryMessage::ScmRights(riding)) {
            return Err(invalid("too many descriptors in one message"));
        }
        let part = [IoSlice::new(&self.bytes[self.written..end])];
        self.written += retry(|| sendmsg(socket, &part, &mut control, SendFlags::NOSIGNAL))?;
        self.fds_sent += riding.len();
        Ok(self.written == self.bytes.len())
    }
}

/// Bytes and descriptors that have arrived and belong to no returned message yet.
#[derive(Debug, Default)]
struct Incoming {
    bytes: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Incoming {
    /// One `recvmsg`; false at the end of the stream.
    fn step(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        let filled = self.bytes.len();
        self.bytes.resize(filled + READ_CHUNK, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_PER_BYTE))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut part = [IoSliceMut::new(&mut self.bytes[filled..])];
        let got = retry(|| recvmsg(socket, &mut part, &mut control, RecvFlags::CMSG_CLOEXEC));
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                self.fds.extend(received);
            }
        }
        self.bytes
            .truncate(filled + got.as_ref().map_or(0, |got| got.bytes));
        let got = got?;
        if got.flags.contains(ReturnFlags::CTRUNC) || self.fds.len() > MAX_FDS + FDS_PER_BYTE {
            return Err(invalid("descriptors were lost: too many are open"));
        }
        Ok(got.bytes > 0)
    }

    /// The next complete message, if there is one.
    fn take<M: DeserializeOwned>(&mut self) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
        let Some((length, fds)) = self.header() else {
            return Ok(None);
        };
        if length > MAX_FRAME || fds > MAX_FDS {
            return Err(invalid("frame header is out of bounds"));
        }
        let Some(json) = self.bytes.get(HEADER..HEADER + length) else {
            return Ok(None);
        };
        if self.fds.len() < fds {
            return Err(invalid("descriptors are missing"));
        }
        let message = serde_json::from_slice(json)?;
        self.bytes.drain(..HEADER + length);
        Ok(Some((message, self.fds.drain(..fds).collect())))
    }

    fn header(&self) -> Option<(usize, usize)> {
        let (length, rest) = self.bytes.split_first_chunk::<4>()?;
        let fds = rest.first_chunk::<4>()?;
        Some((
            u32::from_le_bytes(*length) as usize,
            u32::from_le_bytes(*fds) as usize,
        ))
    }

    fn end<T>(&self) -> io::Result<Option<T>> {
        if self.bytes.is_empty() {
            Ok(None)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    fn pair() -> (Link, Link) {
        let flags = SocketFlags::CLOEXEC;
        let (a, b) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        (Link::new(a), Link::new(b))
    }

    fn memory(content: &[u8]) -> OwnedFd {
        let fd = rustix::fs::memfd_create("t", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::io::write(&fd, content).unwrap();
        fd
    }

    fn content(fd: &OwnedFd) -> Vec<u8> {
        let mut bytes = [0; 64];
        let n = rustix::io::pread(fd, &mut bytes, 0).unwrap();
        bytes[..n].to_vec()
    }

    #[test]
    fn descriptors_arrive_with_their_own_message_and_in_order() {
        let (a, mut b) = pair();
        let owned: Vec<_> = (0..600)
            .map(|n| memory(format!("{n}").as_bytes()))
            .collect();
        let writer = std::thread::spawn(move || {
            a.send(&"none", &[]).unwrap();
            a.send(
                &"many",
                &owned.iter().map(|fd| fd.as_fd()).collect::<Vec<_>>(),
            )
            .unwrap();
            a.send(&"two", &[owned[7].as_fd(), owned[8].as_fd()])
                .unwrap();
        });
        let (name, got) = b.recv::<String>().unwrap().unwrap();
        assert_eq!((name.as_str(), got.len()), ("none", 0));
        let (name, got) = b.recv::<String>().unwrap().unwrap();
        assert_eq!((name.as_str(), got.len()), ("many", 600));
        for (n, fd) in got.iter().enumerate() {
            assert_eq!(content(fd), format!("{n}").into_bytes());
        }
        let (name, got) = b.recv::<String>().unwrap().unwrap();
        assert_eq!((name.as_str(), content(&got[0])), ("two", b"7".to_vec()));
        writer.join().unwrap();
        assert!(
            b.recv::<String>().unwrap().is_none(),
            "closed between frames"
        );
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_an_error() {
        let (a, mut b) = pair();
        rustix::io::write(&a.socket, &[200, 0, 0, 0, 0, 0, 0, 0, b'"']).unwrap();
        drop(a);
        assert_eq!(
            b.recv::<String>().unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[test]
    fn an_impossible_header_is_refused_without_reading_on() {
        let (a, mut b) = pair();
        rustix::io::write(&a.socket, &[0xff; 8]).unwrap();
        assert_eq!(
            b.recv::<String>().unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[tokio::test]
    async fn the_tokio_ends_carry_messages_larger_than_the_socket_buffer() {
        let (a, b) = pair();
        let (mut reader, _) = b.into_async().unwrap();
        let (_, mut writer) = a.into_async().unwrap();
        let big = "x".repeat(3 << 20);
        let fd = memory(b"region");
        let fds = [fd.as_fd()];
        let (sent, got) = tokio::join!(writer.send(&big, &fds), reader.recv::<String>());
        sent.unwrap();
        let (text, fds) = got.unwrap().unwrap();
        assert!(text == big);
        assert_eq!(content(&fds[0]), b"region");
    }
}
