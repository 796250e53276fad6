//! The response on its way out: when the head goes, how long the body may be, when it is complete.
//!
//! Driven by `iterate`, `write()` and `file_wrapper`. Runs no application code, and holds no
//! Python reference, so that sending can go on without the GIL.
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;

use quaich_proto::worker::frame::ErrorKind;

use super::head::Head;
use crate::channel::{Call, Gone, Part};
use crate::log;
use crate::python::released_here;

/// Whether more of the body may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    /// More may follow, the length is not known.
    Maybe,
    /// This much follows, or nothing more if 0.
    Exactly(u64),
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Nobody reads any more.
    Gone,
    /// The application has not called `start_response`.
    NoHead,
}

impl From<Gone> for Refused {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

/// Memory that a thread lends from response to response.
#[derive(Default)]
pub(super) struct Buffers {
    head: Head,
    name: Vec<u8>,
}

/// One response.
pub(super) struct Outbound {
    /// None once END or a failure has been published.
    call: Option<Call>,
    pub(super) head: Head,
    /// `GET /path`
    name: Vec<u8>,
    is_head_request: bool,
    head_sent: bool,
    /// Bytes of the body given so far, sent or (HEAD, 304) not.
    given: u64,
    gone: bool,
    cut: bool,
}

impl Outbound {
    /// The response to `method target`.
    pub(super) fn new(call: Call, buffers: Buffers, is_head_request: bool) -> Self {
        let Buffers { mut head, name } = buffers;
        head.clear();
        Self {
            call: Some(call),
            head,
            name,
            is_head_request,
            head_sent: false,
            given: 0,
            gone: false,
            cut: false,
        }
    }

    /// The head has left, it cannot be changed any more.
    pub(super) fn head_sent(&self) -> bool {
        self.head_sent
    }

    /// The client has left while the response was not complete.
    pub(super) fn is_gone(&mut self) -> bool {
        self.gone = self.gone || self.call.as_ref().is_some_and(Call::cancelled);
        self.gone
    }

    /// The response is complete or has failed.
    pub(super) fn is_over(&self) -> bool {
        self.call.is_none()
    }

    /// No byte of a body goes out, whatever the application gives.
    fn is_bodyless(&self) -> bool {
        self.is_head_request || self.head.forbids_body()
    }

    /// Sends the next part of the body, with the head before it if it has not left. An empty
    /// part that is not the last sends nothing (PEP 3333, "The start_response() Callable").
    pub(super) fn send(&mut self, part: &[u8], more: More) -> Result<(), Refused> {
        if self.is_over() {
            self.note_cut(part.len() as u64);
            return Ok(());
        }
        if part.is_empty() && more != More::Exactly(0) {
            return Ok(());
        }
        self.start(part.len() as u64, more)?;
        let fits = self.admit(part.len() as u64);
        let bodyless = self.is_bodyless();
        let body = if bodyless {
            &[]
        } else {
            part.get(..fits as usize).unwrap_or(part)
        };
        let complete = self
            .head
            .content_length
            .is_some_and(|length| self.given == length);
        let last = more == More::Exactly(0);
        if last && !complete && !bodyless && self.head.content_length.is_some() {
            self.publish(body)?;
            self.fail_short();
            return Ok(());
        }
        if last || complete && !bodyless {
            self.publish_last(body)
        } else {
            self.publish(body)
        }
    }

    /// Sends `length` bytes of a file as the whole rest of the body.
    pub(super) fn send_file(
        &mut self,
        file: BorrowedFd<'_>,
        offset: u64,
        length: u64,
    ) -> Result<(), Refused> {
        self.start(length, More::Exactly(0))?;
        let fits = self.admit(length);
        if self.is_bodyless() || fits == 0 {
            return self.send(&[], More::Exactly(0));
        }
        self.publish(&[])?;
        let Some(call) = &mut self.call else {
            return Ok(());
        };
        // SAFETY: the channel knows nothing of Python.
        let sent = unsafe { released_here(|| call.send_file(file, offset, fits)) };
        self.note(sent)?;
        self.send(&[], More::Exactly(0))
    }

    /// Ends without a complete response; only logs if the response is already complete.
    pub(super) fn fail(&mut self, text: &str) {
        if let Some(call) = self.call.take() {
            // SAFETY: the channel knows nothing of Python.
            unsafe { released_here(|| call.fail(ErrorKind::Exception, text)) };
        }
    }

