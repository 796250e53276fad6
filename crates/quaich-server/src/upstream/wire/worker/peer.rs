//! The workers that are up: their doorbells, and the sockets over which descriptors travel.
//!
//! A socket's end is the first news of a worker's death, before the supervisor has reaped it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::sync::atomic::Ordering;

use quaich_proto::worker::layout::Slot;
use quaich_proto::worker::link::{Message, SIZE};
use quaich_proto::worker::queue;
use quaich_proto::worker::region::Region;
use quaich_proto::worker::state::{Generation, Owner};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

use super::AppChannel;
use super::desk::Use;
use crate::watch::readable as watch;

#[derive(Debug)]
struct Peer {
    id: u32,
    socket: Rc<AsyncFd<OwnedFd>>,
    doorbells: Vec<OwnedFd>,
    /// Its threads in the sleepers bitmap.
    word: usize,
    mask: u64,
    receiver: AbortHandle,
}

#[derive(Debug)]
pub(super) struct Peers {
    list: Vec<Peer>,
    /// Per word of the sleepers bitmap: the threads of workers that are up. Nothing else that a
    /// worker may have written there counts.
    known: Vec<u64>,
    threads: usize,
}

/// Takes a worker in and starts to listen to its socket.
pub(super) fn attach(
    channel: &Rc<AppChannel>,
    id: u32,
    socket: OwnedFd,
    doorbells: Vec<OwnedFd>,
) -> io::Result<()> {
    let layout = *channel.region().layout();
    let seat = layout.seat(id);
    let mut peers = channel.peers.borrow_mut();
    let taken = peers.list.iter().any(|peer| layout.seat(peer.id) == seat);
    if taken || doorbells.is_empty() || doorbells.len() > layout.threads() {
        let message = "a worker's seat is taken, or its doorbells do not match the layout";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    rustix::io::ioctl_fionbio(&socket, true)?;
    let socket = Rc::new(watch(socket)?);
    let receiver = listen(Rc::downgrade(channel), id, Rc::clone(&socket));
    let receiver = tokio::task::spawn_local(receiver).abort_handle();
    let (word, bit) = layout.sleeper_bit(id, 0);
    let mask = (u64::MAX >> (64 - doorbells.len())) << bit;
    if let Some(known) = peers.known.get_mut(word) {
        *known |= mask;
    }
    peers.threads += doorbells.len();
    peers.list.push(Peer {
        id,
        socket,
        doorbells,
        word,
        mask,
        receiver,
    });
    Ok(())
}

impl Peers {
    pub(super) fn new(words: usize) -> Self {
        Self {
            list: Vec::new(),
            known: vec![0; words],
            threads: 0,
        }
    }

    pub(super) fn remove(&mut self, id: u32, region: &Region) {
        let Some(place) = self.list.iter().position(|peer| peer.id == id) else {
            return;
        };
        let peer = self.list.swap_remove(place);
        peer.receiver.abort();
        self.threads -= peer.doorbells.len();
        if let Some(known) = self.known.get_mut(peer.word) {
            *known &= !peer.mask;
        }
        region
            .sleepers(peer.word)
            .fetch_and(!peer.mask, Ordering::SeqCst);
    }

    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    /// Threads of all workers.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    pub(super) fn is_up(&self, id: u32) -> bool {
        self.list.iter().any(|peer| peer.id == id)
    }

    pub(super) fn idle(&self, region: &Region) -> u64 {
        let idle = |(word, known): (usize, &u64)| {
            u64::from((region.sleepers(word).load(Ordering::Relaxed) & known).count_ones())
        };
        self.known.iter().enumerate().map(idle).sum()
    }

    /// Comes after a full barrier when it follows a push.
    pub(super) fn any_sleeps(&self, region: &Region) -> bool {
        let mut known = self.known.iter().enumerate();
        known.any(|(word, known)| region.sleepers(word).load(Ordering::Relaxed) & known != 0)
    }

    /// Wakes a thread of a process that does nothing at all; whether there was one.
    pub(super) fn ring_idle_process(&self, region: &Region) -> bool {
        self.list.iter().any(|peer| {
            let asleep = region.sleepers(peer.word).load(Ordering::Relaxed);
            asleep & peer.mask == peer.mask && peer.wake(region)
        })
    }

    /// Wakes any thread that sleeps; whether there was one.
    pub(super) fn ring_any(&self, region: &Region) -> bool {
        self.list.iter().any(|peer| peer.wake(region))
    }

    /// The longest of the workers' smoothed service times, nanoseconds.
    pub(super) fn slowest(&self, region: &Region) -> u64 {
        let service = |peer: &Peer| {
            let threads = 0..peer.doorbells.len();
            let times = threads.map(|n| region.service(peer.id, n).load(Ordering::Relaxed));
            times.max().unwrap_or(0)
        };
        self.list.iter().map(service).max().unwrap_or(0)
    }

    /// Rings a thread that waits for room.
    pub(super) fn ring(&self, owner: Owner) {
        let peer = self.list.iter().find(|peer| peer.id == owner.worker);
        if let Some(doorbell) = peer.and_then(|peer| peer.doorbells.get(usize::from(owner.thread)))
        {
            ring(doorbell);
        }
    }

    /// Rings every thread of a worker.
    pub(super) fn ring_all(&self, id: u32) {
        let doorbells = self.list.iter().filter(|peer| peer.id == id);
        doorbells.flat_map(|peer| &peer.doorbells).for_each(ring);
    }

    fn socket(&self, id: u32) -> Option<Rc<AsyncFd<OwnedFd>>> {
        let peer = self.list.iter().find(|peer| peer.id == id)?;
        Some(Rc::clone(&peer.socket))
    }
}

