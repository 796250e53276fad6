//! One stream: a request up, a response down, each as fast as the other end takes it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use quaich_proto::h1::{BodyLength, ResponseHead};
use quaich_proto::headers::Headers;

use super::session::Lease;
use super::{failure, head};
use crate::error::{Error, Kind};
use crate::upstream::request::Request;
use crate::upstream::wire::Patience;

impl Lease {
    /// Opens the stream. When it fails, nothing was sent.
    pub async fn begin(
        &mut self,
        request: &Request,
        empty: bool,
        timeout: Duration,
    ) -> Result<(Upload<'_>, Download<'_>), Error> {
        let tunnel = request.protocol().is_some();
        self.deadline.set(timeout);
        if tunnel && !self.can_tunnel().await? {
            return Err(Error::upstream(Kind::BadResponse("no_extended_connect")));
        }
        let ended = empty && !tunnel;
        let parts = head::request(request, self.is_secure)?;
        let sent = self.send.send_request(parts, ended);
        let (response, stream) = sent.map_err(|_| Error::upstream(Kind::UpstreamRefused))?;
        let lease = &*self;
        let upload = Upload {
            lease,
            timeout,
            left: match request.body() {
                BodyLength::Known(length) => Some(length),
                _ => None,
            },
            stream,
            tunnel,
            ended,
        };
        let download = Download {
            lease,
            timeout,
            tunnel,
            source: Source::Head(response),
            piece: Bytes::new(),
            trailers: None,
            received: false,
        };
        Ok((upload, download))
    }

    /// Fails when the server is late.
    fn check(&self, cx: &mut Context<'_>) -> Result<(), Error> {
        self.deadline.check(cx).map_err(|_| {
            self.state.suspect();
            Error::upstream(Kind::ResponseTimeout)
        })
    }
}

/// Writes one request. Dropped before its end, it resets the stream.
pub struct Upload<'c> {
    lease: &'c Lease,
    timeout: Duration,
    /// What is to come of a body whose length was promised.
    left: Option<u64>,
    stream: SendStream<Bytes>,
    /// Another protocol is to follow the head, if the server agrees.
    tunnel: bool,
    ended: bool,
}

impl<'c> Upload<'c> {
    /// Sends all there is of the body, and ends it.
    pub async fn whole(&mut self, body: &[u8]) -> Result<(), Error> {
        if self.ended || self.tunnel {
            return Ok(());
        }
        self.left = Some(body.len() as u64);
        self.data(body).await?;
        self.finish(None)
    }

    /// Sends a piece of the body. Returns when all of it is within the server's window.
    pub async fn data(&mut self, piece: &[u8]) -> Result<(), Error> {
        let mut rest = piece;
        while !rest.is_empty() {
            self.stream.reserve_capacity(rest.len());
            let room = poll_fn(|cx| self.poll_room(cx)).await?;
            let (now, later) = rest.split_at(room.min(rest.len()));
            rest = later;
            if let Some(left) = &mut self.left {
                *left = left.saturating_sub(now.len() as u64);
            }
            self.ended = self.left == Some(0);
            self.stream
                .send_data(Bytes::copy_from_slice(now), self.ended)
                .map_err(|_| Error::upstream(Kind::UpstreamClosed))?;
            self.lease.deadline.set(self.timeout);
        }
        Ok(())
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        loop {
            let room = self.stream.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room));
            }
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                // The server may have answered before it closed the stream: read on.
                Poll::Ready(Some(Err(_)) | None) => {
                    return Poll::Ready(Err(Error::upstream(Kind::UpstreamClosed)));
                }
                Poll::Pending => {
                    self.lease.check(cx)?;
                    return Poll::Pending;
                }
            }
        }
    }

    /// Ends the request.
    pub fn finish(&mut self, trailers: Option<&Headers>) -> Result<(), Error> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        let sent = match trailers.filter(|trailers| !trailers.is_empty()) {
            Some(trailers) => self.stream.send_trailers(head::request_trailers(trailers)),
            None => self.stream.send_data(Bytes::new(), true),
        };
        sent.map_err(|_| Error::upstream(Kind::UpstreamClosed))
    }

    /// To be used while this is borrowed.
    pub fn patience(&self) -> Patience<'c> {
        Patience::new(&self.lease.deadline, self.timeout)
    }

    /// Bytes go as they are from now on, for as long as it takes.
    pub fn begin_tunnel(&mut self) {
        self.left = None;
        self.timeout = Duration::MAX;
        self.lease.deadline.clear();
    }
}

