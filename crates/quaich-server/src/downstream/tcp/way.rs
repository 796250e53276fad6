//! One direction of a tunnel: what one side sends, the other is given, and no more is read than that
//! takes. Called by `both_ways` for each.

use std::io::IoSlice;
use std::task::{Context, Poll, ready};

use crate::buffer::{self, Buffer};
use crate::pipe::{self, Pipe};
use crate::stream::Stream;

/// Less than this at once is cheaper to copy than to move.
const LITTLE: usize = 16 * 1024;

/// One direction.
#[derive(Default)]
pub(super) struct Way {
    /// Bytes that were read.
    pub(super) moved: u64,
    held: Held,
    /// Much comes at once: the kernel moves it.
    bulk: bool,
    state: State,
}

/// What was read and not yet written. A way that waits for its source holds nothing.
#[derive(Default)]
enum Held {
    #[default]
    Nothing,
    Copied(Buffer),
    Piped(Pipe),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The source has finished; the sink does not know yet.
    Ended,
    /// And the sink was told.
    Told,
    SourceFailed,
    SinkFailed,
}

/// Which side has failed.
enum Broken {
    Source,
    Sink,
}

impl Way {
    /// Whether nothing more can be moved.
    pub(super) fn is_over(&self) -> bool {
        !matches!(self.state, State::Open | State::Ended)
    }

    /// Whether the source has finished in order.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended | State::Told)
    }

    /// Whether the source is gone.
    pub(super) fn source_failed(&self) -> bool {
        self.state == State::SourceFailed
    }

    /// Whether the sink takes nothing any more.
    pub(super) fn sink_failed(&self) -> bool {
        self.state == State::SinkFailed
    }

    /// Moves what can be moved now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, from: &Stream, to: &Stream) {
        if self.is_over() {
            return;
        }
        match self.poll_move(cx, from, to) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => self.state = State::Told,
            Poll::Ready(Err(Broken::Source)) => self.state = State::SourceFailed,
            Poll::Ready(Err(Broken::Sink)) => self.state = State::SinkFailed,
        }
    }

    fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        to: &Stream,
    ) -> Poll<Result<(), Broken>> {
        loop {
            ready!(self.poll_write(cx, to))?;
            if self.state == State::Ended {
                ready!(to.poll_close(cx)).map_err(|_| Broken::Sink)?;
                to.shutdown_write();
                return Poll::Ready(Ok(()));
            }
            let read = self.poll_read(cx, from, to);
            if read.is_pending() {
                self.held = Held::Nothing;
            }
            match ready!(read)? {
                0 => self.state = State::Ended,
                count => self.moved = self.moved.wrapping_add(count as u64),
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, to: &Stream) -> Poll<Result<(), Broken>> {
        match &mut self.held {
            Held::Nothing => {}
            Held::Copied(buffer) => {
                while !buffer.is_empty() {
                    let written = to.poll_write(cx, &[IoSlice::new(buffer.filled())]);
                    buffer.consume(ready!(written).map_err(|_| Broken::Sink)?);
                }
            }
            Held::Piped(pipe) => {
                while pipe.held > 0 {
                    ready!(to.poll_splice_from(cx, pipe)).map_err(|_| Broken::Sink)?;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads when nothing is held: how much, 0 at the end.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        to: &Stream,
    ) -> Poll<Result<usize, Broken>> {
        if self.bulk && self.hold_pipe(from, to) {
            let Held::Piped(pipe) = &mut self.held else {
                return Poll::Ready(Err(Broken::Source));
            };
            let moved = ready!(from.poll_splice_into(cx, pipe, pipe::CAPACITY));
            let moved = moved.map_err(|_| Broken::Source)?;
            self.bulk = moved >= LITTLE;
            return Poll::Ready(Ok(moved));
        }
        if !matches!(self.held, Held::Copied(_)) {
            self.held = Held::Copied(Buffer::lend());
        }
        let Held::Copied(buffer) = &mut self.held else {
            return Poll::Ready(Err(Broken::Source));
        };
        let count = ready!(from.poll_read(cx, buffer.room())).map_err(|_| Broken::Source)?;
        buffer.advance(count);
        self.bulk = count >= buffer::SIZE;
        Poll::Ready(Ok(count))
    }

    /// Takes a pipe into use, where both sides can.
    fn hold_pipe(&mut self, from: &Stream, to: &Stream) -> bool {
        if matches!(self.held, Held::Piped(_)) {
            return true;
        }
        let pipe = match from.is_plain() && to.is_plain() {
            true => Pipe::lend(),
            false => None,
        };
        let found = pipe.is_some();
        if let Some(pipe) = pipe {
            self.held = Held::Piped(pipe);
        }
        found
    }
}
