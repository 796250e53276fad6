//! The answer to a request for a file that exists: status, header fields, and which bytes follow.
//!
//! The data path takes it from `FileHandler::find` and sends it. A plain GET or HEAD must never
//! allocate here.

use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use quaich_proto::headers::Headers;

use super::conditional::{self, Verdict};
use super::partial::{self, Boundaries, Composed, Span};
use super::range::{self, Wanted};
use super::representation::Representation;

/// A complete answer: 200, 206, 304, 412 or 416.
#[derive(Debug)]
pub struct FileAnswer {
    representation: Rc<Representation>,
    shape: Shape,
}

/// Some bytes of a body.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// These.
    Memory(&'a [u8]),
    /// `len` bytes of a regular file from `offset`. The file may have been cut since: then fewer
    /// come, and the connection must be closed without ending the message.
    File {
        /// Open for reading; its own position is not used.
        fd: BorrowedFd<'a>,
        /// From the start of the file.
        offset: u64,
        /// Never 0.
        len: u64,
    },
}

#[derive(Debug)]
enum Shape {
    Whole,
    HeadOnly,
    NotModified,
    PreconditionFailed,
    Composed(Box<Composed>),
}

/// What of the request matters here.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) head_only: bool,
    pub(super) headers: &'a Headers,
    pub(super) boundaries: &'a Boundaries,
}

impl FileAnswer {
    pub(super) fn new(representation: Rc<Representation>, asked: &Asked<'_>) -> Self {
        let shape = shape(&representation, asked);
        Self {
            representation,
            shape,
        }
    }

    /// 200, 206, 304, 412 or 416.
    #[must_use]
    pub fn status(&self) -> u16 {
        match &self.shape {
            Shape::Whole | Shape::HeadOnly => 200,
            Shape::NotModified => 304,
            Shape::PreconditionFailed => 412,
            Shape::Composed(composed) => composed.status,
        }
    }

    /// Header fields, each `Name: value\r\n`, `Content-Length` included where the status has one.
    /// Without status line, `Date`, `Server`, connection fields and the closing empty line.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        match &self.shape {
            Shape::Whole | Shape::HeadOnly => self.representation.head(),
            Shape::NotModified => self.representation.validator_head(),
            Shape::PreconditionFailed => b"Content-Length: 0\r\n",
            Shape::Composed(composed) => &composed.head,
        }
    }

    /// The body's pieces in order, from index 0 until `None`. None at all for HEAD, 304, 412, 416
    /// and empty files; exactly one for a whole file or a single range.
    #[must_use]
    pub fn piece(&self, index: usize) -> Option<Piece<'_>> {
        match &self.shape {
            Shape::Whole if index == 0 && self.representation.size() > 0 => {
                Some(self.representation.piece(0, self.representation.size()))
            }
            Shape::Composed(composed) => Some(match composed.spans.get(index)? {
                Span::Text(range) => {
                    Piece::Memory(composed.text.get(range.clone()).unwrap_or_default())
                }
                Span::Content(range) => self
                    .representation
                    .piece(range.start, range.end - range.start),
            }),
            _ => None,
        }
    }

    /// What `Content-Length` in `head` says, for HEAD the length that GET would have; `None` for 304,
    /// which has no such field.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        match &self.shape {
            Shape::HeadOnly => Some(self.representation.size()),
            Shape::NotModified => None,
            _ => Some(self.body_len()),
        }
    }

    /// Bytes of all pieces together.
    #[must_use]
    pub fn body_len(&self) -> u64 {
        match &self.shape {
            Shape::Whole => self.representation.size(),
            Shape::Composed(composed) => composed.spans.iter().map(Span::len).sum(),
            _ => 0,
        }
    }
}

fn shape(of: &Representation, asked: &Asked<'_>) -> Shape {
    let whole = if asked.head_only {
        Shape::HeadOnly
    } else {
        Shape::Whole
    };
    if conditional::is_plain(asked.headers) {
        return whole;
    }
    match conditional::evaluate(asked.headers, of.validators()) {
        Verdict::NotModified => return Shape::NotModified,
        Verdict::Failed => return Shape::PreconditionFailed,
        Verdict::Send => {}
    }
    // RFC 9110 §14.2: Range has no meaning but for GET.
    let range = match asked.head_only {
        true => None,
        false => conditional::range(asked.headers, of.validators()),
    };
    let Some(range) = range else { return whole };
    match range::parse(range, of.size()) {
        Wanted::Whole => whole,
        Wanted::Nothing => composed(partial::unsatisfiable(of)),
        Wanted::Spans(spans) => match <[Range<u64>; 1]>::try_from(spans) {
            Ok([span]) => composed(partial::single(of, span)),
            Err(spans) => composed(partial::multipart(of, &spans, asked.boundaries.next())),
        },
    }
}

fn composed(composed: Composed) -> Shape {
    Shape::Composed(Box::new(composed))
}
