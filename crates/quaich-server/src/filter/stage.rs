//! What the body of a response passes on its way to the wire: a coder, a brake.

use std::os::fd::BorrowedFd;

use super::limit::Pace;
use crate::downstream::wire::Wire;
use crate::error::Error;

/// The way of one body.
#[derive(Debug, Default)]
pub struct Stage {
    /// Behind all else: it holds back what goes to the wire.
    pub pace: Option<Brake>,
}

/// A brake, and the small pieces that wait for it.
#[derive(Debug)]
pub struct Brake {
    pace: Pace,
    held: Vec<u8>,
}

impl Stage {
    /// A piece of the body; what it becomes has left when this returns.
    pub async fn data(&mut self, piece: &[u8], wire: &mut Wire<'_>) -> Result<(), Error> {
        match &mut self.pace {
            None => wire.data(piece).await,
            Some(brake) => brake.data(piece, wire).await,
        }
    }

    /// A small piece that is followed by more, or by [`finish`](Self::finish), at once.
    pub fn add(&mut self, piece: &[u8], wire: &mut Wire<'_>) {
        match &mut self.pace {
            None => wire.add(piece),
            Some(brake) => brake.held.extend_from_slice(piece),
        }
    }

    /// Bytes of a regular file: `(offset, length)`.
    pub async fn file(
        &mut self,
        file: BorrowedFd<'_>,
        (offset, length): (u64, u64),
        wire: &mut Wire<'_>,
    ) -> Result<(), Error> {
        match &mut self.pace {
            None => wire.file(file, offset, length).await,
            Some(brake) => brake.file(file, (offset, length), wire).await,
        }
    }

    /// What is held back is handed on.
    pub async fn flush(&mut self, wire: &mut Wire<'_>) -> Result<(), Error> {
        match &mut self.pace {
            None => Ok(()),
            Some(brake) => brake.flush(wire).await,
        }
    }

    /// The body has ended: what is held back is handed on, and what ends the coding.
    pub async fn finish(&mut self, wire: &mut Wire<'_>) -> Result<(), Error> {
        self.flush(wire).await
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
