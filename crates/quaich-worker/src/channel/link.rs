//! The socket to one front thread, shared by the threads of a worker: descriptors both ways.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use quaich_proto::worker::layout::Slot;
use quaich_proto::worker::link::{Message, SIZE};
use quaich_proto::worker::state::Generation;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    /// Held from question to answer.
    asking: Mutex<()>,
}

impl Link {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, false)?;
        Ok(Self {
            socket,
            asking: Mutex::new(()),
        })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The body file of a running request.
    pub(super) fn ask_body(&self, slot: Slot, generation: Generation) -> io::Result<OwnedFd> {
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        self.send(Message::want_body(slot, generation), None)?;
        let mut bytes = [0; SIZE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = loop {
            match recvmsg(&self.socket, &mut parts, &mut control, flags) {
                Err(rustix::io::Errno::INTR) => {}
                got => break got?.bytes,
            }
        };
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let expected = Message::Body(slot.index() as u16, generation);
        match (bytes.get(..got).and_then(Message::decode), fd) {
            (Some(message), Some(fd)) if message == expected => Ok(fd),
            _ => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Hands the front the descriptor of an answer's file.
    pub(super) fn give_file(
        &self,
        slot: Slot,
        generation: Generation,
        file: BorrowedFd<'_>,
    ) -> io::Result<()> {
        self.send(Message::file(slot, generation), Some(file))
    }

    fn send(&self, message: Message, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let bytes = message.encode();
        let fds: &[BorrowedFd<'_>] = fd.as_slice();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(fds));
        }
        let parts = [IoSlice::new(&bytes)];
        loop {
            match sendmsg(&self.socket, &parts, &mut control, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                sent => return sent.map(drop).map_err(io::Error::from),
            }
        }
    }
}
