//! What the body of a response passes on its way to the wire: a coder, a brake.

use std::os::fd::BorrowedFd;

use crate::downstream::wire::Wire;
use crate::error::Error;

/// The way of one body.
pub struct Stage {}

impl Stage {
    /// A piece of the body; what it becomes has left when this returns.
    pub async fn data(&mut self, piece: &[u8], wire: &mut Wire<'_>) -> Result<(), Error> {
        wire.data(piece).await
    }

    /// A small piece that is followed by more, or by [`finish`](Self::finish), at once.
    pub fn add(&mut self, piece: &[u8], wire: &mut Wire<'_>) {
        wire.add(piece);
    }

    /// Bytes of a regular file: `(offset, length)`.
    pub async fn file(
        &mut self,
        file: BorrowedFd<'_>,
        (offset, length): (u64, u64),
        wire: &mut Wire<'_>,
    ) -> Result<(), Error> {
        wire.file(file, offset, length).await
    }

    /// What is held back is handed on.
    pub async fn flush(&mut self, _wire: &mut Wire<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// The body has ended: what is held back is handed on, and what ends the coding.
    pub async fn finish(&mut self, _wire: &mut Wire<'_>) -> Result<(), Error> {
        Ok(())
    }
}
