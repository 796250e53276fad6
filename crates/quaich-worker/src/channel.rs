//! The worker's end of the channel: takes requests, answers them, sleeps when there is nothing.
//!
//! The request threads call it; whatever may block is called with the GIL released. It knows
//! nothing of Python. A front that is gone closes the channel: every call then returns at once.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quaich_proto::worker::frame::{self, ErrorKind, FRAME_HEAD, Kind, MAX_HEAD, MAX_TEXT};
use quaich_proto::worker::layout::Slot;
use quaich_proto::worker::message::{RequestView, decode_request};
use quaich_proto::worker::queue;
use quaich_proto::worker::region::Region;
pub use quaich_proto::worker::ring::Gone;
use quaich_proto::worker::ring::RingWriter;
use quaich_proto::worker::state::{Generation, Owner, WORKER_MAX};

use self::clock::ServiceClock;
use self::link::Link;
use self::sleep::Bed;

mod clock;
mod fork;
mod link;
mod sleep;

/// Largest piece of body in one frame: a quarter of the ring keeps both ends moving.
const PIECE: usize = 16 * 1024;

/// What the supervisor hands over when a worker attaches to a front.
#[derive(Debug)]
pub struct ChannelFds {
    /// The app's memory file.
    pub region: OwnedFd,
    /// One eventfd per front thread.
    pub fronts: Vec<OwnedFd>,
    /// One eventfd per thread of this worker.
    pub own: Vec<OwnedFd>,
    /// One SEQPACKET socket per front thread.
    pub links: Vec<OwnedFd>,
}

/// One attachment to one front. Lives until the front or the worker goes.
#[derive(Debug)]
pub struct Channel {
    region: Region,
    worker: u32,
    fronts: Vec<OwnedFd>,
    own: Vec<OwnedFd>,
    links: Vec<Link>,
    closed: AtomicBool,
    stopping: AtomicBool,
}

impl Channel {
    /// Attaches as worker `worker_id`, an id from `Layout::next_worker_id`: no two workers that
    /// are attached at the same time may share a seat. The sockets become non-blocking.
    pub fn attach(fds: ChannelFds, worker_id: u32) -> io::Result<Arc<Self>> {
        let region = Region::map(&fds.region)?;
        let layout = *region.layout();
        let fits = fds.fronts.len() == layout.fronts()
            && fds.links.len() == layout.fronts()
            && (1..=layout.threads()).contains(&fds.own.len())
            && worker_id <= WORKER_MAX;
        if !fits {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "descriptors do not match the channel's layout",
            ));
        }
        fork::watch()?;
        let links = fds
            .links
            .into_iter()
            .map(Link::new)
            .collect::<io::Result<_>>()?;
        Ok(Arc::new(Self {
            region,
            worker: worker_id,
            fronts: fds.fronts,
            own: fds.own,
            links,
            closed: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }))
    }

    /// The end of one request thread. Each index may be asked for once.
    pub fn thread(self: &Arc<Self>, index: usize) -> io::Result<ThreadEnd> {
        let Some(doorbell) = self.own.get(index) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no such request thread",
            ));
        };
        let bed = Bed::new(doorbell.as_fd(), self.links.iter().map(Link::as_fd))?;
        let owner = Owner {
            worker: self.worker,
            thread: index as u8,
        };
        let shared = Shared {
            channel: Arc::clone(self),
            bed,
            owner,
            spare: Cell::default(),
        };
        Ok(ThreadEnd {
            shared: Rc::new(shared),
            clock: ServiceClock::default(),
        })
    }

    /// Whether the front is gone, or [`Channel::close`] was called.
    pub fn closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) || fork::forked()
    }

    /// Ends the attachment: every thread returns from what it waits for.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake_all();
    }

    /// Graceful stop: threads finish what they run and then claim nothing more.
    pub fn stop_taking(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake_all();
    }

    fn wake_all(&self) {
        for doorbell in &self.own {
            sleep::ring(doorbell);
        }
    }

    /// This thread may have been woken for a request that it does not take any more.
    fn pass_on(&self) {
        if self.closed() || !queue::waits(&self.region) {
            return;
        }
        for (front, doorbell) in self.fronts.iter().enumerate() {
            queue::nudge(&self.region, front);
            sleep::ring(doorbell);
        }
    }

    fn over(&self) -> bool {
        self.stopping.load(Ordering::Acquire) || self.closed()
    }

    fn announce(&self, front: usize, slot: Slot) {
        if queue::announce(&self.region, front, slot)
            && let Some(doorbell) = self.fronts.get(front)
        {
            sleep::ring(doorbell);
        }
    }

    fn announce_idle(&self) {
        for (front, doorbell) in self.fronts.iter().enumerate() {
            if queue::announce_idle(&self.region, front) {
                sleep::ring(doorbell);
            }
        }
    }
}

