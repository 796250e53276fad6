//! Steps of output to a client, each under the write deadline.

use std::cell::Cell;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::{Error, Kind};
use crate::stream::Stream;

/// Where the bytes of a response leave.
pub(super) struct Output<'c> {
    pub(super) socket: &'c Stream,
    deadline: &'c Deadline,
    timeout: Duration,
    /// Bytes that the client had not taken when the deadline was set.
    ahead: Cell<Option<u32>>,
    /// A client may take its time: no deadline.
    patient: Cell<bool>,
}

impl<'c> Output<'c> {
    pub(super) fn new(socket: &'c Stream, deadline: &'c Deadline, timeout: Duration) -> Self {
        Self {
            socket,
            deadline,
            timeout,
            ahead: Cell::new(None),
            patient: Cell::new(false),
        }
    }

    /// From here on no step has a deadline.
    pub(super) fn be_patient(&self) {
        self.patient.set(true);
    }

    /// One step of output. The deadline starts when the client first keeps us waiting, and anew
    /// after each step.
    pub(super) fn poll_step(
        &self,
        cx: &mut Context<'_>,
        mut step: impl FnMut(&Stream, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<Result<usize, Error>> {
        match step(self.socket, cx) {
            Poll::Ready(Ok(count)) => {
                self.deadline.clear();
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(Error::CLIENT_GONE)),
            Poll::Pending => self.wait(cx),
        }
    }

    fn wait(&self, cx: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        if self.patient.get() {
            return Poll::Pending;
        }
        if !self.deadline.is_set() {
            self.start();
        }
        if self.deadline.check(cx).is_ok() {
            return Poll::Pending;
        }
        // The kernel asks for more only when much of its buffer is free. A client that reads slowly
        // takes long to get there, yet it reads: it has what it has acknowledged.
        let (before, now) = (self.ahead.get(), self.socket.unacknowledged());
        if now.zip(before).is_some_and(|(now, before)| now < before) {
            self.start();
            if self.deadline.check(cx).is_ok() {
                return Poll::Pending;
            }
        }
        Poll::Ready(Err(Error::downstream(Kind::WriteTimeout)))
    }

    fn start(&self) {
        self.deadline.set(self.timeout);
        self.ahead.set(self.socket.unacknowledged());
    }
}
