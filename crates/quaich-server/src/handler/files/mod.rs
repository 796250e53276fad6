//! Static files: what a request for a path below a directory gets.
//!
//! The data path makes one `FileHandler` per route and front thread, asks `find`, and sends what
//! comes back. Nothing here writes to a socket, and nothing here may wait for a disk on the event
//! loop: what the kernel cannot answer from its caches goes to tokio's blocking pool.
//!
//! A path is tried as the `try` list says. A path that ends in `/` is a directory: its index file is
//! the answer, else (with `list`) a listing. A directory asked for without the slash is redirected
//! if it would answer with it. Names beginning with a dot (but `/.well-known/`) and editors' backups
//! `x~` do not exist unless `hidden` is on; FIFOs, sockets and devices never do.

mod answer;
mod cache;
mod conditional;
mod listing;
mod location;
mod mime;
mod open;
mod partial;
mod precompressed;
mod range;
mod representation;
mod request;
mod resolve;

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quaich_config::model::Files;
use quaich_proto::method::Method;
use rustix::io::Errno;

pub use self::answer::{FileAnswer, Piece};
pub use self::cache::{CacheLimits, OpenFileCache};
pub use self::request::{ALLOW, FileRequest, Found, REDIRECT_STATUS};

use self::answer::Asked;
use self::cache::Owner;
use self::open::{OpenError, Wait};
use self::partial::Boundaries;
use self::precompressed::CODINGS;
use self::representation::{Content, Description, Representation};
use self::resolve::{Fetched, Known, Lookup, Outcome, Plan, Resolution, SLOTS, Variant};

/// The media type that a file of this path has by its extension; `None` = the extension says nothing.
pub fn media_type(path: &[u8]) -> Option<&'static str> {
    let media = mime::of_name(path).content_type;
    (media != mime::UNKNOWN.content_type).then_some(media)
}

/// Seconds for which a cached file is believed without asking the kernel.
const VALID: u64 = 1;

/// The files of one route, on one front thread.
#[derive(Debug)]
pub struct FileHandler {
    plan: Arc<Plan>,
    expires: Option<Duration>,
    cache: Rc<OpenFileCache>,
    owner: Owner,
    boundaries: Boundaries,
}

/// What the blocking pool brings back.
enum Waited {
    Outcome(Outcome),
    Page(Vec<u8>),
}

impl FileHandler {
    /// `root` is a directory, opened with `O_PATH` or for reading; `settings.root` is not used.
    #[must_use]
    pub fn new(settings: &Files, root: OwnedFd, cache: Rc<OpenFileCache>) -> Self {
        Self {
            plan: Arc::new(Plan::new(settings, root)),
            expires: settings.expires,
            owner: cache.register(),
            cache,
            boundaries: Boundaries::default(),
        }
    }

    /// Finds the answer. Runs on tokio; cancel-safe.
    pub async fn find(&self, request: &FileRequest<'_>) -> Found {
        match self.find_ready(request) {
            Some(found) => found,
            None => self.find_waiting(request).await,
        }
    }

    /// The answer, if it needs no waiting: a cached file costs no system call and no allocation.
    /// `None`: ask `find`.
    #[must_use]
    pub fn find_ready(&self, request: &FileRequest<'_>) -> Option<Found> {
        if request.has_fallback && !request.reads() {
            return Some(Found::NotFound);
        }
        let held = self.cache.get(self.owner, request.path);
        if let Some(found) = &held
            && request
                .now
                .checked_sub(found.checked)
                .is_some_and(|age| age < VALID)
        {
            return Some(self.answer(request, found));
        }
        let lookup = lookup(Wait::No, request, held.as_deref());
        match self.plan.resolve(request.path, &lookup) {
            Err(OpenError::WouldWait) => None,
            Ok(Outcome::List(_)) if request.reads() => None,
            result => Some(self.conclude(request, result, held.as_deref())),
        }
    }

    async fn find_waiting(&self, request: &FileRequest<'_>) -> Found {
        let held = self.cache.get(self.owner, request.path);
        let lookup = lookup(Wait::Allowed, request, held.as_deref());
        let plan = Arc::clone(&self.plan);
        let path = request.path.to_vec();
        let lists = request.reads();
        let job = move || match plan.resolve(&path, &lookup)? {
            Outcome::List(dir) if lists => listing::page(&plan, &dir, &path).map(Waited::Page),
            outcome => Ok(Waited::Outcome(outcome)),
        };
        let result = match tokio::task::spawn_blocking(job).await {
            Ok(Ok(Waited::Page(page))) => {
                self.cache.remove(self.owner, request.path);
                return Found::Listing(page);
            }
            Ok(Ok(Waited::Outcome(outcome))) => Ok(outcome),
            Ok(Err(error)) => Err(error),
            Err(gone) => return Found::Failed(io::Error::other(gone)),
        };
        self.conclude(request, result, held.as_deref())
    }

