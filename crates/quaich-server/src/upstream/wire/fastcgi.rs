//! FastCGI to a server: one request at a time over a connection, always under id 1, as every front
//! server does it. Head and body of the response come in STDOUT records and end at END_REQUEST.

mod download;
mod upload;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

pub use download::Download;
pub use upload::Upload;

use super::http1;
use crate::error::{Error, Kind};
use crate::upstream::request::Request;
use crate::upstream::server::Server;

/// The id of every request.
const ID: u16 = 1;

/// A connection to a server.
pub struct Conn {
    inner: http1::Conn,
    server: Arc<Server>,
    /// The server is asked to leave the connection open.
    keep: bool,
    /// Records are whole: one more may follow.
    between: Cell<bool>,
}

impl Conn {
    /// FastCGI over a connection, which `keep` says is to be kept afterwards.
    pub fn new(inner: http1::Conn, server: Arc<Server>, keep: bool) -> Self {
        Self {
            inner,
            server,
            keep,
            between: Cell::new(true),
        }
    }

    /// What it goes over.
    pub fn into_inner(self) -> http1::Conn {
        self.inner
    }

    /// The two halves of the next exchange. There are none for a tunnel: FastCGI has no place for
    /// bytes that are not part of a request.
    pub fn begin(
        &self,
        request: &Request,
        timeout: Duration,
    ) -> Result<(Upload<'_>, Download<'_>), Error> {
        if request.protocol().is_some() {
            return Err(Error::downstream(Kind::Rejected(501, "no_tunnel")));
        }
        self.inner.deadline.set(timeout);
        let up = Upload::new(self, timeout);
        Ok((up, Download::new(self, request.method(), timeout)))
    }

    /// Nothing is awaited of it any more.
    pub fn rest(&self) {
        self.inner.rest();
    }
}
