//! From a request path to a file: the try list, index names, hidden names, precompressed siblings.
//!
//! `FileHandler` runs it inline first and, when the kernel's caches do not hold the answer, once
//! more on the blocking pool: the same code both times. It must never keep state between requests
//! and never touch the file cache.

use std::os::fd::{AsFd, OwnedFd};

use quaich_config::model::Files;

use super::mime;
use super::open::{Identity, OpenError, Opened, Root, Wait, read_all};
use super::precompressed::{CODINGS, Coding, extension};

/// Files up to this size are held in memory whole, so that head and body leave in one write.
pub(super) const IN_MEMORY: u64 = 64 * 1024;

/// One slot for the file itself and one for each coding, in the order of `CODINGS`.
pub(super) const SLOTS: usize = 1 + CODINGS.len();

/// The identities that the caller still holds the content of.
pub(super) type Known = [Option<Identity>; SLOTS];

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A file.
    File(Box<Resolution>),
    /// A directory that would answer if the path ended in `/`.
    AddSlash,
    /// A directory to list, as a path below the root.
    List(Vec<u8>),
    /// Nothing.
    Missing,
    /// Something that may not be read.
    Forbidden,
}

/// A file with its precompressed siblings.
#[derive(Debug)]
pub(super) struct Resolution {
    /// `Content-Type` of the file and all siblings.
    pub(super) content_type: &'static str,
    /// The file itself at 0, then its siblings.
    pub(super) variants: [Option<Variant>; SLOTS],
}

/// One file of a `Resolution`.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) identity: Identity,
    pub(super) content: Fetched,
}

/// Where the bytes of a file are.
#[derive(Debug)]
pub(super) enum Fetched {
    /// Where the caller already has them: the identity is the known one.
    Unchanged,
    /// Here.
    Memory(Box<[u8]>),
    /// To be sent from here.
    Descriptor(OwnedFd),
}

/// How one lookup is to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookup {
    pub(super) wait: Wait,
    /// Seconds since 1970.
    pub(super) now: u64,
    pub(super) known: Known,
}

/// `model::Files`, compiled.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) root: Root,
    index: Vec<Vec<u8>>,
    attempts: Vec<Attempt>,
    list: bool,
    precompressed: bool,
    hidden: bool,
}

/// One entry of the try list, cut at `{path}`.
#[derive(Debug)]
struct Attempt {
    /// Between the pieces stands the request path; one piece means a fixed name.
    pieces: Vec<Vec<u8>>,
    /// `{path}` or `{path}/`: a directory found by it may ask for the slash.
    follows_path: bool,
}

impl Attempt {
    fn new(text: &str) -> Self {
        Self {
            pieces: text
                .split("{path}")
                .map(|piece| piece.as_bytes().to_vec())
                .collect(),
            follows_path: matches!(text, "{path}" | "{path}/" | "/{path}" | "/{path}/"),
        }
    }

    /// The name to try, relative to the root.
    fn name(&self, path: &[u8]) -> Vec<u8> {
        let name = self.pieces.join(path);
        let start = name.iter().take_while(|byte| **byte == b'/').count();
        name.get(start..).unwrap_or_default().to_vec()
    }
}

impl Plan {
    pub(super) fn new(settings: &Files, root: OwnedFd) -> Self {
        let attempts = match settings.try_.is_empty() {
            true => vec![Attempt::new("{path}")],
            false => settings
                .try_
                .iter()
                .map(|text| Attempt::new(text))
                .collect(),
        };
        Self {
            root: Root::new(root, settings.symlinks),
            index: settings
                .index
                .iter()
                .map(|name| name.as_bytes().to_vec())
                .collect(),
            attempts,
            list: settings.list,
            precompressed: settings.precompressed,
            hidden: settings.hidden,
        }
    }

    /// Finds what `path` (decoded, normalised, beginning with `/`) leads to. Only `WouldWait` and
    /// `Failed` come back as errors.
    pub(super) fn resolve(&self, path: &[u8], lookup: &Lookup) -> Result<Outcome, OpenError> {
        let mut nothing = Outcome::Missing;
        for attempt in &self.attempts {
            let name = attempt.name(path);
            if !self.permits(&name) {
                continue;
            }
            let add_slash = attempt.follows_path && !path.ends_with(b"/");
            match self.attempt(name, add_slash, lookup) {
                Ok(Outcome::Missing) | Err(OpenError::Missing) => {}
                Ok(Outcome::Forbidden) | Err(OpenError::Forbidden) => {
                    nothing = Outcome::Forbidden;
                }
                other => return other,
            }
        }
        Ok(nothing)
    }

