//! What the body of a response passes on its way to the wire: a coder, and behind it a brake.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::compress::Coded;
use super::limit::Pace;
use crate::downstream::wire::Wire;
use crate::error::Error;

/// The way of one body.
#[derive(Default)]
pub struct Stage {
    coded: Option<Coded>,
    /// Behind all else: it holds back what goes to the wire.
    pub pace: Option<Brake>,
}

/// A brake, and the small pieces that wait for it.
#[derive(Debug)]
pub struct Brake {
    pace: Pace,
    held: Vec<u8>,
}

/// The wire behind the brake, if there is one: where what a coder makes goes.
pub struct Outlet<'o, 'w> {
    pace: &'o mut Option<Brake>,
    wire: &'o mut Wire<'w>,
}

impl Stage {
    /// The way through a coder.
    pub(super) fn coding(coded: Coded) -> Self {
        Self {
            coded: Some(coded),
            pace: None,
        }
    }

    /// A piece of the body; what it becomes has left when this returns.
    pub async fn data(&mut self, piece: &[u8], wire: &mut Wire<'_>) -> Result<(), Error> {
        self.push(piece, wire).await?;
        self.flush(wire).await
    }

    /// A piece of the body, which may be held back until the next [`flush`](Self::flush).
    pub async fn push(&mut self, piece: &[u8], wire: &mut Wire<'_>) -> Result<(), Error> {
        let (coded, mut out) = self.parts(wire);
        match coded {
            Some(coded) => coded.push(piece, &mut out).await,
            None => out.data(piece).await,
        }
    }

    /// A small piece that is followed by more, or by [`finish`](Self::finish), at once.
    pub fn add(&mut self, piece: &[u8], wire: &mut Wire<'_>) {
        let (coded, mut out) = self.parts(wire);
        match coded {
            Some(coded) => coded.add(piece),
            None => out.add(piece),
        }
    }

    /// Bytes of a regular file: `(offset, length)`.
    pub async fn file(
        &mut self,
        file: BorrowedFd<'_>,
        place: (u64, u64),
        wire: &mut Wire<'_>,
    ) -> Result<(), Error> {
        let (coded, mut out) = self.parts(wire);
        match coded {
            Some(coded) => coded.file(file, place, &mut out).await,
            None => out.file(file, place).await,
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
        let (coded, mut out) = self.parts(wire);
        if let Some(coded) = coded {
            coded.flush(&mut out).await?;
        }
        out.flush().await
    }

    /// The body has ended: what is held back is handed on, and what ends the coding.
    pub async fn finish(&mut self, wire: &mut Wire<'_>) -> Result<(), Error> {
        let (coded, mut out) = self.parts(wire);
        if let Some(coded) = coded {
            coded.finish(&mut out).await?;
        }
        out.flush().await
    }

    fn parts<'o, 'w>(
        &'o mut self,
        wire: &'o mut Wire<'w>,
    ) -> (Option<&'o mut Coded>, Outlet<'o, 'w>) {
        let pace = &mut self.pace;
        (self.coded.as_mut(), Outlet { pace, wire })
    }
}

impl Outlet<'_, '_> {
    /// Sends a piece, with everything that waits before it.
    pub async fn data(&mut self, piece: &[u8]) -> Result<(), Error> {
        match self.pace {
            None => self.wire.data(piece).await,
            Some(brake) => brake.data(piece, self.wire).await,
        }
    }

    /// Adds a small piece to what waits.
    pub fn add(&mut self, piece: &[u8]) {
        match self.pace {
            None => self.wire.add(piece),
            Some(brake) => brake.held.extend_from_slice(piece),
        }
    }

    async fn file(&mut self, file: BorrowedFd<'_>, place: (u64, u64)) -> Result<(), Error> {
        match self.pace {
            None => self.wire.file(file, place.0, place.1).await,
            Some(brake) => brake.file(file, place, self.wire).await,
        }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        match self.pace {
            None => Ok(()),
            Some(brake) => brake.flush(self.wire).await,
        }
    }
}

impl Brake {
    /// Holds back as `pace` says.
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            held: Vec::new(),
        }
    }

    async fn data(&mut self, piece: &[u8], wire: &mut Wire<'_>) -> Result<(), Error> {
        self.flush(wire).await?;
        self.send(piece, wire).await
    }

    async fn flush(&mut self, wire: &mut Wire<'_>) -> Result<(), Error> {
        if self.held.is_empty() {
            return Ok(());
        }
        let held = std::mem::take(&mut self.held);
        self.send(&held, wire).await
    }

    async fn send(&mut self, bytes: &[u8], wire: &mut Wire<'_>) -> Result<(), Error> {
        for piece in bytes.chunks(self.pace.piece()) {
            self.pace.admit(piece.len()).await;
            wire.data(piece).await?;
        }
        Ok(())
    }

    async fn file(
        &mut self,
        file: BorrowedFd<'_>,
        (mut offset, length): (u64, u64),
        wire: &mut Wire<'_>,
    ) -> Result<(), Error> {
        self.flush(wire).await?;
        let end = offset.saturating_add(length);
        while offset < end {
            let piece = (end - offset).min(self.pace.piece() as u64);
            self.pace.admit(piece as usize).await;
            wire.file(file, offset, piece).await?;
            offset += piece;
        }
        Ok(())
    }
}