    /// The memory, for the next response.
    pub(super) fn into_buffers(self) -> Buffers {
        Buffers {
            head: self.head,
            name: self.name,
        }
    }

    /// Computes the Content-Length when all of the body is known and the application gave none.
    fn start(&mut self, length: u64, more: More) -> Result<(), Refused> {
        if !self.head.is_given() {
            return Err(Refused::NoHead);
        }
        let More::Exactly(rest) = more else {
            return Ok(());
        };
        // An empty answer to HEAD says nothing about the length of the answer to GET.
        let unknown = self.is_head_request && length + rest == 0;
        if !self.head_sent
            && self.head.content_length.is_none()
            && !self.head.forbids_body()
            && !unknown
        {
            self.head.set_length(length + rest);
        }
        Ok(())
    }

    /// How much of `length` more bytes the Content-Length still allows.
    fn admit(&mut self, length: u64) -> u64 {
        let left = match self.head.content_length {
            Some(whole) if !self.head.forbids_body() => whole.saturating_sub(self.given),
            _ => u64::MAX,
        };
        let fits = length.min(left);
        self.given += fits;
        self.note_cut(length - fits);
        fits
    }

    fn note_cut(&mut self, extra: u64) {
        if extra == 0 || self.cut || self.is_bodyless() || self.gone {
            return;
        }
        self.cut = true;
        let whole = self.head.content_length.unwrap_or(self.given);
        self.warn(&format!(
            "the body is longer than its Content-Length {whole}; the rest is cut"
        ));
    }

    fn fail_short(&mut self) {
        let whole = self.head.content_length.unwrap_or_default();
        let text = format!("the body ends after {} of {whole} bytes", self.given);
        self.warn(&text);
        if let Some(call) = self.call.take() {
            // SAFETY: the channel knows nothing of Python.
            unsafe { released_here(|| call.fail(ErrorKind::ShortBody, &text)) };
        }
    }

    /// `GET /path`, printable.
    pub(super) fn name(&self) -> String {
        let name = self.name.get(..256).unwrap_or(&self.name);
        name.escape_ascii().to_string()
    }

    fn warn(&self, text: &str) {
        log::line(&format!("{}: {text}", self.name()));
    }

    /// Sends bytes, before them the head if it has not left.
    fn publish(&mut self, body: &[u8]) -> Result<(), Refused> {
        let Some(call) = &mut self.call else {
            return Ok(());
        };
        let parts = [Part::Head(self.head.block()), Part::Data(body)];
        let parts = match (self.head_sent, body.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => &parts[1..],
            (false, true) => &parts[..1],
            (false, false) => &parts[..],
        };
        let sent = match call.try_send(parts) {
            Ok(true) => Ok(()),
            // SAFETY: the channel knows nothing of Python; the bytes do not move or change.
            Ok(false) => unsafe { released_here(|| call.send(parts)) },
            Err(Gone) => Err(Gone),
        };
        self.head_sent = true;
        self.note(sent)
    }

    /// Sends bytes and the end; in one step if nothing has been sent.
    fn publish_last(&mut self, body: &[u8]) -> Result<(), Refused> {
        if self.head_sent {
            self.publish(body)?;
        }
        let Some(call) = self.call.take() else {
            return Ok(());
        };
        let head = self.head.block();
        let sent = if self.head_sent {
            // SAFETY: the channel knows nothing of Python.
            unsafe { released_here(|| call.finish()) }
        } else if call.fits(head, body) {
            call.respond(head, body)
        } else {
            // SAFETY: as above; the bytes do not move or change.
            unsafe { released_here(|| call.respond(head, body)) }
        };
        self.head_sent = true;
        self.note(sent)
    }

    fn note(&mut self, sent: Result<(), Gone>) -> Result<(), Refused> {
        self.gone |= sent.is_err();
        sent.map_err(Refused::from)
    }
}

impl Buffers {
    /// Takes down what the request is called.
    pub(super) fn set_name(&mut self, method: &[u8], target: &[u8]) {
        self.name.clear();
        self.name.extend_from_slice(method);
        self.name.push(b' ');
        self.name.extend_from_slice(target);
    }
}