    fn attempt(
        &self,
        mut name: Vec<u8>,
        add_slash: bool,
        lookup: &Lookup,
    ) -> Result<Outcome, OpenError> {
        if name.is_empty() || name.ends_with(b"/") {
            return match self.directory(name, lookup)? {
                Outcome::File(_) | Outcome::List(_) if add_slash => Ok(Outcome::AddSlash),
                other => Ok(other),
            };
        }
        match self.root.open(&name, lookup.wait)? {
            Opened::File(fd, identity) => self.file(name, fd, identity, lookup),
            Opened::Directory(_) if add_slash => {
                name.push(b'/');
                self.attempt(name, true, lookup)
            }
            Opened::Directory(_) => Ok(Outcome::Missing),
        }
    }

    /// `name` is empty or ends in `/`.
    fn directory(&self, name: Vec<u8>, lookup: &Lookup) -> Result<Outcome, OpenError> {
        for index in &self.index {
            let file = [name.as_slice(), index].concat();
            match self.root.open(&file, lookup.wait) {
                Ok(Opened::File(fd, identity)) => return self.file(file, fd, identity, lookup),
                Ok(Opened::Directory(_)) | Err(OpenError::Missing) => {}
                Err(error) => return Err(error),
            }
        }
        if !self.list {
            return Ok(Outcome::Missing);
        }
        match self.root.open(&name, lookup.wait)? {
            Opened::Directory(_) => Ok(Outcome::List(name)),
            Opened::File(..) => Ok(Outcome::Missing),
        }
    }

    fn file(
        &self,
        mut name: Vec<u8>,
        fd: OwnedFd,
        identity: Identity,
        lookup: &Lookup,
    ) -> Result<Outcome, OpenError> {
        let media = mime::of_name(&name);
        let mut variants = [const { None }; SLOTS];
        let known = lookup.known.iter();
        let mut slots = variants.iter_mut().zip(known);
        if let Some((slot, known)) = slots.next() {
            *slot = Some(fetch(fd, identity, *known, lookup)?);
        }
        if self.precompressed && !media.packed {
            let length = name.len();
            for (coding, (slot, known)) in CODINGS.iter().zip(slots) {
                name.truncate(length);
                *slot = self.sibling(&mut name, *coding, *known, lookup)?;
            }
        }
        let resolution = Resolution {
            content_type: media.content_type,
            variants,
        };
        Ok(Outcome::File(Box::new(resolution)))
    }

    /// A sibling that cannot be read is as good as none.
    fn sibling(
        &self,
        name: &mut Vec<u8>,
        coding: Coding,
        known: Option<Identity>,
        lookup: &Lookup,
    ) -> Result<Option<Variant>, OpenError> {
        name.extend_from_slice(extension(coding));
        match self.root.open(name, lookup.wait) {
            Ok(Opened::File(fd, identity)) => fetch(fd, identity, known, lookup).map(Some),
            Ok(Opened::Directory(_)) => Ok(None),
            Err(OpenError::Missing | OpenError::Forbidden) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether every segment of `name` may be served at all. `..` and NUL never are: the caller has
    /// normalised the path, and with `symlinks = "follow"` the kernel does not check it again.
    pub(super) fn permits(&self, name: &[u8]) -> bool {
        let mut first = true;
        name.split(|byte| *byte == b'/').all(|segment| {
            let permitted = self.permits_segment(segment, std::mem::take(&mut first));
            permitted && !segment.contains(&0)
        })
    }

    /// Names that begin with a dot and editors' backups (`x~`) are hidden. `/.well-known/` is not:
    /// RFC 8615 gives it a public meaning.
    fn permits_segment(&self, segment: &[u8], first: bool) -> bool {
        match segment {
            b"." | b".." => false,
            b".well-known" if first => true,
            [b'.', ..] | [.., b'~'] => self.hidden,
            _ => true,
        }
    }
}

fn fetch(
    fd: OwnedFd,
    identity: Identity,
    known: Option<Identity>,
    lookup: &Lookup,
) -> Result<Variant, OpenError> {
    if known == Some(identity) {
        return Ok(Variant {
            identity,
            content: Fetched::Unchanged,
        });
    }
    let mut content = None;
    if identity.size <= IN_MEMORY && identity.settled(lookup.now) {
        content = read_all(fd.as_fd(), &identity, lookup.wait)?;
    }
    let content = content.map_or(Fetched::Descriptor(fd), Fetched::Memory);
    Ok(Variant { identity, content })
}
