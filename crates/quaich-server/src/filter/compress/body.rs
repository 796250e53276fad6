//! A body on its way through a coder. Called by `stage`.
//!
//! It is gathered first: a body that is soon complete is coded as a whole, which is quicker and
//! smaller. It becomes a stream when it grows too large, or when its source has nothing more for now
//! ([`Coded::flush`]): a client never waits for bytes that are here. What takes long is coded on a
//! thread for blocking work, one piece at a time, so that no other exchange waits for it.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use quaich_proto::h1::BodyLength;

use super::coder::{Broken, Coder, Shape, Then};
use super::whole;
use crate::error::{Error, Kind, Side};
use crate::filter::stage::Outlet;
use crate::observe::counters::Counters;

/// Bodies of known length up to this size are gathered whole.
const WHOLE: u64 = 1024 * 1024;

/// Bytes that are coded at once: of a stream, and of a body whose length is not known.
const BATCH: usize = 128 * 1024;

/// Bytes that are coded between two events of a loop, about half a millisecond of work; more goes to
/// another thread. The second is for codings and levels that take longer.
const INLINE: usize = 128 * 1024;
const INLINE_SLOW: usize = 24 * 1024;

/// Bytes of all bodies of a thread that are gathered; beyond, bodies become streams at once.
const GATHERED_OF_ALL: usize = 32 * 1024 * 1024;

/// How long a body of known length may be gathered while nothing comes.
const PATIENCE: Duration = Duration::from_millis(10);

/// Coded bytes up to this size leave in one piece with what ends the body.
const WITH_END: usize = 64 * 1024;

thread_local! {
    static GATHERED: Cell<usize> = const { Cell::new(0) };
}

/// One body.
pub(crate) struct Coded {
    shape: Shape,
    /// Bytes that its source still owes; `None` = nobody has said how many there are.
    owed: Option<u64>,
    input: Gathered,
    output: Vec<u8>,
    /// Since it is a stream.
    coder: Option<Coder>,
    /// The coder holds bytes that the client cannot read yet.
    holds: bool,
    counters: Arc<Counters>,
}

/// Bytes that wait to be coded, counted.
#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    counted: usize,
}

impl Gathered {
    fn count(&mut self) {
        let now = self.bytes.len();
        let of_all = GATHERED.get() + now - self.counted;
        GATHERED.set(of_all);
        self.counted = now;
    }

    fn take(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.bytes);
        self.count();
        bytes
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        // A thread that ends may drop bodies after its counts are gone.
        let _ = GATHERED.try_with(|of_all| of_all.set(of_all.get().saturating_sub(self.counted)));
    }
}

/// What goes to another thread and comes back.
struct Job {
    shape: Shape,
    /// `None` = `input` is all there is.
    coder: Option<Coder>,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Job {
    fn run(mut self, then: Then) -> Result<Self, Broken> {
        match &mut self.coder {
            Some(coder) => coder.encode(&self.input, then, &mut self.output)?,
            None => {
                let Shape { coding, level, .. } = self.shape;
                whole::encode(coding, level, &self.input, &mut self.output)?;
            }
        }
        Ok(self)
    }
}

impl Coded {
    /// A body of `length` that is to leave in `shape`.
    pub(super) fn new(shape: Shape, length: BodyLength, counters: &Arc<Counters>) -> Self {
        counters.compressed.add();
        Self {
            shape,
            owed: match length {
                BodyLength::Known(length) => Some(length),
                _ => None,
            },
            input: Gathered::default(),
            output: Vec::new(),
            coder: None,
            holds: false,
            counters: counters.clone(),
        }
    }

    /// Whether bytes wait here that the client cannot read yet.
    pub(crate) fn holds_back(&self) -> bool {
        self.holds || !self.input.bytes.is_empty()
    }

    /// How long the source may be waited for before [`flush`](Self::flush).
    pub(crate) fn patience(&self) -> Duration {
        match (&self.coder, self.owed) {
            (None, Some(owed)) if owed > 0 => PATIENCE,
            _ => Duration::ZERO,
        }
    }

    /// Takes a piece that is followed by more or by [`finish`](Self::finish) at once.
    pub(crate) fn add(&mut self, piece: &[u8]) {
        let piece = self.admit(piece);
        self.gather(piece);
    }

    /// Takes a piece; it may stay here until the next [`flush`](Self::flush).
    pub(crate) async fn push(
        &mut self,
        piece: &[u8],
        out: &mut Outlet<'_, '_>,
    ) -> Result<(), Error> {
        self.add(piece);
        if self.input.bytes.len() < self.room() {
            return Ok(());
        }
        self.stream(Then::More, out).await
    }

