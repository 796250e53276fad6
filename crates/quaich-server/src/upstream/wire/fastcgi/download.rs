//! The way of a response from a FastCGI server: STDOUT is taken out of its records, STDERR goes to
//! the log.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use quaich_proto::cgi::parse_response;
use quaich_proto::fastcgi::{self, ProtocolStatus, ResponseReader, ResponseStep};
use quaich_proto::h1::{BodyReader, ResponseHead};
use quaich_proto::method::Method;

use super::{Conn, ID};
use crate::buffer::Buffer;
use crate::error::{Error, Kind};
use crate::observe::log;
use crate::upstream::wire::http1::LIMITS;

/// Bytes of STDERR that are looked at of one request, that are logged of it, and of one line of it.
const STDERR_READ: usize = 1024 * 1024;
const STDERR_KEPT: usize = 8 * 1024;
const STDERR_LINE: usize = 1024;

/// Reads one response.
pub struct Download<'c> {
    conn: &'c Conn,
    buffer: Buffer,
    reader: ResponseReader,
    timeout: Duration,
    method: Method,
    body: BodyReader,
    /// The head as far as it has come, then what came behind it.
    text: Vec<u8>,
    /// Bytes of `text` that are dealt with.
    taken: usize,
    /// Bytes at the front of the buffer that are STDOUT and not given out.
    stdout: usize,
    /// Bytes at the front of the buffer that the last call lent out.
    lent: usize,
    /// The status that END_REQUEST had.
    end: Option<ProtocolStatus>,
    received: bool,
    complaint: Complaint,
}

/// Where a piece of the body stands.
enum Place {
    Text(usize, usize),
    Buffer(usize, usize),
}

impl<'c> Download<'c> {
    pub(super) fn new(conn: &'c Conn, method: Method, timeout: Duration) -> Self {
        Self {
            conn,
            buffer: Buffer::lend(),
            reader: ResponseReader::new(ID),
            timeout,
            method,
            body: BodyReader::default(),
            text: Vec::new(),
            taken: 0,
            stdout: 0,
            lent: 0,
            end: None,
            received: false,
            complaint: Complaint::default(),
        }
    }

    /// Whether any byte of the response has come.
    pub fn has_begun(&self) -> bool {
        self.received
    }

    /// Reads the next head.
    pub async fn head(&mut self, head: &mut ResponseHead) -> Result<(), Error> {
        loop {
            let text = self.text.get(self.taken..).unwrap_or_default();
            if !text.is_empty() {
                let parsed = parse_response(text, &LIMITS, &self.method, head);
                let parsed = parsed.map_err(|bad| bad_response(bad.label()))?;
                if let Some(count) = parsed {
                    self.taken += count;
                    break;
                }
            }
            if !poll_fn(|cx| self.poll_stdout(cx)).await? {
                return Err(self.ended_early());
            }
            let piece = self.buffer.filled().get(..self.stdout);
            self.text.extend_from_slice(piece.unwrap_or_default());
            self.buffer.consume(std::mem::take(&mut self.stdout));
        }
        if head.status == 101 {
            return Err(bad_response("unasked_101"));
        }
        if head.status >= 200 {
            self.body = BodyReader::new(head.body);
        }
        Ok(())
    }

    /// The server has ended the request before its head.
    fn ended_early(&self) -> Error {
        match self.end {
            Some(ProtocolStatus::Overloaded | ProtocolStatus::CannotMultiplex) => {
                Error::upstream(Kind::UpstreamRefused)
            }
            Some(ProtocolStatus::UnknownRole) => bad_response("fastcgi_unknown_role"),
            Some(ProtocolStatus::Complete) => bad_response("no_response_head"),
            None if self.received => Error::upstream(Kind::Truncated),
            None => Error::upstream(Kind::UpstreamClosed),
        }
    }

