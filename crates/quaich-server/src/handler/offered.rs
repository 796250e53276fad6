//! Files that an app or a server offers in place of a body: `X-Accel-Redirect` and `X-Sendfile`,
//! where the route has `sendfile`. Called by `app` and `proxy`.
//!
//! What such fields say is for quaich: no client ever sees them, obeyed or not.

use std::os::unix::ffi::OsStrExt;

use quaich_config::model::{Files, SendFile, Symlinks};
use quaich_proto::h1::{self, Connection};
use quaich_proto::headers::{HeaderId, Headers};
use quaich_proto::method::Method;
use quaich_proto::target;

use super::files::{FileAnswer, FileHandler, FileRequest, Found, OpenFileCache};
use super::send_file;
use crate::downstream::service::{Scope, leave_body};
use crate::error::{Error, Kind, Side};
use crate::filter::compress::Eligible;
use crate::observe::log;

/// The files of a route that an app or a server may offer.
pub struct Protected {
    root: Vec<u8>,
    prefix: Vec<u8>,
    files: FileHandler,
}

/// What an answer offers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    /// `X-Accel-Redirect`: a path of a URL.
    redirect: Option<Vec<u8>>,
    /// `X-Sendfile`: a path of the file system.
    file: Option<Vec<u8>>,
    /// `uWSGI-Encoding: gzip`: the body is to be compressed.
    gzip: bool,
}

impl Offer {
    /// Whether anything is offered.
    pub(super) fn is_some(&self) -> bool {
        self.redirect.is_some() || self.file.is_some()
    }

    /// Whether the body is to be compressed, whatever its type.
    pub(super) fn asks_gzip(&self) -> bool {
        self.gzip
    }

    /// Notes a field of an answer; `true` if it is one of those for quaich.
    pub(super) fn takes(&mut self, id: HeaderId, value: &[u8]) -> bool {
        match id {
            HeaderId::XAccelRedirect => self.redirect = Some(value.to_vec()),
            HeaderId::XSendfile => self.file = Some(value.to_vec()),
            HeaderId::UwsgiEncoding => self.gzip = value.eq_ignore_ascii_case(b"gzip"),
            // Nothing is held back here anyway; limits and character sets belong to the route.
            HeaderId::XAccelBuffering
            | HeaderId::XAccelExpires
            | HeaderId::XAccelLimitRate
            | HeaderId::XAccelCharset => {}
            _ => return false,
        }
        true
    }
}

/// Takes the fields that belong to the connection with a server (RFC 9110 section 7.6.1) out of its
/// answer, those that quaich sets itself, and what is meant for quaich.
pub(crate) fn take(headers: &mut Headers) -> Offer {
    // Most responses have no such field, and nothing is allocated for them.
    let listed = headers
        .get_all(HeaderId::Connection)
        .collect::<Vec<_>>()
        .join(&b',');
    let listed = Connection::parse(&listed);
    let mut offer = Offer::default();
    headers.retain(|id, name, value| {
        let drops = h1::is_hop_by_hop(id) || id == HeaderId::Server || listed.names(name);
        !(drops || offer.takes(id, value))
    });
    offer
}

impl Protected {
    /// The files below `root`, a directory opened with `O_PATH`. Those that are `compressed` on their
    /// way say so.
    pub fn new(
        settings: &SendFile,
        root: std::os::fd::OwnedFd,
        cache: std::rc::Rc<OpenFileCache>,
        compressed: Option<Eligible>,
    ) -> Self {
        let files = Files {
            root: settings.root.clone(),
            index: Vec::new(),
            try_: vec!["{path}".into()],
            expires: None,
            list: false,
            precompressed: false,
            // The app names each file: a dot in front of it is no accident.
            hidden: true,
            symlinks: Symlinks::Inside,
        };
        Self {
            root: settings.root.as_os_str().as_bytes().to_vec(),
            prefix: settings.prefix.clone().into_bytes(),
            files: FileHandler::new(&files, root, cache).with_compressed(compressed),
        }
    }

    /// The path below the root, from its slash on; `None` for what lies elsewhere.
    fn place(&self, offer: &Offer) -> Option<Vec<u8>> {
        let redirect = offer.redirect.as_deref();
        redirect
            .and_then(|path| below_prefix(path, &self.prefix))
            .or_else(|| below_root(offer.file.as_deref()?, &self.root))
    }
}

fn below_prefix(path: &[u8], prefix: &[u8]) -> Option<Vec<u8>> {
    let end = memchr::memchr(b'?', path).unwrap_or(path.len());
    let mut text = Vec::with_capacity(2 * path.len());
    target::normalise(path.get(..end)?, &mut text)?;
    let normal = text.len();
    target::append_decoded(&mut text, 0);
    let rest = text.get(normal..)?.strip_prefix(prefix)?;
    rest.starts_with(b"/").then(|| rest.to_vec())
}