struct Shared {
    channel: Arc<Channel>,
    bed: Bed,
    owner: Owner,
    spare: Cell<Vec<u8>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

/// One request thread's end. Stays on its thread.
#[derive(Debug)]
pub struct ThreadEnd {
    shared: Rc<Shared>,
    clock: ServiceClock,
}

impl ThreadEnd {
    /// Takes the oldest waiting request, if there is one. Never blocks.
    pub fn try_claim(&mut self) -> Option<Call> {
        let shared = &self.shared;
        let region = &shared.channel.region;
        self.clock.idle(region, shared.owner);
        if shared.channel.over() {
            return None;
        }
        let (slot, generation) = queue::claim(region, shared.owner)?;
        self.clock.busy();
        Some(Call::new(Rc::clone(shared), slot, generation))
    }

    /// Takes the oldest waiting request, sleeping until there is one. `None` = the channel is
    /// closed or stopping. Blocks: call it without the GIL.
    pub fn claim(&mut self) -> Option<Call> {
        loop {
            if let Some(call) = self.try_claim() {
                return Some(call);
            }
            let shared = Rc::clone(&self.shared);
            let channel = &shared.channel;
            if channel.over() {
                channel.pass_on();
                return None;
            }
            queue::fall_asleep(&channel.region, shared.owner);
            channel.announce_idle();
            let call = self.try_claim();
            if call.is_none() && !channel.over() && !shared.bed.sleep() {
                channel.close();
            }
            queue::wake_up(&channel.region, shared.owner);
            if call.is_some() {
                return call;
            }
        }
    }
}

/// One frame of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// A head made with `frame::begin_head` and `frame::push_field`; at most `frame::MAX_HEAD`.
    Head(&'a [u8]),
    /// Body bytes, any number.
    Data(&'a [u8]),
}

/// One claimed request. Dropped without [`Call::finish`], it fails.
#[derive(Debug)]
pub struct Call {
    shared: Rc<Shared>,
    request: Vec<u8>,
    slot: Slot,
    generation: Generation,
    front: usize,
    ring: RingWriter,
    over: bool,
}

impl Call {
    fn new(shared: Rc<Shared>, slot: Slot, generation: Generation) -> Self {
        let region = &shared.channel.region;
        let brief = region.brief(slot).load(Ordering::Relaxed);
        let mut request = shared.spare.take();
        request.clear();
        region.read_request(slot, brief as u32 as usize, &mut request);
        let front = (brief >> 32) as usize;
        let ring = RingWriter::new(slot, generation);
        Self {
            shared,
            request,
            slot,
            generation,
            front,
            ring,
            over: false,
        }
    }

    /// The request, in private memory.
    ///
    /// # Errors
    /// `Malformed` cannot happen with a front of the same version.
    pub fn request(&self) -> Result<RequestView<'_>, quaich_proto::worker::message::Malformed> {
        decode_request(&self.request)
    }

    /// Asks the front for the file of a large body. Blocks for a moment.
    pub fn body_file(&mut self) -> io::Result<OwnedFd> {
        let links = &self.shared.channel.links;
        let link = links.get(self.front).ok_or(io::ErrorKind::NotConnected)?;
        link.ask_body(self.slot, self.generation)
    }

    /// Whether the client has left; the answer goes nowhere.
    pub fn cancelled(&self) -> bool {
        let cancel = self.region().cancel(self.slot).load(Ordering::Relaxed);
        cancel == u64::from(self.generation.bits()) + 1 || self.shared.channel.closed()
    }

    /// Sends parts without blocking. `Ok(false)` = no room for all of them: nothing was sent.
    pub fn try_send(&mut self, parts: &[Part<'_>]) -> Result<bool, Gone> {
        self.check()?;
        let need = self.need(parts)?;
        if need > self.ring.room(self.region()) {
            return Ok(false);
        }
        self.stage(parts);
        self.publish(false)?;
        Ok(true)
    }

    /// Sends parts, waiting for room. Blocks: call it without the GIL.
    pub fn send(&mut self, parts: &[Part<'_>]) -> Result<(), Gone> {
        self.check()?;
        for part in parts {
            match part {
                Part::Head(bytes) => self.send_piece(Kind::Head, bytes)?,
                Part::Data(bytes) => {
                    for piece in bytes.chunks(PIECE) {
                        self.send_piece(Kind::Data, piece)?;
                    }
                }
            }
        }
        self.publish(false)
    }

    /// Sends `len` bytes of a file from `offset` as body. The descriptor is duplicated.
    pub fn send_file(&mut self, fd: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Gone> {
        self.check()?;
        let link = self.shared.channel.links.get(self.front).ok_or(Gone)?;
        link.give_file(self.slot, self.generation, fd)
            .map_err(|_| Gone)?;
        self.send_piece(Kind::File, &frame::pack_file(offset, len))?;
        self.publish(false)
    }

    /// Sends a whole answer and ends the request, in one step when it fits the ring, which it
    /// does up to some 60 KiB. `head` is as in [`Part::Head`]. Blocks when it does not fit.
    pub fn respond(mut self, head: &[u8], body: &[u8]) -> Result<(), Gone> {
        let parts = [Part::Head(head), Part::Data(body)];
        let parts = if body.is_empty() {
            &parts[..1]
        } else {
            &parts[..]
        };
        if self.need(parts)? + FRAME_HEAD <= self.ring.room(self.region()) {
            self.check()?;
            self.stage(parts);
        } else {
            self.send(parts)?;
        }
        self.end(Kind::End, &[])
    }

    /// Whether [`Call::respond`] would not block now.
    pub fn fits(&self, head: &[u8], body: &[u8]) -> bool {
        let need = Part::Head(head).size() + Part::Data(body).size() + FRAME_HEAD;
        need <= self.ring.room(self.region())
    }

    /// Ends the answer. Blocks when the ring is full.
    pub fn finish(mut self) -> Result<(), Gone> {
        self.end(Kind::End, &[])
    }

    /// Ends the answer as failed: nothing was sent = the client gets an error page, else its
    /// connection is cut. The text is for the log; more than 4 KiB of it is cut.
    pub fn fail(mut self, kind: ErrorKind, text: &str) {
        self.fail_now(kind, text);
    }

    fn fail_now(&mut self, kind: ErrorKind, text: &str) {
        let text = text.as_bytes();
        let text = text.get(..MAX_TEXT).unwrap_or(text);
        // Gone: nobody is left to be told.
        let _ = self.end(Kind::Error, &[&[kind as u8], text]);
    }

    fn end(&mut self, kind: Kind, payload: &[&[u8]]) -> Result<(), Gone> {
        if self.over {
            return Err(Gone);
        }
        self.over = true;
        let len: usize = payload.iter().map(|part| part.len()).sum();
        let waited = self.wait_room(FRAME_HEAD + frame::padded(len));
        if waited.is_ok() {
            self.ring.stage(&self.shared.channel.region, kind, payload);
        }
        self.publish(true)?;
        waited
    }

    fn region(&self) -> &Region {
        &self.shared.channel.region
    }

    fn check(&self) -> Result<(), Gone> {
        if self.over || self.cancelled() {
            Err(Gone)
        } else {
            Ok(())
        }
    }

    /// Ring bytes of the parts. A head over the limit is a fault of ours: the caller checks it.
    fn need(&self, parts: &[Part<'_>]) -> Result<usize, Gone> {
        if parts
            .iter()
            .any(|part| matches!(part, Part::Head(head) if head.len() > MAX_HEAD))
        {
            return Err(Gone);
        }
        Ok(parts.iter().map(Part::size).sum())
    }

    fn stage(&mut self, parts: &[Part<'_>]) {
        let region = &self.shared.channel.region;
        for part in parts {
            match part {
                Part::Head(bytes) => self.ring.stage(region, Kind::Head, &[bytes]),
                Part::Data(bytes) => self.ring.stage(region, Kind::Data, &[bytes]),
            }
        }
    }

    fn publish(&mut self, done: bool) -> Result<(), Gone> {
        if fork::forked() {
            return Err(Gone);
        }
        self.ring.publish(&self.shared.channel.region, done)?;
        self.shared.channel.announce(self.front, self.slot);
        Ok(())
    }

    fn send_piece(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), Gone> {
        if bytes.len() > MAX_HEAD {
            return Err(Gone);
        }
        self.wait_room(FRAME_HEAD + frame::padded(bytes.len()))?;
        self.ring.stage(&self.shared.channel.region, kind, &[bytes]);
        Ok(())
    }

    /// Waits until `need` bytes fit; publishes what is staged before it sleeps.
    fn wait_room(&mut self, need: usize) -> Result<(), Gone> {
        if self.ring.room(self.region()) >= need {
            return Ok(());
        }
        self.publish(false)?;
        loop {
            let region = &self.shared.channel.region;
            region.wants_room(self.slot).store(1, Ordering::SeqCst);
            std::sync::atomic::fence(Ordering::SeqCst);
            let enough = self.ring.room(region) >= need;
            if !enough && !self.cancelled() {
                // The front counts as gone when the link says so.
                if !self.shared.bed.sleep() {
                    self.shared.channel.close();
                }
                self.check_waiting()?;
                continue;
            }
            region.wants_room(self.slot).store(0, Ordering::Relaxed);
            return if enough { Ok(()) } else { Err(Gone) };
        }
    }

    fn check_waiting(&self) -> Result<(), Gone> {
        if self.cancelled() { Err(Gone) } else { Ok(()) }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.over {
            self.fail_now(ErrorKind::Worker, "the request was dropped");
        }
        self.shared.spare.set(std::mem::take(&mut self.request));
    }
}

impl Part<'_> {
    fn size(&self) -> usize {
        let (Part::Head(bytes) | Part::Data(bytes)) = self;
        FRAME_HEAD + frame::padded(bytes.len())
    }
}
