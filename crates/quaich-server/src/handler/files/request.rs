//! The question to a `FileHandler` and its answers, as the data path sees them.

use std::io;

use quaich_proto::headers::Headers;
use quaich_proto::method::Method;

use super::answer::FileAnswer;

/// The value of `Allow` that goes with `Found::MethodNotAllowed`.
pub const ALLOW: &str = "GET, HEAD";

/// The status that goes with `Found::Redirect`. Only GET and HEAD get there, for which 301 and 308
/// mean the same, and every client knows 301.
pub const REDIRECT_STATUS: u16 = 301;

/// What a request asks of a `FileHandler`.
#[derive(Clone, Copy)]
pub struct FileRequest<'a> {
    /// GET and HEAD read; any other method gets 405 or the fallback.
    pub method: Method,
    /// Normalised and decoded, after the mount prefix is taken off; begins with `/`.
    pub path: &'a [u8],
    /// The same before decoding and with the mount prefix: what redirects are made of.
    pub raw_path: &'a [u8],
    /// Without `?`; empty = none.
    pub query: &'a [u8],
    /// Of the request.
    pub headers: &'a Headers,
    /// Seconds since 1970, at most a second old.
    pub now: u64,
    /// Whether something else answers when there is no file. It then also gets every request that
    /// is neither GET nor HEAD, without a look at the disk.
    pub has_fallback: bool,
}

impl FileRequest<'_> {
    pub(super) fn reads(&self) -> bool {
        matches!(self.method, Method::Get | Method::Head)
    }
}

/// What a request gets.
#[derive(Debug)]
pub enum Found {
    /// No file: the fallback's turn, else 404.
    NotFound,
    /// 405 with `Allow: GET, HEAD`: there is a file and the method does not read.
    MethodNotAllowed,
    /// `REDIRECT_STATUS` to the same path with a slash.
    Redirect {
        /// Value of `Location`: an absolute path, visible ASCII.
        location: Vec<u8>,
    },
    /// A file, or what its conditions came to.
    File(FileAnswer),
    /// 200, `text/html; charset=utf-8`: this page, of which HEAD gets the length only.
    Listing(Vec<u8>),
    /// 403: there is a file, and the process may not read it.
    Forbidden,
    /// 500, and a log line: the system refused for a reason that is not the path's.
    Failed(io::Error),
}
