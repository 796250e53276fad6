//! One request in the channel, from submission to the end of its answer.

use std::any::Any;
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::{Ordering, fence};
use std::task::{Context, Poll};

use quaich_proto::worker::frame::{self, ErrorKind, HeadView};
use quaich_proto::worker::layout::Slot;
use quaich_proto::worker::ring::{RingReader, Step};
use quaich_proto::worker::state::Generation;

use super::AppChannel;

/// What one read brought. An answer that fits the ring comes in one.
#[derive(Debug, Default)]
pub struct Answer {
    /// The status, when the head came: its payload is now in the caller's head buffer, to be
    /// walked with `frame::HeadView`.
    pub status: Option<u16>,
    /// Body bytes appended to the caller's buffer.
    pub data: usize,
    /// A piece of body that is a file; after `data`.
    pub file: Option<FilePart>,
    /// The answer is complete.
    pub end: bool,
}

/// A range of a regular file.
#[derive(Debug)]
pub struct FilePart {
    /// The file.
    pub fd: OwnedFd,
    /// First byte.
    pub offset: u64,
    /// Bytes; the file may be shorter.
    pub len: u64,
}

/// Why an answer did not come, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The worker died: 502.
    WorkerDied,
    /// No worker was free in time: 503.
    QueueTimeout,
    /// The app took too long, its worker was reported: 504.
    Timeout,
    /// The worker broke the channel's protocol, it was reported: 502.
    Protocol,
    /// The app failed: 500. The text is for the log.
    App(ErrorKind, String),
}

/// One request in the channel. Dropping it before the end cancels the request.
#[derive(Debug)]
pub struct AppCall {
    channel: Rc<AppChannel>,
    slot: Slot,
    generation: Generation,
    reader: RingReader,
    failure: Option<Failure>,
    over: bool,
}

impl AppCall {
    pub(super) fn new(channel: Rc<AppChannel>, slot: Slot, generation: Generation) -> Self {
        let reader = RingReader::new(slot, generation);
        Self {
            channel,
            slot,
            generation,
            reader,
            failure: None,
            over: false,
        }
    }

    /// Holds `places` until the worker is done, also when the call is given up before.
    pub fn keep(&self, places: &[Rc<dyn Any>]) {
        if !self.over && !places.is_empty() {
            self.channel.desk(self.slot).keep(places);
        }
    }

    /// Reads what is there: the head into `head` (which should be empty), at most `limit` body
    /// bytes appended to `body`. Ready when anything came. `limit` must not be 0. After `end` or
    /// an error the call is over; another read is an error.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        head: &mut Vec<u8>,
        body: &mut Vec<u8>,
        limit: usize,
    ) -> Poll<Result<Answer, Failure>> {
        let mut answer = Answer::default();
        if !self.over && self.failure.is_none() {
            self.read_now(&mut answer, head, body, limit);
        }
        if answer.any() {
            return Poll::Ready(Ok(answer));
        }
        let failure = self.failure.take().or_else(|| self.failed());
        if let Some(failure) = failure {
            self.finish_failed();
            self.channel.count_lost(&failure);
            return Poll::Ready(Err(failure));
        }
        self.channel.desk(self.slot).wait(cx.waker());
        Poll::Pending
    }

    /// [`AppCall::poll_read`] as a future; dropping it loses nothing.
    pub async fn read(
        &mut self,
        head: &mut Vec<u8>,
        body: &mut Vec<u8>,
        limit: usize,
    ) -> Result<Answer, Failure> {
        poll_fn(|cx| self.poll_read(cx, head, body, limit)).await
    }

    fn failed(&self) -> Option<Failure> {
        if self.over {
            return Some(Failure::Protocol);
        }
        self.channel.desk(self.slot).failure()
    }

    fn read_now(
        &mut self,
        answer: &mut Answer,
        head: &mut Vec<u8>,
        body: &mut Vec<u8>,
        limit: usize,
    ) {
        if let Err(why) = self.read_all(answer, head, body, limit) {
            if let Some(owner) = self.channel.owner(self.slot, self.generation) {
                self.channel.lied(owner.worker, why);
            }
            *answer = Answer::default();
            self.failure = Some(Failure::Protocol);
        } else if answer.end {
            self.over = true;
            self.channel.served.set(self.channel.served.get() + 1);
            self.channel.release(self.slot, self.generation);
        } else if answer.any() {
            self.channel.progressed(self.slot);
            self.give_room();
        }
    }

    fn read_all(
        &mut self,
        answer: &mut Answer,
        head: &mut Vec<u8>,
        body: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), &'static str> {
        while answer.data < limit {
            let before = body.len();
            let room = limit - answer.data;
            match self
                .reader
                .step(self.channel.region(), head, body, room)
                .map_err(|bad| bad.0)?
            {
                Step::Empty => break,
                Step::Head => {
                    answer.status = Some(HeadView::decode(head).map_err(|bad| bad.0)?.status);
                }
                Step::Data => answer.data += body.len() - before,
                Step::File { offset, len } => {
                    answer.file = Some(FilePart {
                        fd: self.file()?,
                        offset,
                        len,
                    });
                    break;
                }
                Step::End => {
                    answer.end = true;
                    break;
                }
                Step::Error => {
                    let (kind, text) = frame::unpack_error(head).map_err(|bad| bad.0)?;
                    let text = String::from_utf8_lossy(text).into_owned();
                    self.failure = Some(Failure::App(kind, text));
                    break;
                }
            }
        }
        Ok(())
    }

    fn give_room(&mut self) {
        let region = self.channel.region();
        self.reader.give_room(region);
        // Room first, then the look for one who waits for it; the worker does it the other way.
        fence(Ordering::SeqCst);
        let wants = region.wants_room(self.slot);
        if wants.load(Ordering::Relaxed) != 0
            && wants.swap(0, Ordering::SeqCst) != 0
            && let Some(owner) = self.channel.owner(self.slot, self.generation)
        {
            self.channel.peers.borrow().ring(owner);
        }
    }

    fn file(&self) -> Result<OwnedFd, &'static str> {
        let desk = self.channel.desk(self.slot);
        let fd = match desk.take_file() {
            Some(fd) => fd,
            None => {
                let owner = self.channel.owner(self.slot, self.generation);
                owner.inspect(|owner| self.channel.receive(owner.worker));
                desk.take_file()
                    .ok_or("file frame without its descriptor")?
            }
        };
        let stat = rustix::fs::fstat(&fd).map_err(|_| "unreadable file descriptor")?;
        let regular = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file();
        if regular {
            Ok(fd)
        } else {
            Err("file frame for something that is no file")
        }
    }

    fn finish_failed(&mut self) {
        if !self.over {
            self.over = true;
            self.channel
                .abandon(self.slot, self.generation, self.reader.ended());
        }
    }
}

impl AppChannel {
    fn count_lost(&self, failure: &Failure) {
        if matches!(
            failure,
            Failure::WorkerDied | Failure::Timeout | Failure::Protocol
        ) {
            self.lost.set(self.lost.get() + 1);
        }
    }

    /// The call is over: `ended` = the worker said so itself.
    fn abandon(&self, slot: Slot, generation: Generation, ended: bool) {
        if ended {
            self.release(slot, generation)
        } else {
            self.leave(slot, generation)
        }
    }
}

impl Drop for AppCall {
    fn drop(&mut self) {
        self.finish_failed();
    }
}

impl Answer {
    fn any(&self) -> bool {
        self.status.is_some() || self.data > 0 || self.file.is_some() || self.end
    }
}