fn below_root(path: &[u8], root: &[u8]) -> Option<Vec<u8>> {
    let root = root.strip_suffix(b"/").unwrap_or(root);
    let rest = path.strip_prefix(root)?;
    // The files refuse `..`, and the kernel links that lead out.
    rest.starts_with(b"/").then(|| rest.to_vec())
}

/// Sends the file that is offered in place of the answer in `scope`. `side` is who offers it.
pub(super) async fn send(
    scope: &mut Scope<'_, '_>,
    protected: Option<&Protected>,
    offer: &Offer,
    side: Side,
) -> Result<(), Error> {
    let outcome = find(scope, protected, offer, side).await;
    let answer = match outcome {
        Ok(answer) => answer,
        Err(error) => {
            scope.exchange.response.clear();
            return Err(error);
        }
    };
    leave_body(scope);
    let lines = head(&answer, &scope.exchange.response.headers);
    send_file::send(scope, &answer, &lines).await
}

async fn find(
    scope: &mut Scope<'_, '_>,
    protected: Option<&Protected>,
    offer: &Offer,
    side: Side,
) -> Result<FileAnswer, Error> {
    let shown = offer.redirect.as_deref().or(offer.file.as_deref());
    let shown = String::from_utf8_lossy(shown.unwrap_or_default());
    let Some(protected) = protected else {
        log::warn_limited!("an answer offers a file, and its route has no `sendfile`"; file = shown);
        return Err(Error::new(Kind::BadResponse("sendfile_refused"), side));
    };
    let Some(place) = protected.place(offer) else {
        log::warn_limited!("an answer offers a file that is not below the root of `sendfile`"; file = shown);
        return Err(Error::new(Kind::BadResponse("sendfile_refused"), side));
    };
    let request = &scope.exchange.request;
    let asked = FileRequest {
        // Whatever led to it, what is sent is the file.
        method: match request.method {
            Method::Head => Method::Head,
            _ => Method::Get,
        },
        path: &place,
        raw_path: &place,
        query: b"",
        headers: &request.headers,
        now: scope.thread.clock.unix_second(),
        has_fallback: false,
    };
    match protected.files.find(&asked).await {
        Found::File(answer) => Ok(answer),
        Found::Forbidden => {
            log::warn_limited!("an answer offers a file that quaich may not read"; file = shown);
            Err(Error::downstream(Kind::Status(403)))
        }
        Found::Failed(error) => {
            log::error_limited!("a file cannot be served: {error}"; file = shown);
            Err(Error::new(Kind::Status(500), Side::Internal))
        }
        _ => {
            log::warn_limited!("an answer offers a file that is not there"; file = shown);
            Err(Error::downstream(Kind::NotFound))
        }
    }
}

/// The fields of the file's answer, with those of the app that hold for the file: the same that
/// nginx keeps.
fn head(answer: &FileAnswer, app: &Headers) -> Vec<u8> {
    let has_body = matches!(answer.status(), 200 | 206);
    let mut lines = Vec::with_capacity(answer.head().len() + 128);
    let mut own_type = app.get(HeaderId::ContentType).filter(|_| has_body);
    for line in answer.head().split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b"Content-Type: multipart/byteranges") {
            own_type = None;
        }
        if own_type.is_none() || !line.starts_with(b"Content-Type:") {
            lines.extend_from_slice(line);
        }
    }
    if let Some(own) = own_type {
        h1::field(&mut lines, b"Content-Type", own);
    }
    for (id, name, value) in app.iter() {
        let kept = matches!(id, HeaderId::SetCookie | HeaderId::CacheControl)
            || name.eq_ignore_ascii_case(b"expires")
            || has_body && name.eq_ignore_ascii_case(b"content-disposition");
        if kept {
            h1::field(&mut lines, name, value);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_prefix_and_the_root_are_found() {
        for (path, expected) in [
            ("/p/a%20b/c", Some("/a b/c")),
            ("/p/a?b", Some("/a")),
            ("/p//x/./y", Some("/x/y")),
            ("/p", None),
            ("/pa/b", None),
            ("/p/../etc", None),
            ("/p/%2e%2e/etc", None),
            ("/p/x%2F..%2F..%2Fetc", None),
            ("/p/a\\b", None),
            ("p/a", None),
            ("http://x/p/a", None),
        ] {
            let found = below_prefix(path.as_bytes(), b"/p");
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{path}");
        }
        for (path, expected) in [
            ("/srv/files/a b", Some("/a b")),
            ("/srv/files", None),
            ("/srv/files2/a", None),
            ("a", None),
        ] {
            for root in ["/srv/files", "/srv/files/"] {
                let found = below_root(path.as_bytes(), root.as_bytes());
                assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{path}");
            }
        }
    }

    #[test]
    fn fields_for_quaich_are_taken_and_others_left() {
        let mut offer = Offer::default();
        assert!(offer.takes(HeaderId::XAccelBuffering, b"no") && !offer.is_some());
        assert!(!offer.takes(HeaderId::ContentType, b"x"));
        assert!(offer.takes(HeaderId::XSendfile, b"/a") && offer.is_some());
    }
}