    /// The next piece of the body; `None` at its end, which is exact.
    pub async fn data(&mut self) -> Result<Option<&[u8]>, Error> {
        // However long the last piece was kept, it was not the server that was late.
        self.conn.inner.deadline.set(self.timeout);
        Ok(match poll_fn(|cx| self.poll_data(cx)).await? {
            None => None,
            Some(Place::Text(start, end)) => self.text.get(start..end),
            Some(Place::Buffer(start, end)) => self.buffer.filled().get(start..end),
        })
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Place>, Error>> {
        self.buffer.consume(std::mem::take(&mut self.lent));
        loop {
            if self.body.is_done() {
                return Poll::Ready(Ok(None));
            }
            if self.taken < self.text.len() {
                if let Some((start, end)) = self.decode_text()? {
                    return Poll::Ready(Ok(Some(Place::Text(start, end))));
                }
            } else if self.stdout > 0 {
                if let Some((start, end)) = self.decode_buffer()? {
                    return Poll::Ready(Ok(Some(Place::Buffer(start, end))));
                }
            } else if !ready!(self.poll_stdout(cx))? {
                let is_whole = self.end == Some(ProtocolStatus::Complete) && self.body.close();
                return Poll::Ready(match is_whole {
                    true => Ok(None),
                    false => Err(Error::upstream(Kind::Truncated)),
                });
            }
        }
    }

    /// What came together with the head.
    fn decode_text(&mut self) -> Result<Option<(usize, usize)>, Error> {
        let rest = self.text.get(self.taken..).unwrap_or_default();
        let step = self
            .body
            .decode(rest)
            .map_err(|_| bad_response("bad_chunk"))?;
        let at = self.taken;
        self.taken += step.consumed;
        Ok(step.data.map(|(start, end)| (at + start, at + end)))
    }

    fn decode_buffer(&mut self) -> Result<Option<(usize, usize)>, Error> {
        let piece = self.buffer.filled().get(..self.stdout).unwrap_or_default();
        let step = self
            .body
            .decode(piece)
            .map_err(|_| bad_response("bad_chunk"))?;
        self.stdout -= step.consumed;
        match step.data {
            Some(_) => self.lent = step.consumed,
            None => self.buffer.consume(step.consumed),
        }
        Ok(step.data)
    }

    /// Waits for STDOUT: `true` when there is some at the front of the buffer, `false` at the end of
    /// the request or of the connection.
    fn poll_stdout(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        loop {
            if self.end.is_some() {
                return Poll::Ready(Ok(false));
            }
            if !self.buffer.is_empty() {
                if self.decode_records()? {
                    // Complaints, and pieces of a header, are no progress of the answer.
                    self.conn.inner.deadline.set(self.timeout);
                    return Poll::Ready(Ok(self.stdout > 0));
                }
                let late = Error::upstream(Kind::ResponseTimeout);
                self.conn.inner.deadline.check(cx).map_err(|_| late)?;
            }
            match ready!(self.conn.inner.poll_fill(cx, &mut self.buffer)) {
                Ok(0) => return Poll::Ready(Ok(false)),
                Ok(_) => {}
                // As good as its end: only END_REQUEST makes a response whole.
                Err(error) if error.kind == Kind::UpstreamClosed => return Poll::Ready(Ok(false)),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Takes records off the buffer; `true` at STDOUT or at the end of the request.
    fn decode_records(&mut self) -> Result<bool, Error> {
        loop {
            let filled = self.buffer.filled();
            let step = self.reader.decode(filled);
            match step.map_err(|bad| bad_response(bad.label()))? {
                ResponseStep::NeedMore { consumed } => {
                    self.buffer.consume(consumed);
                    return Ok(false);
                }
                ResponseStep::Stdout { start, end } => {
                    self.received = true;
                    self.stdout = end.saturating_sub(start);
                    self.buffer.consume(start);
                    return Ok(true);
                }
                ResponseStep::Stderr { start, end } => {
                    let text = filled.get(start..end).unwrap_or_default();
                    self.complaint.add(text, self.conn.server.name());
                    self.buffer.consume(end);
                }
                ResponseStep::End { consumed, status } => {
                    self.end = Some(status);
                    self.buffer.consume(consumed);
                    return Ok(true);
                }
            }
        }
    }

    /// Whether the whole body has been given out.
    pub fn is_done(&self) -> bool {
        self.body.is_done()
    }

    /// Whether the connection may carry another request: the last record of this one is here, and
    /// nothing behind it. A server that has sent all of a body of known length is not waited for.
    pub fn is_reusable(&mut self) -> bool {
        self.buffer.consume(std::mem::take(&mut self.lent));
        if !self.conn.keep || !self.conn.between.get() || !self.body.is_done() {
            return false;
        }
        let mut cx = Context::from_waker(Waker::noop());
        while self.end.is_none() {
            // More body than there may be is skipped.
            self.buffer.consume(std::mem::take(&mut self.stdout));
            if !matches!(self.poll_stdout(&mut cx), Poll::Ready(Ok(true))) {
                break;
            }
        }
        let padding = self.buffer.filled();
        let rest = match self.reader.decode(padding) {
            Ok(ResponseStep::NeedMore { consumed }) => padding.len() - consumed,
            _ => return false,
        };
        self.end == Some(ProtocolStatus::Complete) && rest == 0 && self.reader.is_exact()
    }
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        self.complaint.flush(self.conn.server.name());
        // The server may stop its work. What it was told of a record cannot be taken back.
        if self.end.is_none() && self.conn.between.get() {
            let mut record = Vec::with_capacity(fastcgi::HEADER);
            fastcgi::abort(&mut record, ID);
            self.conn.inner.socket.write_aside(&record);
        }
    }
}

fn bad_response(label: &'static str) -> Error {
    Error::upstream(Kind::BadResponse(label))
}

/// What an app says to its operator, line by line, as far as it is logged.
#[derive(Default)]
struct Complaint {
    line: Vec<u8>,
    read: usize,
    logged: usize,
}

impl Complaint {
    fn add(&mut self, text: &[u8], server: &str) {
        if self.logged >= STDERR_KEPT || self.read >= STDERR_READ {
            return;
        }
        self.read += text.len();
        for &byte in text {
            if byte == b'\n' || self.line.len() >= STDERR_LINE {
                self.flush(server);
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
    }

    fn flush(&mut self, server: &str) {
        if !self.line.is_empty() && self.logged < STDERR_KEPT {
            self.logged += self.line.len();
            let line = String::from_utf8_lossy(&self.line);
            log::warn!("a server says: {line}"; server = server);
        }
        self.line.clear();
    }
}
