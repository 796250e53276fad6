//! Wire formats: how a request is put to a server and its response read.
//!
//! `handler::proxy` sees one kind of exchange: a request goes up over an [`Upload`] while the
//! response comes down over a [`Download`], whatever the server speaks.

pub mod dialect;
pub mod fastcgi;
pub mod http1;
pub mod http2;
pub mod worker;

use std::time::Duration;

use quaich_proto::h1::ResponseHead;
use quaich_proto::headers::Headers;

use self::dialect::Dialect;
use super::request::Request;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::pipe::Pipe;

/// What one exchange needs of a server: a connection, or its share of one.
pub enum Conn {
    /// A connection of its own.
    Http1(http1::Conn, Dialect),
    /// A connection of its own.
    FastCgi(fastcgi::Conn),
    /// A stream of a connection that others use, too.
    Http2(http2::Lease),
}

impl Conn {
    /// Makes ready for one exchange; `empty` says that the request has no body. Waits at most
    /// `timeout` for each step. When it fails, the server has seen nothing of the request.
    pub async fn begin(
        &mut self,
        request: &Request,
        empty: bool,
        timeout: Duration,
    ) -> Result<(Upload<'_>, Download<'_>), Error> {
        match self {
            Self::Http1(conn, dialect) => {
                let (up, down) = conn.begin(request, timeout, *dialect);
                Ok((Upload::Http1(up), Download::Http1(down)))
            }
            Self::FastCgi(conn) => {
                let (up, down) = conn.begin(request, timeout)?;
                Ok((Upload::FastCgi(up), Download::FastCgi(Box::new(down))))
            }
            Self::Http2(lease) => {
                let (up, down) = lease.begin(request, empty, timeout).await?;
                Ok((Upload::Http2(up), Download::Http2(down)))
            }
        }
    }

    /// Nothing is awaited of the server any more.
    pub fn rest(&self) {
        match self {
            Self::Http1(conn, _) => conn.rest(),
            Self::FastCgi(conn) => conn.rest(),
            Self::Http2(lease) => lease.rest(),
        }
    }
}

/// When a server is late.
#[derive(Clone, Copy)]
pub struct Patience<'c> {
    deadline: &'c Deadline,
    timeout: Duration,
}

impl<'c> Patience<'c> {
    fn new(deadline: &'c Deadline, timeout: Duration) -> Self {
        Self { deadline, timeout }
    }

    /// The server is late only after another timeout: until now it had to wait for the client.
    pub fn renew(&self) {
        self.deadline.set(self.timeout);
    }
}

