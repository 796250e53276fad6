//! One request of an HTTP/2 connection: its task, and what body and reply share of its stream.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};

use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};

use super::connection::Shared;
use super::fields;
use super::inbound::Inbound;
use super::outbound::Outbound;
use super::piece::Piece;
use crate::downstream::body::{Body, Source};
use crate::downstream::reply::Reply;
use crate::downstream::service::{self, After};
use crate::downstream::wire::Wire;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;

/// The sending side of a stream, asked by whoever has to do with it.
pub struct Channel {
    respond: RefCell<SendResponse<Piece>>,
    send: RefCell<Option<SendStream<Piece>>>,
}

impl Channel {
    fn new(respond: SendResponse<Piece>) -> Self {
        Self {
            respond: RefCell::new(respond),
            send: RefCell::default(),
        }
    }

    /// Sends the head of the response.
    pub(super) fn send_head(&self, head: Response<()>, ends: bool) -> Result<(), Error> {
        let sent = self.respond.borrow_mut().send_response(head, ends);
        let stream = sent.map_err(|_| Error::CLIENT_GONE)?;
        if !ends {
            *self.send.borrow_mut() = Some(stream);
        }
        Ok(())
    }

    /// Sends an interim response, if the client is still there.
    pub(super) fn send_interim(&self, status: u16, headers: HeaderMap) {
        let mut head = Response::new(());
        *head.status_mut() = fields::status(status);
        *head.headers_mut() = headers;
        // A client that has gone is noticed with the final response.
        let _ = self.respond.borrow_mut().send_informational(head);
    }

    /// Whether the head of the response has left.
    pub(super) fn has_begun(&self) -> bool {
        self.send.borrow().is_some()
    }

    /// Runs `action` on the open body of the response.
    pub(super) fn with_body<T>(
        &self,
        action: impl FnOnce(&mut SendStream<Piece>) -> Result<T, h2::Error>,
    ) -> Result<T, Error> {
        let mut send = self.send.borrow_mut();
        let stream = send.as_mut().ok_or(Error::CLIENT_GONE)?;
        action(stream).map_err(|_| Error::CLIENT_GONE)
    }

    /// Ends the stream visibly broken.
    pub(super) fn reset(&self, reason: Reason) {
        self.respond.borrow_mut().send_reset(reason);
    }

    /// Ready when the client has reset the stream, or its connection is gone.
    pub fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self.send.borrow_mut() {
            Some(stream) => stream.poll_reset(cx).map(drop),
            None => self.respond.borrow_mut().poll_reset(cx).map(drop),
        }
    }
}

/// Serves one request to its end.
pub(super) async fn serve(
    shared: Rc<Shared>,
    request: Request<RecvStream>,
    respond: SendResponse<Piece>,
) {
    let _active = shared.begin();
    let thread = shared.thread.clone();
    let (parts, recv) = request.into_parts();
    let channel = Channel::new(respond);
    let mut exchange = Exchange::lend();
    exchange.client = shared.peer;
    exchange.session.clone_from(&shared.session);
    exchange.connection = shared.number;
    exchange.connection_request = shared.requests.get();
    let reply = Wire::H2(Outbound::new(&channel, &thread, &shared.budget));
    let mut reply = Reply::new(&thread, reply);
    let ends = recv.is_end_stream();
    let read = fields::read_head(&mut exchange.request, &parts, ends, &thread.limits);
    drop(parts);
    let after = match read {
        Ok(()) => {
            let request = &mut exchange.request;
            let source = Source::H2(Inbound::new(recv, &channel, &thread, request));
            let mut body = Body::new(source);
            let mut scope = service::Scope {
                thread: &thread,
                listener: shared.end.listener,
                local_port: shared.end.port,
                local: shared.end.local,
                exchange: &mut exchange,
                body: &mut body,
                reply: &mut reply,
                stream: Some(&channel),
            };
            let after = service::serve(&mut scope).await;
            if let Source::H2(body) = &mut body.source
                && after != After::Abort
                && reply.is_ended()
            {
                body.see_off().await;
            }
            after
        }
        Err(reject) => {
            let error = Error::downstream(Kind::Rejected(reject.status, reject.reason.label()));
            service::refuse(&thread, &mut exchange, &mut reply, error).await;
            After::Close
        }
    };
    if after == After::Abort || !reply.is_ended() {
        if channel.has_begun() {
            // What came before the failure leaves if it can: a reset takes back what has not.
            tokio::task::yield_now().await;
        }
        channel.reset(Reason::INTERNAL_ERROR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, C, F>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_request_is_small() {
        let size = size_of_future(serve);
        assert!(size <= 4096, "{size} bytes");
    }
}
