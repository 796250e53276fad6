//! Answers to `Range`: 206 with one part, `multipart/byteranges`, 416.
//!
//! `answer` calls it with spans that `range` has checked. It must never copy content: bodies are
//! spans of the representation between short texts.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::ops::Range;

use super::representation::{Representation, push_length};

/// An answer whose header fields are its own.
#[derive(Debug)]
pub(super) struct Composed {
    pub(super) status: u16,
    pub(super) head: Vec<u8>,
    /// Part heads and the closing line of a multipart body.
    pub(super) text: Vec<u8>,
    pub(super) spans: Vec<Span>,
}

#[derive(Clone, Debug)]
pub(super) enum Span {
    /// Of `Composed::text`.
    Text(Range<usize>),
    /// Of the representation.
    Content(Range<u64>),
}

/// Makes multipart boundaries that nobody can foresee, so that no content can hold one.
#[derive(Debug, Default)]
pub(super) struct Boundaries {
    keys: RandomState,
    made: Cell<u64>,
}

impl Boundaries {
    pub(super) fn next(&self) -> u64 {
        self.made.set(self.made.get().wrapping_add(1));
        self.keys.hash_one(self.made.get())
    }
}

impl Span {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Text(range) => range.len() as u64,
            Self::Content(range) => range.end - range.start,
        }
    }
}

pub(super) fn unsatisfiable(of: &Representation) -> Composed {
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

pub(super) fn single(of: &Representation, span: Range<u64>) -> Composed {
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
pub(super) fn multipart(of: &Representation, ranges: &[Range<u64>], nonce: u64) -> Composed {
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