    fn conclude(
        &self,
        request: &FileRequest<'_>,
        result: Result<Outcome, OpenError>,
        held: Option<&cache::Found>,
    ) -> Found {
        if let Ok(Outcome::File(resolution)) = result {
            let found = Rc::new(self.represent(*resolution, held, request.now));
            if found
                .variants
                .iter()
                .flatten()
                .all(|one| one.identity().settled(request.now))
            {
                self.cache
                    .insert(self.owner, request.path, Rc::clone(&found));
            } else {
                self.cache.remove(self.owner, request.path);
            }
            return self.answer(request, &found);
        }
        if held.is_some() {
            self.cache.remove(self.owner, request.path);
        }
        match result {
            Ok(Outcome::AddSlash | Outcome::List(_)) if !request.reads() => Found::MethodNotAllowed,
            Ok(Outcome::AddSlash) => Found::Redirect {
                location: location::with_slash(request.raw_path, request.query),
            },
            Ok(Outcome::Forbidden) | Err(OpenError::Forbidden) => Found::Forbidden,
            Ok(_) | Err(OpenError::Missing) => Found::NotFound,
            Err(OpenError::WouldWait) => Found::Failed(Errno::AGAIN.into()),
            Err(OpenError::Failed(errno)) => {
                // The descriptors held here may be the ones that are missing.
                if matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOMEM) {
                    self.cache.clear();
                }
                Found::Failed(errno.into())
            }
        }
    }

    fn represent(
        &self,
        resolution: Resolution,
        held: Option<&cache::Found>,
        now: u64,
    ) -> cache::Found {
        let varies = resolution.variants.iter().skip(1).any(Option::is_some);
        let codings = std::iter::once(None).chain(CODINGS.map(Some));
        let mut variants = [const { None }; SLOTS];
        let slots = variants
            .iter_mut()
            .zip(resolution.variants)
            .zip(codings)
            .enumerate();
        for (index, ((slot, variant), coding)) in slots {
            let Some(Variant { identity, content }) = variant else {
                continue;
            };
            let old = held.and_then(|held| held.variants.get(index)?.as_ref());
            let content = match content {
                Fetched::Memory(bytes) => Some(Rc::new(Content::Memory(bytes))),
                Fetched::Descriptor(fd) => Some(Rc::new(Content::Descriptor(fd))),
                Fetched::Unchanged => old.map(|old| Rc::clone(old.content())),
            };
            let expires = self.expires;
            let content_type = resolution.content_type;
            let about = Description {
                content_type,
                coding,
                varies,
                expires,
                now,
            };
            *slot = content.map(|content| Rc::new(Representation::new(identity, content, &about)));
        }
        cache::Found {
            variants,
            checked: now,
        }
    }

    fn answer(&self, request: &FileRequest<'_>, found: &cache::Found) -> Found {
        if !request.reads() {
            return Found::MethodNotAllowed;
        }
        let coding = match found.has_siblings() {
            true => {
                precompressed::choose(request.headers, |one| found.variant(Some(one)).is_some())
            }
            false => None,
        };
        let Some(representation) = found.variant(coding) else {
            return Found::NotFound;
        };
        let asked = Asked {
            head_only: request.method == Method::Head,
            headers: request.headers,
            boundaries: &self.boundaries,
        };
        Found::File(FileAnswer::new(Rc::clone(representation), &asked))
    }
}

impl Drop for FileHandler {
    fn drop(&mut self) {
        self.cache.forget(self.owner);
    }
}

fn lookup(wait: Wait, request: &FileRequest<'_>, held: Option<&cache::Found>) -> Lookup {
    let known: Known = match held {
        Some(held) => held
            .variants
            .each_ref()
            .map(|one| one.as_ref().map(|one| one.identity())),
        None => [None; SLOTS],
    };
    Lookup {
        wait,
        now: request.now,
        known,
    }
}

#[cfg(test)]
mod tests;
