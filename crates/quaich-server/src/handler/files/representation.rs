//! One file as it goes out: its content and the header block rendered for it.
//!
//! Made when a file is opened or its turn in the cache is over, never per request; `answer` cuts
//! what an answer needs out of it. It must never change after it is made.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use super::answer::Piece;
use super::conditional::Validators;
use super::open::Identity;
use super::precompressed::Coding;

/// The last second that an HTTP date can name.
const LAST_SECOND: i64 = 253_402_300_799;

/// Where the bytes are.
#[derive(Debug)]
pub(super) enum Content {
    /// All of them, here.
    Memory(Box<[u8]>),
    /// In the file.
    Descriptor(OwnedFd),
}

/// What is rendered into the header block besides the file's own facts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Description {
    pub(super) content_type: &'static str,
    pub(super) coding: Option<Coding>,
    /// Whether the answer depends on `Accept-Encoding`.
    pub(super) varies: bool,
    /// `Cache-Control: max-age` and `Expires`.
    pub(super) expires: Option<Duration>,
    /// Seconds since 1970.
    pub(super) now: u64,
}

/// A file, its content coding applied, ready to be sent.
#[derive(Debug)]
pub(super) struct Representation {
    identity: Identity,
    content: Rc<Content>,
    /// Fields of every answer, then those of 200 and 206, then `Content-Length`.
    head: Vec<u8>,
    validators_end: usize,
    entity_end: usize,
    etag: Vec<u8>,
}

impl Representation {
    pub(super) fn new(identity: Identity, content: Rc<Content>, about: &Description) -> Self {
        let etag = entity_tag(&identity, about.coding);
        let mut head = Vec::with_capacity(320);
        field(&mut head, "ETag", &etag);
        caching_fields(&mut head, about);
        let validators_end = head.len();
        field(&mut head, "Content-Type", about.content_type.as_bytes());
        if let Some(coding) = about.coding {
            field(&mut head, "Content-Encoding", coding.token().as_bytes());
        }
        let modified = identity
            .modified
            .0
            .min(i64::try_from(about.now).unwrap_or(i64::MAX));
        date_field(&mut head, "Last-Modified", modified);
        field(&mut head, "Accept-Ranges", b"bytes");
        let entity_end = head.len();
        push_length(&mut head, identity.size);
        Self {
            identity,
            content,
            head,
            validators_end,
            entity_end,
            etag,
        }
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    pub(super) fn content(&self) -> &Rc<Content> {
        &self.content
    }

    /// Bytes of the representation.
    pub(super) fn size(&self) -> u64 {
        self.identity.size
    }

    pub(super) fn validators(&self) -> Validators<'_> {
        Validators {
            etag: &self.etag,
            modified: self.identity.modified.0,
        }
    }

    /// The header block of a 200.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// What a 304 repeats of it (RFC 9110 §15.4.5).
    pub(super) fn validator_head(&self) -> &[u8] {
        self.head.get(..self.validators_end).unwrap_or_default()
    }

    /// The header block of a 200 without `Content-Length`.
    pub(super) fn entity_head(&self) -> &[u8] {
        self.head.get(..self.entity_end).unwrap_or_default()
    }

    /// `len` bytes from `offset`; the caller keeps them inside `size`.
    pub(super) fn piece(&self, offset: u64, len: u64) -> Piece<'_> {
        match &*self.content {
            Content::Descriptor(fd) => Piece::File {
                fd: fd.as_fd(),
                offset,
                len,
            },
            Content::Memory(bytes) => Piece::Memory(slice(bytes, offset, len).unwrap_or_default()),
        }
    }

    /// Bytes of memory held.
    pub(super) fn weight(&self) -> usize {
        let content = match &*self.content {
            Content::Memory(bytes) => bytes.len(),
            Content::Descriptor(_) => 0,
        };
        size_of::<Self>() + content + self.head.capacity() + self.etag.capacity()
    }

    /// Whether a descriptor is held.
    pub(super) fn holds_descriptor(&self) -> bool {
        matches!(&*self.content, Content::Descriptor(_))
    }
}

fn slice(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(len).ok()?)?)
}

/// Strong: `"MTIME-LENGTH"`, both in hexadecimal, the time in nanoseconds so that two changes within
/// a second differ; a coding is appended, since each encoded form is a representation of its own
/// (RFC 9110 §8.8.3.3).
fn entity_tag(identity: &Identity, coding: Option<Coding>) -> Vec<u8> {
    let (seconds, nanoseconds) = identity.modified;
    let time = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let mut tag = Vec::with_capacity(40);
    let sign = if time < 0 { "n" } else { "" };
    let _ = write!(tag, "\"{sign}{:x}-{:x}", time.unsigned_abs(), identity.size);
    if let Some(coding) = coding {
        let _ = write!(tag, "-{}", coding.token());
    }
    tag.push(b'"');
    tag
}

fn caching_fields(head: &mut Vec<u8>, about: &Description) {
    if let Some(expires) = about.expires {
        let _ = write!(head, "Cache-Control: max-age={}\r\n", expires.as_secs());
        let at = about.now.saturating_add(expires.as_secs());
        date_field(
            head,
            "Expires",
            i64::try_from(at).unwrap_or(i64::MAX).min(LAST_SECOND),
        );
    }
    if about.varies {
        field(head, "Vary", b"Accept-Encoding");
    }
}

fn field(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// Leaves the field out when the second lies outside 1970-9999.
fn date_field(head: &mut Vec<u8>, name: &str, second: i64) {
    if let Ok(seconds) = u64::try_from(second)
        && second <= LAST_SECOND
    {
        let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds));
        let _ = write!(head, "{name}: {date}\r\n");
    }
}

/// Appends `Content-Length`.
pub(super) fn push_length(head: &mut Vec<u8>, length: u64) {
    let _ = write!(head, "Content-Length: {length}\r\n");
}
