//! The control socket to one worker: whole packets, with descriptors on the way out.
//!
//! Owned by `worker`; the reading half runs as a task. A worker sends no descriptors: what it
//! attaches is closed unread.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use quaich_proto::worker::boot::{FromWorker, MAX_PACKET, ToWorker};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType, recv, sendmsg, socketpair,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Linux takes no more in one packet (`SCM_MAX_FD`).
const MAX_FDS: usize = 253;

/// The supervisor's end.
#[derive(Clone, Debug)]
pub struct Control {
    // Only readiness is used: reads and writes are made as packets by `rustix`.
    socket: Arc<UnixStream>,
}

impl Control {
    /// A connected pair; the second end is for the child.
    pub fn pair() -> io::Result<(Control, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let socket = Arc::new(UnixStream::from_std(ours.into())?);
        Ok((Control { socket }, theirs))
    }

    /// Sends one message without waiting: a worker that has not read so much that there is no room
    /// is stuck, and the error says so.
    pub fn send(&self, message: &ToWorker, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let packet = message.encode();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::other("too many descriptors for one packet"));
        }
        let part = [IoSlice::new(&packet)];
        sendmsg(
            self.socket.as_fd(),
            &part,
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }

    /// The next message; `None` when the worker has closed its end.
    pub async fn receive(&self) -> io::Result<Option<FromWorker>> {
        let mut packet = vec![0; MAX_PACKET];
        let read = || Ok(recv(self.socket.as_fd(), &mut packet[..], RecvFlags::empty())?.0);
        let length = match self.socket.async_io(Interest::READABLE, read).await {
            Ok(0) => return Ok(None),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error),
        };
        let message = FromWorker::decode(&packet[..length]);
        message
            .map(Some)
            .map_err(|_| io::Error::other("the worker sent no message of this build"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{RecvAncillaryBuffer, recvmsg};
    use std::io::IoSliceMut;

    #[tokio::test]
    async fn packets_pass_both_ways_and_a_closed_end_is_seen() {
        let (ours, theirs) = Control::pair().unwrap();
        let bye = FromWorker::Bye {
            requests: 3,
            reason: String::new(),
        };
        rustix::net::send(&theirs, &bye.encode(), SendFlags::empty()).unwrap();
        assert_eq!(ours.receive().await.unwrap(), Some(bye));

        let file = std::fs::File::open("/dev/null").unwrap();
        ours.send(
            &ToWorker::Attach {
                worker: 7,
                fronts: 1,
            },
            &[file.as_fd()],
        )
        .unwrap();
        let mut bytes = [0; 64];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut part = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = recvmsg(&theirs, &mut part, &mut control, flags).unwrap();
        assert_eq!(control.drain().count(), 1);
        assert_eq!(
            ToWorker::decode(&bytes[..got.bytes]),
            Ok(ToWorker::Attach {
                worker: 7,
                fronts: 1
            })
        );

        drop(theirs);
        assert_eq!(ours.receive().await.unwrap(), None);
    }
}
