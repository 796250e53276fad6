//! Bytes both ways between two sockets, after a `101 Switching Protocols`.

use std::future::poll_fn;
use std::io::IoSlice;
use std::task::{Context, Poll};

use crate::buffer::Buffer;
use crate::stream::Stream;

/// One direction.
struct Flow<'s> {
    from: &'s Stream,
    to: &'s Stream,
    buffer: Buffer,
    ended: bool,
    closed: bool,
}

impl<'s> Flow<'s> {
    fn new(from: &'s Stream, to: &'s Stream, early: &[u8]) -> Self {
        let mut buffer = Buffer::lend();
        buffer.grow(early.len());
        buffer.room()[..early.len()].copy_from_slice(early);
        buffer.advance(early.len());
        Self {
            from,
            to,
            buffer,
            ended: false,
            closed: false,
        }
    }

    /// Moves what can be moved. Ready when the direction is over; an error ends both.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        loop {
            if !self.buffer.is_empty() {
                match self
                    .to
                    .poll_write(cx, &[IoSlice::new(self.buffer.filled())])?
                {
                    Poll::Ready(count) => self.buffer.consume(count),
                    Poll::Pending => return Poll::Pending,
                }
            } else if self.ended {
                if !std::mem::replace(&mut self.closed, true) {
                    self.to.shutdown_write();
                }
                return Poll::Ready(Ok(()));
            } else {
                match self.from.poll_read(cx, self.buffer.room())? {
                    Poll::Ready(0) => self.ended = true,
                    Poll::Ready(count) => self.buffer.advance(count),
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
    }
}

/// What was read before the tunnel began.
pub(super) struct Early {
    /// From the client.
    pub(super) up: Vec<u8>,
    /// From the server.
    pub(super) down: Vec<u8>,
}

/// Runs until both directions have ended, or one has failed.
pub(super) async fn run(client: &Stream, server: &Stream, early: &Early) {
    let mut up = Flow::new(client, server, &early.up);
    let mut down = Flow::new(server, client, &early.down);
    poll_fn(|cx| match (up.poll(cx), down.poll(cx)) {
        (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(()),
        (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(()),
        _ => Poll::Pending,
    })
    .await;
}