    /// Takes bytes of a regular file. Fails when it is shorter.
    pub(crate) async fn file(
        &mut self,
        file: BorrowedFd<'_>,
        (mut offset, mut left): (u64, u64),
        out: &mut Outlet<'_, '_>,
    ) -> Result<(), Error> {
        let file = file.try_clone_to_owned().map_err(|_| Error::internal())?;
        let file = Arc::new(file);
        let mut buffer = Vec::new();
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(BATCH).min(BATCH);
            let file = file.clone();
            let read = move || {
                buffer.clear();
                buffer.reserve(wanted);
                let spare = rustix::buffer::spare_capacity(&mut buffer);
                rustix::io::pread(file.as_fd(), spare, offset)?;
                Ok::<_, rustix::io::Errno>(buffer)
            };
            let read = tokio::task::spawn_blocking(read).await;
            buffer = read
                .map_err(|_| Error::internal())?
                .map_err(|_| Error::internal())?;
            buffer.truncate(wanted);
            if buffer.is_empty() {
                return Err(Error::new(Kind::Truncated, Side::Internal));
            }
            left = left.saturating_sub(buffer.len() as u64);
            offset = offset.saturating_add(buffer.len() as u64);
            self.push(&buffer, out).await?;
        }
        Ok(())
    }

    /// Gives the wire all that is here, so that the client can read it. From now on it is a stream.
    pub(crate) async fn flush(&mut self, out: &mut Outlet<'_, '_>) -> Result<(), Error> {
        match self.holds_back() {
            true => self.stream(Then::Flush, out).await,
            false => Ok(()),
        }
    }

    /// Ends the body. Fails when fewer bytes were given than its source had promised.
    pub(crate) async fn finish(&mut self, out: &mut Outlet<'_, '_>) -> Result<(), Error> {
        if self.owed.is_some_and(|owed| owed > 0) {
            return Err(Error::new(Kind::Truncated, Side::Internal));
        }
        self.run(Then::End).await?;
        if let Some(coder) = self.coder.take() {
            whole::give(self.shape, coder);
        }
        if self.output.len() > WITH_END {
            return out.data(&self.output).await;
        }
        out.add(&self.output);
        Ok(())
    }

    /// The coded form of a body that is whole in memory and was not given otherwise.
    pub(crate) async fn whole(&mut self, body: &[u8]) -> Result<Vec<u8>, Error> {
        self.add(body);
        self.run(Then::End).await?;
        Ok(std::mem::take(&mut self.output))
    }

    /// What of `piece` belongs into the body: no more than was promised.
    fn admit<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let Some(owed) = &mut self.owed else {
            return piece;
        };
        let take = usize::try_from(*owed).map_or(piece.len(), |owed| owed.min(piece.len()));
        *owed -= take as u64;
        piece.get(..take).unwrap_or_default()
    }

    fn gather(&mut self, piece: &[u8]) {
        self.counters
            .compressed_from_bytes
            .add_many(piece.len() as u64);
        self.input.bytes.extend_from_slice(piece);
        self.input.count();
    }

    /// Bytes that may be gathered before they are coded.
    fn room(&self) -> usize {
        let left = self.owed.unwrap_or(u64::MAX);
        let whole = left.saturating_add(self.input.bytes.len() as u64);
        let gathers = self.coder.is_none() && GATHERED.get() < GATHERED_OF_ALL;
        match gathers && whole <= WHOLE {
            // Its end is what is waited for.
            true => usize::MAX,
            false => BATCH,
        }
    }

    async fn stream(&mut self, then: Then, out: &mut Outlet<'_, '_>) -> Result<(), Error> {
        if self.coder.is_none() {
            self.coder = Some(whole::take(self.shape).map_err(|Broken| Error::internal())?);
        }
        self.run(then).await?;
        self.holds = then == Then::More;
        if self.output.is_empty() {
            return Ok(());
        }
        out.data(&self.output).await
    }

    /// Codes what was gathered: `output` is what it has become.
    async fn run(&mut self, then: Then) -> Result<(), Error> {
        self.output.clear();
        let job = Job {
            shape: self.shape,
            coder: self.coder.take(),
            input: self.input.take(),
            output: std::mem::take(&mut self.output),
        };
        let done = match job.input.len() <= inline(self.shape) {
            true => job.run(then),
            false => {
                let done = tokio::task::spawn_blocking(move || job.run(then)).await;
                done.map_err(|_| Error::internal())?
            }
        };
        let mut job = done.map_err(|Broken| Error::internal())?;
        job.input.clear();
        self.coder = job.coder;
        self.input.bytes = job.input;
        self.output = job.output;
        let count = self.output.len() as u64;
        self.counters.compressed_to_bytes.add_many(count);
        Ok(())
    }
}

/// Bytes that are coded without leaving the thread.
fn inline(shape: Shape) -> usize {
    use quaich_proto::coding::Coding::{Brotli, Gzip, Zstd};
    let quick = match shape.coding {
        Gzip => 5,
        Zstd => 4,
        Brotli => 1,
    };
    match shape.level <= quick {
        true => INLINE,
        false => INLINE_SLOW,
    }
}