impl Peer {
    /// Wakes its first sleeping thread; whether there was one.
    fn wake(&self, region: &Region) -> bool {
        let asleep = region.sleepers(self.word).load(Ordering::Relaxed) & self.mask;
        if asleep == 0 {
            return false;
        }
        let thread = asleep.trailing_zeros() - self.mask.trailing_zeros();
        let owner = Owner {
            worker: self.id,
            thread: thread as u8,
        };
        let won = queue::wake_up(region, owner);
        if won && let Some(doorbell) = self.doorbells.get(thread as usize) {
            ring(doorbell);
        }
        won
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.receiver.abort();
    }
}

/// A full counter has rung already.
fn ring(doorbell: &OwnedFd) {
    let _ = rustix::io::write(doorbell, &1u64.to_ne_bytes());
}

async fn listen(channel: Weak<AppChannel>, id: u32, socket: Rc<AsyncFd<OwnedFd>>) {
    loop {
        let Ok(mut ready) = socket.readable().await else {
            return;
        };
        let Some(channel) = channel.upgrade() else {
            return;
        };
        match channel.receive_from(id, socket.as_fd()) {
            Errno::AGAIN => ready.clear_ready(),
            _ => return channel.worker_gone(id),
        }
    }
}

impl AppChannel {
    /// Takes in what a worker has sent so far; an end is left to the listening task.
    pub(super) fn receive(&self, id: u32) {
        let socket = self.peers.borrow().socket(id);
        if let Some(socket) = socket {
            self.receive_from(id, socket.as_fd());
        }
    }

    /// Receives until there is no more, and says why: `AGAIN`, or anything else for the end.
    fn receive_from(&self, id: u32, socket: BorrowedFd<'_>) -> Errno {
        loop {
            let mut bytes = [0; SIZE];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let got = match recvmsg(socket, &mut parts, &mut control, flags) {
                Ok(got) if got.bytes == 0 => return Errno::PIPE,
                Ok(got) => got.bytes,
                Err(Errno::INTR) => continue,
                Err(error) => return error,
            };
            let fd = control.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                _ => None,
            });
            let told = match bytes.get(..got).and_then(Message::decode) {
                Some(Message::WantBody(slot, of)) => self.send_body(id, socket, slot, of),
                Some(Message::File(slot, of)) => self.keep_file(id, slot, of, fd),
                _ => Err("no message that a worker sends"),
            };
            if let Err(why) = told {
                self.lied(id, why);
            }
        }
    }

    /// The slot, if that worker runs that use of it for this thread.
    fn run_by(&self, id: u32, slot: u16, generation: Generation) -> Option<Slot> {
        let slot = self.region().layout().slot(slot.into())?;
        let called = self.desk(slot).usage() == Use::Called(generation);
        let owner = self.owner(slot, generation)?;
        (called && owner.worker == id).then_some(slot)
    }

    fn send_body(
        &self,
        id: u32,
        socket: BorrowedFd<'_>,
        number: u16,
        generation: Generation,
    ) -> Result<(), &'static str> {
        let slot = self.run_by(id, number, generation);
        let body = slot.and_then(|slot| self.desk(slot).body());
        let fds: Vec<BorrowedFd<'_>> = body.iter().map(|body| body.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&fds));
        }
        let bytes = Message::Body(number, generation).encode();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, flags) {
            // Dead: its end is noticed by the next receive.
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(_) => Err("asks for bodies that it does not take"),
        }
    }

    fn keep_file(
        &self,
        id: u32,
        number: u16,
        generation: Generation,
        fd: Option<OwnedFd>,
    ) -> Result<(), &'static str> {
        let fd = fd.ok_or("file message without a descriptor")?;
        // Gone requests are no lie: the message was under way.
        let Some(slot) = self.run_by(id, number, generation) else {
            return Ok(());
        };
        let kept = self.desk(slot).put_file(fd);
        if kept {
            Ok(())
        } else {
            Err("too many descriptors for one request")
        }
    }
}
