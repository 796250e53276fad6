//! What the body of a response passes on its way to the wire: a coder, a brake.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::compress::Coded;
use crate::downstream::wire::Wire;
use crate::error::Error;

/// The way of one body.
#[derive(Default)]
pub struct Stage {
    coded: Option<Coded>,
}

impl Stage {
    /// The way through a coder.
    pub(super) fn coding(coded: Coded) -> Self {
        Self { coded: Some(coded) }
    }

    /// A piece of the body; what it becomes has left when this returns.
    pub async fn data(&mut self, piece: &[u8], wire: &mut Wire<'_>) -> Result<(), Error> {
        self.push(piece, wire).await?;
        self.flush(wire).await
    }

    /// A piece of the body, which may be held back until the next [`flush`](Self::flush).
    pub async fn push(&mut self, piece: &[u8], wire: &mut Wire<'_>) -> Result<(), Error> {
        match &mut self.coded {
            Some(coded) => coded.push(piece, wire).await,
            None => wire.data(piece).await,
        }
    }

    /// A small piece that is followed by more, or by [`finish`](Self::finish), at once.
    pub fn add(&mut self, piece: &[u8], wire: &mut Wire<'_>) {
        match &mut self.coded {
            Some(coded) => coded.add(piece),
            None => wire.add(piece),
        }
    }

    /// Bytes of a regular file: `(offset, length)`.
    pub async fn file(
        &mut self,
        file: BorrowedFd<'_>,
        (offset, length): (u64, u64),
        wire: &mut Wire<'_>,
    ) -> Result<(), Error> {
        match &mut self.coded {
            Some(coded) => coded.file(file, (offset, length), wire).await,
            None => wire.file(file, offset, length).await,
        }
    }

    /// A body that is whole in memory, of which nothing was given yet: what it becomes, if that is
    /// known before any of it leaves. It is to be given then in its place.
    pub async fn whole(&mut self, body: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.coded.take() {
            Some(mut coded) => coded.whole(body).await.map(Some),
            None => Ok(None),
        }
    }

    /// Whether bytes are held back that [`flush`](Self::flush) would hand on.
    pub fn holds_back(&self) -> bool {
        self.coded.as_ref().is_some_and(Coded::holds_back)
    }

    /// How long they may be.
    pub fn patience(&self) -> Duration {
        self.coded.as_ref().map_or(Duration::ZERO, Coded::patience)
    }

    /// What is held back is handed on.
    pub async fn flush(&mut self, wire: &mut Wire<'_>) -> Result<(), Error> {
        match &mut self.coded {
            Some(coded) => coded.flush(wire).await,
            None => Ok(()),
        }
    }

    /// The body has ended: what is held back is handed on, and what ends the coding.
    pub async fn finish(&mut self, wire: &mut Wire<'_>) -> Result<(), Error> {
        match &mut self.coded {
            Some(coded) => coded.finish(wire).await,
            None => Ok(()),
        }
    }
}
