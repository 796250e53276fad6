//! The answer to a request for a file that exists: status, header fields, and which bytes follow.
//!
//! The data path takes it from `FileHandler::find` and sends it. A plain GET or HEAD must never
//! allocate here.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use quaich_proto::headers::Headers;

use super::conditional::{self, Verdict};
use super::range::{self, Wanted};
use super::representation::{Representation, push_length};

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

/// An answer whose header fields are its own.
#[derive(Debug)]
struct Composed {
    status: u16,
    head: Vec<u8>,
    /// Part heads and the closing line of a multipart body.
    text: Vec<u8>,
    spans: Vec<Span>,
}

#[derive(Clone, Debug)]
enum Span {
    /// Of `Composed::text`.
    Text(Range<usize>),
    /// Of the representation.
    Content(Range<u64>),
}

/// What of the request matters here.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) head_only: bool,
    pub(super) headers: &'a Headers,
    pub(super) boundaries: &'a Boundaries,
}

/// Makes multipart boundaries that nobody can foresee, so that no content can hold one.
#[derive(Debug, Default)]
pub(super) struct Boundaries {
    keys: RandomState,
    made: Cell<u64>,
}

impl Boundaries {
    fn next(&self) -> u64 {
        self.made.set(self.made.get().wrapping_add(1));
        self.keys.hash_one(self.made.get())
    }
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

impl Span {
    fn len(&self) -> u64 {
        match self {
            Self::Text(range) => range.len() as u64,
            Self::Content(range) => range.end - range.start,
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
        Wanted::Nothing => composed(unsatisfiable(of)),
        Wanted::Spans(spans) => match <[Range<u64>; 1]>::try_from(spans) {
            Ok([span]) => composed(single(of, span)),
            Err(spans) => composed(multipart(of, &spans, asked.boundaries.next())),
        },
    }
}

fn composed(composed: Composed) -> Shape {
    Shape::Composed(Box::new(composed))
}

fn unsatisfiable(of: &Representation) -> Composed {
    let mut head = Vec::with_capacity(64);
    let _ = write!(head, "Content-Range: bytes */{}\r\n", of.size());
    push_length(&mut head, 0);
    Composed {
        status: 416,
        head,
        text: Vec::new(),
        spans: Vec::new(),
    }
}

fn single(of: &Representation, span: Range<u64>) -> Composed {
    let mut head = of.entity_head().to_vec();
    push_content_range(&mut head, &span, of.size());
    push_length(&mut head, span.end - span.start);
    Composed {
        status: 206,
        head,
        text: Vec::new(),
        spans: vec![Span::Content(span)],
    }
}

/// `multipart/byteranges`, RFC 9110 §14.6.
fn multipart(of: &Representation, ranges: &[Range<u64>], nonce: u64) -> Composed {
    let boundary = format!("quaich-{nonce:016x}");
    let content_type = field_line(of.entity_head(), b"Content-Type: ");
    let mut text = Vec::with_capacity(ranges.len() * 160);
    let mut spans = Vec::with_capacity(ranges.len() * 2 + 1);
    for range in ranges {
        let start = text.len();
        let _ = write!(text, "\r\n--{boundary}\r\n");
        text.extend_from_slice(content_type);
        push_content_range(&mut text, range, of.size());
        text.extend_from_slice(b"\r\n");
        spans.push(Span::Text(start..text.len()));
        spans.push(Span::Content(range.clone()));
    }
    let start = text.len();
    let _ = write!(text, "\r\n--{boundary}--\r\n");
    spans.push(Span::Text(start..text.len()));

    let mut head = Vec::with_capacity(of.entity_head().len() + 128);
    for line in of.entity_head().split_inclusive(|byte| *byte == b'\n') {
        if line != content_type {
            head.extend_from_slice(line);
        }
    }
    let _ = write!(
        head,
        "Content-Type: multipart/byteranges; boundary={boundary}\r\n"
    );
    push_length(&mut head, spans.iter().map(Span::len).sum());
    Composed {
        status: 206,
        head,
        text,
        spans,
    }
}

/// The line of `head` that begins with `prefix`, its end included.
fn field_line<'h>(head: &'h [u8], prefix: &[u8]) -> &'h [u8] {
    let mut lines = head.split_inclusive(|byte| *byte == b'\n');
    lines
        .find(|line| line.starts_with(prefix))
        .unwrap_or_default()
}

fn push_content_range(head: &mut Vec<u8>, span: &Range<u64>, size: u64) {
    let last = span.end.saturating_sub(1);
    let _ = write!(
        head,
        "Content-Range: bytes {}-{last}/{size}\r\n",
        span.start
    );
}