/// Where the response stands.
enum Source {
    Head(ResponseFuture),
    Body(RecvStream),
    Done,
}

/// Reads one response. Dropped before its end, it resets the stream.
pub struct Download<'c> {
    lease: &'c Lease,
    timeout: Duration,
    tunnel: bool,
    source: Source,
    /// What was given out last.
    piece: Bytes,
    trailers: Option<Headers>,
    received: bool,
}

impl Download<'_> {
    /// Whether any part of the response has come.
    pub fn has_begun(&self) -> bool {
        self.received
    }

    /// Reads the next head.
    pub async fn head(&mut self, head: &mut ResponseHead) -> Result<(), Error> {
        let (parts, body) = poll_fn(|cx| self.poll_head(cx)).await?;
        self.received = true;
        self.lease.deadline.set(self.timeout);
        let ended = body.as_ref().is_some_and(RecvStream::is_end_stream);
        head::response(head, &parts, ended, self.tunnel)?;
        if let Some(body) = body {
            self.source = Source::Body(body);
        }
        Ok(())
    }

    #[allow(clippy::type_complexity, reason = "an interim head has no body")]
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(http::response::Parts, Option<RecvStream>), Error>> {
        let Source::Head(response) = &mut self.source else {
            return Poll::Ready(Err(Error::internal()));
        };
        match response.poll_informational(cx) {
            Poll::Ready(Some(interim)) => {
                let (parts, ()) = interim.map_err(|e| failure(&e))?.into_parts();
                Poll::Ready(Ok((parts, None)))
            }
            Poll::Ready(None) => {
                let (parts, body) = ready!(Pin::new(response).poll(cx))
                    .map_err(|e| failure(&e))?
                    .into_parts();
                Poll::Ready(Ok((parts, Some(body))))
            }
            Poll::Pending => {
                self.lease.check(cx)?;
                Poll::Pending
            }
        }
    }

    /// The next piece of the body; `None` at its end. The server may send as much again as was
    /// given out before.
    pub async fn data(&mut self) -> Result<Option<&[u8]>, Error> {
        // However long the last piece was kept, it was not the server that was late.
        self.lease.deadline.set(self.timeout);
        poll_fn(|cx| self.poll_data(cx)).await?;
        Ok((!self.piece.is_empty()).then_some(&self.piece))
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            let used = std::mem::take(&mut self.piece).len();
            let Source::Body(body) = &mut self.source else {
                return Poll::Ready(Ok(()));
            };
            if used > 0 {
                // Fails only for more than there was.
                let _ = body.flow_control().release_capacity(used);
            }
            match body.poll_data(cx) {
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => {}
                Poll::Ready(Some(Ok(piece))) => {
                    self.piece = piece;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(failure(&error))),
                Poll::Ready(None) => return self.poll_trailers(cx),
                Poll::Pending => {
                    self.lease.check(cx)?;
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Source::Body(body) = &mut self.source else {
            return Poll::Ready(Ok(()));
        };
        let Poll::Ready(trailers) = body.poll_trailers(cx) else {
            self.lease.check(cx)?;
            return Poll::Pending;
        };
        if let Some(fields) = trailers.map_err(|error| failure(&error))? {
            let mut headers = Headers::new();
            head::trailers(&mut headers, &fields)?;
            self.trailers = Some(headers);
        }
        self.source = Source::Done;
        Poll::Ready(Ok(()))
    }

    /// What followed the body.
    pub fn trailers(&self) -> Option<&Headers> {
        self.trailers.as_ref()
    }

    /// Whether the whole body has been given out.
    pub fn is_done(&self) -> bool {
        matches!(self.source, Source::Done)
    }

    /// Bytes come as they are from now on, for as long as it takes.
    pub fn begin_tunnel(&mut self) {
        self.timeout = Duration::MAX;
        self.lease.deadline.clear();
    }
}