/// The way of one request to a server. Dropped before its end, the server learns that no more
/// comes.
pub enum Upload<'c> {
    /// See [`http1`].
    Http1(http1::Upload<'c>),
    /// See [`fastcgi`].
    FastCgi(fastcgi::Upload<'c>),
    /// See [`http2`].
    Http2(http2::Upload<'c>),
}

impl<'c> Upload<'c> {
    /// Sends the head, and the body if the `whole` of it is here.
    pub async fn head(&mut self, request: &Request, whole: Option<&[u8]>) -> Result<(), Error> {
        match self {
            Self::Http1(up) => up.head(request, whole.unwrap_or_default()).await,
            Self::FastCgi(up) => up.head(request, whole).await,
            Self::Http2(up) => match whole {
                Some(body) => up.whole(body).await,
                None => Ok(()),
            },
        }
    }

    /// Sends a piece of the body. Returns when the server, or the kernel for it, has taken it.
    pub async fn data(&mut self, piece: &[u8]) -> Result<(), Error> {
        match self {
            Self::Http1(up) => up.data(piece).await,
            Self::FastCgi(up) => up.data(piece).await,
            Self::Http2(up) => up.data(piece).await,
        }
    }

    /// Ends the body. Trailers are sent where the wire has a place for them.
    pub async fn finish(&mut self, trailers: Option<&Headers>) -> Result<(), Error> {
        match self {
            Self::Http1(up) => up.finish().await,
            Self::FastCgi(up) => up.finish().await,
            Self::Http2(up) => up.finish(trailers),
        }
    }

    /// With the server, while this is in use.
    pub fn patience(&self) -> Patience<'c> {
        match self {
            Self::Http1(up) => up.patience(),
            Self::FastCgi(up) => up.patience(),
            Self::Http2(up) => up.patience(),
        }
    }

    /// From now on bytes are sent as they are, for as long as it takes.
    pub fn begin_tunnel(&mut self) {
        match self {
            Self::Http1(up) => up.begin_tunnel(),
            // No request of FastCGI becomes one: `begin` has refused it.
            Self::FastCgi(_) => {}
            Self::Http2(up) => up.begin_tunnel(),
        }
    }
}

/// The way of one response to us.
pub enum Download<'c> {
    /// See [`http1`].
    Http1(http1::Download<'c>),
    /// See [`fastcgi`].
    FastCgi(Box<fastcgi::Download<'c>>),
    /// See [`http2`].
    Http2(http2::Download<'c>),
}

impl Download<'_> {
    /// Reads the next head: interim ones (1xx), then the final one. A server that switches protocols
    /// says so with 101, whatever its wire has for that.
    pub async fn head(&mut self, head: &mut ResponseHead) -> Result<(), Error> {
        match self {
            Self::Http1(down) => down.head(head).await,
            Self::FastCgi(down) => down.head(head).await,
            Self::Http2(down) => down.head(head).await,
        }
    }

    /// The next piece of the body; `None` at its end, which is exact: a body that broke off is an
    /// error.
    pub async fn data(&mut self) -> Result<Option<&[u8]>, Error> {
        match self {
            Self::Http1(down) => down.data().await,
            Self::FastCgi(down) => down.data().await,
            Self::Http2(down) => down.data().await,
        }
    }

    /// What followed the body. Known at its end.
    pub fn trailers(&self) -> Option<&Headers> {
        match self {
            Self::Http1(_) | Self::FastCgi(_) => None,
            Self::Http2(down) => down.trailers(),
        }
    }

    /// Whether any byte of the response has come.
    pub fn has_begun(&self) -> bool {
        match self {
            Self::Http1(down) => down.has_begun(),
            Self::FastCgi(down) => down.has_begun(),
            Self::Http2(down) => down.has_begun(),
        }
    }

    /// Whether the whole body has been given out.
    pub fn is_done(&self) -> bool {
        match self {
            Self::Http1(down) => down.is_done(),
            Self::FastCgi(down) => down.is_done(),
            Self::Http2(down) => down.is_done(),
        }
    }

    /// Whether the connection may carry another request: the response ended exactly.
    pub fn is_reusable(&mut self) -> bool {
        match self {
            Self::Http1(down) => down.is_reusable(),
            Self::FastCgi(down) => down.is_reusable(),
            Self::Http2(_) => true,
        }
    }

    /// Bytes of the body that can be moved by [`splice`](Self::splice): all that is left of it.
    pub fn unread(&self) -> Option<u64> {
        match self {
            Self::Http1(down) => down.unread(),
            Self::Http2(_) | Self::FastCgi(_) => None,
        }
    }

    /// Moves what has arrived of the body into `pipe`. Only while [`unread`](Self::unread) knows
    /// how much there is.
    pub async fn splice(&mut self, pipe: &mut Pipe) -> Result<(), Error> {
        match self {
            Self::Http1(down) => down.splice(pipe).await,
            Self::Http2(_) | Self::FastCgi(_) => Ok(()),
        }
    }

    /// From now on [`data`](Self::data) gives bytes as they come, for as long as it takes.
    pub fn begin_tunnel(&mut self) {
        match self {
            Self::Http1(down) => down.begin_tunnel(),
            Self::Http2(down) => down.begin_tunnel(),
            Self::FastCgi(_) => {}
        }
    }
}
